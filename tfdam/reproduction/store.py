"""Records of finished runs: small JSON files that a repository can keep.

  <results>/runs/<run's name>-<source network>.json     the record of a run
  <results>/same_bits.json     versions of the code that gave the same bits

TensorFlow is not imported.
"""

# No `from __future__ import annotations`: msgspec on Python 3.9 evaluates annotations.
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional, TypedDict

from tfdam import config as config_lib
from tfdam import files, stored
from tfdam.reproduction import keys, plan
from tfdam.runs import metric_lines, run_folder

VERSION = 1
_RUNS, _SAME_BITS = "runs", "same_bits.json"
# More than one line of metrics.jsonl.
_LAST_BYTES = 65_536
# {name in records: file beside results.json in a run folder}.
_BESIDE = {"source_or_not": "source_or_not.json", "oracle": "oracle.json"}
# The scores in the digest of a run's bits.
_TRACED = ("accuracy", "per_class_accuracy", "miou", "iou_per_class", "pixel_accuracy")
# The scores that identify a source network.
_OF_A_NETWORK = (*_TRACED, "fwiou", "class_accuracy", "num_images")
_DAMAGED = "Bring it back from a copy, or remove it: the run is done again then."


class _What(TypedDict):
  version: stored.Count
  name: str
  key: str
  source_key: str
  source_network: str
  seed: stored.Count
  code: str


class Record(_What, total=False):
  """The record of a run.

  Attributes:
    version: of this format.
    name: of the run folder.
    key: a digest of what decided the result, apart from the code.
    source_key: shared by runs with the same source training.
    source_network: a digest of the source network's scores; rows that are compared have the
      same one.
    seed: of the run.
    code: a digest of the code that decided the result.
    limit_steps: the most steps of a stage in a quick look; null without a limit.
    command: repeats the run.
    trace: a digest of all losses and scores.
    stages: as in results.json.
    timing: as in results.json.
    curves: {"test" or "dead/<tap>": [[step, value]]} during adaptation.
  """

  limit_steps: Optional[stored.Count]
  command: str
  trace: str
  stages: dict[str, dict[str, run_folder.Scores]]
  timing: dict[str, stored.Number]
  curves: dict[str, list[list[Optional[float]]]]


class SameBits(TypedDict):
  """Versions of the code that gave the same bits, and the runs that showed it."""

  codes: list[str]
  shown_by: list[str]


class Store:
  """The records of a results folder."""

  def __init__(self, path: str):
    """Reads the records of a folder.

    Args:
      path: absolute; need not exist.

    Raises:
      config.UserError: a record is damaged, or of another version.
    """
    self.path = path
    pattern = os.path.join(glob.escape(os.path.join(path, _RUNS)), "*.json")
    self._records = {found: _read(found) for found in sorted(glob.glob(pattern))}
    same = stored.read(os.path.join(path, _SAME_BITS), list[SameBits], _DAMAGED)
    self._same_bits: list[SameBits] = same or []

  def records(self) -> list[Record]:
    """Returns all records."""
    return list(self._records.values())

  def same_bits(self) -> set[str]:
    """Returns the digests of code known to give today's bits, including today's own."""
    now = keys.of_code()
    return {now}.union(*(same["codes"] for same in self._same_bits if now in same["codes"]))

  def find(self, job: plan.Job, old_code: bool = False) -> dict[str, Record]:
    """Returns a job's records, {source network: record}.

    Args:
      job: the job.
      old_code: whether to include records of code that may give other bits.
    """
    codes = self.same_bits()
    return {
      record["source_network"]: record
      for record in self._records.values()
      if (record["key"], record["seed"]) == (job.key, job.seed)
      and (old_code or record["code"] in codes)
    }

  def choose(
    self, jobs: Iterable[plan.Job], old_code: bool = False
  ) -> dict[plan.Job, Record]:
    """Chooses a record for each job, from one source network per group if possible.

    A job without a record from the group's network gets one from another network.
    """
    chosen: dict[plan.Job, Record] = {}
    for group in groups(jobs).values():
      found = {job: self.find(job, old_code) for job in group}
      best = best_network(found)
      for job, by_network in found.items():
        if by_network:
          last = list(by_network.values())[-1]
          chosen[job] = by_network.get(best, last) if best is not None else last
    return chosen

  def add(self, record: Record) -> None:
    """Writes a record."""
    folder = os.path.join(self.path, _RUNS)
    os.makedirs(folder, exist_ok=True)
    name = f"{record['name']}-{record['source_network'] or 'none'}.json"
    path = os.path.join(folder, name)
    text = json.dumps(run_folder.strict(record), indent=1)
    stored.write_text(path, f"{_one_line_lists(text)}\n")
    self._records[path] = record

  def note_same_bits(self, code: str, shown_by: Iterable[str]) -> None:
    """Notes that other code gives the same bits as today's."""
    now = keys.of_code()
    for same in self._same_bits:
      if {code, now} & set(same["codes"]):
        same["codes"] = sorted({*same["codes"], code, now})
        same["shown_by"] = sorted({*same["shown_by"], *shown_by})
        break
    else:
      self._same_bits.append(SameBits(codes=sorted([code, now]), shown_by=sorted(shown_by)))
    text = json.dumps(self._same_bits, indent=1)
    stored.write_text(os.path.join(self.path, _SAME_BITS), f"{text}\n")


def groups(jobs: Iterable[plan.Job]) -> dict[tuple[str, str, int], list[plan.Job]]:
  """Groups jobs whose rows are compared."""
  found: dict[tuple[str, str, int], list[plan.Job]] = {}
  for job in jobs:
    found.setdefault(job.group, []).append(job)
  return found


def best_network(found: Mapping[plan.Job, Mapping[str, Record]]) -> Optional[str]:
  """Returns the source network with records for the most jobs; None without records."""
  counts: dict[str, int] = {}
  for by_network in found.values():
    for network in by_network:
      counts[network] = counts.get(network, 0) + 1
  return max(counts, key=lambda name: (counts[name], name)) if counts else None


def make(job: plan.Job, folder: str, limit_steps: int, command: str, cores: int) -> Record:
  """Makes the record of a finished run.

  Args:
    job: of the run.
    folder: of the run.
    limit_steps: the most steps of a stage in a quick look; 0 without a limit.
    command: repeats the run.
    cores: the number of cores that it used.

  Raises:
    config.UserError: a file of the folder is missing or damaged.
  """
  run = run_folder.RunFolder(folder)
  results = run.read_json("results.json") or {}
  about = run.read_json("run.json") or {}
  beside = {
    name: stored.read(os.path.join(folder, file), dict[str, Any], _DAMAGED)
    for name, file in _BESIDE.items()
  }
  if not results and not any(beside.values()):
    raise config_lib.UserError(
      f"{files.shown(folder)} has no results.json: the run has not ended."
    )
  lines = [line for _, line in metric_lines.read(run.join(metric_lines.FILE))]
  record: dict[str, Any] = {
    "version": VERSION,
    "name": job.name,
    "key": job.key,
    "source_key": job.source_key,
    "source_network": _network_of(job, results, folder),
    "seed": job.seed,
    "code": keys.of_code(),
    "limit_steps": limit_steps or None,
    "command": command,
    "trace": _trace(lines, results),
    **{name: found for name, found in beside.items() if found},
    **{name: value for name, value in results.items() if name not in ("name", "seed")},
    "curves": _curves(lines),
    "notes": about.get("notes", []),
    "data": {role: _short(digests) for role, digests in about.get("data", {}).items()},
    "session": _session(about, cores),
  }
  return record  # type: ignore[return-value]


def num_steps_done(folder: str, config: config_lib.Config) -> int:
  """Returns how many steps a run has done, from its last line of metrics."""
  try:
    with open(os.path.join(folder, metric_lines.FILE), "rb") as file:
      file.seek(max(0, os.path.getsize(file.name) - _LAST_BYTES))
      whole = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
    line = stored.parse(whole, dict[str, Any])
  except (OSError, stored.DamagedError):
    return 0
  before = config.source.steps if line.get("stage") == "adapted" else 0
  return before + int(line.get("step") or 0)


def _network(results: Mapping[str, Any]) -> str:
  """Returns a short digest of the source network's scores; empty without scores."""
  every = results.get("stages", {}).get("source_only") or {}
  # Only known scores: a later version may add others for the same network.
  known = {
    split: {name: value for name, value in scores.items() if name in _OF_A_NETWORK}
    for split, scores in every.items()
  }
  return _digest(known)[:8] if known else ""


def _network_of(job: plan.Job, results: Mapping[str, Any], folder: str) -> str:
  """Returns a run's source network; of a child, that of its first ancestor."""
  while job.parent:
    job = job.parent
    folder = os.path.join(os.path.dirname(folder), job.name)
    results = run_folder.RunFolder(folder).read_json("results.json") or {}
  return _network(results)


def _read(path: str) -> Record:
  with files.open_regular(path) as file:
    content = file.read()
  try:
    version = stored.parse(content, dict[str, Any]).get("version")
    if version != VERSION:
      raise config_lib.UserError(
        f"{files.shown(path)} is a record of version {version}; this tfdam reads version"
        f" {VERSION}. Set --results to another folder, or use the tfdam that wrote it."
      )
    return stored.parse(content, Record)
  except stored.DamagedError as error:
    raise config_lib.UserError(
      f"{files.shown(path)} is damaged ({error}). {_DAMAGED}"
    ) from error


def _curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[list[Optional[float]]]]:
  """Returns the numbers that were monitored during adaptation, {curve: [[step, value]]}."""
  curves: dict[str, list[list[Optional[float]]]] = {}
  for line in lines:
    if line.get("stage") != "adapted" or line.get("phase") not in ("curve", "watch"):
      continue
    for name, value in line.items():
      curve = _curve_name(name)
      if curve:
        curves.setdefault(curve, []).append([line["step"], value])
  return curves


def _curve_name(name: str) -> str:
  """Returns a record's name for a number of metrics.jsonl; empty if it is not kept."""
  if name in ("metric/test_accuracy", "metric/test_miou"):
    return "test"
  if name == "watch/marginal_distance":
    return "marginal_distance"
  parts = name.split("/")
  if parts[0] == "watch" and parts[-1] == "dead_channels":
    return f"dead/{'/'.join(parts[1:-1])}"
  return ""


def _trace(lines: Iterable[Mapping[str, Any]], results: Mapping[str, Any]) -> str:
  """Returns a digest of all losses and scores, which change whenever weights do."""
  losses = [
    [line["stage"], line["step"], name, value]
    for line in lines
    for name, value in sorted(line.items())
    if name.startswith(("loss/", "discriminator/"))
  ]
  stages = {**results.get("stages", {}), "last_step": results.get("last_step", {})}
  # By name: a score that a later version adds does not change the result.
  scores = [
    [stage, split, name, of_split[name]]
    for stage, splits in sorted(stages.items())
    for split, of_split in sorted(splits.items())
    for name in _TRACED
    if name in of_split
  ]
  return _digest([losses, scores])


def _session(about: Mapping[str, Any], cores: int) -> dict[str, Any]:
  """Returns when, with which versions and on what the last process ran."""
  last = (about.get("sessions") or [{}])[-1]
  names = ("started", "tfdam", "commit", "python", "stack", "machine", "devices")
  return {
    **{name: last[name] for name in names if name in last},
    "tensorflow": last.get("packages", {}).get("tensorflow"),
    "cpu": _cpu(),
    "cores": cores,
  }


def _cpu() -> str:
  """Returns a CPU's widest vector instructions, which decide how it rounds."""
  try:
    with open("/proc/cpuinfo") as file:
      flags = next((line for line in file if line.startswith("flags")), "").split()
  except OSError:
    return ""
  known = ("amx_bf16", "avx512_vnni", "avx512f", "avx2")
  return next((name for name in known if name in flags), "")


def _short(digests: Mapping[str, str]) -> str:
  return _digest(digests)[:_DIGITS]


_DIGITS = 12


def _digest(content: Any) -> str:
  text = json.dumps(run_folder.strict(content), sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


# A list without texts, lists or objects in it.
_NUMBERS = re.compile(r"\[[^\[\]{}\"]*\]")


def _one_line_lists(text: str) -> str:
  """Puts each list of numbers in JSON on one line, for short and readable diffs."""
  return _NUMBERS.sub(lambda found: " ".join(found.group().split()), text)
