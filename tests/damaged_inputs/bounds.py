"""Values at and past every bound of the schema, and of another type."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from tfdam import config as config_lib

# What no field of that type may take, as a flag spells it.
_NO_NUMBERS = ("nan", "inf", "-inf", "1e400", "text", "1,2,3", "None", "True")


@dataclasses.dataclass(frozen=True)
class Value:
  """A field's value as a flag spells it.

  Attributes:
    name: of the case.
    allowed: whether the schema allows it by itself.
  """

  field: str
  name: str
  text: str
  allowed: bool


def values() -> Iterator[Value]:
  """Yields values of every field."""
  for name, field, default in config_lib.walk(config_lib.Config()):
    if type(default) in (int, float, tuple):
      yield from _numbers(name, field, default)
    elif isinstance(default, bool):
      yield Value(name, "number", "7", False)
    elif field.metadata.get("choices"):
      yield Value(name, "unknown", "unknown", False)
      yield Value(name, "empty", "", False)
      yield Value(name, "upper_case", default.upper(), False)


def at_bounds() -> Iterator[Value]:
  """Yields the lowest and the highest value of every number."""
  return (value for value in values() if value.allowed)


def _numbers(name: str, field: dataclasses.Field, default: object) -> Iterator[Value]:
  low, high = field.metadata.get("low"), field.metadata.get("high")
  choices = field.metadata.get("choices")
  if choices:
    low, high = min(choices), max(choices)
  is_float = isinstance(default, float)
  if low is not None:
    yield Value(name, "lowest", _text(low, is_float), True)
    below = math.nextafter(low, -math.inf) if is_float else low - 1
    yield Value(name, "below", _text(below, is_float), False)
  if high is not None:
    yield Value(name, "highest", _text(high, is_float), True)
    above = math.nextafter(high, math.inf) if is_float else high + 1
    yield Value(name, "above", _text(above, is_float), False)
  yield Value(name, "negative", "-3", low is not None and low <= -3)
  for power in (31, 32, 63, 64):
    yield Value(name, f"two_to_{power}", str(2**power), high is None or 2**power <= high)
  yield Value(name, "1e300", "1e300", is_float and (high is None or high >= 1e300))
  for text in _NO_NUMBERS:
    is_tuple = isinstance(default, tuple) and text == "1,2,3"
    yield Value(name, f"is_{text}", text, is_tuple)
  if not is_float:
    yield Value(name, "fraction", "1.5", False)


def _text(value: float, is_float: bool) -> str:
  return repr(float(value)) if is_float else str(value)
