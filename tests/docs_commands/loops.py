"""Shell blocks with a loop: a shell runs them, with a stand-in for ./bazelw."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from unittest import mock

from tests.docs_commands import calls
from tfdam import cluster
from tfdam import config as config_lib

_CLUSTER = "TF_CONFIG"
# Without any PATH: a program for which there is no stand-in is not found.
_STAND_IN = """\
#!{bash}
printf '%s\\0' "${{{variable}:-}}" "$0" "$@" > "{records}/$BASHPID"
"""


def recorded(
  script: str, folder: pathlib.Path
) -> list[tuple[tuple[str, ...], dict[str, str]]]:
  """Runs a script; returns the words and the variables of each ./bazelw in it.

  Raises:
    ValueError: the shell complains, or nothing was started.
  """
  bash = shutil.which("bash")
  with tempfile.TemporaryDirectory(dir=folder) as place:
    here, records = pathlib.Path(place, "here"), pathlib.Path(place, "records")
    here.mkdir()
    records.mkdir()
    stand_in = here / "bazelw"
    content = _STAND_IN.format(bash=bash, variable=_CLUSTER, records=records)
    stand_in.write_text(content)
    stand_in.chmod(0o755)
    done = subprocess.run(
      [str(bash), "-c", script], cwd=here, env={"PATH": ""}, capture_output=True, text=True,
      check=False, timeout=60,
    )  # fmt: skip
    if done.returncode or done.stderr:
      raise ValueError(f"the shell says: {done.stderr}")
    kept = [path.read_text().split("\0")[:-1] for path in sorted(records.iterdir())]
  if not kept:
    raise ValueError("it starts no ./bazelw")
  return [(tuple(words), {_CLUSTER: value}) for value, *words in kept]


def check(words: Sequence[str], variables: dict[str, str]) -> None:
  """Raises ValueError unless it is a program of this project, and a worker of several."""
  call = calls.of_words(words)
  for problem in calls.problems(call) if call else ["it is no program of this project"]:
    raise ValueError(problem)
  with mock.patch.dict(os.environ, variables):
    # tests/multi_worker_test.py trains so.
    team = cluster.find(config_lib.Runtime())
  if not team or len(team.addresses) < 2:
    raise ValueError(f"{_CLUSTER} is {variables[_CLUSTER]!r}, which names no other worker")
