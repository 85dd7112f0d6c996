"""Compares the least memory that a config needs with what this machine has.

Fields within their bounds may together exceed any machine, such as a batch of a million
images of 8192 x 8192. Only impossible configs are refused, since the memory of a network is
not known before it is built.
"""

from __future__ import annotations

import math
import os
import re

from tfdam import config as config_lib

_FLOAT = 4  # Bytes of a float32.
_CGROUPS = (
  "/sys/fs/cgroup/memory.max",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def check(config: config_lib.Config, num_images: int, num_workers: int = 1) -> None:
  """Raises config.UserError if a batch, or the discriminators, cannot fit into memory.

  Args:
    config: a whole config.
    num_images: number of images in the largest split, which bounds batches that go through
      each image once.
    num_workers: processes that share a training batch.
  """
  batches = {"loop.eval_batch_size": min(config.loop.eval_batch_size, num_images)}
  if config.source.steps:
    batches["source.global_batch_size"] = config.source.global_batch_size // num_workers
  if config.match.enabled:
    batches["match.batch_size"] = min(config.match.batch_size, num_images)
  if config.adapt.steps:
    batches["adapt.global_batch_size"] = config.adapt.global_batch_size // num_workers
    if config.adapt.has_discriminators:
      _check_discriminators(config.adapt)
  shape = (config.data.height, config.data.width, config.data.channels)
  for name, count in batches.items():
    check_fits(
      count * math.prod(shape) * _FLOAT,
      f"{count:,} images of {' x '.join(map(str, shape))} at once ({name})",
      f"{name}, data.height or data.width lower",
    )


def check_fits(num_bytes: int, what: str, remedy: str) -> None:
  """Raises config.UserError if this machine has less memory.

  Args:
    num_bytes: bytes needed.
    what: what needs them, in the plural.
    remedy: what to set, after "Set".
  """
  present = available()
  if present and num_bytes > present:
    raise config_lib.UserError(
      f"{what} take {num_bytes / 2**30:,.1f} GiB of memory at least, and this machine has"
      f" {present / 2**30:,.1f} GiB.",
      f"Set {remedy}.",
    )


def shortage(error: Exception) -> str | None:
  """Explains an error of exhausted memory, and what to do; None for any other error."""
  if isinstance(error, MemoryError):
    said = str(error)
  elif type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's, also for disks.
    found = re.search(r"OOM when allocating [^\n]*?(?= on | by |\n|$)", str(error))
    said = found.group() if found else ""
    if not said and "failed to allocate memory" not in str(error):
      return None
  else:
    return None
  return (
    f"Memory ran out{f' ({said})' if said else ''}. Set batch sizes lower, such as"
    " --config.adapt.global_batch_size, or --config.data.height and --config.data.width;"
    " what was saved before stays."
  )


def available() -> int:
  """Bytes that this process may use, of the machine or its container; 0 if unknown."""
  try:
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  except (AttributeError, OSError, ValueError):
    return 0
  for path in _CGROUPS:
    try:
      with open(path) as file:
        found = min(found, int(file.read()))
    except (OSError, ValueError):  # No such file, or "max".
      continue
  return found


def _check_discriminators(options: config_lib.Adapt) -> None:
  units = options.discriminator_units
  locations = 16 if options.discriminator == "patch" else 1
  weights = locations * sum(a * b for a, b in zip(units, units[1:]))
  is_auto = options.taps == config_lib.AUTO
  num_taps = config_lib.NUM_AUTO if is_auto else len(options.tap_weights)
  # Each weight has two moments in Adam, one momentum in SGD.
  copies = 3 if options.optimizer == "adam" else 2
  check_fits(
    num_taps * weights * copies * _FLOAT,
    f"Discriminators of {num_taps} taps, each with {weights:,} weights between its layers,",
    "adapt.discriminator_units lower",
  )
