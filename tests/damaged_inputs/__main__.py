"""Gives damaged inputs to every command, and says which do not end as users would want.

bazel test //tests:damaged_inputs
python -m tests.damaged_inputs --sample=200
python -m tests.damaged_inputs --only='npz/*' --keep

Each case ends with one clear error and status 2 (or what the command's documentation says),
or with a right result; without a traceback, within 20 s of its own and 4 GB, and with all
input files as they were. A case's name is all that it depends on.
"""

from __future__ import annotations

import argparse
import collections
import fnmatch
import os
import pathlib
import random
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import Any

from tests.damaged_inputs import (
  bad_server,
  cases,
  client_cases,
  config_cases,
  data_cases,
  judge,
  keras_cases,
  keras_run_cases,
  materials,
  network_cases,
  run_cases,
  server,
)

# Of subjects that compute for seconds, all but a sample takes one case in so many.
_RARER = 8
_RARER_IN_SAMPLE = 3
_TAIL = 1500


def main() -> int:
  options = _parse()
  folder = pathlib.Path(
    options.folder or tempfile.mkdtemp("", "damaged-", os.environ.get("TEST_TMPDIR"))
  )
  servers = [server.Server() for _ in range(options.workers)]
  try:
    made = materials.Materials(folder / "made")
    if not made.root.exists():
      made.make(servers)
    chosen = _chosen(list(all_cases(made, bad_server.start())), options)
    if options.list:
      print("\n".join(case.name for case in chosen))
      return 0
    return _Trial(made, folder / "cases", options.keep).run(chosen, servers)
  finally:
    for one in servers:
      one.close()
    if not options.folder and not options.keep:
      _remove(folder)


def _parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(
    prog="damaged_inputs", description=__doc__.splitlines()[0]
  )
  flag = parser.add_argument
  flag("--only", default="*", help="names of cases, as a pattern of the shell")
  flag("--sample", type=int, default=0, help="so many of them, of all subjects in turn")
  flag("--all", action="store_true", help="also every case of slow subjects: hours")
  flag("--seed", type=int, default=0, help="of what is drawn")
  flag("--workers", type=int, default=min(4, len(os.sched_getaffinity(0))))
  flag(
    "--folder", default="", help="for all files; what was made there before is used again"
  )
  flag("--keep", action="store_true", help="keep the folders of cases that fail")
  flag("--list", action="store_true", help="print the names alone")
  return parser.parse_args()


def all_cases(made: materials.Materials, url: str) -> Iterator[cases.Case]:
  """Yields every case, in an order that depends on nothing."""
  yield from data_cases.all_cases(made)
  yield from config_cases.all_cases(made)
  yield from run_cases.all_cases(made)
  yield from client_cases.all_cases(made)
  yield from network_cases.all_cases(made, url)
  yield from keras_cases.all_cases(made)
  yield from keras_run_cases.all_cases(made)


def _chosen(every: Sequence[cases.Case], options: argparse.Namespace) -> list[cases.Case]:
  """The cases that were asked for; names are unique."""
  counts = collections.Counter(case.name for case in every)
  twice = [name for name, count in counts.items() if count > 1]
  if twice:
    raise ValueError(f"Two cases are named {twice[0]!r}.")
  found = [
    case
    for case in every
    if case.name == options.only or fnmatch.fnmatchcase(case.name, options.only)
  ]
  rng = random.Random(options.seed)
  if options.sample:
    return _sample(found, options.sample, rng)
  is_whole = options.all or options.only != "*"
  return [c for c in found if is_whole or not c.intact.slow or not rng.randrange(_RARER)]


def _sample(found: Sequence[cases.Case], size: int, rng: random.Random) -> list[cases.Case]:
  """Cases of every subject in turn."""
  by_subject: dict[str, list[cases.Case]] = collections.defaultdict(list)
  for case in found:
    by_subject[case.intact.name].append(case)
  for listed in by_subject.values():
    rng.shuffle(listed)
  drawn: list[cases.Case] = []
  turn = 0
  while len(drawn) < size and any(by_subject.values()):
    for listed in by_subject.values():
      if listed and not (listed[-1].intact.slow and turn % _RARER_IN_SAMPLE):
        drawn.append(listed.pop())
    turn += 1
  return drawn[:size]


class _Trial:
  """Tries cases on servers, each of which has a thread of this process."""

  def __init__(self, made: materials.Materials, folder: pathlib.Path, keep: bool):
    self._made = made
    self._folder = folder
    self._keep = keep
    self._lock = threading.Lock()
    self._right: dict[str, futures.Future] = {}
    self._done = self._failed = self._refused = self._total = 0
    self._start = self._shown = time.monotonic()
    self._slowest: list[tuple[float, str]] = []

  def run(self, chosen: Sequence[cases.Case], servers: Sequence[server.Server]) -> int:
    """Returns the exit status: 0 if all cases end well."""
    self._total = len(chosen)
    waiting = iter(enumerate(chosen))

    def work(runner: server.Server) -> None:
      while True:
        with self._lock:
          number, case = next(waiting, (0, None))
        if case is None:
          return
        self._try(runner, number, case)

    before = judge.tree(self._made.root)
    with futures.ThreadPoolExecutor(len(servers)) as pool:
      for one in [pool.submit(work, runner) for runner in servers]:
        one.result()
    lost = judge.overwritten(before, judge.tree(self._made.root), ())
    if lost:
      self._failed += 1
      print(f"FAILED: intact files were overwritten: {lost[:5]}")
    minutes = (time.monotonic() - self._start) / 60
    print(
      f"{self._done} damaged inputs, {self._failed} of them failed, {minutes:.1f} minutes;"
      f" {self._refused} were refused, the others gave a result."
    )
    slowest = ", ".join(f"{name} {s:.0f} s" for s, name in sorted(self._slowest)[::-1][:5])
    print(f"The slowest: {slowest}.")
    return int(self._failed > 0)

  def _try(self, runner: server.Server, number: int, case: cases.Case) -> None:
    folder = self._folder / f"{number:05d}"
    try:
      outcome, found = self._judged(runner, case, folder)
      text = _tail(outcome)
    except Exception as error:  # of this program: it names the case and goes on
      outcome, found, text = None, [f"cannot be tried: {error!r}"], ""
    if not (found and self._keep):
      _remove(folder)
    with self._lock:
      self._done += 1
      self._refused += bool(outcome and outcome.status)
      self._slowest.append((outcome.seconds if outcome else 0.0, case.name))
      if found:
        self._failed += 1
        print(f"\nFAILED {_shown(case.name)}: {'; '.join(map(_shown, found))}")
        print(f"  Alone: python -m tests.damaged_inputs --only={_shown(case.name)!r}")
        print(text, flush=True)
      elif time.monotonic() - self._shown > 15:
        self._shown = time.monotonic()
        print(f"{self._done} of {self._total}, {self._failed} failed", flush=True)

  def _judged(
    self, runner: server.Server, case: cases.Case, folder: pathlib.Path
  ) -> tuple[server.Outcome, list[str]]:
    right = self._right_result(runner, case.intact) if _compares(case) else None
    case.build(folder)
    before = judge.tree(folder)
    outcome = runner.run(cases.job(case.subject, folder, self._made.data))
    lost = judge.overwritten(before, judge.tree(folder), case.subject.writes)
    result = None
    if outcome.status == 0 and _compares(case):
      result = case.subject.result(folder, outcome)
    return outcome, judge.problems(case, outcome, result, right, lost)

  def _right_result(self, runner: server.Server, subject: cases.Subject) -> Any:
    """The result of the intact input, computed once."""
    with self._lock:
      known = self._right.get(subject.name)
      mine = known is None
      if mine:
        known = self._right[subject.name] = futures.Future()
    assert known
    if mine:
      try:
        known.set_result(self._intact(runner, subject))
      except Exception as error:
        known.set_exception(error)
    return known.result()

  def _intact(self, runner: server.Server, subject: cases.Subject) -> Any:
    folder = self._folder / f"intact-{subject.name}"
    cases.build(subject, folder)
    outcome = runner.run(cases.job(subject, folder, self._made.data))
    if outcome.status:
      raise RuntimeError(
        f"{subject.name}, intact, ends with status {outcome.status} {outcome.broken}:"
        f" {_tail(outcome)}"
      )
    result = subject.result(folder, outcome)
    _remove(folder)
    return result


def _compares(case: cases.Case) -> bool:
  return case.expected in (cases.Expected.SAME, cases.Expected.REFUSED_OR_SAME)


def _tail(outcome: server.Outcome) -> str:
  lines = (outcome.stdout[-_TAIL:] + outcome.stderr[-_TAIL:]).splitlines()
  head = f"  status {outcome.status}, {outcome.seconds:.1f} s, {outcome.peak_mb} MB"
  return "\n".join([head, *(f"  | {_shown(line)}" for line in lines[-20:])])


def _shown(text: str) -> str:
  """Text as any terminal can show it."""
  return text.encode("ascii", "backslashreplace").decode().replace("\x1b", "\\x1b")


def _remove(folder: pathlib.Path) -> None:
  """Removes a folder and what is beside it, whatever may be entered in it."""
  for place, folders, _ in os.walk(os.fsencode(folder)):
    for name in folders:
      path = os.path.join(place, name)
      if stat.S_ISDIR(os.lstat(path).st_mode):
        os.chmod(path, 0o700)
  outputs = [f"{folder}.stdout", f"{folder}.stderr"]
  subprocess.run(["rm", "-rf", "--", str(folder), *outputs], check=True)


if __name__ == "__main__":
  sys.exit(main())
