"""What every data set gives: images, labels where asked for, and where they came from.

Plain NumPy: files are read and checked before TensorFlow starts, so that what is wrong with
them is said within a second.
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
# No official file holds as many bytes.
_LARGEST_OFFICIAL = 1 << 30
_BLOCK = 1 << 20


def md5(content: bytes | np.ndarray) -> str:
  """MD5 of bytes, or of an array's in the order of its indices."""
  if isinstance(content, np.ndarray):
    return hashlib.md5(np.ascontiguousarray(content).reshape(-1).data).hexdigest()
  return hashlib.md5(content).hexdigest()


def content_md5(path: str) -> str:
  """MD5 of a file's content, of a gzipped one's (.gz) uncompressed content.

  Raises:
    config.UserError: the file is truncated, no gzip file, no file, far larger than any
      official one, or cannot be read at all.
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
  """One official file, and how to tell that a copy is right.

  Attributes:
    url: where it lies; the last part is the file's name in the data set's folder.
    md5: the official checksum of `covers`.
    covers: what the checksum is taken of, for messages.
    digest: path of a copy -> its checksum; a copy that cannot be read raises
      config.UserError.
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
      where none is needed.
    label_files: {split: the files of its labels}, where they are files of their own.
    where: where to get it.
    licence: under which terms.
    task: what a network is trained for; a segmentation's `load` gives Scenes.
    own: whether it reads the user's own files, as "<name>:FOLDER".
    sizes: number of images of each official split; empty where there is no official one.
    downloads: the official files that tfdam.download fetches.
    folder: below the data's root; empty: the set's name.
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
  """Which of several targets, or sequences, each image of a split is of.

  Attributes:
    names: of all parts, in their order; some may have no image.
    of: int64 [N], each image's position in `names`.
  """

  names: tuple[str, ...]
  of: np.ndarray

  def where(self, name: str) -> np.ndarray:
    """int64, the indices of a part's images."""
    return np.flatnonzero(self.of == self.names.index(name))

  def take(self, indices: Sequence[int] | np.ndarray) -> Parts:
    """Those of the images at `indices`, in that order."""
    return Parts(self.names, self.of[np.asarray(indices, np.int64)])


@dataclasses.dataclass(frozen=True)
class Examples:
  """One split in memory.

  Attributes:
    images: uint8 [N, H, W, C], C 1 or 3.
    labels: int64 [N], or None where they were not asked for (and then never read).
    digests: {file name: MD5 of its uncompressed content} of every file that was read.
    notes: what a reader of the results has to know, such as "subset, 843 images".
    class_names: names of the labels; empty where they are their own names.
    parts: what each image is of, where there are several targets.
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
    """The examples at `indices`, in that order."""
    labels = None if self.labels is None else self.labels[indices]
    parts = self.parts and self.parts.take(indices)
    images = self.images[indices]
    return dataclasses.replace(self, images=images, labels=labels, parts=parts)

  def label_counts(self, num_classes: int) -> np.ndarray | None:
    """How many images have each label, int64 [num_classes]; None without labels."""
    if self.labels is None:
      return None
    return np.bincount(self.labels, minlength=num_classes)


@contextlib.contextmanager
def opened(path: str, where: str) -> Iterator[BinaryIO]:
  """Opens a plain or gzipped (.gz) file, and says what is wrong with it.

  Args:
    where: where to get it again, for the error.

  Raises:
    config.UserError: the file is no file, or cannot be opened; or what is read within is
      truncated, no gzip, or cannot be read.
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
  """Returns `examples` if a network can be trained or scored on them.

  Args:
    where: the file or folder to name in errors.
    num_classes: labels must lie in 0 .. num_classes - 1.

  Raises:
    config.UserError: no images, another number of labels, or a label out of range.
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
      f"{where} has {len(images)} images but {what}; expected one label an image. Are the"
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
  """Notes on how a split differs from the official one; none if it does not.

  Args:
    wrong_digests: names of the files whose checksum is not the official one.
    require: raise instead of noting.

  Raises:
    config.UserError: it differs and `require` is set.
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
