"""The schema of a run: every field with its default, its unit and its bounds.

Configuration files start from `default()`, a locked `ml_collections.ConfigDict`, and change
fields; flags change them again; `resolve` turns the result into a frozen, checked `Config`.
Imports no TensorFlow, so that a typo is found at once.

  sections.py, adapt.py    the fields
  schema.py                the config that they make, and its fields by name
  fields.py                what one field may hold
  parsing.py               texts that fields hold
  checks.py, adapt_checks.py   what fields must not say together
  resolving.py             from files and flags to a checked config
"""

from tfdam.config.adapt import AUTO, ENTROPY, NUM_AUTO, Adapt
from tfdam.config.adapt_checks import check_adapt
from tfdam.config.errors import UserError, nearest
from tfdam.config.fields import MAX_IMAGES, redefined
from tfdam.config.parsing import parse_classes, parse_numbers, parse_options, parse_taps
from tfdam.config.resolving import check_task, default, resolve, unused
from tfdam.config.schema import (
  Config,
  derive_seed,
  differences,
  field_names,
  field_type,
  get,
  shared_fields,
  to_json,
  walk,
  with_defaults,
  with_flags,
)  # fmt: skip
from tfdam.config.sections import (
  KERAS,
  SKEWS,
  SOURCE_STYLES,
  Augment,
  Data,
  Loop,
  Match,
  Model,
  Runtime,
  Source,
  Translation,
)  # fmt: skip

__all__ = [
  "AUTO", "ENTROPY", "KERAS", "MAX_IMAGES", "NUM_AUTO", "SKEWS", "SOURCE_STYLES", "Adapt",
  "Augment", "Config", "Data", "Loop", "Match", "Model", "Runtime", "Source", "Translation",
  "UserError", "check_adapt", "check_task", "default", "derive_seed", "differences",
  "field_names", "field_type", "get", "nearest", "parse_classes", "parse_numbers",
  "parse_options", "parse_taps", "redefined", "resolve", "shared_fields", "to_json",
  "unused", "walk", "with_defaults", "with_flags",
]  # fmt: skip
