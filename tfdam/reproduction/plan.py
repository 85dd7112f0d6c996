"""From an experiment to the runs that it needs, one a seed. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import glob
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from tfdam import config as config_lib
from tfdam import experiment as experiment_lib
from tfdam import files, runtime
from tfdam.reproduction import keys

_FOLDER = os.path.join("configs", "experiments")
# What a quick look cuts short.
_STEPS = ("source.steps", "adapt.steps", "adapt.warmup_steps", "adapt.information_after")


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of one seed.

  Attributes:
    config: resolved.
    fields: {dotted name: value} that the command line sets, the seed's among them.
    key: of its record.
    source_key: of all runs that start from the same source network of its seed.
    name: of its run folder.
    parent: whose network it starts from.
  """

  run: experiment_lib.Run
  seed: int
  config: config_lib.Config
  fields: Mapping[str, Any]
  key: str
  source_key: str
  name: str
  parent: Job | None = None

  def __hash__(self) -> int:
    return hash((self.key, self.seed))

  @property
  def target(self) -> str:
    """What its source network is scored on, and so known by."""
    first = self
    while first.parent:
      first = first.parent
    data = first.config.data
    return f"{data.target} {data.target_skew} {data.target_limit}"

  @property
  def group(self) -> tuple[str, str, int]:
    """Of jobs whose rows are compared: one source network, one target, one seed."""
    return self.source_key, self.target, self.seed


def load(name: str) -> experiment_lib.Experiment:
  """An experiment of configs/experiments/ by its name, or a file's.

  Raises:
    config.UserError: there is none, or the file gives something else.
  """
  path = _find(name)
  with runtime.no_bytecode():
    module = _import(path)
    make = getattr(module, "get_experiment", None)
    found = make() if callable(make) else None
  if not isinstance(found, experiment_lib.Experiment):
    raise config_lib.UserError(
      f"{files.shown(path)} gives {type(found).__name__}; expected a function"
      " get_experiment() that returns a tfdam.experiment.Experiment."
    )
  return found


def available() -> list[str]:
  """Names of the project's experiments."""
  pattern = os.path.join(runtime.PROJECT, _FOLDER, "*.py")
  names = (os.path.splitext(os.path.basename(path))[0] for path in glob.glob(pattern))
  return sorted(name for name in names if not name.startswith("_"))


def _find(name: str) -> str:
  if name.endswith(".py"):
    path = runtime.resolve_path(name)
    if os.path.isfile(path):
      return path
  elif name in available():
    return os.path.join(runtime.PROJECT, _FOLDER, f"{name}.py")
  raise config_lib.UserError(
    f"There is no experiment '{files.shown(name)}' ({', '.join(available())}; or the path"
    f" of a Python file).{config_lib.nearest(name, available())} Set --experiment."
  )


def _import(path: str) -> ModuleType:
  runtime.bring_own_configs(path)
  spec = importlib.util.spec_from_file_location("tfdam_loaded_file", path)
  assert spec
  assert spec.loader
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


class Planner:
  """Makes jobs of runs: each config file is read once."""

  def __init__(self, limit_steps: int = 0):
    """Takes what holds for every run.

    Args:
      limit_steps: the most that any stage takes; 0: as many as its config says.
    """
    self.limit_steps = limit_steps
    self._configs: dict[str, Any] = {}
    self._jobs: dict[tuple[experiment_lib.Run, int], Job] = {}

  def jobs(
    self, experiment: experiment_lib.Experiment, seeds: Iterable[int], rows: Iterable[str]
  ) -> list[Job]:
    """What an experiment needs, each job once, seed after seed.

    Args:
      rows: names of those that are wanted; none: all.

    Raises:
      config.UserError: a row is unknown, or a config is wrong.
    """
    wanted = set(rows)
    known = list(dict.fromkeys(name for name, _ in experiment.runs()))
    for name in wanted.difference(known):
      raise config_lib.UserError(
        f"{experiment.name} has no row '{files.shown(name)}' ({', '.join(known)})."
        f"{config_lib.nearest(name, known)} Set --rows."
      )
    runs = [run for name, run in experiment.runs() if not wanted or name in wanted]
    found: dict[Job, None] = {}
    for seed in seeds:
      for run in dict.fromkeys(runs):
        found.update(dict.fromkeys(_with_parents(self.job(run, seed))))
    return list(found)

  def job(self, run: experiment_lib.Run, seed: int) -> Job:
    """One run of one seed."""
    if (run, seed) not in self._jobs:
      self._jobs[run, seed] = self._make(run, seed)
    return self._jobs[run, seed]

  def _make(self, run: experiment_lib.Run, seed: int) -> Job:
    if run.command == experiment_lib.ORACLE:
      seed = 0  # it draws nothing
    parent = self.job(run.starts_from, seed) if run.starts_from else None
    fields = {**run.fields, "seed": seed}
    # Where it lies is known when it has run: a name stands for it until then.
    start = {"source.init_checkpoint": parent.name} if parent else {}
    config = self._resolve(run.config, {**fields, **start})
    if self.limit_steps:
      fields |= {
        name: self.limit_steps
        for name in _STEPS
        if config_lib.get(config, name) > self.limit_steps
      }
      config = self._resolve(run.config, {**fields, **start})
    started_from = f"{parent.key}/{run.starts_stage}" if parent else ""
    extras = list(run.then) + (["curve"] if config.loop.score_every else [])
    key = keys.of_run(config, run.command, started_from, extras)
    source_key = parent.source_key if parent else keys.of_source(config)
    title = config.name if run.command == experiment_lib.TRAIN else f"oracle-{config.name}"
    title = re.sub(r"[^\w-]+", "_", title)
    name = f"{title}-{seed}-{key[:8]}"
    return Job(run, seed, config, fields, key, source_key, name, parent)

  def _resolve(self, path: str, fields: Mapping[str, Any]) -> config_lib.Config:
    if path not in self._configs:
      file, _, options = runtime.config_path(path).partition(":")
      with runtime.no_bytecode():
        self._configs[path] = _import(file).get_config(options or None)
    values = self._configs[path].copy_and_resolve_references()
    with values.unlocked():
      values.update_from_flattened_dict(dict(fields))
    return config_lib.resolve(values)


def _with_parents(job: Job) -> Iterator[Job]:
  """Yields what a job starts from, and the job."""
  if job.parent:
    yield from _with_parents(job.parent)
  yield job
