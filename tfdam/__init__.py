"""Deep activation matching for TensorFlow.

  network = tfdam.Network(model)
  matched = tfdam.match_moments(network, source, target)
  adapted = tfdam.adapt(network, source, target, start=matched)

Public names are imported at their first use, so `import tfdam` does not start TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

from tfdam import stack

__version__ = "0.2.0"

# Must come before anything imports TensorFlow.
stack.use_legacy_keras()

# {public name: its module}.
_PUBLIC = {
  "Network": "tfdam.network",
  "Expects": "tfdam.network",
  "TappedModel": "tfdam.protocol",
  "Site": "tfdam.sites",
  "measure_gap": "tfdam.api",
  "match_moments": "tfdam.api",
  "adapt": "tfdam.api",
  "Adapt": "tfdam.api",
  "Match": "tfdam.config",
  "UserError": "tfdam.config",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
  if name not in _PUBLIC:
    raise AttributeError(f"module 'tfdam' has no attribute '{name}'")
  return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_PUBLIC])
