"""A process that labels images, and answers requests about its times.

It needs only numpy, which every peer's environment has. A request is a line of JSON on
standard input, and its answer is a line on standard output:

  {"do": "label", "way": W, "file": F}   {}, and the labels of all images are in F (.npy)
  {"do": "time", "way": W, "warm_up": N, "queries": N, "seconds": S, "both": B, "seed": [N]}
                                         {"ms": [one for each query after the warm-up],
                                          "seconds": their sum, with the time in between}
  {"do": "usage"}                        {"peak_resident_mb": M, "cpu_seconds": S}

The first line describes the candidate, {"about": {...}}, or says why it cannot run here,
{"missing": reason}. The answer to a failure is {"error": reason}.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TextIO

import numpy as np


class MissingError(Exception):
  """This candidate cannot run here; the message says why."""


class Way(NamedTuple):
  """One way to label an image.

  Attributes:
    query: image's number -> labels, in any memory; this is timed.
    read: what `query` returned -> array; this is not timed.
  """

  query: Callable[[int], Any]
  read: Callable[[Any], np.ndarray] = np.asarray


class Candidate(NamedTuple):
  """What a process runs.

  Attributes:
    about: versions, threads and device, as JSON values.
    ways: {"host": images and labels are NumPy arrays in main memory,
      "resident": both stay on the device}.
    num_images: number of images that queries choose from.
    others: {request: function that returns the answer}.
  """

  about: Mapping[str, Any]
  ways: Mapping[str, Way] = {}
  num_images: int = 0
  others: Mapping[str, Callable[[], Mapping[str, Any]]] = {}


def batches(path: str) -> list[np.ndarray]:
  """Returns the images of a file, uint8 [N, ...], as batches of one."""
  return [image[np.newaxis] for image in np.load(path)]


def run(make: Callable[[dict[str, Any]], Candidate]) -> None:
  """Makes the candidate that the command line describes, then answers until input ends.

  Args:
    make: takes the first argument, parsed from JSON.
  """
  # Ctrl-C reaches all processes of a terminal, but the benchmark ends its processes itself.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  answers = _take_stdout()
  found: list[Candidate] = []

  def start() -> dict[str, Any]:
    found.append(make(json.loads(sys.argv[1])))
    return {"about": found[0].about}

  _answer(start, answers)
  if found:
    serve(found[0], sys.stdin, answers)
  answers.close()


def serve(candidate: Candidate, requests: Iterable[str], answers: TextIO) -> None:
  """Answers requests, one line each; see the module's docstring."""
  for line in requests:
    request = json.loads(line)
    _answer(lambda: _respond(candidate, request), answers)  # noqa: B023 - called at once


def _take_stdout() -> TextIO:
  """Returns standard output for answers alone; other prints go to standard error."""
  answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
  os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
  return answers


def _answer(respond: Callable[[], Mapping[str, Any]], answers: TextIO) -> None:
  answer: Mapping[str, Any]
  try:
    answer = respond()
  except (ImportError, MissingError) as error:
    answer = {"missing": str(error)}
  except Exception as error:  # the benchmark reports any error
    traceback.print_exc()
    answer = {"error": f"{type(error).__name__}: {error}"}
  answers.write(json.dumps(answer) + "\n")
  answers.flush()


def _respond(candidate: Candidate, request: Mapping[str, Any]) -> Mapping[str, Any]:
  what = request["do"]
  if what in candidate.others:
    return candidate.others[what]()
  if what == "usage":
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return {"peak_resident_mb": peak_resident_mb(), "cpu_seconds": cpu_seconds}
  way = candidate.ways[request["way"]]
  if what == "time":
    return _time(way, candidate.num_images, request)
  labels = [way.read(way.query(i)).copy() for i in range(candidate.num_images)]
  np.save(request["file"], np.concatenate(labels))
  return {}


def _time(way: Way, num_images: int, request: Mapping[str, Any]) -> dict[str, Any]:
  """Runs queries until their number, their time, or both are reached."""
  order = np.random.default_rng(request["seed"])

  def query() -> float:
    i = int(order.integers(num_images))
    start = time.perf_counter()
    way.query(i)
    return 1e3 * (time.perf_counter() - start)

  for _ in range(request["warm_up"]):
    query()
  needs = all if request["both"] else any
  latencies_ms: list[float] = []
  start = time.perf_counter()
  while True:
    latencies_ms.append(query())
    seconds = time.perf_counter() - start
    if needs((len(latencies_ms) >= request["queries"], seconds >= request["seconds"])):
      return {"ms": latencies_ms, "seconds": seconds}


def peak_resident_mb() -> float:
  """Returns the largest resident memory of this process so far, in MiB."""
  try:
    with open("/proc/self/status") as file:
      # Not ru_maxrss, which a process on Linux inherits from its parent, the benchmark.
      return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 2**10
  except (OSError, StopIteration):
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
