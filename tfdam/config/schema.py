"""The whole config, and its fields by name."""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from tfdam.config.adapt import Adapt
from tfdam.config.errors import UserError
from tfdam.config.fields import option
from tfdam.config.sections import (
  Augment,
  Data,
  Loop,
  Match,
  Model,
  Runtime,
  Source,
  Translation,
)
from tfdam.vocabulary import Task


@dataclasses.dataclass(frozen=True)
class Config:
  """One run. `name` becomes the default run folder; `method` and `recipe` are labels."""

  name: str = option("run", affects_result=False)
  method: str = option("gam", affects_result=False)
  recipe: str = option("release", affects_result=False)
  # Seeds initial weights, the order of images and the choice of a part of them.
  seed: int = option(0, low=0, high=2**31 - 1)
  data: Data = Data()
  model: Model = Model()
  source: Source = Source()
  match: Match = Match()
  adapt: Adapt = Adapt()
  augment: Augment = Augment()
  translation: Translation = Translation()
  loop: Loop = Loop()
  runtime: Runtime = Runtime()

  @property
  def task(self) -> Task:
    """What the network labels; classes of pixels have names."""
    return Task.SEGMENTATION if self.data.classes else Task.CLASSIFICATION

  @property
  def needs_source_labels(self) -> bool:
    """Whether the run reads labels of the source: all do that train their own network."""
    adapt = self.adapt
    by_terms = (
      adapt.needs_source_labels
      or adapt.information_weight > 0
      or adapt.curriculum_weight > 0
    )
    return not self.model.is_file or self.source.steps > 0 or (adapt.steps > 0 and by_terms)


SECTIONS = {
  "data": Data,
  "model": Model,
  "source": Source,
  "match": Match,
  "adapt": Adapt,
  "augment": Augment,
  "translation": Translation,
  "loop": Loop,
  "runtime": Runtime,
}
_PER_MACHINE = (
  "data.root",
  "data.cache_mb",
  "model.path",
  "source.cache",
  "match.memory_mb",
)


def get(config: Config, name: str) -> Any:
  """A field's value by its dotted name."""
  value: Any = config
  for part in name.split("."):
    value = getattr(value, part)
  return value


def walk(config: Config) -> Iterator[tuple[str, dataclasses.Field, Any]]:
  """Yields (dotted name, field, value) of every leaf."""
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if field.name in SECTIONS:
      for leaf in dataclasses.fields(value):
        yield f"{field.name}.{leaf.name}", leaf, getattr(value, leaf.name)
    else:
      yield field.name, field, value


def field_names() -> list[str]:
  """Every field's dotted name, as flags spell it after `--config.`."""
  return [name for name, _, _ in walk(Config())]


def field_type(name: str) -> type | None:
  """The type of a field by its dotted name; None if there is no such field."""
  return next((type(value) for known, _, value in walk(Config()) if known == name), None)


def with_defaults(config: Config) -> list[tuple[str, Any, Any]]:
  """(dotted name, value, default) of every field."""
  return [(name, value, get(Config(), name)) for name, _, value in walk(config)]


def differences(config: Config, other: Config) -> dict[str, tuple[Any, Any]]:
  """Fields that affect the result and differ: {"adapt.steps": (value, other value)}."""
  found = {}
  for name, field, value in walk(config):
    other_value = get(other, name)
    if field.metadata.get("affects_result") and value != other_value:
      found[name] = (value, other_value)
  return found


def shared_fields(config: Config) -> dict[str, Any]:
  """{dotted name: value} of what the workers of a run must have alike.

  That is all but what is a machine's own: its folders and its memory.
  """
  return {name: value for name, _, value in walk(config) if name not in _PER_MACHINE}


def to_json(config: Config) -> str:
  """The resolved config, one field a line, as config.json holds it."""
  return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def with_flags(error: UserError) -> str:
  """An error for a command line: fields in its remedy as flags, `--config.match.sites`."""
  if not error.remedy:
    return error.what
  dotted = [name for name in field_names() if "." in name]
  fields = "|".join(map(re.escape, sorted(dotted, key=len, reverse=True)))
  remedy = re.sub(rf"(?<![\w.-])({fields})(?![\w])", r"--config.\1", error.remedy)
  return f"{error.what} {remedy}"


def derive_seed(seed: int, purpose: str) -> int:
  """A seed for one purpose, 31 bits: independent of what else was drawn, and when."""
  return zlib.crc32(f"{purpose} {seed}".encode()) & 0x7FFFFFFF
