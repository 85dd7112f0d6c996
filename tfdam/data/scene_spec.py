"""dataset.yaml, which describes the images and labels in a folder of your own.

A complete example. Only `images` is required, and paths are relative to the file's folder:

    images: images/{split}/**/*.png
    labels: labels/{split}/{folder}/{name}_label.png
    splits: {train: train, test: val}
    ids: {0: sky, 1: building, 7: road, 8: road}
    channel: red
    ignored: [11, 255]

images:   a glob for the images: `*` matches part of one name, `**` folders to any depth,
          `*.*` any image ending, and {split} the split's word (below). Endings match in any
          case, names in either Unicode form.
labels:   the path of an image's label, a PNG. {name} is what the `*` in the last part of
          the glob matched (`*_rgb.png` matches a_rgb.png with "a"). {folder} is the image's
          folder below the part of the glob without wildcards. Without this key the set has
          no labels. With it, a split without any label file is unlabelled, but at least one
          split must have labels.
splits:   the word for {split} in each split, by default {train: train, test: test}. If
          `images` has no {split}: two list files with one image per line, by its path or
          its {name}, such as {train: lists/train.txt, test: lists/val.txt}. `test` may be
          left out.
ids:      the name of each id in the labels; two ids may share a name. Or:
colours:  the name of each colour, {"128,64,128": road, "#4682b4": sky}.
channel:  red, green or blue, the channel that holds the ids. Without this key, labels must
          have a single channel.
ignored:  an id or colour, or a list of them, whose pixels are ignored.

An id or colour that is listed nowhere is an error, which names the file and the pixel.
Classes that `data.classes` does not name are ignored. In YAML, patterns that begin with {
or * need quotes, and so do colours.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tfdam import config as config_lib
from tfdam import files
from tfdam.data import examples
from tfdam.data import labels as labels_lib

FILE = "dataset.yaml"

_CHANNELS = {"red": 0, "green": 1, "blue": 2}
_MAX_ID = 65535
# The file's largest size: room for 10,000 ids with their names, read in a few seconds.
_MAX_BYTES = 1 << 18
# The longest text, such as a path.
_MAX_TEXT = 512
# The deepest nesting of entries; valid files need two levels.
_MAX_DEPTH = 8
# Characters of a value that an error shows.
_MAX_SHOWN = 200
_FIELDS = {"images": {"split"}, "labels": {"split", "folder", "name"}}


@dataclasses.dataclass(frozen=True)
class Spec:
  """A valid dataset.yaml.

  Attributes:
    path: the file, for errors.
    images: the pattern of the images.
    labels: the pattern of the labels; None for a set without labels.
    splits: {split: its word for {split}, or its list file (`uses_lists`)}.
    ids: {id: name}; empty if labels hold colours.
    colours: {(red, green, blue): name}; empty if labels hold ids.
    channel: the position of the channel that holds ids; None for a single channel.
    ignored: the ids or colours whose pixels are ignored.
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
    config.UserError: the file is missing or no YAML, or an entry is unknown or not valid.
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
          f"{path} has the unknown key '{_plain(key)}'; expected {', '.join(known)}."
          f"{config_lib.nearest(str(key), known)} Mend that file."
        )

  def __contains__(self, key: str) -> bool:
    return self._values.get(key) is not None

  def error(self, came: str, expected: str) -> config_lib.UserError:
    return config_lib.UserError(
      f"{self._path} {came}; expected {expected}. Mend that file."
    )

  def pattern(self, key: str) -> str | None:
    """Returns a relative path that may hold {fields}; None without this entry."""
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
    """Returns {parsed id or colour: class name}; empty without this entry."""
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


class _PlainLoader(yaml.SafeLoader):
  """Reads YAML as plain values: dicts, lists, text, whole numbers, True, False, None.

  No objects are made from tags, and dates are text. What YAML would read differently from
  what its writer meant is refused, such as equal keys and 010, which YAML reads as 8. So
  are aliases, a few of which can make billions of values.
  """

  def __init__(self, text: str, path: str):
    super().__init__(text)
    self._path = path

  def document(self) -> Any:
    """Returns the value of the file's only document; None for an empty file."""
    self.get_event()  # the stream's start
    if self.check_event(yaml.StreamEndEvent):
      return None
    self.get_event()  # the document's start
    value = self._value(0)
    self.get_event()  # its end
    if not self.check_event(yaml.StreamEndEvent):
      raise self._refused(self.get_event(), "a second document begins", "one")
    return value

  def _value(self, depth: int) -> Any:
    event = self.get_event()
    if isinstance(event, yaml.AliasEvent):
      raise self._refused(
        event,
        f"has the alias *{event.anchor:.99}",
        "the value itself (text with * in quotes)",
      )
    if event.tag is not None:
      tag = event.tag.replace("tag:yaml.org,2002:", "!!")
      raise self._refused(event, f"has the tag {tag:.99}", "none (text in quotes)")
    if isinstance(event, yaml.ScalarEvent):
      return self._scalar(event)
    if depth == _MAX_DEPTH:
      raise self._refused(event, f"is nested more than {depth} deep", "an entry as above")
    if isinstance(event, yaml.SequenceStartEvent):
      items = []
      while not self.check_event(yaml.SequenceEndEvent):
        items.append(self._value(depth + 1))
      self.get_event()
      return items
    entries: dict[Any, Any] = {}
    while not self.check_event(yaml.MappingEndEvent):
      at = self.peek_event()
      key = self._value(depth + 1)
      if isinstance(key, (dict, list)):
        raise self._refused(at, f"has the key {_plain(key)}", "text or a number")
      if key in entries:
        raise self._refused(at, f"has {_plain(key)} twice", "each once")
      entries[key] = self._value(depth + 1)
    self.get_event()
    return entries

  def _scalar(self, event: yaml.ScalarEvent) -> Any:
    text = event.value
    # Control characters, surrogates, and separators of lines and paragraphs.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
      raise self._refused(event, f"has the text {text!a:.99}", "text on one line")
    if len(text) > _MAX_TEXT:
      raise self._refused(
        event, f"has a text of {len(text):,} characters", f"at most {_MAX_TEXT:,}"
      )
    if not event.implicit[0]:  # in quotes
      return text
    kind = self.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]
    if kind == "int":
      if re.fullmatch("-?(0|[1-9][0-9]{0,17})", text):
        return int(text)
      raise self._refused(
        event,
        f"has {text:.99}, to YAML an octal, hexadecimal, binary or base-60 number, or one"
        " in groups of digits",
        "at most 18 decimal digits alone (text in quotes)",
      )
    return {"null": None, "bool": text.lower() in ("yes", "true", "on")}.get(kind, text)

  def _refused(self, event: yaml.Event, came: str, expected: str) -> config_lib.UserError:
    return config_lib.UserError(
      f"{self._path}, line {event.start_mark.line + 1}: {came}; expected {expected}. Mend"
      " that file."
    )


def _load_yaml(path: str) -> Any:
  try:
    with files.open_regular(path) as file:
      content = file.read(_MAX_BYTES + 1)
  except OSError as error:
    raise config_lib.UserError(
      f"{path} cannot be read ({error.strerror}); expected the file that says where images"
      ' and labels lie (docs/data.md, "Your own scenes"). Write it, or set'
      " --config.data.root (--data_root of evaluate and export) to the folder above."
    ) from error
  if len(content) > _MAX_BYTES:
    raise config_lib.UserError(
      f"{path} has more than {_MAX_BYTES // 1024:,} KiB; expected a few lines of YAML. Mend"
      " that file."
    )
  try:
    return _PlainLoader(content.decode("utf-8"), path).document()
  except (yaml.YAMLError, UnicodeDecodeError) as error:
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
  """Returns a value as YAML writes it, on one line and shortened for errors."""
  text = yaml.safe_dump(
    value, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True
  )
  text = text.replace("\n...", "").strip()
  return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
