"""Every command and every block of Python that README and the other pages show works.

Commands run in a folder of their own, made small (tests/docs_commands/small.py); the few
that cannot be run are listed with the reason and checked (not_run.py). What a command reads
is made by the command that makes it on any page.
"""

import collections
import os
import re

import pytest

from tests.docs_commands import calls, pages, python_blocks, workplace

_TEXTS = pages.texts()
_COMMANDS = [c for page, text in _TEXTS.items() for c in pages.commands(page, text)]
_SHOWN = [command for command in _COMMANDS if not command.in_sentence]
_PYTHON = {page: found for page, text in _TEXTS.items()
           if (found := pages.python_blocks(page, text))}  # fmt: skip


def _names(commands):
  """Names of tests that stay the same while lines move: page, program, how many before."""
  count = collections.Counter()
  for command in commands:
    words = command.words or command.script.split()
    name = f"{command.page} {' '.join(words[:3])}"
    count[name] += 1
    yield f"{name} {count[name]}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """The folder that all commands of all pages share."""
  found = workplace.Workplace(tmp_path_factory.mktemp("pages"), _SHOWN)
  yield found
  found.close()


@pytest.mark.parametrize("command", _SHOWN, ids=_names(_SHOWN))
def test_a_command_that_a_page_shows_works(place, command):
  place.perform(command)


@pytest.mark.parametrize("page", _PYTHON)
def test_the_python_that_a_page_shows_runs(place, page):
  python_blocks.run(_PYTHON[page], place)


def test_commands_in_sentences_name_what_exists():
  found = [command for command in _COMMANDS if command.in_sentence]
  assert len(found) > 20
  for command in found:
    workplace.check_in_sentence(command)


def test_readme_begins_with_the_main_job_and_the_tests():
  first = [c.words for c in _SHOWN if c.page == "README.md"][:2]
  assert first == [("./bazelw", "run", "//tfdam:train"), ("./bazelw", "test", "//...")]


def test_commands_are_split_as_a_shell_does():
  text = """Text.

1. A list:

   ```sh
   python3 -m venv .venv && . .venv/bin/activate   # a remark
   # nothing
   ./bazelw run //tfdam:train -- --config=x.py \\
     --config.data.classes="sky,road=road+lane"
   ```
"""
  found = [(command.line, command.words) for command in pages.commands("p.md", text)]
  assert found == [
    (6, ("python3", "-m", "venv", ".venv")),
    (6, (".", ".venv/bin/activate")),
    (8, ("./bazelw", "run", "//tfdam:train", "--", "--config=x.py",
         "--config.data.classes=sky,road=road+lane")),
  ]  # fmt: skip


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("```\n./bazelw run //tfdam:tran\n```", "no program .* Did you mean '//tfdam:train'"),
    ("```\ntfdam tran\n```", "Did you mean 'train'"),
    ("```\n./bazelw run //export -- --wrokdir=runs/m2u\n```", "Did you mean 'workdir'"),
    ("```\n./bazelw run //export --workdir=runs/m2u\n```", "stands before the --"),
    ("```\npython -m tfdam.train --config.adapt.stepz=3\n```", "no field 'adapt.stepz'"),
    ("```\ntfdam train --config=configs/digits/u2m.py\n```", "no config file"),
    ("```\ntfdam download mnits\n```", "Did you mean 'mnist'"),
    ("```\npip install --reqiure-hashes -r requirements/tf221.lock\n```", "2"),
    ("```\npip install -r requirements/tf222.lock\n```", "No command .* makes"),
    ("```\npip install '.[gpus]'\n```", "no extra 'gpus'"),
    ("```\npip install tensorflow==2.1.0\n```", "has tensorflow==2.1.0"),
    ("```\n./bazelw test //tests:quick_test\n```", "'//tests:quick_test' is no test"),
    ("```\nexport TFDAM_DATAS=data\n```", "expected one of TFDAM_DATA"),
    ("```\ntfdam export --workdir=runs/none\n```", "No command .* makes runs/none\\."),
    ("```\nrm -r runs\n```", "No test knows this command"),
    ("```\npython tools/lock.py\n```", "No test knows this command"),
    ("```\nfor i in 1 2; do ./bazel run //tfdam:train; done\n```", "the shell says"),
    ("```\nfor i in 1 2; do ./bazelw run //tfdam:train; done\n```", "no other worker"),
  ],
)
def test_a_command_that_nobody_could_type_is_found(place, text, said):
  (command,) = pages.commands("page.md", text)
  with pytest.raises(ValueError, match=rf"(?s)^page\.md:2: .*{said}"):
    place.perform(command)


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("```rust\nfn main() {}\n```", "'rust' is no language"),
    ("```\n./bazelw run //tfdam:train\n", "does not end"),
    ("Then:\n\n    ./bazelw run //tfdam:train\n", "without a fence"),
  ],
)
def test_a_block_that_could_hide_a_command_is_found(text, said):
  with pytest.raises(ValueError, match=said):
    list(pages.commands("page.md", text))


def _misspelt(command):
  """The command once for each of its flags, with a letter more in that one's name."""
  for i, word in enumerate(command.words):
    if word.startswith("-") and word != "--":
      name, equals, value = word.partition("=")
      changed = (*command.words[:i], f"{name}x{equals}{value}", *command.words[i + 1 :])
      yield command._replace(words=changed)


def test_no_flag_of_any_page_can_be_misspelt(place):
  every = [changed for command in _SHOWN for changed in _misspelt(command)]
  assert len(every) > 50
  for changed in every:
    with pytest.raises(ValueError, match=re.escape(str(changed))):
      place.perform(changed)


def test_a_small_run_that_fails_is_found(place):
  """Of a flag whose name is right."""
  flags = "--config=configs/digits/mnist_to_usps.py --config.adapt.taps=fc33"
  (command,) = pages.commands("page.md", f"```\ntfdam train {flags}\n```")
  with pytest.raises(ValueError, match=r"(?s)status 2.*Did you mean 'fc3'"):
    place.perform(command)


def test_python_that_fails_is_found_with_its_line(place):
  blocks = pages.python_blocks("page.md", "```python\nadapted = tfdam.adept(1)\n```")
  with pytest.raises(ValueError, match=r"page\.md:2: .*adept"):
    python_blocks.run(blocks, place)


def test_flags_are_read_from_code():
  assert {"workdir", "config"} <= set(calls.own_flags("tfdam.train"))
  assert {"model", "threads", "resize"} <= set(calls.own_flags("export.client_onnx"))
  for module in set(calls.LABELS.values()):
    assert calls.own_flags(module), module
  with open(os.path.join(os.path.dirname(calls.__file__), "calls.py")) as file:
    assert not re.search("import tensorflow", file.read())
