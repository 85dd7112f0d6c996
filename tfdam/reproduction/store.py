"""Records of finished runs: small JSON files that a repository can keep.

  <results>/runs/<run's name>-<source network>.json     what a run left
  <results>/same_bits.json     codes of which a run was seen to give the same bits

Imports no TensorFlow.
"""

# No `from __future__ import annotations`: Python 3.9 evaluates what stands here.
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
# More than a line of it.
_LAST_BYTES = 65_536
# What run folders leave beside results.json, by the name that records have it under.
_BESIDE = {"source_or_not": "source_or_not.json", "oracle": "oracle.json"}
# Of scores, what a digest of a run's bits takes in.
_TRACED = ("accuracy", "per_class_accuracy", "miou", "iou_per_class", "pixel_accuracy")
# And by which a source network is known.
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
  """What a run left.

  Attributes:
    version: of this shape.
    name: of the run folder.
    key: of what decided it, but for the code.
    source_key: of runs with the same source training.
    source_network: a digest of the source network's scores: that of rows that compare is
      the same.
    code: a digest of the code that decided it.
    limit_steps: the most that a stage took, for a quick look; null: as many as it should.
    command: what repeats it.
    trace: a digest of every loss and score.
    stages: of results.json, which says what they are.
    curves: {"test" or "dead/<tap>": [[step, value]]} of adaptation.
  """

  limit_steps: Optional[stored.Count]
  command: str
  trace: str
  stages: dict[str, dict[str, run_folder.Scores]]
  timing: dict[str, stored.Number]
  curves: dict[str, list[list[Optional[float]]]]


class SameBits(TypedDict):
  """Codes that gave the same bits, and the runs that showed it."""

  codes: list[str]
  shown_by: list[str]


class Store:
  """The records of a results folder."""

  def __init__(self, path: str):
    """Reads what is there.

    Args:
      path: absolute; it need not exist.

    Raises:
      config.UserError: a record is damaged, or of another version.
    """
    self.path = path
    pattern = os.path.join(glob.escape(os.path.join(path, _RUNS)), "*.json")
    self._records = {found: _read(found) for found in sorted(glob.glob(pattern))}
    same = stored.read(os.path.join(path, _SAME_BITS), list[SameBits], _DAMAGED)
    self._same_bits: list[SameBits] = same or []

  def records(self) -> list[Record]:
    """All of them."""
    return list(self._records.values())

  def same_bits(self) -> set[str]:
    """Digests of code whose bits today's gives, as far as is known; its own is one."""
    now = keys.of_code()
    return {now}.union(*(same["codes"] for same in self._same_bits if now in same["codes"]))

  def find(self, job: plan.Job, old_code: bool = False) -> dict[str, Record]:
    """{source network: the record of a job}.

    Args:
      old_code: whether records count whose code may give other bits today.
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
    """A record of each job, of one source network a group where there is one.

    A job that the group's network has no record of is given another network's.
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
    """Writes that another code gives the bits of today's."""
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
  """Jobs whose rows are compared."""
  found: dict[tuple[str, str, int], list[plan.Job]] = {}
  for job in jobs:
    found.setdefault(job.group, []).append(job)
  return found


def best_network(found: Mapping[plan.Job, Mapping[str, Record]]) -> Optional[str]:
  """The source network that most jobs have a record of; None without any record."""
  counts: dict[str, int] = {}
  for by_network in found.values():
    for network in by_network:
      counts[network] = counts.get(network, 0) + 1
  return max(counts, key=lambda name: (counts[name], name)) if counts else None


def make(job: plan.Job, folder: str, limit_steps: int, command: str, cores: int) -> Record:
  """The record of a finished run.

  Args:
    folder: the run's.
    command: what repeats it.
    cores: that it computed on.

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
  """How far a run has come, by its last line of metrics."""
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
  """A short digest of what the source network scores; empty where nothing was scored."""
  every = results.get("stages", {}).get("source_only") or {}
  # A later version may score more, of the same network.
  known = {
    split: {name: value for name, value in scores.items() if name in _OF_A_NETWORK}
    for split, scores in every.items()
  }
  return _digest(known)[:8] if known else ""


def _network_of(job: plan.Job, results: Mapping[str, Any], folder: str) -> str:
  """Of a run that starts from another's network, that one's source network."""
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
  """What was looked at during adaptation, by steps."""
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
  """What a record calls a number of metrics.jsonl; empty: it has it not."""
  if name in ("metric/test_accuracy", "metric/test_miou"):
    return "test"
  if name == "watch/marginal_distance":
    return "marginal_distance"
  parts = name.split("/")
  if parts[0] == "watch" and parts[-1] == "dead_channels":
    return f"dead/{'/'.join(parts[1:-1])}"
  return ""


def _trace(lines: Iterable[Mapping[str, Any]], results: Mapping[str, Any]) -> str:
  """A digest of all losses and scores: no weight changes without one of them."""
  losses = [
    [line["stage"], line["step"], name, value]
    for line in lines
    for name, value in sorted(line.items())
    if name.startswith(("loss/", "discriminator/"))
  ]
  stages = {**results.get("stages", {}), "last_step": results.get("last_step", {})}
  # By name: what a later version adds to scores is no other result.
  scores = [
    [stage, split, name, of_split[name]]
    for stage, splits in sorted(stages.items())
    for split, of_split in sorted(splits.items())
    for name in _TRACED
    if name in of_split
  ]
  return _digest([losses, scores])


def _session(about: Mapping[str, Any], cores: int) -> dict[str, Any]:
  """Of the last process: when, by what, on what."""
  last = (about.get("sessions") or [{}])[-1]
  names = ("started", "tfdam", "commit", "python", "stack", "machine", "devices")
  return {
    **{name: last[name] for name in names if name in last},
    "tensorflow": last.get("packages", {}).get("tensorflow"),
    "cpu": _cpu(),
    "cores": cores,
  }


def _cpu() -> str:
  """What decides how a CPU rounds: the widest of its vector instructions."""
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


# A list without lists or objects in it, or of such lists.
_NUMBERS = re.compile(r"\[[^\[\]{}\"]*\]")


def _one_line_lists(text: str) -> str:
  """JSON with lists of numbers on one line each: short, and readable in a diff."""
  return _NUMBERS.sub(lambda found: " ".join(found.group().split()), text)
