"""Unites several targets in one split that knows which target each image belongs to.

In `data.target`, "+" joins their names: "camvid/day+camvid/dusk".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import scenes as scenes_lib


def names(target: str, known: Collection[str]) -> tuple[str, ...]:
  """Splits `target` into the names of its data sets.

  A user's own folder may have a "+" in its name. After "folder:NAME", a "+" only separates
  if the name of a data set follows.

  Args:
    target: names joined with "+".
    known: the names of the registry.
  """
  found: list[str] = []
  for name in target.split("+"):
    is_own_name = bool(found) and ":" in found[-1] and name.partition(":")[0] not in known
    if is_own_name:
      found[-1] += f"+{name}"
    else:
      found.append(name)
  return tuple(found)


def united(
  splits: Mapping[str, scenes_lib.Split],
  options: config_lib.Data,
  every: Sequence[str] = (),
) -> scenes_lib.Split:
  """Concatenates splits; a single target's split is returned unchanged.

  Args:
    splits: {name: split}, for the same task.
    options: `height`, `width` and `channels`, to which images in memory are resized if
      their sizes differ.
    every: the names of all targets, some of which may have no split here; empty for the
      names of `splits`.

  Returns:
    The images of the first split, then those of the next, with `parts`; with labels only if
    all splits have labels.

  Raises:
    config.UserError: some targets are street scenes and others are not, or they name their
      classes differently.
  """
  every = tuple(every) or tuple(splits)
  parts = list(splits.values())
  if len(every) == 1:
    return parts[0]
  sizes = [len(split) for split in parts]
  of = np.repeat([every.index(name) for name in splits], sizes)
  common: dict[str, Any] = {
    "digests": {
      f"{name} {what}": digest
      for name, split in splits.items()
      for what, digest in split.digests.items()
    },
    "notes": tuple(dict.fromkeys(note for split in parts for note in split.notes)),
    "parts": examples_lib.Parts(every, of),
  }
  scenes = [split for split in parts if isinstance(split, scenes_lib.Scenes)]
  if len(scenes) == len(parts):
    return _united_scenes(scenes, common)
  # A user's own images without labels suit either task; here all splits are in memory.
  examples = [split for split in parts if isinstance(split, examples_lib.Examples)]
  if scenes:
    raise config_lib.UserError(
      f"The targets {', '.join(splits)} are not alike: some are street scenes, others"
      " images.",
      "Set data.target.",
    )
  return dataclasses.replace(
    _united_examples(examples, options), class_names=_class_names(splits), **common
  )


def part(split: scenes_lib.Split, name: str) -> scenes_lib.Split:
  """Returns the images of one target, in order."""
  assert split.parts is not None
  return dataclasses.replace(split.take(split.parts.where(name)), parts=None)


def parts(split: scenes_lib.Split) -> dict[str, scenes_lib.Split]:
  """Returns {target: its images} for targets with images; empty without parts."""
  every = {name: part(split, name) for name in (split.parts.names if split.parts else ())}
  return {name: images for name, images in every.items() if len(images)}


def _united_scenes(
  parts: Sequence[scenes_lib.Scenes], common: Mapping[str, Any]
) -> scenes_lib.Scenes:
  starts = np.cumsum([0, *(len(scenes) for scenes in parts)])

  def found(i: int) -> tuple[scenes_lib.Scenes, int]:
    which = int(np.searchsorted(starts, i, side="right")) - 1
    return parts[which], i - int(starts[which])

  def read_image(i: int) -> np.ndarray:
    scenes, own = found(i)
    return scenes.read_image(own)

  def read_label(i: int) -> np.ndarray:
    scenes, own = found(i)
    assert scenes.read_label is not None
    return scenes.read_label(own)

  return scenes_lib.Scenes(
    names=[name for scenes in parts for name in scenes.names],
    read_image=read_image,
    read_label=read_label if all(scenes.has_labels for scenes in parts) else None,
    class_names=parts[0].class_names,
    **common,
  )


def _united_examples(
  parts: Sequence[examples_lib.Examples], options: config_lib.Data
) -> examples_lib.Examples:
  images = [split.images for split in parts]
  if len({array.shape[1:] for array in images}) > 1:
    images = [_resized(array, options) for array in images]
  labels = [split.labels for split in parts if split.labels is not None]
  return examples_lib.Examples(
    np.concatenate(images),
    np.concatenate(labels) if len(labels) == len(parts) else None,
    digests={},
  )


def _resized(images: np.ndarray, options: config_lib.Data) -> np.ndarray:
  """Returns uint8 [N, height, width, channels], as one array needs images of one size."""
  mode = "L" if options.channels == 1 else "RGB"
  size = (options.width, options.height)
  shape = (options.height, options.width, options.channels)
  made = np.empty((len(images), *shape), np.uint8)
  for i, image in enumerate(images):
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture = picture.convert(mode).resize(size, Image.Resampling.BILINEAR)
    made[i] = np.asarray(picture).reshape(shape)
  return made


def _class_names(splits: Mapping[str, scenes_lib.Split]) -> tuple[str, ...]:
  """Returns the class names that all named targets share; empty if none has names."""
  named = {name: split.class_names for name, split in splits.items() if split.class_names}
  different = {
    name: shown for name, shown in named.items() if shown != next(iter(named.values()))
  }
  if different:
    first, other = next(iter(named)), next(iter(different))
    raise config_lib.UserError(
      "The targets' classes do not have the same names:"
      f" {', '.join(named[first][:10])} in {first}, {', '.join(different[other][:10])} in"
      f" {other}. Names sort into labels: rename the class folders of one of them.",
      "Set data.target.",
    )
  return next(iter(named.values()), ())
