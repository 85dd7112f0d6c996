"""What every data set returns: images, labels if asked for, and the files' checksums.

Plain NumPy: files are read and checked before TensorFlow starts, so that errors in them
show within a second.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from tfdam import config as config_lib
from tfdam import files
from tfdam.vocabulary import Task

SPLITS = ("train", "test")
# Every official file is smaller than this, in bytes.
_LARGEST_OFFICIAL = 1 << 30
_BLOCK = 1 << 20


def md5(content: bytes | np.ndarray) -> str:
  """Returns the MD5 of bytes, or of an array's bytes in C order."""
  if isinstance(content, np.ndarray):
    return hashlib.md5(np.ascontiguousarray(content).reshape(-1).data).hexdigest()
  return hashlib.md5(content).hexdigest()


def content_md5(path: str) -> str:
  """Returns the MD5 of a file's content, uncompressed if the file is gzipped (.gz).

  Raises:
    config.UserError: the file is missing, truncated, no gzip file despite its name, far
      larger than any official one, or cannot be read.
  """
  digest, left = hashlib.md5(), _LARGEST_OFFICIAL
  with opened(path, "its official place") as file:
    while left > 0 and (block := file.read(_BLOCK)):
      digest.update(block)
      left -= len(block)
  if left <= 0:
    raise config_lib.UserError(f"{path} holds {_LARGEST_OFFICIAL:,} bytes or more.")
  return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Download:
  """One official file, with the checksum that a copy must have.

  Attributes:
    url: the file's address; its last part is the file's name in the data set's folder.
    md5: the official checksum of `covers`.
    covers: what the checksum covers, for messages.
    digest: computes the checksum of the copy at a path; raises config.UserError if the
      copy cannot be read.
  """

  url: str
  md5: str
  covers: str = "uncompressed content"
  digest: Callable[[str], str] = content_md5

  @property
  def file(self) -> str:
    return self.url.rpartition("/")[2]


@dataclasses.dataclass(frozen=True)
class Info:
  """A data set's facts.

  Attributes:
    title: its name as people write it.
    files: {split: the files that hold its images}, alternatives separated by " or "; empty
      if it needs no files.
    label_files: {split: the files that hold its labels}, if labels have their own files.
    where: where to get it.
    licence: the terms of its use.
    task: what a network is trained for; `load` returns Scenes for segmentation.
    own: whether it reads the user's own files, as "<name>:FOLDER".
    sizes: {split: its number of images}, for the official splits.
    downloads: the official files that tfdam.download fetches.
    folder: its folder below data.root; empty for the set's name.
  """

  title: str
  files: dict[str, str]
  where: str
  licence: str
  task: Task = Task.CLASSIFICATION
  own: bool = False
  label_files: dict[str, str] = dataclasses.field(default_factory=dict)
  sizes: dict[str, int] = dataclasses.field(default_factory=dict)
  downloads: tuple[Download, ...] = ()
  folder: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
  """Which part, a target or a sequence, each image of a split belongs to.

  Attributes:
    names: the names of all parts, in order; a part may have no images.
    of: int64 [N], the position in `names` of each image's part.
  """

  names: tuple[str, ...]
  of: np.ndarray

  def where(self, name: str) -> np.ndarray:
    """Returns the indices of a part's images, int64."""
    return np.flatnonzero(self.of == self.names.index(name))

  def take(self, indices: Sequence[int] | np.ndarray) -> Parts:
    """Returns the parts of the images at `indices`, in that order."""
    return Parts(self.names, self.of[np.asarray(indices, np.int64)])


@dataclasses.dataclass(frozen=True)
class Examples:
  """One split in memory.

  Attributes:
    images: uint8 [N, H, W, C], C 1 or 3.
    labels: int64 [N], or None if they were not asked for (they are then never read).
    digests: {file name: MD5 of its uncompressed content} of every file that was read.
    notes: what a reader of the results has to know, such as "subset, 843 images".
    class_names: names of the labels, by position; empty if the labels have no names.
    parts: the part that each image belongs to, if there are several targets.
  """

  images: np.ndarray
  labels: np.ndarray | None
  digests: dict[str, str]
  notes: tuple[str, ...] = ()
  class_names: tuple[str, ...] = ()
  parts: Parts | None = None

  def __len__(self) -> int:
    return len(self.images)

  @property
  def has_labels(self) -> bool:
    return self.labels is not None

  def without_labels(self) -> Examples:
    return dataclasses.replace(self, labels=None)

  def take(self, indices: Sequence[int] | np.ndarray) -> Examples:
    """Returns the examples at `indices`, in that order."""
    labels = None if self.labels is None else self.labels[indices]
    parts = self.parts and self.parts.take(indices)
    images = self.images[indices]
    return dataclasses.replace(self, images=images, labels=labels, parts=parts)

  def label_counts(self, num_classes: int) -> np.ndarray | None:
    """Returns how many images have each label, int64 [num_classes]; None without labels."""
    if self.labels is None:
      return None
    return np.bincount(self.labels, minlength=num_classes)


@contextlib.contextmanager
def opened(path: str, where: str) -> Iterator[BinaryIO]:
  """Opens a plain or gzipped (.gz) file for reading bytes.

  Args:
    path: of the file.
    where: where to get it again, for the error.

  Raises:
    config.UserError: the file cannot be opened or read, or is truncated or no gzip file.
      Errors of reads within the context are included.
  """
  try:
    with files.open_regular(path) as file:
      yield gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file  # type: ignore[misc]
  except (EOFError, gzip.BadGzipFile, zlib.error) as error:
    raise config_lib.UserError(
      f"{path} is truncated or no gzip file ({error}). Get it again from {where}."
    ) from error
  except OSError as error:
    raise config_lib.UserError(files.problem(error) or f"{path}: {error}.") from error


def check(examples: Examples, where: str, num_classes: int) -> Examples:
  """Returns `examples` unchanged if a network can be trained or scored on them.

  Args:
    examples: what was read.
    where: the file or folder to name in errors.
    num_classes: labels must lie in 0 .. num_classes - 1.

  Raises:
    config.UserError: there are no images, images of another type or shape, a different
      number of labels, or a label out of range.
  """
  images, labels = examples.images, examples.labels
  if images.ndim and not len(images):
    raise config_lib.UserError(f"{where} holds no images; expected at least one.")
  channels = images.shape[-1] if images.ndim else 0
  if (
    images.ndim != 4
    or images.dtype != np.uint8
    or not images.size
    or channels not in (1, 3)
  ):
    raise config_lib.UserError(
      f"{where}: images are {images.dtype} {images.shape}; expected uint8 [N, H, W, C] with"
      " C 1 or 3."
    )
  if labels is None:
    return examples
  if labels.shape != (len(images),):
    what = (
      f"{len(labels)} labels" if labels.ndim == 1 else f"labels of shape {labels.shape}"
    )
    raise config_lib.UserError(
      f"{where} has {len(images)} images but {what}; expected one label per image. Are the"
      " files of one version?"
    )
  wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
  if wrong.size:
    raise config_lib.UserError(
      f"{where}: image {wrong[0]} has label {labels[wrong[0]]}; expected 0 to"
      f" {num_classes - 1}.",
      "Mend the file or set data.num_classes.",
    )
  return examples


def canonical_notes(
  info: Info, split: str, count: int, wrong_digests: list[str], require: bool
) -> tuple[str, ...]:
  """Returns a note on how a split differs from the official one; empty if it does not.

  Args:
    info: the data set's facts.
    split: "train" or "test".
    count: the split's number of images.
    wrong_digests: names of the files whose checksum is not the official one.
    require: whether to raise an error instead.

  Raises:
    config.UserError: the split differs and `require` is set.
  """
  official = info.sizes[split]
  if count == official and not wrong_digests:
    return ()
  if count != official:
    note = (
      f"{info.title} {split}: not the official set but {count:,} images of {official:,}"
    )
  else:
    note = (
      f"{info.title} {split}: {', '.join(wrong_digests)} differs from the official file"
    )
  if require:
    raise config_lib.UserError(
      f"{note}.",
      f"Get the official files ({info.where}) or set data.require_canonical=False.",
    )
  return (note,)
