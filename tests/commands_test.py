"""`tfdam`, `tfdam COMMAND`, and what --help prints."""

import importlib.util
import re
import sys
import types

import pytest
from absl import flags

import tfdam
from tfdam import __main__ as program
from tfdam import commands, oracle, runtime, usage


@pytest.mark.parametrize("columns", [50, 60, 80])
def test_the_list_names_every_command_and_fits_the_terminal(monkeypatch, capsys, columns):
  monkeypatch.setenv("COLUMNS", str(columns))
  for words in ([], ["--help"], ["help"]):
    assert program.main(["tfdam", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    listed = [line.split()[0] for line in lines if re.match("  \\w", line)]
    assert listed == list(commands.COMMANDS)


def test_a_typo_is_answered_with_the_nearest_command(capsys):
  assert program.main(["tfdam", "trian"]) == 2
  said = capsys.readouterr().err
  assert said.startswith("Error: There is no command 'trian'. Did you mean 'train'?")
  assert program.main(["tfdam", "a\nb"]) == 2
  assert capsys.readouterr().err.count("\n") == 1


def test_it_says_its_version(capsys):
  assert program.main(["tfdam", "--version"]) == 0
  assert capsys.readouterr().out == f"tfdam {tfdam.__version__}\n"


@pytest.mark.parametrize("name", ["source-or-not", "source_or_not"])
def test_a_command_gets_its_own_flags_and_is_named_so(monkeypatch, name):
  monkeypatch.setattr("sys.argv", ["/bin/tfdam"])
  seen = []
  # In the command's place: imported beside others, its flags would be defined twice.
  stub = types.SimpleNamespace(run=lambda: seen.append(list(program.sys.argv)))
  monkeypatch.setitem(sys.modules, "tfdam.source_or_not", stub)
  program.main(["/bin/tfdam", name, "--rounds=3"])
  assert seen == [[f"/bin/tfdam {name}", "--rounds=3"]]


@pytest.mark.parametrize(
  ("started_as", "typed"),
  [
    ("/bin/tfdam train", "tfdam export --workdir=/run"),
    ("/bin/tfdam-train", "tfdam export --workdir=/run"),
    ("/x/tfdam/train.py", "python -m export.run --workdir=/run"),
  ],
)
def test_the_next_command_is_typed_as_this_one_was(monkeypatch, started_as, typed):
  monkeypatch.delenv("BUILD_WORKSPACE_DIRECTORY", raising=False)
  monkeypatch.setattr("sys.argv", [started_as])
  assert runtime.command("export.run", "--workdir=/run") == typed


def test_help_has_examples_then_the_commands_own_flags_in_their_order(monkeypatch):
  monkeypatch.setattr("sys.argv", ["/bin/tfdam oracle"])
  monkeypatch.delenv("BUILD_WORKSPACE_DIRECTORY", raising=False)
  for columns in (60, 80):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = usage.text(oracle)
    assert max(map(len, text.splitlines())) <= columns
    parts = ("Examples:", "tfdam oracle", "Flags:", "--max_images=", "--output=")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
  assert "--verbosity" not in text


@pytest.fixture
def own_flags(monkeypatch):
  """No flags but those that a test defines: all commands have some of one name."""
  for name, value in flags.FlagValues().__dict__.items():
    monkeypatch.setitem(flags.FLAGS.__dict__, name, value)


def loaded(monkeypatch, target):
  """A command's module, anew; one that is imported already stays as it is."""
  spec = importlib.util.find_spec(target)
  module = importlib.util.module_from_spec(spec)
  monkeypatch.setitem(sys.modules, target, module)  # where absl looks for its name
  spec.loader.exec_module(module)
  return module


_CLIENTS = ("client-onnx", "client-serving")


@pytest.mark.parametrize("name", [n for n in commands.COMMANDS if n not in _CLIENTS])
def test_help_of_every_command_is_short_and_has_its_own_flags_alone(
  monkeypatch, own_flags, name
):
  target = commands.COMMANDS[name].target
  module = loaded(monkeypatch, target)
  monkeypatch.setattr("sys.argv", [f"/bin/tfdam {name}"])
  monkeypatch.delenv("BUILD_WORKSPACE_DIRECTORY", raising=False)
  for columns in (40, 60, 80):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = usage.text(module).splitlines()
    # A word of an example is not broken.
    assert all(len(line) <= columns or len(line.split()) <= 2 for line in lines)
  assert len(lines) <= 60
  text = "\n".join(lines)
  examples = text.index(f"  tfdam {name}")
  assert text.index("Examples:") < examples < text.index("Flags:")
  own = flags.FLAGS.flags_by_module_dict()[target]
  shown = re.findall(r"^  --(?:\[no\])?(\w+)", text[text.index("Flags:") :], re.MULTILINE)
  assert shown == [flag.name for flag in own]
  assert "repeat this option" not in text


@pytest.mark.parametrize("name", _CLIENTS)
def test_help_of_a_client_has_an_example_before_its_flags(monkeypatch, capsys, name):
  monkeypatch.setattr("sys.argv", [f"/bin/tfdam {name}"])
  client = loaded(monkeypatch, commands.COMMANDS[name].target)
  for columns in (60, 80):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
      client.main(["--help"])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= columns
    parts = ("usage:", "Example:", f"  tfdam {name} --", "--help", "  --out OUT")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_full_help_has_other_flags_below_its_own(monkeypatch):
  monkeypatch.setattr("sys.argv", ["/bin/tfdam oracle"])
  text = usage.asked_for(["--helpfull"], oracle)
  places = [text.index(part) for part in ("--max_images=", "absl.logging:", "--verbosity")]
  assert places == sorted(places)
  assert usage.asked_for(["--help"], oracle) == usage.text(oracle)


def test_help_of_a_command_may_be_asked_for_by_its_name(monkeypatch):
  monkeypatch.setattr("sys.argv", ["/bin/tfdam"])
  seen = []
  stub = types.SimpleNamespace(run=lambda: seen.append(list(program.sys.argv)))
  monkeypatch.setitem(sys.modules, "tfdam.source_or_not", stub)
  program.main(["/bin/tfdam", "help", "source-or-not"])
  assert seen == [["/bin/tfdam source-or-not", "--help"]]


def test_help_says_what_a_flag_takes(monkeypatch):
  monkeypatch.setenv("COLUMNS", "80")
  values = flags.FlagValues()
  flags.DEFINE_enum("side", "left", ["left", "right"], "Which.", values)
  flags.DEFINE_bool("shown", True, "Whether.", values)
  flags.DEFINE_integer("few", 2, "So many.", 1, 9, values)
  flags.DEFINE_list("names", ["a", "b"], "Of them.", values)
  found = [usage._flag(values[name], 80) for name in ("side", "shown", "few", "names")]
  assert [" ".join(text.split()) for text in found] == [
    "--side=left Which. (left, right)", "--[no]shown Whether. (set by default)",
    "--few=2 So many. (1 to 9)", "--names=a,b Of them.",
  ]  # fmt: skip


def test_help_is_asked_for_before_two_dashes_alone():
  assert usage.is_asked_for(["--workdir=x", "--help"])
  assert not usage.is_asked_for(["--", "--help"])
  assert usage.is_asked_for(["--helpfull"])
