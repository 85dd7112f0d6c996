"""USPS digits, 16x16: `zip.*.gz` of The Elements of Statistical Learning, or usps.h5.

The common 28x28 version with 7,438 and 1,860 images is another data set and gives other
numbers; it is refused because of its size.
"""

from __future__ import annotations

import os

import numpy as np

from tfdam import config as config_lib
from tfdam import hdf5
from tfdam.data import examples as examples_lib
from tfdam.data import places

# MD5 of the decoded images, the same from both formats.
_OFFICIAL = {
  "train": "fb4abe1a325fe8dd1836905ee04eae55",
  "test": "108a2eb0395870e52937bede249c0f22",
}

INFO = examples_lib.Info(
  title="USPS",
  files={s: f"zip.{s}.gz or zip.{s} or usps.h5" for s in examples_lib.SPLITS},
  where="https://hastie.su.domains/ElemStatLearn/data.html (ZIP code)",
  licence="free for research",
  sizes={"train": 7_291, "test": 2_007},
  downloads=tuple(
    examples_lib.Download(
      f"https://hastie.su.domains/ElemStatLearn/datasets/zip.{split}.gz",
      digest,
      "decoded images",
      # A lambda, because the function is defined below.
      lambda path: _images_md5(path),
    )
    for split, digest in _OFFICIAL.items()
  ),
)

_SIDE = 16
# The largest text that is read, in bytes: four times the official training file.
_LARGEST_TEXT = 1 << 26


def has_labels(folder: str, split: str) -> bool:
  """Whether the split's file exists; both formats hold images and labels."""
  return _text_path(folder, split) is not None or _h5_path(folder) is not None


def load(
  folder: str, split: str, labels: bool, options: config_lib.Data
) -> examples_lib.Examples:
  """Reads one split: images [N, 16, 16, 1], labels 0 to 9; text files before usps.h5.

  Args:
    folder: holds the files.
    split: "train" or "test".
    labels: whether to decode the labels; False leaves their bytes undecoded.
    options: `require_canonical` and `num_classes`.

  Raises:
    config.UserError: a file is missing, truncated or of another layout.
  """
  text, h5 = _text_path(folder, split), _h5_path(folder)
  if text:
    unit, label_array, digest = _read_text(text, labels)
    digests = {f"zip.{split}": digest}
  elif h5:
    unit, label_array = _read_h5(h5, split, labels)
    digests = {f"usps.h5/{split}": examples_lib.md5(unit.tobytes())}
    if label_array is not None:
      digests[f"usps.h5/{split} labels"] = examples_lib.md5(label_array.tobytes())
  else:
    raise config_lib.UserError(
      f"{folder} holds neither zip.{split}.gz nor usps.h5. Get USPS from {INFO.where}."
    )
  path = str(text or h5)
  images = _to_images(path, unit)
  wrong = (
    [os.path.basename(path)]
    if examples_lib.md5(images.tobytes()) != _OFFICIAL[split]
    else []
  )
  notes = examples_lib.canonical_notes(
    INFO, split, len(images), wrong, options.require_canonical
  )
  examples = examples_lib.Examples(images, label_array, digests, notes)
  return examples_lib.check(examples, path, options.num_classes)


def _text_path(folder: str, split: str) -> str | None:
  return places.find(folder, f"zip.{split}.gz", f"zip.{split}")


def _h5_path(folder: str) -> str | None:
  return places.find(folder, "usps.h5")


def _images_md5(path: str) -> str:
  """Returns the MD5 of a text file's images; official checksums cover images alone."""
  unit, _, _ = _read_text(path, labels=False)
  return examples_lib.md5(_to_images(path, unit).tobytes())


def _to_images(path: str, unit: np.ndarray) -> np.ndarray:
  """Converts grey values [N, 256] in [0, 1], from `path`, to uint8 [N, 16, 16, 1]."""
  if unit.size and not (unit.min() >= -1e-3 and unit.max() <= 1.001):
    raise config_lib.UserError(
      f"{path} has grey values outside the range that its format states."
    )
  # Stored values have three decimals. With this rounding both formats decode to the same
  # bytes.
  levels = np.floor(np.round(unit.astype(np.float64), 4) * 255.0 + 0.5 + 1e-6)
  return levels.astype(np.uint8).reshape(-1, _SIDE, _SIDE, 1)


def _read_text(path: str, labels: bool) -> tuple[np.ndarray, np.ndarray | None, str]:
  """Reads rows of a label and 256 values, each from -1 (paper) to 1 (ink).

  Returns:
    Values [N, 256] in [0, 1], labels [N] or None, and the text's MD5.
  """
  with examples_lib.opened(path, INFO.where) as file:
    content = file.read(_LARGEST_TEXT + 1)
  if len(content) > _LARGEST_TEXT:
    raise config_lib.UserError(
      f"{path} holds more than {_LARGEST_TEXT:,} bytes of text; the official file has 14.5"
      f" million. Get it again from {INFO.where}."
    )
  width = _SIDE * _SIDE + 1
  lines = content.splitlines()
  if not lines:
    return np.empty((0, width - 1)), None, examples_lib.md5(content)
  for number in (0, len(lines) - 1):
    if len(lines[number].split()) != width:
      raise config_lib.UserError(
        f"{path}, line {number + 1}: {len(lines[number].split())} numbers; expected a label"
        f" and {_SIDE}x{_SIDE} grey values. It is truncated, or the 28x28 version (another"
        " data set)."
      )
  columns = range(0 if labels else 1, width)
  try:
    table = np.loadtxt(lines, usecols=columns, ndmin=2)
  except ValueError as error:
    raise config_lib.UserError(f"{path} is no table of {width} numbers: {error}") from error
  label_array = table[:, 0].astype(np.int64) if labels else None
  values = table[:, 1:] if labels else table
  return (values + 1.0) / 2.0, label_array, examples_lib.md5(content)


def _read_h5(path: str, split: str, labels: bool) -> tuple[np.ndarray, np.ndarray | None]:
  try:
    names = [f"{split}/data", f"{split}/target"][: 1 + labels]
    arrays = hdf5.read(path, names)
    values = np.asarray(arrays[0], np.float32)
    label_array = np.asarray(arrays[1], np.int64) if labels else None
  except (config_lib.UserError, PermissionError):
    raise
  # h5py raises OSError, KeyError, ValueError and others, by what is damaged or missing.
  except Exception as error:
    raise config_lib.UserError(
      f"{path} cannot be read as HDF5 with the groups 'train' and 'test', each with 'data'"
      f" and 'target' ({error}). Is the copy whole?"
    ) from error
  if values.shape[1:] not in ((_SIDE * _SIDE,), (_SIDE, _SIDE)):
    raise config_lib.UserError(
      f"{path}: {split}/data has shape {values.shape}; expected [N, {_SIDE * _SIDE}]. (The"
      " 28x28 version is another data set.)"
    )
  return values, label_array
