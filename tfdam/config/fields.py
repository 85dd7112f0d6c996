"""One field of the config: its default, its bounds, and the check of its value."""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tfdam.config.errors import UserError, nearest

# Bounds of fields: what can work at all, on machines larger than today's.
# Eleven days of steps that take a millisecond; more than a float32 tells apart.
MAX_STEPS = 1_000_000_000
# No data set has as many images.
MAX_IMAGES = 1_000_000_000
# The largest batches known to train (LAMB, You et al. 2020). What this machine cannot hold,
# memory.py says.
MAX_BATCH = 65_536
# 16 TiB.
MAX_MB = 1 << 24
MAX_PIXELS = 8192
# Of one loss among others: float32 has 7 digits, and beside a million times as much
# nothing is left of the others.
MAX_WEIGHT = 1e6
# A step size beyond it makes every weight infinite within a few steps.
MAX_RATE = 1e3
# Of a discriminator; each one halves a map that patches are judged on.
MAX_LAYERS = 16
# Adam divides by the root of squared gradients plus epsilon: the smallest that float32
# keeps apart from 0 beside them, and the largest beside which they count.
EPSILONS: dict[str, Any] = {"low": 1e-30, "high": 1e3}


def option(
  default: Any,
  *,
  low: float | None = None,
  high: float | None = None,
  choices: Sequence[Any] | None = None,
  affects_result: bool = True,
) -> Any:
  """Returns a dataclass field with its bounds (inclusive) or choices.

  `affects_result=False` marks what may differ between a run and its continuation.
  """
  metadata = {
    "low": low,
    "high": high,
    "choices": choices,
    "affects_result": affects_result,
  }
  return dataclasses.field(default=default, metadata=metadata)


# For errors; the standard's cuts text after 30 letters.
_REPR = reprlib.Repr()


def check_value(
  field: dataclasses.Field, value: Any, name: str, remedy: str | None = None
) -> Any:
  """Returns the value in its field's type; an int counts as a float.

  Args:
    name: for errors.
    remedy: the last sentence of errors; None: which flag to set.
  """
  if remedy is None:
    remedy = f" Set --config.{name}."
  wanted: Any = type(field.default)
  if wanted is float and type(value) is int:
    value = _as_float(value)
  if wanted is tuple and isinstance(value, (list, tuple)):
    value = tuple(value)
    wrong_items = [item for item in value if type(item) is not int]
    if not 0 < len(value) <= MAX_LAYERS or wrong_items:
      raise UserError(
        f"{name} is {shown(value)}; expected 1 to {MAX_LAYERS} whole numbers.{remedy}"
      )
  if type(value) is not wanted:
    raise UserError(
      f"{name} is {shown(value)} ({type(value).__name__}); expected {wanted.__name__}."
      f"{remedy}"
    )
  choices, low, high = (field.metadata[key] for key in ("choices", "low", "high"))
  if choices is not None and value not in choices:
    hint = nearest(value, choices) if isinstance(value, str) else ""
    raise UserError(
      f"{name} is {shown(value)}; expected one of {', '.join(map(str, choices))}."
      f"{hint}{remedy}"
    )
  numbers = value if wanted is tuple else (value,)
  for number in numbers:
    if wanted is float and not math.isfinite(number):
      raise UserError(f"{name} is {number}; expected a finite number.{remedy}")
    for bound, words, beyond in ((low, "at least", -1), (high, "at most", 1)):
      if bound is not None and beyond * number > beyond * bound:
        raise UserError(f"{name} is {shown(number)}; expected {words} {bound}.{remedy}")
  return value


def _as_float(number: int) -> float:
  try:
    return float(number)
  except OverflowError:
    return math.inf if number > 0 else -math.inf


def shown(value: Any) -> str:
  """Returns a value as text for an error, shortened if it is long or deep."""
  if type(value) is int and value.bit_length() > 64:
    return f"a whole number of {value.bit_length()} bits"  # Python shows no longer ones
  return _REPR.repr(value)


def redefined(section: type, name: str, default: Any, **bounds: Any) -> Any:
  """Returns a section's field with another default, for a subclass.

  Args:
    bounds: `low`, `high` or `choices`, where those change as well.
  """
  field = next(field for field in dataclasses.fields(section) if field.name == name)
  return dataclasses.field(default=default, metadata={**field.metadata, **bounds})


def changed(
  options: Any, defaults: Any, names: Iterable[str]
) -> Iterator[tuple[str, Any, Any]]:
  """Yields (name, value, default) of those named fields that are not at their default."""
  for name in names:
    value, default = getattr(options, name), getattr(defaults, name)
    if value != default:
      yield name, value, default


class Section:
  """Options that check their values when they are made."""

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):  # type: ignore[arg-type]
      name = f"{type(self).__name__}.{field.name}"
      value = check_value(field, getattr(self, field.name), name, "")
      object.__setattr__(self, field.name, value)
