"""Your own images, one folder per class: train/<class>/*.png and test/<class>/*.png.

An unlabelled split holds its images directly: train/*.png.
"""

from __future__ import annotations

import hashlib
import math
import os

import numpy as np
from absl import logging
from PIL import Image

from tfdam import config as config_lib
from tfdam import files as files_lib
from tfdam import memory
from tfdam.data import bad_images, image_files, places, scene_files, sub_folders
from tfdam.data import examples as examples_lib

INFO = examples_lib.Info(
  title="folder",
  own=True,
  files={"train": "train", "test": "test"},
  where="your own: train/<class>/*.png, test/<class>/*.png; unlabelled: no class folders",
  licence="yours",
)

_ENDINGS = (*scene_files.IMAGE_ENDINGS, ".gif")
# A file's name does not decide its decoder; these are the only ones.
_FORMATS = (*image_files.IMAGE_FORMATS, "GIF")


def class_names(folder: str, split: str) -> list[str]:
  """Returns the names of a split's class folders, sorted; a name's position is the label.

  Names that are all numbers are sorted as numbers.

  Raises:
    config.UserError: see scene_files.list_folders; or two folders have one name.
  """
  return list(_class_folders(folder, split))


def has_labels(folder: str, split: str) -> bool:
  return bool(class_names(folder, split))


def _class_folders(folder: str, split: str) -> dict[str, str]:
  """Returns {class: its folder's name on the disk}, which may use another Unicode form."""
  base = os.path.join(folder, split)
  folders: dict[str, str] = {}
  for name in scene_files.list_folders(base, _ENDINGS):
    shown = files_lib.shown(places.composed(name))
    if shown in folders:
      raise config_lib.UserError(
        f"{base} has two folders of the class '{shown}', in two forms of Unicode (NFC and"
        " NFD). Move the images of one into the other."
      )
    folders[shown] = name
  # "10" after "9", not after "1".
  by_number = folders and all(name.isdecimal() for name in folders)
  return {name: folders[name] for name in sorted(folders, key=int if by_number else None)}


def load(
  folder: str, split: str, labels: bool, options: config_lib.Data
) -> examples_lib.Examples:
  """Decodes one split to [N, height, width, channels].

  Args:
    folder: holds the split's folders.
    split: "train" or "test".
    labels: whether labels are wanted; class folders are read in any case.
    options: `height`, `width`, `channels`, `num_classes`, `on_bad_image`.

  Raises:
    config.UserError: there are no images, or none of a training class; the two splits have
      different classes; an image cannot be decoded, or too many are skipped.
  """
  base = os.path.join(folder, split)
  folders = _class_folders(folder, split)
  names = list(folders)
  _check_classes(folder, split, names, labels, options)
  files = [
    (path, label)
    for label, name in enumerate(folders.values() or [""])
    for path in scene_files.list_images(base, name, endings=_ENDINGS)
  ]
  seen = {label for _, label in files}
  empty = [name for label, name in enumerate(names) if label not in seen]
  if labels and empty and split == "train":  # a scored split may lack a class
    raise config_lib.UserError(
      f"{base} has class folders without an image ({', '.join(empty[:5])}; expected"
      f" {' '.join(_ENDINGS)}).{_found_deeper(base)} Put some there, or take the folders"
      " away."
    )
  if not files:
    raise config_lib.UserError(
      f"{base} holds no images; expected at least one.{_found_deeper(base)}"
    )
  shape = (options.height, options.width, options.channels)
  memory.check_fits(
    len(files) * math.prod(shape),
    f"The {len(files):,} images of {base} at {options.height} x {options.width}",
    "data.height and data.width lower",
  )
  images, kept, skipped = _decode_all(base, [path for path, _ in files], options)
  digest = hashlib.md5()
  for i, image in zip(kept, images):
    digest.update(os.fsencode(os.path.relpath(files[i][0], base)) + image.tobytes())
  examples = examples_lib.Examples(
    np.stack(images) if images else np.empty((0, *shape), np.uint8),
    np.array([files[i][1] for i in kept], np.int64) if labels else None,
    {f"{split}/": digest.hexdigest()},
    (f"{base}: {skipped} of {len(files)} images skipped",) if skipped else (),
    tuple(names),
  )
  return examples_lib.check(examples, base, options.num_classes)


def _found_deeper(base: str) -> str:
  """Returns a sentence on images in folders that are too deep to be read."""
  counts = {
    name: count
    for name, count in sub_folders.images(base, _ENDINGS).items()
    if os.sep in name
  }
  if not counts:
    return ""
  return (
    f" Folders in class folders have images ({sub_folders.listing(counts)}): move them into"
    " the class folder or, without labels, into the split itself."
  )


def _check_classes(
  folder: str, split: str, names: list[str], labels: bool, options: config_lib.Data
) -> None:
  """Raises config.UserError if the class folders do not give valid labels."""
  base = os.path.join(folder, split)
  if labels and not names:
    raise config_lib.UserError(
      f"{base} has no class folders, but its labels are needed here; expected"
      f" {base}/<class>/*.png. Put the images into one folder per class."
    )
  if names and scene_files.list_images(base, endings=_ENDINGS):
    raise config_lib.UserError(
      f"{base} holds images beside the class folders {', '.join(names[:5])}. Move them into"
      " a class folder, or, for an unlabelled split, the folders away."
    )
  other = class_names(folder, examples_lib.SPLITS[split == "train"])
  if labels and other and other != names:
    raise config_lib.UserError(
      f"{folder}: train/ and test/ have different class folders"
      f" ({', '.join(sorted(set(names) ^ set(other)))} only in one). Give both the same; in"
      " test/ a folder may be empty."
    )
  if labels and len(names) != options.num_classes:
    raise config_lib.UserError(
      f"{base} has {len(names)} class folders ({', '.join(names[:5])});"
      f" data.num_classes is {options.num_classes}.",
      "Set data.num_classes; if they are no classes but cameras, say, put the images into"
      f" {base} itself.",
    )


def _decode_all(
  base: str, paths: list[str], options: config_lib.Data
) -> tuple[list[np.ndarray], list[int], int]:
  """Decodes files in threads.

  Returns:
    The images, their positions in `paths`, and how many were skipped.
  """
  images, kept, skipped = [], [], 0
  with scene_files.decoders() as pool:
    decoded = pool.map(lambda path: _decode(path, options), paths)
    with scene_files.with_patience(decoded, f"decoding {base}", len(paths)) as patient:
      for i, image in enumerate(patient):
        if isinstance(image, image_files.BadImage):
          skipped += 1
          _skip_or_raise(paths[i], image, skipped, len(paths), options.on_bad_image)
        else:
          images.append(image)
          kept.append(i)
  return images, kept, skipped


def _decode(path: str, options: config_lib.Data) -> np.ndarray | image_files.BadImage:
  try:
    image = Image.fromarray(image_files.read_image(path, _FORMATS))
  except image_files.BadImage as error:
    return error
  image = image.convert("L" if options.channels == 1 else "RGB")
  image = image.resize((options.width, options.height), Image.Resampling.BILINEAR)
  shape = (options.height, options.width, options.channels)
  return np.asarray(image, np.uint8).reshape(shape)


def _skip_or_raise(
  path: str,
  error: image_files.BadImage,
  skipped: int,
  total: int,
  on_bad_image: str,
) -> None:
  if on_bad_image == "fail":
    raise error
  logging.warning("Skipped: %s", error)
  if skipped > max(1, bad_images.MAX_SKIPPED * total):
    raise config_lib.UserError(
      f"{skipped} of {total} images cannot be decoded, {path} the last; at most"
      f" {bad_images.MAX_SKIPPED:.0%} are skipped. Is this the right folder?"
    )
