"""Digests of code: what counts, and what does not."""

import pytest

from tfdam import code_digest

CODE = '''"""What the module does."""

import os  # used


def double(x):
  """Doubles."""
  text = "# no comment"
  return 2 * x  # twice


class Empty:
  """Nothing but a docstring."""


def halve(x):
  if x % 2:
    raise ValueError(
      "Odd."
    )
  return x // 2
'''


def test_comments_and_docstrings_do_not_count():
  changed = CODE.replace("Doubles.", "Twice\n\n  as much.").replace("# twice", "# 2x")
  assert changed != CODE
  assert code_digest.bare(changed) == code_digest.bare(CODE)


def test_messages_of_errors_do_not_count():
  changed = CODE.replace('(\n      "Odd."\n    )', '("Not even: halve another.")')
  assert changed != CODE
  assert code_digest.bare(changed) == code_digest.bare(CODE)
  assert code_digest.bare(CODE.replace("raise", "return")) != code_digest.bare(CODE)


@pytest.mark.parametrize(
  ("old", "new"), [("2 * x", "3 * x"), ("# no comment", "# none"), ("class", "class  ")]
)
def test_what_runs_does_count(old, new):
  assert code_digest.bare(CODE.replace(old, new)) != code_digest.bare(CODE)


def test_strings_over_several_lines_stay():
  code = 'x = """one\n# two\n\nthree"""\n'
  assert "# two" in code_digest.bare(code)


@pytest.mark.parametrize(
  ("one", "two"),
  [
    ('def f(): "doc"; return 1\n', 'def f(): "doc"; return 2\n'),
    ("def f():\n  raise A; x = 1\n", "def f():\n  raise A; x = 2\n"),
    ('x = """a\n\nb"""\n', 'x = """a\nb"""\n'),
    ('x = """a  \nb"""\n', 'x = """a\nb"""\n'),
    ('x = "é"  # one\nraise A("é")\ny = 1\n', 'x = "é"  # one\nraise A("é")\ny = 2\n'),
  ],
)
def test_what_shares_a_line_or_a_string_counts(one, two):
  assert code_digest.bare(one) != code_digest.bare(two)


def test_two_raises_of_one_line_are_found():
  one = 'if x: raise A("one")\nelse: raise B("two"); raise C("three"); x = 1\n'
  assert code_digest.bare(one) == "if x: raise\nelse: raise; raise; x = 1\n"


def test_files_count_by_name_and_content(tmp_path):
  for name in ("one.py", "two.py", "other.txt"):
    (tmp_path / name).write_text("x = 1\n")
  found = code_digest.of(str(tmp_path), ["*.py"])
  assert len(found) == 64
  assert code_digest.of(str(tmp_path), ["two.py", "one.py"]) == found
  (tmp_path / "other.txt").write_text("x = 2\n")
  (tmp_path / "one.py").write_text("x = 1  # one\n")
  assert code_digest.of(str(tmp_path), ["*.py"]) == found
  (tmp_path / "one.py").write_text("x = 2\n")
  assert code_digest.of(str(tmp_path), ["*.py"]) != found
  (tmp_path / "one.py").rename(tmp_path / "third.py")
  assert code_digest.of(str(tmp_path), ["*.py"]) != found
