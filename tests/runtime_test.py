"""Paths and commands, from where the user stands."""

import os

import pytest

from tfdam import config as config_lib
from tfdam import runtime
from tfdam.reporting import tables


@pytest.fixture
def here(monkeypatch, tmp_path):
  """A user in tmp_path whose program was started by `bazel run` elsewhere."""
  monkeypatch.setenv("BUILD_WORKING_DIRECTORY", str(tmp_path))
  monkeypatch.setenv("BUILD_WORKSPACE_DIRECTORY", str(tmp_path))
  monkeypatch.delenv("TFDAM_DATA", raising=False)
  return tmp_path


def test_paths_mean_what_the_user_sees_not_the_run_files(here):
  assert runtime.resolve_path("runs/m2u") == str(here / "runs" / "m2u")
  assert runtime.resolve_path("/abs/x") == "/abs/x"
  assert runtime.resolve_path("~/x") == os.path.expanduser("~/x")


def test_the_data_root_is_flag_then_variable_then_data(here, monkeypatch):
  assert runtime.data_root(config_lib.Data()) == str(here / "data")
  monkeypatch.setenv("TFDAM_DATA", "sets")
  assert runtime.data_root(config_lib.Data()) == str(here / "sets")
  assert runtime.data_root(config_lib.Data(root="mine")) == str(here / "mine")


def test_the_next_command_is_typed_the_way_this_one_was(here, monkeypatch):
  inside = str(here / "runs" / "a b")
  assert tables.next_command("tfdam.evaluate", inside) == (
    "./bazelw run //tfdam:evaluate -- --workdir='runs/a b'"
  )
  assert tables.next_command("export.run", inside).startswith("./bazelw run //export -- ")
  monkeypatch.delenv("BUILD_WORKSPACE_DIRECTORY")
  assert tables.next_command("export.run", "/run") == "python -m export.run --workdir=/run"
  assert tables.next_command("tfdam.evaluate", "/elsewhere/run") == (
    "python -m tfdam.evaluate --workdir=/elsewhere/run"
  )


@pytest.mark.parametrize(
  ("batch", "replicas", "such_as"), [(15, 2, 14), (3, 4, 4), (10, 4, 8)]
)
def test_an_uneven_batch_is_answered_with_an_even_one(batch, replicas, such_as):
  with pytest.raises(config_lib.UserError, match=f"such as {such_as}"):
    runtime.check_batch("adapt.global_batch_size", batch, replicas)
  runtime.check_batch("adapt.global_batch_size", such_as, replicas)


def test_an_interrupted_program_ends_without_a_traceback(monkeypatch):
  def interrupted(*arguments, **options):
    raise KeyboardInterrupt

  monkeypatch.setattr(runtime.app, "run", interrupted)
  with pytest.raises(SystemExit) as caught:
    runtime.run(print)
  assert caught.value.code == 130


def test_an_error_that_quotes_a_terminals_commands_gives_it_none(monkeypatch, capsys):
  def refused(*arguments, **options):
    raise config_lib.UserError("'\x1b[31ma\r' is no stage.\n  Z\u00fcrich")

  monkeypatch.setattr(runtime.app, "run", refused)
  with pytest.raises(SystemExit):
    runtime.run(print)
  said = capsys.readouterr().err
  assert said == "Error: '\\x1b[31ma\\r' is no stage.\n  Z\u00fcrich\n"


def test_flags_and_values_that_stand_apart_are_joined():
  words = [
    "--config.adapt.augment", "False", "--config.data.flip", "--config.seed", "3",
    "--workdir", "runs/a", "left", "--config.loop.num_panels=0", "--config.data.flip",
  ]  # fmt: skip
  assert [argument for _, _, argument in runtime._split(words)] == [
    "--config.adapt.augment=False", "--config.data.flip", "--config.seed=3",
    "--workdir=runs/a", "left", "--config.loop.num_panels=0", "--config.data.flip",
  ]  # fmt: skip
