"""Two hundred damaged inputs of all commands, and what judges them."""

import os
import random
import subprocess
import sys

import pytest

from tests.damaged_inputs import (
  bounds,
  cases,
  documents,
  judge,
  mutations,
  places,
  server,
)
from tfdam import runtime


def test_a_sample_ends_as_users_would_want(tmp_path):
  environment = {**os.environ, "PYTHONPATH": runtime.PROJECT}
  done = subprocess.run(
    [sys.executable, "-m", "tests.damaged_inputs", "--sample=200", f"--folder={tmp_path}"],
    cwd=runtime.PROJECT, env=environment, stdout=subprocess.PIPE, text=True,
    stderr=subprocess.STDOUT,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout
  assert "200 damaged inputs, 0 of them failed" in done.stdout


@pytest.mark.parametrize("name", sorted(mutations.MUTATIONS))
@pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 4])
def test_mutations_are_functions_of_bytes_and_seed_and_take_any_length(name, content):
  mutate = mutations.MUTATIONS[name]
  first, second = (mutate(content, random.Random(name)) for _ in range(2))
  assert first == second
  assert content == b"" or first != content or name in ("as_text", "zero", "ones")


@pytest.mark.parametrize("name", sorted({**places.REPLACEMENTS, **places.FOLDERS}))
def test_what_stands_in_a_place_is_seen_and_not_opened(tmp_path, name):
  replace = {**places.FOLDERS, **places.REPLACEMENTS}[name]
  (tmp_path / "place").mkdir()
  before = judge.tree(tmp_path)
  replace(tmp_path / "place", random.Random(0))
  assert (judge.tree(tmp_path) != before) == (name != "directory")


def test_an_overwritten_a_changed_and_a_removed_file_are_told(tmp_path):
  for name in ("kept", "changed", "removed", "run/own"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(name)
  before = judge.tree(tmp_path)
  for name in ("changed", "run/own"):
    (tmp_path / name).write_text(name.upper())
  (tmp_path / "removed").unlink()
  (tmp_path / "new").touch()
  assert sorted(judge.overwritten(before, judge.tree(tmp_path), ("run/",))) == [
    "changed",
    "removed",
  ]


def _problems(
  expected, result=None, place="", status=2, broken="", stdout="", stderr="Error: no.\n"
):
  subject = cases.Subject("subject", "tfdam.oracle", ())
  outcome = server.Outcome(status, 1.0, 100, broken, stdout, stderr)
  case = subject.case("name", cases.no_damage, expected, place)
  return judge.problems(case, outcome, result, "right", [])


@pytest.mark.parametrize(
  ("expected", "result", "outcome"),
  [
    (cases.Expected.REFUSED, None, {}),
    (cases.Expected.ANY, None, {}),
    (cases.Expected.ANY, None, {"place": "run/a.json", "stderr": "Error: /a/run is no.\n"}),
    (cases.Expected.ANY, "another", {"status": 0, "stderr": ""}),
    (cases.Expected.SAME, "right", {"status": 0, "stderr": "a warning\n"}),
    (cases.Expected.REFUSED_OR_SAME, None, {"stderr": "a log line\nError: no.\n  more\n"}),
  ],
)
def test_these_ends_are_right(expected, result, outcome):
  assert _problems(expected, result, **outcome) == []


@pytest.mark.parametrize(
  ("expected", "result", "outcome", "said"),
  [
    (cases.Expected.REFUSED, None, {"status": 0}, "accepted"),
    (cases.Expected.SAME, None, {}, "nothing is wrong"),
    (cases.Expected.SAME, "another", {"status": 0}, "another result"),
    (cases.Expected.REFUSED_OR_SAME, "another", {"status": 0}, "another result"),
    (cases.Expected.ANY, None, {"status": 1}, "status 1"),
    (cases.Expected.ANY, None, {"status": -11}, "status -11"),
    (cases.Expected.ANY, None, {"broken": server.HANGS}, "hangs"),
    (cases.Expected.ANY, None, {"stderr": "Error: a\nError: b\n"}, "2 lines"),
    (cases.Expected.ANY, None, {"stderr": ""}, "0 lines"),
    (cases.Expected.ANY, None, {"stderr": "Error: \x1b[31m\n"}, "unprintable"),
    (cases.Expected.ANY, None, {"stderr": "Error: \n"}, "without a word"),
    (cases.Expected.ANY, None, {"place": "run/config.json"}, "names neither"),
    (cases.Expected.ANY, None, {"stderr": "Error: " + "a" * 9000}, "characters"),
    (
      cases.Expected.ANY,
      None,
      {"stdout": "Traceback (most recent call last)"},
      "Traceback",
    ),
  ],
)
def test_these_ends_are_wrong(expected, result, outcome, said):
  assert said in "; ".join(_problems(expected, result, **outcome))


def test_every_number_of_the_schema_has_values_at_and_past_its_bounds():
  found = list(bounds.values())
  allowed = {value.field for value in found if value.allowed}
  refused = {value.field for value in found if not value.allowed}
  assert {
    "source.global_batch_size",
    "adapt.discriminator_units",
    "match.max_scale",
  } <= allowed
  assert allowed <= refused
  assert bounds.Value("seed", "above", str(2**31), False) in found


def test_documents_are_changed_at_every_value():
  document = {"a": [1, {"b": None}], "c": "d"}
  assert [documents.shown(p) for p in documents.paths(document)] == [
    "a",
    "a.0",
    "a.1",
    "a.1.b",
    "c",
  ]
  assert b'"b": NaN' in documents.changed(document, ("a", 1, "b"), "NaN")
  assert b"b" not in documents.without(document, ("a", 1, "b"))
  assert documents.yaml_with(b"a: 1\nb:\n  c: 2\n", "b", "3") == b"a: 1\nb: 3\n"


@pytest.fixture(scope="module")
def runner():
  started = server.Server(max_seconds=2.0, max_mb=1000)
  yield started
  started.close()


@pytest.mark.parametrize(
  ("statement", "status", "broken"),
  [
    ("pass", 0, ""),
    ("import os; os._exit(3)", 3, ""),
    ("import os; os.abort()", -6, ""),
    ("open('secret')", 1, ""),
    ("import time; time.sleep(60)", -9, server.HANGS),
    ("while True: pass", -9, server.HANGS),
    ("len(b'a' * (1 << 30))", -9, server.CLAIMS),
  ],
)
def test_a_server_runs_commands_and_ends_those_that_break_a_limit(
  tmp_path, runner, statement, status, broken
):
  """Root may read a file of mode 0, but not as a command."""
  (tmp_path / "secret").touch(mode=0)
  job = server.Job(
    "timeit", ("-n1", "-r1", statement), str(tmp_path), server.environment(str(tmp_path))
  )
  outcome = runner.run(job)
  assert (outcome.status, outcome.broken) == (status, broken)
  assert ("PermissionError" in outcome.stderr) == ("secret" in statement)
  assert ("1 loop" in outcome.stdout) == (statement == "pass")
