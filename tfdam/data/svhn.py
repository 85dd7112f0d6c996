"""SVHN's cropped digits in their official MATLAB files."""

from __future__ import annotations

import os

import numpy as np

from tfdam import config as config_lib
from tfdam.data import examples as examples_lib
from tfdam.data import matlab, places

_WHERE = "http://ufldl.stanford.edu/housenumbers/"

# MD5 of the files.
_OFFICIAL = {
  "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
  "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}

INFO = examples_lib.Info(
  title="SVHN",
  files={"train": "train_32x32.mat", "test": "test_32x32.mat"},
  where=_WHERE,
  licence="non-commercial research",
  sizes={"train": 73_257, "test": 26_032},
  downloads=tuple(
    examples_lib.Download(_WHERE + name, digest, "content")
    for name, digest in _OFFICIAL.items()
  ),
)


def has_labels(folder: str, split: str) -> bool:
  """Whether the split's file exists; it holds images and labels."""
  return places.find(folder, f"{split}_32x32.mat") is not None


def load(
  folder: str, split: str, labels: bool, options: config_lib.Data
) -> examples_lib.Examples:
  """Reads one split: images [N, 32, 32, 3], labels 0 to 9 (the file stores 0 as 10).

  Args:
    folder: holds the .mat files.
    split: "train" or "test"; the paper's protocol does not use "extra".
    labels: whether to decode the labels.
    options: `require_canonical` and `num_classes`.

  Raises:
    config.UserError: the file is missing, truncated or of another layout.
  """
  name = f"{split}_32x32.mat"
  path = os.path.join(folder, name)
  try:
    content, digest = matlab.read(path, ["X", "y"] if labels else ["X"])
    images = content["X"]
    label_array = content["y"].reshape(-1).astype(np.int64) if labels else None
  except (config_lib.UserError, PermissionError):
    raise
  # SciPy raises many types for a damaged file, such as OSError, TypeError and zlib.error.
  except Exception as error:
    raise config_lib.UserError(
      f"{path} cannot be read as SVHN's MATLAB file with X and y ({error}). Get it from"
      f" {INFO.where}."
    ) from error
  if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8:
    raise config_lib.UserError(
      f"{path}: X is {images.dtype} {images.shape}; expected uint8 (32, 32, 3, N)."
    )
  images = np.ascontiguousarray(images.transpose(3, 0, 1, 2))
  if label_array is not None:
    bad = np.flatnonzero((label_array < 1) | (label_array > 10))
    if bad.size:
      raise config_lib.UserError(
        f"{path}: y[{bad[0]}] is {label_array[bad[0]]}; expected 1 to 10 (10 is the digit"
        " 0)."
      )
    label_array = label_array % 10
  wrong = [name] if digest != _OFFICIAL[name] else []
  notes = examples_lib.canonical_notes(
    INFO, split, len(images), wrong, options.require_canonical
  )
  examples = examples_lib.Examples(images, label_array, {name: digest}, notes)
  return examples_lib.check(examples, path, options.num_classes)
