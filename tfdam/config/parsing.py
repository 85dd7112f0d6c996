"""Parses texts in fields, and the argument of a configuration file."""

from __future__ import annotations

import math

from tfdam.config.errors import UserError, nearest
from tfdam.config.fields import MAX_WEIGHT, shown


def parse_taps(text: str) -> dict[str, float]:
  """Parses "fc3:0.1,fc4:1.0" into {tap: weight}, in that order; a bare name weighs 1.

  Raises:
    UserError: empty, repeated or malformed.
  """
  taps: dict[str, float] = {}
  for part in filter(None, (part.strip() for part in text.split(","))):
    name, _, weight = part.partition(":")
    try:
      value = float(weight) if weight else 1.0
    except ValueError:
      value = math.nan
    if not name or name in taps or not 0 < value <= MAX_WEIGHT:
      raise UserError(
        f"adapt.taps has the entry '{part}'; expected each tap once as name:weight with a"
        f" weight above 0 and at most {MAX_WEIGHT:,.0f}, such as 'fc3:0.1,fc4:1.0'.",
        "Set adapt.taps.",
      )
    taps[name] = value
  if not taps:
    raise UserError("adapt.taps is empty; expected at least one tap.", "Set adapt.taps.")
  return taps


def parse_classes(text: str) -> dict[str, tuple[str, ...]]:
  """Parses "sky,road=road+road line" into {class: its names in data sets}, in that order.

  Raises:
    UserError: empty, repeated or malformed, or one name in two classes.
  """
  classes: dict[str, tuple[str, ...]] = {}
  taken: set[str] = set()
  for part in (part.strip() for part in text.split(",")):
    name, _, own = (word.strip() for word in part.partition("="))
    own_names = tuple(word.strip() for word in (own or name).split("+"))
    if not name or name in classes or not all(own_names) or taken & set(own_names):
      raise UserError(
        f"data.classes has the entry '{part}'; expected each class once, as name or"
        " name=name in a data set+another one, such as 'sky,road=road+road line', and no"
        " name in two classes.",
        "Set data.classes.",
      )
    classes[name] = own_names
    taken.update(own_names)
  return classes


def parse_numbers(text: str, name: str, most: int = 1, flag: str = "") -> tuple[float, ...]:
  """Parses "127.5", "1/255" or "0.485,0.456,0.406".

  Args:
    name: of the field, for errors.
    most: numbers that there may be.
    flag: that sets it; empty: the field's.

  Raises:
    UserError: no such numbers, or more than `most`.
  """
  numbers = []
  for part in text.split(","):
    over, slash, under = part.partition("/")
    try:
      numbers.append(float(over) / (float(under) if slash else 1.0))
    except (ValueError, ZeroDivisionError):
      numbers.append(math.nan)
  if not all(map(math.isfinite, numbers)) or len(numbers) not in (1, most):
    a_channel = f", or {most} with commas, one per channel" if most > 1 else ""
    raise UserError(
      f"{name} is {shown(text)}; expected a number, such as 127.5 or 1/255{a_channel}.",
      f"Set {flag or f'{name}'}.",
    )
  return tuple(numbers)


def parse_options(text: str | None, **groups: tuple[str, ...]) -> dict[str, str]:
  """Parses a configuration file's argument, such as "paper,adda" after the colon.

  Args:
    text: words separated by commas, in any order.
    **groups: for each option the words it may be; the first is its default.

  Returns:
    {option: word}.

  Raises:
    UserError: a word belongs to no group, or two to one.
  """
  chosen: dict[str, str] = {}
  for word in filter(None, (word.strip() for word in (text or "").split(","))):
    option = next((name for name, words in groups.items() if word in words), None)
    if option is None or option in chosen:
      every = [word for words in groups.values() for word in words]
      listing = "; ".join(f"{name}: {', '.join(words)}" for name, words in groups.items())
      raise UserError(
        f"'{word}' after the config file's colon is"
        f" {'a second ' + option if option else 'unknown'} (one of each:"
        f" {listing}).{nearest(word, every) if option is None else ''}"
      )
    chosen[option] = word
  return {name: chosen.get(name, words[0]) for name, words in groups.items()}
