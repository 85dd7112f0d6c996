"""Your own images as one NumPy file per split: train.npz and test.npz."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from tfdam import claims, files, memory
from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import places

INFO = examples_lib.Info(
  title="npz",
  own=True,
  files={"train": "train.npz", "test": "test.npz"},
  where="your own: numpy.savez(path, images=uint8 [N, H, W(, C)], labels=int [N])",
  licence="yours",
)


# The largest header that NumPy itself writes, in bytes.
_HEADER = 12 + 10_000
_NPY = b"\x93NUMPY"


def has_labels(folder: str, split: str) -> bool:
  """Whether the split's file has an array `labels`; False without a file."""
  path = _path(folder, split)
  return places.is_there(path) and "labels" in _read(path, ())


def load(
  folder: str, split: str, labels: bool, options: config_lib.Data
) -> examples_lib.Examples:
  """Reads `images` (uint8 [N, H, W(, C)]) and, if asked, `labels` (integers [N]).

  Images of another size are resized to the options' size with Pillow's bilinear filter,
  which averages pixels when it shrinks an image.

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
  examples = examples_lib.Examples(images, label_array, {})
  examples_lib.check(examples, path, options.num_classes)
  digests = {
    f"{split}.npz/{name}": examples_lib.md5(array)
    for name, array in arrays.items()
    if array is not None
  }
  return dataclasses.replace(examples, images=_resized(images, options), digests=digests)


def _resized(images: np.ndarray, options: config_lib.Data) -> np.ndarray:
  """Returns uint8 [N, height, width, C], resized by Pillow as the exports' clients do."""
  size = (options.width, options.height)
  if images.shape[2:0:-1] == size:
    return images
  shape = (len(images), options.height, options.width, images.shape[3])
  memory.check_fits(
    math.prod(shape),
    f"{len(images):,} images at {options.height} x {options.width}",
    "data.height and data.width lower",
  )
  result = np.empty(shape, np.uint8)
  for image, place in zip(images, result):
    # Pillow takes grey images without a channel axis.
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    place[:] = np.asarray(picture).reshape(place.shape)
  return result


def _read(path: str, wanted: tuple[str, ...]) -> dict[str, Any]:
  """Returns {name: array} for the wanted arrays, {name: None} for the file's others."""
  try:
    with files.open_regular(path) as file:
      size = file.seek(0, os.SEEK_END)
      file.seek(0)
      if file.read(len(_NPY)) == _NPY:
        raise config_lib.UserError(
          f"{path} is a single array (.npy); expected an .npz file."
        )
      archive = zipfile.ZipFile(file)
      members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
      arrays = {
        name: _array(path, archive, info, size) if name in wanted else None
        for name, info in members.items()
      }
  except (config_lib.UserError, PermissionError):
    raise
  # NumPy and zipfile raise ValueError, OSError, BadZipFile, EOFError, zlib.error and
  # others.
  except Exception as error:
    raise config_lib.UserError(
      f"{path} cannot be read: it is damaged, holds an array of Python objects, or is no"
      f" .npz file ({error}). Expected plain arrays: {INFO.where.partition(': ')[2]}."
    ) from error
  for name in wanted:
    if name not in arrays:
      raise config_lib.UserError(
        f"{path} holds {', '.join([*arrays][:10]) or 'nothing'}; expected an array"
        f" '{name}'."
      )
  return arrays


def _array(
  path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int
) -> np.ndarray:
  """Reads one array, if its own header and the archive's fit a file of `size` bytes."""
  if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
    raise ValueError(f"{info.filename} is packed in another way than NumPy's")
  ratio = claims.DEFLATE if info.compress_type == zipfile.ZIP_DEFLATED else 1
  stored = min(info.compress_size, size)
  claims.check(path, info.filename, info.file_size, stored, ratio)
  with archive.open(info) as file:
    header = io.BytesIO(file.read(_HEADER))
  version = np.lib.format.read_magic(header)
  if version == (1, 0):
    shape, _, dtype = np.lib.format.read_array_header_1_0(header)
  else:
    shape, _, dtype = np.lib.format.read_array_header_2_0(header)
  if not dtype.hasobject:  # an array of objects has no size here; reading it raises
    claimed, held = math.prod(shape) * dtype.itemsize, info.file_size - header.tell()
    claims.check(path, f"{info.filename} ({dtype} {shape})", claimed, held)
    if held > claimed:
      raise ValueError(f"{held - claimed:,} bytes are behind {info.filename}")
  with archive.open(info) as file:
    # Without allow_pickle an array of Python objects raises: unpickling runs foreign code.
    return np.lib.format.read_array(file, allow_pickle=False)


def _path(folder: str, split: str) -> str:
  return os.path.join(folder, f"{split}.npz")
