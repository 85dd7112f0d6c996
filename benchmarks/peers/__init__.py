"""Other systems for comparison, each in a separate Python environment."""

from __future__ import annotations

import os
import subprocess
import venv

from tfdam import runtime


def python(peer: str) -> str:
  """Returns the interpreter of a peer's environment, which the first call makes.

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
