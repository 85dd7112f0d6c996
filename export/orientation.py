"""Finds the orientation of PNG and JPEG files with TensorFlow operations, for SavedModels.

The rule is that of tfdam/data/metadata.py: a PNG's eXIf chunk before the pixels, or a
JPEG's Exif segment before the scan, never XMP. A test checks that both give the same
results.
"""

from __future__ import annotations

import tensorflow as tf

_LONGEST = 1 << 16  # metadata._MAX_EXIF
_TAG = 0x0112
_NOWHERE = -1


def upright(image: tf.Tensor, encoded: tf.Tensor) -> tf.Tensor:
  """Returns an image, turned upright by its file's orientation.

  Args:
    image: [H, W, C], as stored.
    encoded: the file, a string.
  """
  orientation = of(encoded)
  image = tf.cond(orientation > 4, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
  mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
  image = tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
  turned_over = tf.reduce_any(orientation == [3, 4, 7, 8])
  return tf.cond(turned_over, lambda: tf.reverse(image, [0]), lambda: image)


def of(encoded: tf.Tensor) -> tf.Tensor:
  """Returns a PNG's or JPEG's orientation, 1 to 8; 1, as stored, if it has no valid one.

  Args:
    encoded: the file, a string.

  Returns:
    int64 [].
  """
  start, length = tf.cond(
    tf.io.is_jpeg(encoded), lambda: _in_jpeg(encoded), lambda: _in_png(encoded)
  )
  return tf.cond(
    start == _NOWHERE,
    lambda: tf.constant(1, tf.int64),
    lambda: _of_exif(_cut(encoded, start, length)),
  )


def _in_png(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the position of the Exif data, or _NOWHERE, and their length in bytes."""
  end = _length(encoded)

  def is_before_pixels(position, start, length):
    del length
    there = (start == _NOWHERE) & (position + 8 <= end)
    # Only PNGs are searched.
    return there & (_cut(encoded, 0, 8) == b"\x89PNG\r\n\x1a\n")

  def chunk(position, start, length):
    length = _number(_bytes(_cut(encoded, position, 4)), 4)
    name = _cut(encoded, position + 4, 4)
    start = tf.where(name == b"eXIf", position + 8, start)
    is_last = tf.reduce_any(name == [b"IDAT", b"IEND"])
    return tf.where(is_last, end, position + 12 + length), start, length

  return _walk(is_before_pixels, chunk, 8)


def _in_jpeg(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  end = _length(encoded)

  def is_before_scan(position, start, length):
    del length
    return (start == _NOWHERE) & (position + 4 <= end)

  def segment(position, start, length):
    head = _bytes(_cut(encoded, position, 4))
    code, length = head[1], _number(head[2:], 2)
    is_fill = (head[0] == 0xFF) & (code == 0xFF)
    is_last = (head[0] != 0xFF) | (code < 0xC0) | (length < 2)
    is_last |= (code >= 0xD0) & (code <= 0xDA)
    begins = _cut(encoded, position + 4, 6)
    is_exif = ~is_last & (code == 0xE1) & (length >= 8) & (begins == b"Exif\0\0")
    start = tf.where(is_exif, position + 4, start)
    following = tf.where(is_fill, position + 1, position + 2 + length)
    return tf.where(is_last & ~is_fill, end, following), start, length - 2

  return _walk(is_before_scan, segment, 2)


def _walk(condition, step, first: int) -> tuple[tf.Tensor, tf.Tensor]:
  variables = tuple(tf.constant(value, tf.int64) for value in (first, _NOWHERE, 0))
  _, start, length = tf.while_loop(condition, step, variables)
  return start, tf.minimum(length, _LONGEST)


def _of_exif(exif: tf.Tensor) -> tf.Tensor:
  """Does what metadata._of_exif does."""
  begins = _cut(exif, 0, 6) == b"Exif\0\0"
  data = _bytes(exif)[tf.where(begins, 6, 0) :]
  end = tf.size(data, tf.int64)
  data = tf.concat([data, tf.zeros([14], tf.int64)], 0)  # so that no slice is too short
  is_big = tf.reduce_all(data[:4] == list(b"MM\0*"))
  is_tiff = is_big | tf.reduce_all(data[:4] == list(b"II*\0"))
  start = tf.minimum(_number(data[4:8], 4, is_big), end)
  count = tf.minimum(_number(data[start : start + 2], 2, is_big), (end - start) // 12)
  entries = tf.reshape(data[start + 2 : start + 2 + 12 * count], [count, 12])
  tags, kinds, counts, values = (
    _number(entries[:, first:last], last - first, is_big)
    for first, last in ((0, 2), (2, 4), (4, 8), (8, 10))
  )
  # One unsigned number of 16 bits.
  makes_sense = (kinds == 3) & (counts == 1) & (values >= 1) & (values <= 8) & is_tiff
  found = tf.boolean_mask(tf.where(makes_sense, values, 1), tags == _TAG)
  return tf.concat([found, [1]], 0)[0]


def _cut(text: tf.Tensor, start: int | tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
  """Returns a part of a string, which is shorter if the string ends."""
  return tf.strings.substr(text, tf.cast(start, tf.int64), tf.cast(length, tf.int64))


def _length(text: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.strings.length(text), tf.int64)


def _bytes(text: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)


def _number(digits: tf.Tensor, size: int, is_big: bool | tf.Tensor = True) -> tf.Tensor:
  """Converts the `size` bytes along the last axis to numbers, big- or little-endian."""
  weights = tf.constant([256**i for i in range(size)], tf.int64)
  return tf.reduce_sum(digits * tf.where(is_big, weights[::-1], weights), axis=-1)
