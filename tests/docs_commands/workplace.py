"""A folder in which the commands of the pages are run, made small, each once.

What a command reads is made first: by another command that a page shows, wherever that
stands, or by materials.py.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping

from tests.damaged_inputs import server
from tests.docs_commands import calls, loops, materials, not_run, pages, paths, small
from tfdam import commands, runtime
from tfdam import config as config_lib

_RUN = tuple(one.target for one in commands.COMMANDS.values())
# Runs that pages name and no command of theirs makes: {path: which run does as well}.
_COPIES = {
  "runs/m2u-0": "runs/m2u", "runs/m2u-1": "runs/m2u", "runs/supervised": "runs/camvid",
  "runs/streets_to_camvid-gam": "runs/camvid",
}  # fmt: skip
# {path: what makes it}: what readers bring, and what commands leave that are not run.
_BROUGHT: Mapping[str, Callable[[pathlib.Path], None]] = {
  "city.keras": materials.own_network, "own_network.py": materials.config,
  "hed-streets.keras": materials.outsiders_network, "frames/simulator": materials.frames,
  "frames/town": materials.frames, "car/frames": materials.frames,
}  # fmt: skip
# What may lie in a checkout and is not the project's.
_ANYBODYS = ("runs/", "data/", "car/")
# It may find that this machine lacks something, and says so.
_STATUSES = {"tfdam.doctor": (0, 1)}
# Environment variables that readers may set.
_VARIABLES = ("TFDAM_DATA", "TFDAM_CACHE", "TFDAM_STACK", "TFDAM_PYTHON", "TFDAM_BAZEL")
_PROGRAM = "tests.docs_commands.few_streets"
_MAX_SECONDS, _MAX_MB = 300.0, 8192


class Workplace:
  """The folder, and what was done in it."""

  def __init__(self, folder: pathlib.Path, shown: Iterable[pages.Command]):
    """Writes data sets, and copies the pages' own pictures.

    Args:
      folder: an empty one.
      shown: all commands of all pages.
    """
    self.folder = folder
    self._server: server.Server | None = None  # once something is run
    self._done: dict[tuple[str, ...] | calls.Call, str] = {}
    self._makers: dict[str, pages.Command] = {}
    for command in shown:
      for path in paths.made_by(command):
        self._makers.setdefault(path, command)
    for name in ("home", "tmp", "car"):
      (folder / name).mkdir()
    materials.data(folder / "data")
    shutil.copytree(os.path.join(runtime.PROJECT, "docs"), folder / "docs")

  def close(self) -> None:
    if self._server:
      self._server.close()

  def perform(self, command: pages.Command) -> None:
    """Runs a command, or checks it where it is listed in not_run.py.

    Raises:
      ValueError: it fails, or nobody knows it.
    """
    try:
      self._perform(command)
    except (ValueError, SystemExit, config_lib.UserError) as error:
      raise ValueError(f"{command}\n  {error}") from error

  def require(self, path: str) -> pathlib.Path:
    """Sees to it that a path below the folder is there; returns it absolute."""
    name, full = os.path.normpath(path), self.folder / path
    if full.exists():
      return full
    # It, or the folder around it.
    made = [str(place) for place in (pathlib.Path(name), *pathlib.Path(name).parents)]
    made = [place for place in made if self._can_make(place)]
    ours = pathlib.Path(runtime.PROJECT, path)
    if not made and ours.exists() and not name.startswith(_ANYBODYS):
      return ours
    if not made:
      raise ValueError(
        f"No command that the pages show makes {path}. Show one, or add the path to"
        " tests/docs_commands/workplace.py."
      )
    self._make(made[0])
    if not full.exists():
      raise ValueError(f"{self._makers.get(made[0], made[0])} has not made {path}.")
    return full

  def _can_make(self, name: str) -> bool:
    return name in self._makers or name in _BROUGHT or name in _COPIES

  def _make(self, name: str) -> None:
    if name in self._makers:
      self.perform(self._makers[name])
      return
    path = self.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in _BROUGHT:
      _BROUGHT[name](path)
    else:
      shutil.copytree(self.require(_COPIES[name]), path)

  def _perform(self, command: pages.Command) -> None:
    if command.script:
      for words, variables in loops.recorded(command.script, self.folder):
        loops.check(words, variables)
      return
    words = without_variables(command.words)
    call = calls.of_words(words)
    for problem in calls.problems(call) if call else ():
      raise ValueError(problem)
    listed = not_run.find(words, call)
    if listed:
      listed.check(call.arguments if call else words, self.require)
    elif call and call.module in _RUN:
      self._once(call, lambda: self._run(call))
    elif words[0] in _OTHERS and not call:
      self._once(words, lambda: _OTHERS[words[0]](self, words))
    else:
      raise ValueError(
        "No test knows this command. Have tests/docs_commands/workplace.py run it, or list"
        " it in not_run.py there with the reason why not."
      )

  def _once(self, key: tuple[str, ...] | calls.Call, run: Callable[[], None]) -> None:
    """Runs what was not run before; what failed once fails again."""
    if key not in self._done:
      self._done[key] = "It waits for itself."
      try:
        run()
        self._done[key] = ""
      except ValueError as error:
        self._done[key] = str(error)
    if self._done[key]:
      raise ValueError(self._done[key])

  def _run(self, call: calls.Call) -> None:
    for path in paths.read_by(call):
      self.require(path)
    arguments = (*call.arguments, *small.flags(call))
    changes = {"TFDAM_DATA": str(self.folder / "data"), "PYTHONPATH": runtime.PROJECT}
    environment = server.environment(str(self.folder), **changes)
    if call.in_car:
      program = [sys.executable, "-I", "export/client_onnx.py", *arguments]
      status, said = _waited(program, self.folder / "car", environment)
    else:
      job = server.Job(call.module, arguments, str(self.folder), environment)
      self._server = self._server or server.Server(_MAX_SECONDS, _MAX_MB, _PROGRAM)
      done = self._server.run(job)
      status, said = done.status, f"{done.broken}{done.stdout}{done.stderr}"
    if status not in _STATUSES.get(call.module, (0,)) or "Traceback" in said:
      added = " ".join(small.flags(call))
      raise ValueError(f"It ends with status {status} (added: {added}):\n{said[-3000:]}")
    for name in {word.partition("=")[0] for word in call.arguments}:
      if re.search(rf" {name.replace('--config.', '')} is .*changes nothing", said):
        raise ValueError(f"It says that {name} changes nothing:\n{said[-3000:]}")

  def _copy_to_car(self, words: tuple[str, ...]) -> None:
    """`scp -r FOLDER car:`."""
    _, flag, source, target = words
    if (flag, target) != ("-r", "car:"):
      raise ValueError(f"expected scp -r FOLDER car:, not {flag} and {target}")
    copied = self.folder / "car" / os.path.basename(source)
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(self.require(source), copied)

  def _make_environment(self, words: tuple[str, ...]) -> None:
    """`python3 -m venv FOLDER`, without pip: it would take seconds to install."""
    if words[1:3] != ("-m", "venv") or len(words) != 4:
      raise ValueError("expected python3 -m venv FOLDER")
    program = [sys.executable, "-m", "venv", "--without-pip", words[3]]
    status, said = _waited(program, self.folder, dict(os.environ))
    if status:
      raise ValueError(said)

  def _run_script(self, words: tuple[str, ...]) -> None:
    """`python NAME.py`: the page's block of Python that saves NAME.keras, made small."""
    saved = f'"{words[1][: -len(".py")]}.keras"'
    every = [
      block.text
      for page, text in pages.texts().items()
      for block in pages.python_blocks(page, text)
      if f"model.save({saved})" in block.text
    ]
    if len(every) != 1 or len(words) != 2:
      raise ValueError(f"The pages have {len(every)} scripts that save {saved}.")
    changes = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": runtime.PROJECT}
    environment = server.environment(str(self.folder), **changes)
    program = [sys.executable, "-c", small.script(every[0])]
    status, said = _waited(program, self.folder, environment)
    if status:
      raise ValueError(said[-3000:])

  def _source(self, words: tuple[str, ...]) -> None:
    self.require(words[1])

  def _set_variable(self, words: tuple[str, ...]) -> None:
    """`export NAME=VALUE`: names alone are checked, values are a reader's own."""
    if len(words) != 2 or words[1].partition("=")[0] not in _VARIABLES:
      raise ValueError(f"expected one of {', '.join(_VARIABLES)}")


# Programs that are not of this project.
_OTHERS: Mapping[str, Callable[[Workplace, tuple[str, ...]], None]] = {
  "scp": Workplace._copy_to_car, "python3": Workplace._make_environment,
  "python": Workplace._run_script,
  ".": Workplace._source, "source": Workplace._source, "export": Workplace._set_variable,
}  # fmt: skip


def without_variables(words: tuple[str, ...]) -> tuple[str, ...]:
  """A command without the variables that are set before it.

  Raises:
    ValueError: one of them is none of tfdam's.
  """
  while words and (found := re.match(r"(\w+)=", words[0])):
    if found[1] not in _VARIABLES:
      raise ValueError(f"{found[1]} is not one of {', '.join(_VARIABLES)}")
    words = words[1:]
  return words


def _waited(program: list[str], folder: pathlib.Path, environment: dict[str, str]):
  done = subprocess.run(
    program, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_MAX_SECONDS,
  )  # fmt: skip
  return done.returncode, done.stdout


def check_in_sentence(command: pages.Command) -> None:
  """Raises ValueError unless the programs, flags and fields of a command exist.

  Paths and values may be left open there.
  """
  words = without_variables(command.words)
  if words == ("./bazelw", "run", "//..."):
    return
  try:
    call = calls.of_words(words)
    for problem in calls.problems(call) if call else ():
      raise ValueError(problem)
    listed = not_run.find(words, call)
    if listed:
      listed.check(call.arguments if call else words, lambda path: None)
    elif not call:
      raise ValueError("No test knows this command.")
  except (ValueError, SystemExit, config_lib.UserError) as error:
    raise ValueError(f"{command}\n  {error}") from error
