"""Makes a checked config from the values that a configuration file and flags set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from tfdam.config import checks
from tfdam.config.errors import UserError, nearest
from tfdam.config.fields import check_value, shown
from tfdam.config.parsing import parse_classes
from tfdam.config.schema import SECTIONS, Config, field_names, get
from tfdam.config.sections import Data
from tfdam.vocabulary import Task

# What scenes alone have a use for.
_OF_SCENES = (
  "data.classes", "data.carla_version", "data.crop_height", "data.crop_width",
  "data.flip", "augment.brightness", "augment.contrast", "augment.saturation",
  "source.class_weight_offset", "adapt.self_training_mix", "adapt.curriculum_weight",
)  # fmt: skip


def default() -> ml_collections.ConfigDict:
  """Returns the defaults for a configuration file to change; unknown fields raise."""
  return ml_collections.ConfigDict(dataclasses.asdict(Config())).lock()


def resolve(values: Mapping[str, Any]) -> Config:
  """Checks every field of a `ConfigDict` (or a loaded config.json).

  Raises:
    UserError: a field is unknown, has the wrong type or is out of bounds.
  """
  if not isinstance(values, (Mapping, ml_collections.ConfigDict)):
    raise UserError(
      f"The config is {shown(values)}; expected its fields, as get_config(options=None) of"
      " a config file returns them and config.json of a run folder holds them."
    )
  sections = {}
  for name, section in SECTIONS.items():
    if not isinstance(values.get(name, {}), (Mapping, ml_collections.ConfigDict)):
      raise UserError(f"{name} is {shown(values.get(name))}; expected a section of fields.")
    sections[name] = section(**_check_fields(section, values.get(name, {}), f"{name}."))
  top = {key: value for key, value in values.items() if key not in SECTIONS}
  sections["data"] = _count_classes(sections["data"])
  config = Config(**_check_fields(Config, top, ""), **sections)
  checks.check_together(config)
  return config


def check_task(config: Config, task: str) -> None:
  """Raises UserError if a field is set that the task has no use for.

  Args:
    task: of Task, as the data says.
  """
  if task != Task.CLASSIFICATION:
    return
  for name in _OF_SCENES:
    value, default = get(config, name), get(Config(), name)
    if value != default:
      raise UserError(
        f"{name} is {value!r}, but {config.data.source} is for classification, which has no"
        " use for it.",
        f"Set {name}={default!r}.",
      )


def unused(config: Config, given: Iterable[str]) -> list[str]:
  """Returns sentences about fields that flags set and that change nothing in this run.

  Args:
    given: names of the fields that flags set. Config files set the section augment for
      whoever turns it on, and are no mistake.
  """
  adapt = config.adapt
  varies = adapt.source_label_weight or adapt.self_training_weight
  reasons = {"translation.": "only //tfdam:translate translates."}
  if not (config.source.augment or adapt.augment or varies):
    reasons["augment."] = (
      "neither source.augment nor adapt.augment is True, and adapt trains on no labels."
    )
  return [
    f"{name} is {get(config, name)!r}, which changes nothing: {reason}"
    for prefix, reason in reasons.items()
    for name in given
    if name.startswith(prefix)
  ]


def _check_fields(section: type, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  fields = {field.name: field for field in dataclasses.fields(section)}
  for name in values:
    if name not in fields:
      every = field_names()
      dotted = nearest(f"{prefix}{name}", every) or nearest(
        str(name), [f.split(".")[-1] for f in every]
      )
      raise UserError(f"Unknown config field '{prefix}{name}'.{dotted}")
  return {
    name: check_value(fields[name], value, prefix + name) for name, value in values.items()
  }


def _count_classes(options: Data) -> Data:
  """Fills num_classes in from `classes`."""
  if not options.classes:
    if options.num_classes < 2:
      raise UserError(
        f"data.num_classes is {options.num_classes}; expected at least 2.",
        "Set data.num_classes (or, for segmentation, data.classes).",
      )
    return options
  count = len(parse_classes(options.classes))
  if count < 2:
    raise UserError(
      f"data.classes is '{options.classes}', one class; expected at least two: what is not"
      " named is left out, no class of its own.",
      "Set data.classes.",
    )
  if options.num_classes not in (0, count):
    raise UserError(
      f"data.num_classes is {options.num_classes}, but data.classes names {count}.",
      "Set data.num_classes=0.",
    )
  return dataclasses.replace(options, num_classes=count)
