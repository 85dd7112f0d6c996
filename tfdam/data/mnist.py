"""MNIST in its official idx files, gzipped or plain."""

from __future__ import annotations

import math
import os
import struct

import numpy as np

from tfdam import claims
from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import places

_PREFIX = {"train": "train", "test": "t10k"}
_WHERE = "https://storage.googleapis.com/cvdf-datasets/mnist/"

# MD5 of the uncompressed files.
_OFFICIAL = {
  "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
  "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
  "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
  "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

INFO = examples_lib.Info(
  title="MNIST",
  files={
    s: f"{p}-images-idx3-ubyte.gz or {p}-images-idx3-ubyte" for s, p in _PREFIX.items()
  },
  label_files={
    s: f"{p}-labels-idx1-ubyte.gz or {p}-labels-idx1-ubyte" for s, p in _PREFIX.items()
  },
  where=_WHERE,
  licence="CC BY-SA 3.0",
  sizes={"train": 60_000, "test": 10_000},
  downloads=tuple(
    examples_lib.Download(f"{_WHERE}{name}.gz", digest)
    for name, digest in _OFFICIAL.items()
  ),
)

# idx: two zero bytes, type 8 (unsigned byte), number of dimensions.
_IMAGES_MAGIC, _LABELS_MAGIC = 0x0803, 0x0801


def has_labels(folder: str, split: str) -> bool:
  return _path(folder, _labels_name(split)) is not None


def load(
  folder: str, split: str, labels: bool, options: config_lib.Data
) -> examples_lib.Examples:
  """Reads one split: images [N, 28, 28, 1], labels 0 to 9.

  Args:
    folder: holds the idx files.
    split: "train" or "test".
    labels: whether to open the label file.
    options: `require_canonical` and `num_classes`.

  Raises:
    config.UserError: a file is missing, truncated or no idx file, or images and labels
      differ in number.
  """
  digests = {}
  images, digests[_images_name(split)] = _read(folder, _images_name(split), _IMAGES_MAGIC)
  label_array = None
  if labels:
    label_array, digests[_labels_name(split)] = _read(
      folder, _labels_name(split), _LABELS_MAGIC
    )
    label_array = label_array.astype(np.int64)
  wrong = [name for name, digest in digests.items() if digest != _OFFICIAL[name]]
  notes = examples_lib.canonical_notes(
    INFO, split, len(images), wrong, options.require_canonical
  )
  examples = examples_lib.Examples(images[..., np.newaxis], label_array, digests, notes)
  where = f"MNIST's {split} split in {folder}"
  return examples_lib.check(examples, where, options.num_classes)


def _images_name(split: str) -> str:
  return f"{_PREFIX[split]}-images-idx3-ubyte"


def _labels_name(split: str) -> str:
  return f"{_PREFIX[split]}-labels-idx1-ubyte"


def _path(folder: str, name: str) -> str | None:
  return places.find(folder, name + ".gz", name)


def _read(folder: str, name: str, magic: int) -> tuple[np.ndarray, str]:
  """Decodes an idx file of unsigned bytes.

  One byte more than the header promises is read, to see whether there is more.

  Returns:
    The array, uint8, in the header's shape, and the MD5 of the uncompressed file.
  """
  path = _path(folder, name)
  if path is None:
    raise config_lib.UserError(
      f"{os.path.join(folder, name)}(.gz) is missing. Get it from {INFO.where}."
    )
  header_size = 4 + 4 * (magic & 0xFF)
  with examples_lib.opened(path, INFO.where) as file:
    header = file.read(header_size)
    shape = _shape(path, header, magic)
    size, promised = math.prod(shape), " x ".join(map(str, shape))
    stored = os.fstat(file.fileno()).st_size
    ratio = claims.DEFLATE if path.endswith(".gz") else 1
    claims.check(path, f"data ({promised})", size, stored, ratio)
    content = header + file.read(size + 1)
  held = len(content) - header_size
  if held != size:
    raise config_lib.UserError(
      f"{path} holds {'at least ' if held > size else ''}{held} bytes of data; its header"
      f" promises {promised}. It is truncated or damaged: get it again from {INFO.where}."
    )
  pixels = np.frombuffer(content, np.uint8, offset=header_size)
  return pixels.reshape(shape), examples_lib.md5(content)


def _shape(path: str, header: bytes, magic: int) -> tuple[int, ...]:
  """Returns the shape of the data that an idx file's header promises."""
  num_dimensions = magic & 0xFF
  header_size = 4 + 4 * num_dimensions
  if len(header) < header_size:
    raise config_lib.UserError(
      f"{path} is truncated: {len(header)} bytes, and the header alone has {header_size}."
    )
  found, *shape = struct.unpack(f">{1 + num_dimensions}I", header)
  if found != magic:
    raise config_lib.UserError(
      f"{path} starts with the magic number {found}; expected {magic} (idx, unsigned bytes,"
      f" {num_dimensions} dimensions). Is it the right file?"
    )
  return tuple(shape)
