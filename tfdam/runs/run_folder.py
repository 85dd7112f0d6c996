"""The run folder: its files, its lock, and the checks that protect what is in it.

  config.json    the resolved config           checkpoints/<stage>/<step>/
  run.json       versions, commit, digests     summaries/<run>/ (TensorBoard)
  metrics.jsonl  losses and scores by step     gaussian.json (what matching did by site)
  results.json   scores and alarms             evaluation.json (from tfdam.evaluate)
  report.html    what adaptation did           report.json   what only the report shows
                                               source_or_not.json (the command of that name)
  translation.json (from tfdam.translate: losses and speed)
  pictures/      panels of scenes and label maps by stage, histograms of activations
  curriculum.npz (what Curriculum Domain Adaptation has estimated for target images)
  network.keras  for a network from a file: a copy of the input, and the adapted network
  adapted.keras  (or .h5, or a folder, as the input)

Imports no TensorFlow, so that an unusable folder is refused before TensorFlow starts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import glob
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TextIO, TypedDict

from absl import logging

import tfdam
from tfdam import commands, files, stack, stored
from tfdam import config as config_lib
from tfdam.reporting.report import facts as facts_lib

# A role in run.json's "data": the file of the network, if it comes from a file.
NETWORK = "network"
_LOCK, _PROBE = ".lock", ".tfdam-probe-"
_PACKAGES = ("keras", "tf-keras", "numpy", "ml-collections", "protobuf")
# Bytes that file systems allow in a name; bytes of a path, less what a run adds to it; and
# levels, which Python makes recursively, with at most 1,000 nested calls.
_LONGEST_NAME, _LONGEST_PATH, _MOST_LEVELS = 255, 4096 - 600, 200


class PartScores(TypedDict, total=False):
  """Scores of one stage on one target's images, from 0 to 1; lists are in label order."""

  num_images: stored.Count
  accuracy: stored.Number
  per_class_accuracy: list[stored.Number]
  per_class_images: list[stored.Count]
  miou: stored.Number
  fwiou: stored.Number
  pixel_accuracy: stored.Number
  class_accuracy: stored.Number
  iou_per_class: list[stored.Number]


class Scores(PartScores, total=False):
  """Scores of one stage on one split, and on each target or sequence in it."""

  parts: dict[str, PartScores]


class Alarm(TypedDict):
  step: stored.Count
  what: str


class Unlabelled(TypedDict):
  """Measures of one stage on some target images, without using labels.

  Attributes:
    marginal_distance: total variation between the frequencies of predicted labels and of
      the source's labels, 0 to 1.
    classes_predicted: number of classes predicted at least once.
    dead_channels: channels in all taps that never change on target images.
    source_dead_channels: the same for the source network on source images.
    channels: number of channels in all taps.
  """

  marginal_distance: stored.Number
  classes_predicted: stored.Count
  dead_channels: stored.Count
  source_dead_channels: stored.Count
  channels: stored.Count


class LabelFree(TypedDict, total=False):
  """Label-free measures of one stage on some target images; see metrics/label_free.py.

  Attributes:
    entropy: mean entropy of the predictions over images or pixels, in nats.
    marginal_entropy: entropy of the mean prediction, in nats.
    information: marginal_entropy - entropy, in nats.
    marginal_distance: total variation between the frequencies of predicted labels and of
      the source's labels, 0 to 1.
    label_shares: how often each class was predicted, fractions in label order.
    discriminator_accuracy: for the adapted stage, the mean over taps at the end.
  """

  entropy: stored.Number
  marginal_entropy: stored.Number
  information: stored.Number
  marginal_distance: stored.Number
  label_shares: list[stored.Number]
  discriminator_accuracy: stored.Number


class _Task(TypedDict):
  task: Literal["classification", "segmentation"]
  classes: list[str]
  stages: dict[str, dict[str, Scores]]


class Results(_Task, total=False):
  """The content of results.json: {stage: {split: scores}}, and what the run is.

  Attributes:
    tap_channels: {tap: number of channels}; lines of phase "watch" count the dead ones.
    source_label_shares: the source's label frequencies; if they are not known, what its
      network predicts for source images.
  """

  alarms: list[Alarm]
  tap_channels: dict[str, stored.Count]
  unlabelled: dict[str, Unlabelled]
  label_free: dict[str, LabelFree]
  source_label_shares: list[stored.Number]
  last_step: dict[str, Scores]
  timing: dict[str, stored.Number]


class Session(TypedDict):
  """One process of a run; see `_session`."""

  devices: list[str]
  packages: dict[str, Any]


class Run(TypedDict):
  """The content of run.json: data as {role: {file: MD5}}, notes on it, and sessions."""

  data: dict[str, dict[str, str]]
  notes: list[str]
  sessions: list[Session]


class Translation(TypedDict):
  """The content of translation.json, which //tfdam:translate writes at its end."""

  source: str
  target: str
  steps: stored.Count
  losses: dict[str, stored.Number]
  steps_per_s: stored.Number
  seconds: stored.Number


class _Versioned(TypedDict):
  version: int


# {file: (its type, how to repair it)}.
_STORED: dict[str, tuple[Any, str]] = {
  "config.json": (
    dict[str, Any],
    "Bring it back from a copy, or set --workdir to a new folder; its checkpoints can still"
    " be named in --config.source.init_checkpoint.",
  ),
  "run.json": (
    Run,
    "Bring it back from a copy; or remove it if the data is what the run began with, and a"
    " new one is written.",
  ),
  "results.json": (
    Results,
    "Remove it and start the training again with the same command: it is written anew from"
    " the checkpoints.",
  ),
  "translation.json": (Translation, "Remove it; the same command writes it again."),
  "report.json": (
    facts_lib.Facts,
    "Remove it; //tfdam:report computes it anew from the checkpoints.",
  ),
}


class RunFolder:
  """A run's folder: `check` writes nothing, `claim` locks it and records the run."""

  def __init__(self, path: str, shared_path: str = ""):
    """Sets the path; writes nothing yet.

    Args:
      path: absolute path of the folder to write to.
      shared_path: the run folder to read from, for a worker whose own `path` is temporary;
        empty for the same as `path`.

    Raises:
      config.UserError: TensorFlow could not write or read checkpoints in such a path.
    """
    refuse_pattern(path, "--workdir")
    _refuse_length(path)
    self.path = path
    self.shared_path = shared_path or path
    self._start = time.perf_counter()
    self._earlier_seconds = 0.0
    self._lock: TextIO | None = None

  def join(self, *parts: str) -> str:
    return os.path.join(self.path, *parts)

  def checkpoints(self, stage: str) -> str:
    return self.join("checkpoints", stage)

  def pictures(self) -> list[str]:
    """Paths of the pictures that a run has drawn."""
    return sorted(glob.glob(self.join("pictures", "*.png")))

  def check(self, config: config_lib.Config) -> None:
    """Raises config.UserError if this config may not run here; leaves no file behind."""
    if os.path.lexists(self.join("config.json")):
      _refuse_differences(config, self.read_config(), self.path)
    elif os.path.isdir(self.path) and _foreign_files(self.path):
      raise config_lib.UserError(
        f"{files.shown(self.path)} is not empty and no run folder (it has no config.json)."
        " Set --workdir to a new or empty folder."
      )
    check_writable(self.path)

  def claim(
    self,
    config: config_lib.Config,
    digests: Mapping,
    notes: list[str],
    devices: Sequence[str],
  ) -> None:
    """Locks the folder, and writes config.json and run.json or continues existing ones.

    Args:
      config: the run's.
      digests: {role: {file: MD5}}, with roles such as "source", "target" and NETWORK.
      notes: facts about the data that readers of the results must know.
      devices: names of the devices that the run uses.

    Raises:
      config.UserError: another process runs here, or the run began with another config,
        other data or another network.
    """
    os.makedirs(self.path, exist_ok=True)
    files.check_regular(self.join(_LOCK))
    self._lock = open(self.join(_LOCK), "w")
    try:
      fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise config_lib.UserError(
        f"Another process runs in {files.shown(self.path)}. Wait for it, or set another"
        " --workdir."
      ) from error
    except OSError:
      logging.warning("%s takes no locks: let no second process run there.", self.path)
    self.check(config)  # Again: another process may have claimed it in between.
    if not os.path.lexists(self.join("config.json")):
      self.write_text("config.json", config_lib.to_json(config))
    run = self.read_json("run.json") or {"data": digests, "notes": notes, "sessions": []}
    trained_on = ("source", "target")  # Scored splits may get their labels later.
    if any(run["data"].get(role) != digests.get(role) for role in trained_on):
      raise config_lib.UserError(
        f"{files.shown(self.path)} was begun with other data (run.json has the checksums)."
        " Bring that back, or set another --workdir."
      )
    if run["data"].get(NETWORK) != digests.get(NETWORK):
      raise config_lib.UserError(
        f"{files.shown(self.path)} was begun with another network than"
        f" {files.shown(config.model.path)} is now (run.json has its checksum).",
        "Set model.path to the copy in that folder (network.keras, network.h5 or network)"
        " to go on, or another --workdir.",
      )
    session = _session(devices)
    if run["sessions"]:
      _warn_of_other_bits(run["sessions"][-1], session)
    run["sessions"].append(session)
    self.write_json("run.json", run)
    results = self.read_json("results.json") or {}
    self._earlier_seconds = results.get("timing", {}).get("seconds") or 0.0

  def check_scored_data(self, scored: Mapping[str, Any]) -> None:
    """Warns if the data to score on differs from what the run was scored on.

    Args:
      scored: {split: its data, or None}.
    """
    recorded = (self.read_json("run.json") or {}).get("data", {})
    for split, examples in scored.items():
      if examples is not None and recorded.get(split, examples.digests) != examples.digests:
        logging.warning("The %s split is not the one that the run was scored on.", split)

  def elapsed(self) -> dict[str, float]:
    """{"run_seconds": seconds of this run so far}, over all its processes."""
    return {"run_seconds": self._earlier_seconds + time.perf_counter() - self._start}

  def continue_clock(self, run_seconds: float) -> None:
    """Adds the seconds that earlier processes had spent by the last checkpoint."""
    self._earlier_seconds = max(self._earlier_seconds, run_seconds)

  def read_config(self, data_root: str = "") -> config_lib.Config:
    """The resolved config of this folder.

    Args:
      data_root: the folder of data sets; empty for the run's own.

    Raises:
      config.UserError: this is no run folder.
    """
    values = self.read_json("config.json")
    if values is None:
      raise config_lib.UserError(
        f"{files.shown(self.path)} is no run folder: it has no config.json. Set --workdir."
      )
    with self.config_explained():
      config = config_lib.resolve(values)
    if not data_root:
      return config
    return dataclasses.replace(
      config, data=dataclasses.replace(config.data, root=data_root)
    )

  @contextlib.contextmanager
  def config_explained(self) -> Iterator[None]:
    """Makes errors about values in config.json name that file, as no flag set them."""
    try:
      yield
    except config_lib.UserError as error:
      raise config_lib.UserError(
        f"{files.shown(self.join('config.json'))}: {error} Mend it in that file, or bring"
        " the file back from a copy."
      ) from error

  def read_json(self, name: str) -> dict[str, Any] | None:
    """The content of a file in _STORED; None if there is no such file.

    Raises:
      config.UserError: it is damaged.
    """
    if name == "report.json":
      self._check_version(name)
    return stored.read(self.join(name), *_STORED[name])

  def _check_version(self, name: str) -> None:
    """Raises config.UserError if another version of tfdam wrote this file."""
    _, remedy = _STORED[name]
    found = stored.read(self.join(name), _Versioned, remedy)
    if found and found["version"] != facts_lib.VERSION:
      raise config_lib.UserError(
        f"{files.shown(self.join(name))} is of version {found['version']}; expected"
        f" {facts_lib.VERSION}. {remedy}"
      )

  def write_json(self, name: str, values: Mapping[str, Any]) -> None:
    self.write_text(name, json.dumps(strict(values), indent=2) + "\n")

  def write_text(self, name: str, text: str) -> None:
    stored.write_text(self.join(name), text)


def strict(value: Any) -> Any:
  """Replaces infinite values and nan by None, since JSON has neither."""
  if isinstance(value, Mapping):
    return {name: strict(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [strict(item) for item in value]
  return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse_pattern(path: str, flag: str) -> None:
  """Raises config.UserError for a path below which TensorFlow would not find checkpoints.

  TensorFlow takes a checkpoint's path for a glob pattern, in which some characters have
  another meaning.

  Args:
    path: absolute path.
    flag: the flag that sets it, for the message.
  """
  found = next((character for character in "[]\\" if character in path), None)
  if found:
    raise config_lib.UserError(
      f"{files.shown(path)} has '{found}' in it, and TensorFlow cannot read checkpoints"
      f" from such a path. Set {flag} to a path without it, or rename the folder."
    )


def _refuse_length(path: str) -> None:
  """Raises config.UserError if a run's files could not be named below this path."""
  names = [os.fsencode(name) for name in path.split(os.sep)]
  longest, total = max(map(len, names)), len(os.fsencode(path))
  if any("\udc80" <= character <= "\udcff" for character in path):
    found = "has bytes that are not UTF-8, which TensorFlow needs in every path"
  elif longest > _LONGEST_NAME:
    found = f"has a name of {longest} bytes; expected {_LONGEST_NAME} at most"
  elif len(names) > _MOST_LEVELS:
    found = f"is {len(names)} levels deep; expected {_MOST_LEVELS} at most"
  elif total > _LONGEST_PATH:
    found = f"has {total} bytes; expected {_LONGEST_PATH} at most"
  else:
    return
  shown = files.shown(path)
  if len(shown) > 100:
    shown = f"{shown[:60]}...{shown[-40:]}"
  raise config_lib.UserError(f"The run folder's path {shown} {found}. Set --workdir.")


def _foreign_files(path: str) -> list[str]:
  """The names in a folder, except what a killed start leaves behind."""
  try:
    names = os.listdir(path)
  except OSError as error:
    raise config_lib.UserError(
      f"Cannot read {path} ({error.strerror}). Set --workdir to another folder."
    ) from error
  own = (_LOCK, _PROBE)
  return [
    name for name in names if not name.startswith(own) and not name.endswith(".partial")
  ]


def _refuse_differences(
  config: config_lib.Config, there: config_lib.Config, path: str
) -> None:
  found = config_lib.differences(config, there)
  if found:
    listing = "".join(
      f"\n  {name}: {old!r} there, {new!r} now" for name, (new, old) in found.items()
    )
    raise config_lib.UserError(
      f"{path} holds a run of another config:{listing}\nSet --workdir to another folder, or"
      " the fields as they are there to continue it."
    )


def check_writable(path: str, flag: str = "--workdir") -> None:
  """Raises config.UserError if the folder cannot be written; leaves no file behind.

  Args:
    path: absolute path; it need not exist.
    flag: the flag that sets it, for the message.
  """
  existing = path
  while not os.path.lexists(existing):
    existing = os.path.dirname(existing)
  try:
    # A unique name, since several workers may probe at the same time.
    os.rmdir(tempfile.mkdtemp(prefix=_PROBE, dir=existing))
  except OSError as error:
    raise config_lib.UserError(
      f"Cannot write to {files.shown(path)}: {files.shown(existing)} does not take a folder"
      f" ({error.strerror}). Set {flag} to a folder that can be written."
    ) from error


def _session(devices: Sequence[str]) -> dict[str, Any]:
  """Describes this process for run.json."""
  return {
    "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    "arguments": sys.argv[1:],
    "tfdam": tfdam.__version__,
    "commit": _commit(),
    "python": platform.python_version(),
    "stack": stack.installed(),
    "packages": _packages(),
    "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
    "devices": devices,
  }


def _warn_of_other_bits(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
  """Warns if a resumed run may round differently than before; run.json records both."""
  for then, here in zip(_computes_on(before), _computes_on(now)):
    if then != here:
      logging.warning(
        "The run used %s before and now uses %s: results are the same up to rounding, not"
        " bit for bit.",
        *(then, here),
      )


def _computes_on(session: Mapping[str, Any]) -> tuple[str, str]:
  """What determines a session's rounding: its devices and TensorFlow's version."""
  version = session["packages"].get("tensorflow")
  return ", ".join(session["devices"]), f"TensorFlow {version}"


def _packages() -> dict[str, str]:
  """{package: version} of the installed packages that matter."""
  # TensorFlow's distribution may have another name, such as tensorflow-cpu.
  found = {"tensorflow": stack.tensorflow_version()}
  for name in _PACKAGES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found[name] = importlib.metadata.version(name)
  return found


def _commit() -> str | None:
  """The project's commit, with "+changes" if the tree differs; None outside a checkout."""
  if commands.IS_INSTALLED:
    return None  # The environment may be inside a repository of the user's.
  project = os.environ.get("BUILD_WORKSPACE_DIRECTORY", commands.PROJECT)
  git = ["git", "-C", project]
  try:
    commit = subprocess.run(
      [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    status = subprocess.run(
      [*git, "status", "--porcelain", "--untracked-files=no"],
      capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
  except (OSError, subprocess.CalledProcessError):
    return None
  return commit + ("+changes" if status.strip() else "")
