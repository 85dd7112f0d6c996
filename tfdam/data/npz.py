"""Your own images as one NumPy file a split: train.npz and test.npz."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
from PIL import Image

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib

INFO = examples_lib.Info(
  title="npz",
  own=True,
  files={"train": "train.npz", "test": "test.npz"},
  where="your own: numpy.savez(path, images=uint8 [N, H, W(, C)], labels=int [N])",
  licence="yours",
)


def has_labels(folder: str, split: str) -> bool:
  """Whether there is an array `labels`; an unlabelled target leaves it or the file out."""
  path = _path(folder, split)
  return os.path.exists(path) and "labels" in _read(path, ())


def load(
  folder: str, split: str, labels: bool, options: config_lib.Data
) -> examples_lib.Examples:
  """Reads `images` (uint8 [N, H, W(, C)]) and, if asked, `labels` (integers [N]).

  Images of another size are resized, averaged where they become smaller.

  Args:
    folder: holds train.npz and test.npz.
    split: "train" or "test".
    labels: whether to read the array `labels`.
    options: `height`, `width`, `num_classes`.

  Raises:
    config.UserError: the file is missing or damaged, or an array has another type or shape.
  """
  path = _path(folder, split)
  arrays = _read(path, ("images", "labels") if labels else ("images",))
  images = arrays["images"]
  if images.ndim == 3:
    images = images[..., np.newaxis]
  label_array = None
  if labels:
    if not np.issubdtype(arrays["labels"].dtype, np.integer):
      raise config_lib.UserError(
        f"{path}: labels are {arrays['labels'].dtype} {arrays['labels'].shape}; expected"
        " integers [N]."
      )
    label_array = arrays["labels"].astype(np.int64)
  digests = {
    f"{split}.npz/{name}": examples_lib.md5(array.tobytes())
    for name, array in arrays.items()
    if array is not None
  }
  examples = examples_lib.Examples(images, label_array, digests)
  examples_lib.check(examples, path, options.num_classes)
  return dataclasses.replace(examples, images=_resized(images, options))


def _resized(images: np.ndarray, options: config_lib.Data) -> np.ndarray:
  """Uint8 [N, height, width, C], as Pillow and hence exports' clients resize."""
  size = (options.width, options.height)
  if images.shape[2:0:-1] == size:
    return images
  result = np.empty([len(images), options.height, options.width, images.shape[3]], np.uint8)
  for image, place in zip(images, result):
    # Grey images have two axes in Pillow.
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    place[:] = np.asarray(picture).reshape(place.shape)
  return result


def _read(path: str, wanted: tuple[str, ...]) -> dict[str, Any]:
  """Returns {name: array} of the arrays wanted, {name: None} of the others in the file."""
  try:
    with open(path, "rb") as file:
      # Without allow_pickle an array of Python objects raises: unpickling runs foreign
      # code.
      archive = np.load(file, allow_pickle=False)
      names = getattr(archive, "files", None)
      arrays = {name: archive[name] if name in wanted else None for name in names or ()}
  # NumPy and zipfile raise ValueError, OSError, BadZipFile, EOFError, zlib.error and
  # others.
  except Exception as error:
    raise config_lib.UserError(
      f"{path} cannot be read: it is damaged, holds an array of Python objects, or is no"
      f" .npz file ({error}). Expected plain arrays: {INFO.where.partition(': ')[2]}."
    ) from error
  if names is None:
    raise config_lib.UserError(f"{path} is a single array (.npy); expected an .npz file.")
  for name in wanted:
    if name not in arrays:
      raise config_lib.UserError(
        f"{path} holds {', '.join(names) or 'nothing'}; expected an array '{name}'."
      )
  return arrays


def _path(folder: str, split: str) -> str:
  return os.path.join(folder, f"{split}.npz")
