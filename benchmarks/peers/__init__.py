"""Other systems to measure against, each in a Python environment of its own."""

from __future__ import annotations

import os
import subprocess
import venv

from tfdam import runtime


def python(peer: str) -> str:
  """The interpreter of a peer's environment; made at the first call, from its file.

  Args:
    peer: "torch" for requirements-torch.txt.
  """
  folder = os.path.join(runtime.cache_root(), "peers", peer)
  interpreter = os.path.join(folder, "bin", "python")
  done = os.path.join(folder, "installed")
  if not os.path.exists(done):
    here = os.path.dirname(os.path.abspath(__file__))
    requirements = os.path.join(here, f"requirements-{peer}.txt")
    print(f"Installing {requirements} into {folder}.", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    install = [interpreter, "-m", "pip", "install", "--quiet", "-r", requirements]
    subprocess.run(install, check=True)
    with open(done, "w"):
      pass
  return interpreter
