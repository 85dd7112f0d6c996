"""Lists the runs that an experiment needs, one per seed. TensorFlow is not imported."""

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
# The fields that a quick look limits.
_STEPS = ("source.steps", "adapt.steps", "adapt.warmup_steps", "adapt.information_after")


@dataclasses.dataclass(frozen=True)
class Job:
  """One run with one seed.

  Attributes:
    run: the experiment's run.
    seed: of this job.
    config: resolved.
    fields: {dotted name: value} that the command line sets, including the seed.
    key: of its record.
    source_key: shared by all runs that start from the same source network with its seed.
    name: of its run folder.
    parent: the job whose network it starts from, if any.
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
    """The target on which its source network is scored, which identifies the network."""
    first = self
    while first.parent:
      first = first.parent
    data = first.config.data
    return f"{data.target} {data.target_skew} {data.target_limit}"

  @property
  def group(self) -> tuple[str, str, int]:
    """Shared by jobs whose rows are compared: source network, target and seed."""
    return self.source_key, self.target, self.seed


def load(name: str) -> experiment_lib.Experiment:
  """Loads an experiment of configs/experiments/ by its name, or one from a file.

  Raises:
    config.UserError: there is no such experiment, or the file does not return one.
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
  """Returns the names of the project's experiments."""
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
  """Makes jobs from runs; each config file is read once."""

  def __init__(self, limit_steps: int = 0):
    """Makes a planner.

    Args:
      limit_steps: the most steps of any stage; 0 for no limit.
    """
    self.limit_steps = limit_steps
    self._configs: dict[str, Any] = {}
    self._jobs: dict[tuple[experiment_lib.Run, int], Job] = {}

  def jobs(
    self, experiment: experiment_lib.Experiment, seeds: Iterable[int], rows: Iterable[str]
  ) -> list[Job]:
    """Returns the jobs that an experiment needs, each once, seed by seed.

    Args:
      experiment: the experiment.
      seeds: in order.
      rows: names of the wanted rows; empty for all.

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
    """Returns the job of one run with one seed."""
    if (run, seed) not in self._jobs:
      self._jobs[run, seed] = self._make(run, seed)
    return self._jobs[run, seed]

  def _make(self, run: experiment_lib.Run, seed: int) -> Job:
    if run.command == experiment_lib.ORACLE:
      seed = 0  # it uses no random numbers
    parent = self.job(run.starts_from, seed) if run.starts_from else None
    fields = {**run.fields, "seed": seed}
    # The path is known only once the parent has run; until then its name stands for it.
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
  """Yields the jobs that a job starts from, then the job itself."""
  if job.parent:
    yield from _with_parents(job.parent)
  yield job
