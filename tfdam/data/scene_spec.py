"""dataset.yaml: how a folder of your own holds its images and labels.

A whole example; `images` alone must be there, and paths lie below the file's own folder:

    images: images/{split}/**/*.png
    labels: labels/{split}/{folder}/{name}_label.png
    splits: {train: train, test: val}
    ids: {0: sky, 1: building, 7: road, 8: road}
    channel: red
    ignored: [11, 255]

images:   which files are images, a glob: `*` is part of one name, `**` folders to any
          depth, `*.*` any image ending; {split} is the split's word (below).
labels:   where the label of an image lies, a PNG: {name} is what the last part of the glob
          matched with its `*` (of `*_rgb.png` and a_rgb.png: a), {folder} the image's
          folder below the part of the glob without wildcards. Without this key the set has
          no labels; a split none of whose label files is there is unlabelled as well, but
          one of them must have some.
splits:   the word for {split}, by default {train: train, test: test}; or, without {split},
          two list files with one image a line, as its path or as its {name}, such as
          {train: lists/train.txt, test: lists/val.txt}. `test` may be left out.
ids:      the name of each id in the labels; two ids may share one. Or:
colours:  the name of each colour, {"128,64,128": road, "#4682b4": sky}.
channel:  red, green or blue: the channel that holds the ids; without it, labels have one.
ignored:  ids (or colours) of pixels that are left out, one or a list.

An id or colour that is in neither list is an error, with file and pixel. Classes that
`data.classes` does not name are left out as well. In YAML, patterns that begin with { or *
need quotes, and so do colours.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tfdam import config as config_lib
from tfdam.data import examples
from tfdam.data import labels as labels_lib

FILE = "dataset.yaml"

_CHANNELS = {"red": 0, "green": 1, "blue": 2}
_MAX_ID = 65535
_FIELDS = {"images": {"split"}, "labels": {"split", "folder", "name"}}


@dataclasses.dataclass(frozen=True)
class Spec:
  """A dataset.yaml that makes sense.

  Attributes:
    path: the file, for errors.
    images, labels: patterns; labels None for a set without.
    splits: {split: word for {split}, or list file (`uses_lists`)}.
    ids: {id: name}, empty where colours are used.
    colours: {(red, green, blue): name}.
    channel: of the label file that holds ids; None: it has one.
    ignored: the ids or colours that are void.
  """

  path: str
  images: str
  labels: str | None
  splits: dict[str, str]
  ids: dict[int, str]
  colours: dict[labels_lib.Colour, str]
  channel: int | None
  ignored: frozenset

  @property
  def uses_lists(self) -> bool:
    return "{split}" not in self.images


def read(folder: str) -> Spec:
  """Reads dataset.yaml.

  Raises:
    config.UserError: it is missing, no YAML, or an entry is unknown or makes no sense.
  """
  path = os.path.join(folder, FILE)
  values = _Entries(path, _load_yaml(path), [f.name for f in dataclasses.fields(Spec)][1:])
  images = values.pattern("images")
  if images is None:
    raise values.error("has no 'images'", "a glob, such as images: images/{split}/*.png")
  labels = values.pattern("labels")
  ids = values.mapping("ids", _parse_id)
  colours = values.mapping("colours", _parse_colour)
  if (labels is not None) != bool(ids or colours) or (ids and colours):
    raise values.error(
      f"has {', '.join(k for k in ('labels', 'ids', 'colours') if k in values) or 'none'}",
      "either 'labels' with one of 'ids' and 'colours', or none of the three",
    )
  channel = values.word("channel", _CHANNELS)
  if channel is not None and not ids:
    raise values.error("has a 'channel' without 'ids'", "it with 'ids' alone")
  ignored = values.items("ignored", _parse_colour if colours else _parse_id)
  both = ignored & ({*ids} | {*colours})
  if both:
    raise values.error(f"has {min(both)} in 'ignored' and as a class", "it in one of them")
  spec = Spec(path, images, labels, values.splits(), ids, colours, channel, ignored)
  _check_splits(spec, values)
  return spec


def _check_splits(spec: Spec, values: _Entries) -> None:
  is_list = {split: word.endswith(".txt") for split, word in spec.splits.items()}
  if spec.uses_lists != all(is_list.values()) or len(set(is_list.values())) > 1:
    raise values.error(
      f"has the images {spec.images} and the splits {_plain(spec.splits)}",
      "either {split} in 'images' and words in 'splits', or no {split} and list files"
      " (.txt) in 'splits'",
    )
  if spec.uses_lists and "{split}" in (spec.labels or ""):
    raise values.error(
      f"has {{split}} in 'labels' ({spec.labels}) but not in 'images'", "it in both"
    )
  if len(set(spec.splits.values())) < len(spec.splits):
    raise values.error(
      f"has one place for both splits, {_plain(spec.splits)}",
      "other images in 'test' than in 'train', or no 'test'",
    )


class _Entries:
  """The file's top level, each entry checked as it is taken."""

  def __init__(self, path: str, values: Any, known: list[str]):
    self._path, self._values = path, values
    if not isinstance(values, Mapping):
      raise self.error(f"holds {_plain(values)}", f"entries such as {', '.join(known)}")
    for key in values:
      if key not in known:
        raise config_lib.UserError(
          f"{path} has the unknown key '{key}'; expected {', '.join(known)}."
          f"{config_lib.nearest(str(key), known)} Mend that file."
        )

  def __contains__(self, key: str) -> bool:
    return self._values.get(key) is not None

  def error(self, came: str, expected: str) -> config_lib.UserError:
    return config_lib.UserError(
      f"{self._path} {came}; expected {expected}. Mend that file."
    )

  def pattern(self, key: str) -> str | None:
    """A relative path with {fields}."""
    if key not in self:
      return None
    value, allowed = self._values[key], _FIELDS[key]
    braces = set(re.findall(r"\{(.*?)\}", value)) if isinstance(value, str) else set()
    if not isinstance(value, str) or not value or braces - allowed:
      fields = ", ".join(f"{{{name}}}" for name in sorted(allowed))
      raise self.error(f"has {key}: {_plain(value)}", f"a path that may use {fields}")
    if os.path.isabs(value) or ".." in value.split("/"):
      raise self.error(
        f"has {key}: {value}",
        "a path below its own folder (link to files that lie elsewhere)",
      )
    if key == "labels" and ("{name}" not in value or "*" in value):
      raise self.error(f"has labels: {value}", "a path with {name} and without *")
    return value

  def mapping(self, key: str, parse: Callable[[Any], Any]) -> dict[Any, str]:
    """{parsed id or colour: class name}."""
    value = self._values.get(key)
    if value is None:
      return {}
    if not isinstance(value, Mapping) or not value:
      raise self.error(f"has {key}: {_plain(value)}", "entries such as 0: sky")
    parsed: dict[Any, str] = {}
    for item, name in value.items():
      found = self._parsed(key, item, parse)
      if not isinstance(name, str) or not name.strip() or set(name) & set(",+="):
        raise self.error(
          f"has {key}: {_plain({item: name})}",
          "a name as text without , + = (in quotes if YAML takes it for something else)",
        )
      if found in parsed:
        raise self.error(f"has {_plain(item)} twice in '{key}'", "each once")
      parsed[found] = name.strip()
    return parsed

  def items(self, key: str, parse: Callable[[Any], Any]) -> frozenset:
    value = self._values.get(key)
    if value is None:
      return frozenset()
    listed = value if isinstance(value, list) else [value]
    return frozenset(self._parsed(key, item, parse) for item in listed)

  def word(self, key: str, choices: Mapping[str, int]) -> int | None:
    if key not in self:
      return None
    value = self._values[key]
    if not isinstance(value, str) or value not in choices:
      raise self.error(f"has {key}: {_plain(value)}", f"one of {', '.join(choices)}")
    return choices[value]

  def splits(self) -> dict[str, str]:
    value = self._values.get("splits")
    if value is None:
      value = {"train": "train", "test": "test"}
    if (
      not isinstance(value, Mapping)
      or "train" not in value
      or set(value) - set(examples.SPLITS)
      or not all(isinstance(word, str) and word for word in value.values())
    ):
      raise self.error(
        f"has splits: {_plain(value)}",
        "train and, if there is one, test, each a word (a number in quotes), such as"
        " {train: train, test: val}",
      )
    return dict(value)

  def _parsed(self, key: str, item: Any, parse: Callable[[Any], Any]) -> Any:
    try:
      return parse(item)
    except ValueError as error:
      raise self.error(f"has {_plain(item)} in '{key}'", str(error)) from error


class _StrictLoader(yaml.SafeLoader):
  """PyYAML's safe loader, which would let the last of two equal keys win in silence."""

  def construct_mapping(self, node, deep=False):
    keys = [self.construct_object(key, deep=True) for key, _ in node.value]
    for i, (key, (key_node, _)) in enumerate(zip(keys, node.value)):
      if key in keys[:i]:
        raise yaml.constructor.ConstructorError(
          None, None, f"'{key}' is there twice", key_node.start_mark
        )
    return super().construct_mapping(node, deep)


def _load_yaml(path: str) -> Any:
  try:
    with open(path, encoding="utf-8") as file:
      return yaml.load(file, Loader=_StrictLoader)  # a SafeLoader: makes plain values alone
  except OSError as error:
    raise config_lib.UserError(
      f"{path} cannot be read ({error.strerror}); expected the file that says where images"
      ' and labels lie (docs/data.md, "Your own scenes"). Write it, or set'
      " --config.data.root (--data_root of evaluate and export) to the folder above."
    ) from error
  # TypeError: a key that is a list. RecursionError: an entry that holds itself.
  except (yaml.YAMLError, UnicodeDecodeError, TypeError, RecursionError) as error:
    said = " ".join(str(error).split())
    raise config_lib.UserError(
      f"{path} is no YAML: {said}. Mend that file; patterns that begin with {{ or * need"
      " quotes."
    ) from error


def _parse_id(value: Any) -> int:
  if type(value) is not int or not 0 <= value <= _MAX_ID:
    raise ValueError(f"whole numbers from 0 to {_MAX_ID}")
  return value


def _parse_colour(value: Any) -> labels_lib.Colour:
  text = value if isinstance(value, str) else ""
  if re.fullmatch("#[0-9a-fA-F]{6}", text):
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
  numbers = text.split(",")
  if len(numbers) == 3 and all(re.fullmatch(r"\s*\d{1,3}\s*", n) for n in numbers):
    red, green, blue = map(int, numbers)
    if max(red, green, blue) < 256:
      return red, green, blue
  raise ValueError('colours as "red,green,blue", each 0 to 255, or "#rrggbb", in quotes')


def _plain(value: Any) -> str:
  """A value as YAML writes it on one line."""
  text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
  return text.replace("\n...", "").strip()
