"""A process that labels images in one way and answers questions about it.

Needs numpy alone, so that a peer's environment has all of it. A request is a line of JSON
on standard input, its answer a line on standard output:

  {"do": "label", "way": W, "file": F}   {}, and the labels of all images are in F (.npy)
  {"do": "time", "way": W, "warm_up": N, "queries": N, "seconds": S, "both": B, "seed": [N]}
                                         {"ms": [one for each query after the warm-up],
                                          "seconds": their sum with what lies between}
  {"do": "usage"}                        {"peak_resident_mb": M, "cpu_seconds": S}

The first line says what it is, {"about": {...}}, or that it cannot be had here,
{"missing": reason}. A failure is answered with {"error": reason}.
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
  """This way of labelling cannot be had here; the message says why."""


class Way(NamedTuple):
  """One way to ask for an image's labels.

  Attributes:
    query: number of the image -> labels, wherever they are then; this is timed.
    read: what `query` returned -> array; this is not.
  """

  query: Callable[[int], Any]
  read: Callable[[Any], np.ndarray] = np.asarray


class Candidate(NamedTuple):
  """What a process answers about.

  Attributes:
    about: versions, threads, device: what JSON can hold.
    ways: {"host": images and labels are numpy arrays in main memory,
      "resident": both stay where the library computes}.
    num_images: that queries choose from.
    others: {request: function that gives the answer}.
  """

  about: Mapping[str, Any]
  ways: Mapping[str, Way] = {}
  num_images: int = 0
  others: Mapping[str, Callable[[], Mapping[str, Any]]] = {}


def batches(path: str) -> list[np.ndarray]:
  """Images of a file, uint8 [N, ...], as batches of one."""
  return [image[np.newaxis] for image in np.load(path)]


def run(make: Callable[[dict[str, Any]], Candidate]) -> None:
  """Makes the candidate that the command line describes, then answers until input ends.

  Args:
    make: gets the first argument, parsed from JSON.
  """
  # Ctrl-C reaches all processes of a terminal; the benchmark ends its own.
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
  """Answers requests, a line each; see the file's head."""
  for line in requests:
    request = json.loads(line)
    _answer(lambda: _respond(candidate, request), answers)  # noqa: B023 - called at once


def _take_stdout() -> TextIO:
  """Standard output for answers alone: what libraries print there goes to the error one."""
  answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
  os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
  return answers


def _answer(respond: Callable[[], Mapping[str, Any]], answers: TextIO) -> None:
  answer: Mapping[str, Any]
  try:
    answer = respond()
  except (ImportError, MissingError) as error:
    answer = {"missing": str(error)}
  except Exception as error:  # whatever it is, the benchmark says it
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
  """Asks until there are enough queries, or it took long enough, or both."""
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
  """The most memory that this process had resident so far, MiB."""
  try:
    with open("/proc/self/status") as file:
      # Linux hands ru_maxrss on to what a process starts: it would be at least as large as
      # the benchmark itself.
      return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 2**10
  except (OSError, StopIteration):
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
