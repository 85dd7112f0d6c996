"""Makes Scenes from a list of image files, each with a label file.

All files are checked first, by their headers and their ends.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence

import numpy as np
import rich.console
import rich.progress

from tfdam import config as config_lib
from tfdam import files, memory
from tfdam.data import examples, image_files, places, scenes, sub_folders
from tfdam.data import labels as labels_lib

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
# So many of a split's files go into its checksum with their content.
_DIGESTED_FILES = 64
_BLOCK = 1 << 20
# Bytes per pixel that decoding needs, for Pillow's image and the array.
_DECODED = 10
# Checks that take longer than this show a progress bar.
_PATIENCE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Split:
  """One split's files.

  Attributes:
    info: the data set's facts; its `sizes` are checked.
    name: "train" or "test".
    folder: the data set's folder; checksums use paths relative to it.
    images: paths, in the order of the scenes.
    labels: path of each image's label; None if labels were not asked for.
    expected: where images and labels belong, for errors.
  """

  info: examples.Info
  name: str
  folder: str
  images: Sequence[str]
  labels: Sequence[str] | None
  expected: str


def load(
  split: Split,
  read_label: Callable[[str], np.ndarray],
  options: config_lib.Data,
  notes: tuple[str, ...] = (),
  shape_tolerance: float = 0.0,
) -> scenes.Scenes:
  """Checks the files' headers and returns them as Scenes.

  Args:
    split: the files.
    read_label: reads the label at a path, uint8 [H, W].
    options: `classes`, `on_bad_image`, `require_canonical`.
    notes: the data set's notes; a note on a number of images that is not the official one
      is added.
    shape_tolerance: by which fraction a label's aspect ratio may differ from its image's if
      their sizes differ; such a label is resized (nearest). 0: sizes must be equal.

  Raises:
    config.UserError: there are no images, or a label is missing or of another size; with
      on_bad_image=fail, a header cannot be read; with require_canonical, the number of
      images is not the official one.
  """
  if not split.images:
    raise config_lib.UserError(
      f"{split.folder} has no {split.name} images; expected {split.expected}."
      f"{_found_deeper(split)} Put them"
      f" there ({split.info.where}), or set --config.data.root (--data_root of evaluate and"
      " export) to the folder above it."
    )
  if split.name in split.info.sizes:
    notes = (
      *examples.canonical_notes(
        split.info, split.name, len(split.images), [], options.require_canonical
      ),
      *notes,
    )
  notes += _notes_on_sub_folders(split)
  if split.labels is not None:
    _check_labels_exist(split)
  resized = _check_headers(split, options.on_bad_image == "skip", shape_tolerance)
  if resized:
    first = ", ".join(os.path.basename(split.images[i]) for i in list(resized)[:5])
    notes += (
      f"{split.folder}: {len(resized)} of {len(split.images):,} labels have another size"
      f" than their images ({first}{', ...' if len(resized) > 5 else ''}) and are resized",
    )

  def read_scene_label(index: int) -> np.ndarray:
    assert split.labels is not None
    label = read_label(split.labels[index])
    return _nearest(label, *resized[index]) if index in resized else label

  return scenes.Scenes(
    names=split.images,
    read_image=lambda index: image_files.read_image(split.images[index]),
    read_label=None if split.labels is None else read_scene_label,
    class_names=labels_lib.class_names(options),
    digests=_digests(split),
    notes=notes,
  )


def decoders(usual: int = 0) -> concurrent.futures.ThreadPoolExecutor:
  """Returns threads for decoding files; Pillow decodes without holding Python's lock.

  There are no more threads than could decode images of the largest size at once in half of
  the available memory.

  Args:
    usual: the number of threads if memory suffices; 0 for Python's default.
  """
  usual = usual or min(32, (os.cpu_count() or 1) + 4)
  half = memory.available() // 2  # 0: not known
  fitting = max(1, half // (image_files.MAX_PIXELS * _DECODED)) if half else usual
  return concurrent.futures.ThreadPoolExecutor(min(usual, fitting), "scenes")


def list_images(
  folder: str, *parts: str, endings: tuple[str, ...] = IMAGE_ENDINGS
) -> list[str]:
  """Returns the paths of the images in a folder, sorted; none if there is no such folder.

  Raises:
    config.UserError: the folder may not be listed, or is no folder.
  """
  base = os.path.join(folder, *parts)
  if not places.is_folder(base):
    return []
  return [
    os.path.join(base, name)
    for name in files.list_folder(base)
    if is_image(name, endings) and not name.startswith(".")
  ]


def list_folders(base: str, endings: tuple[str, ...] = IMAGE_ENDINGS) -> list[str]:
  """Returns the names of a folder's sub-folders, sorted; none if there is no such folder.

  Hidden folders are left out. So is whatever is named like an image, even a folder: reading
  it as an image says what is wrong.

  Raises:
    config.UserError: `base` may not be listed or is no folder; it holds something that is
      neither file nor folder, such as a pipe or a broken link; or a link in it leads to
      `base` itself or to another of its folders.
  """
  if not places.is_folder(base):
    return []
  found: dict[str, str] = {}
  for name in files.list_folder(base):
    path = os.path.join(base, name)
    if name.startswith(".") or is_image(name, endings) or os.path.isfile(path):
      continue
    places.is_folder(path)
    real = os.path.realpath(path)
    other = base if _lies_in(os.path.realpath(base), real) else found.get(real)
    if other is not None:
      raise config_lib.UserError(
        f"{path} is a link to what holds or is {other}: its images would be read twice."
        " Take the link away."
      )
    found[real] = path
  return [os.path.basename(path) for path in found.values()]


def _lies_in(path: str, folder: str) -> bool:
  return os.path.commonpath([path, folder]) == folder


def is_image(name: str, endings: tuple[str, ...] = IMAGE_ENDINGS) -> bool:
  return name.lower().endswith(endings)


def same_names(images: Sequence[str], folder: str, *parts: str) -> list[str]:
  """Returns, for each image, the path of the PNG with the same name in another folder."""
  stems = (os.path.splitext(os.path.basename(path))[0] for path in images)
  on_disk = places.Finder()
  return [on_disk(os.path.join(folder, *parts, f"{stem}.png")) for stem in stems]


def last_part(paths: Sequence[str], divisor: int, title: str) -> tuple[list[str], str]:
  """Returns the test split of a set that has no official one: its last images.

  Args:
    paths: of all images.
    divisor: 1 / divisor of the images are taken, at least one.
    title: the set's name for the note.

  Returns:
    Their paths, and a note that the training split, which is the whole set, has them too.
  """
  count = max(1, len(paths) // divisor)
  note = (
    f"{title} test: no official split, so the last {count:,} images, which are training"
    " images as well: no held-out score"
  )
  return list(paths[-count:]) if paths else [], note


def _found_deeper(split: Split) -> str:
  """Returns a sentence on images in sub-folders and how to read them; empty without any."""
  own = split.info.own
  inner = "" if own else split.info.files[split.name]
  counts = sub_folders.images(os.path.join(split.folder, inner), IMAGE_ENDINGS)
  if not counts:
    return ""
  found = f" Its sub-folders have images ({sub_folders.listing(counts)}): "
  if own:
    return (
      f"{found}'**/' in 'images' is folders to any depth, {{folder}} in 'labels' the"
      " image's."
    )
  return (
    f"{found}describe them with a dataset.yaml, as scenes:NAME (docs/data.md), with"
    f" patterns such as {inner}/**/*.png."
  )


def _notes_on_sub_folders(split: Split) -> tuple[str, ...]:
  """Returns notes on images in sub-folders that a fixed layout does not read."""
  if split.info.own:  # its patterns say what is an image
    return ()
  return tuple(
    f"{folder}: images in its sub-folders are left out ({sub_folders.listing(counts)})"
    for folder in sorted({os.path.dirname(path) for path in split.images})
    if (counts := sub_folders.images(folder, IMAGE_ENDINGS))
  )


def _check_labels_exist(split: Split) -> None:
  assert split.labels is not None
  missing = [i for i, path in enumerate(split.labels) if not places.is_there(path)]
  if missing:
    i = missing[0]
    raise config_lib.UserError(
      f"{split.images[i]} has no label: {split.labels[i]} is not there"
      f" ({len(missing):,} of {len(split.images):,} {split.name} images have none)."
      f" Expected {split.expected}. Put the label there or take the image away."
    )
  owners: dict[str, str] = {}
  for image, label in zip(split.images, split.labels):
    if owners.setdefault(label, image) != image:
      raise config_lib.UserError(
        f"{owners[label]} and {image} have one label, {label}; expected one each"
        f" ({split.expected}). Rename one of them, or tell them apart by {{folder}} in the"
        " 'labels' of a dataset.yaml."
      )


def _check_headers(
  split: Split, skip: bool, shape_tolerance: float
) -> dict[int, tuple[int, int]]:
  """Returns {index: (height, width)} for the images whose labels must be resized."""
  resized = {}
  labels: Iterable[str | None] = itertools.repeat(None)
  # A few threads: opening a file waits for the disk, which may be a network disk.
  with decoders(8) as pool:
    checked = pool.map(_checked, split.images, split.labels or labels)
    what = f"checking {split.folder}"
    try:
      with with_patience(checked, what, len(split.images)) as patient:
        for i, (image, label, error) in enumerate(patient):
          if error is not None and not skip:
            raise error
          if image is None or label is None:
            continue
          if image.turned:
            raise config_lib.UserError(
              f"{split.images[i]} is turned by its EXIF orientation, and a label has none:"
              " they might not fit. Turn its pixels (jpegtran, or Pillow's"
              " ImageOps.exif_transpose) and drop the tag."
            )
          if (image.height, image.width) != (label.height, label.width):
            _check_shape(split, i, image, label, shape_tolerance)
            resized[i] = (image.height, image.width)
    finally:
      pool.shutdown(wait=False, cancel_futures=True)
  return resized


def _checked(image_path: str, label_path: str | None):
  """Returns both files' headers, the label's None if not wanted, and an error or None."""
  try:
    image = image_files.image_header(image_path)
    return image, label_path and image_files.label_header(label_path), None
  except image_files.BadImage as error:
    return None, None, error


def _check_shape(
  split: Split,
  i: int,
  image: image_files.Header,
  label: image_files.Header,
  tolerance: float,
) -> None:
  ratio = (label.height * image.width) / (label.width * image.height)
  if not 1 - tolerance < ratio < 1 + tolerance:
    assert split.labels is not None
    raise config_lib.UserError(
      f"{split.labels[i]} is {label.width} x {label.height} pixels, but its image"
      f" {split.images[i]} is {image.width} x {image.height}; expected the same size. Is it"
      " the label of another image? Mend it, or take both away."
    )


def _nearest(label: np.ndarray, height: int, width: int) -> np.ndarray:
  """Returns the label resized to `height` x `width` by taking the nearest pixels."""
  rows = (np.arange(height) + 0.5) * label.shape[0] / height
  columns = (np.arange(width) + 0.5) * label.shape[1] / width
  return label[rows.astype(int)[:, np.newaxis], columns.astype(int)]


def with_patience(items: Iterable, what: str, total: int) -> contextlib.closing:
  """Iterates over `items`; after some seconds, a terminal shows a progress bar.

  This is a context because an error keeps the generator alive until the program ends, and
  there Python 3.13 stops the bar's thread before the bar can be closed.
  """
  return contextlib.closing(_patient(items, what, total))


def _patient(items: Iterable, what: str, total: int) -> Generator:
  start, done, bar = time.monotonic(), 0, None
  try:
    for item in items:
      if bar is None and time.monotonic() - start > _PATIENCE_SECONDS:
        console = rich.console.Console(stderr=True)
        bar = rich.progress.Progress(
          *rich.progress.Progress.get_default_columns(),
          console=console,
          transient=True,
          disable=not sys.stderr.isatty(),
        )
        bar.start()
        task = bar.add_task(files.markup(what), total=total)
      done += 1
      if bar is not None:
        bar.update(task, completed=done)
      yield item
  finally:
    if bar is not None:
      bar.stop()


def _digests(split: Split) -> dict[str, str]:
  """Returns checksums of the images and, if asked for, of the labels.

  Reading whole sets for a checksum would take too long. So it covers the names and sizes of
  all files, and the content of up to 64 of them, evenly spread, with the first and last.
  """
  digests = {f"{split.name} images": _digest(split.folder, split.images)}
  if split.labels is not None:
    digests[f"{split.name} labels"] = _digest(split.folder, split.labels)
  return digests


def _digest(folder: str, paths: Sequence[str]) -> str:
  digest = hashlib.md5()
  for path in paths:
    size = os.path.getsize(path) if os.path.exists(path) else -1
    digest.update(os.fsencode(f"{os.path.relpath(path, folder)}\0{size}\n"))
  spread = np.linspace(0, len(paths) - 1, min(len(paths), _DIGESTED_FILES))
  for i in np.unique(spread.astype(int)):
    try:
      digest.update(_md5(paths[i]))
    # Only with on_bad_image=skip. Reading the scene says what is wrong.
    except (OSError, config_lib.UserError):
      digest.update(b"unreadable")
  return digest.hexdigest()


def _md5(path: str) -> bytes:
  digest = hashlib.md5()
  with files.open_regular(path) as file:
    while block := file.read(_BLOCK):
      digest.update(block)
  return digest.digest()
