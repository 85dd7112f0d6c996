"""`tfdam`, `tfdam COMMAND`, and what --help prints."""

import sys
import types

import pytest
from absl import flags

import tfdam
from tfdam import __main__ as program
from tfdam import commands, oracle, runtime, usage


def test_the_list_names_every_command_and_fits_a_narrow_terminal(capsys):
  for words in ([], ["--help"], ["help"]):
    assert program.main(["tfdam", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
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
  assert not usage.is_asked_for(["--helpfull"])
