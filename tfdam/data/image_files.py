"""Decodes image and label files, and says what is wrong with those that it cannot decode.

Images (PNG, JPEG, WebP, BMP, TIFF) become 8-bit RGB. These are converted: grey and 1 bit
(three equal channels), palettes (their colours), RGBA and grey with alpha (the alpha is
dropped), and 16 bits per channel (the upper 8). CMYK, Lab, floating point and 32-bit
integers are refused, as any conversion would be a guess. An EXIF orientation is applied
(see `metadata`). Label files have no orientation, so an image that has a label and is
turned by EXIF is refused (`Header.turned`). Other metadata is ignored.

Labels are PNGs, read as they are stored: no palette is applied, 1, 2, 4 or 16 bits are not
scaled, and no orientation is used. JPEGs are refused, as their compression changes ids.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from tfdam import config as config_lib
from tfdam import files
from tfdam.data import metadata

# 8192 x 8192, the largest data.height and data.width. Files that claim more pixels are
# taken as broken or hostile, before any memory is allocated.
MAX_PIXELS = 1 << 26

# A closed list, because Pillow has decoders that start other programs.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_CONVERTED = frozenset(
  ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "I;16", "I;16B")
)
# Complete files end with these bytes; some programs append a little more.
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
_LOOKED_AT = 4096
# Pillow scales grey values of 2 and 4 bits to 0..255, by these factors.
_GREY_SCALE = {"L;2": 85, "L;4": 17}
# Pillow keeps the first byte of each 16-bit channel of a PNG, which is the upper one. Told
# the other byte order, the same decoder keeps the lower one.
_LOWER_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}


class BadImage(config_lib.UserError):
  """A file cannot be decoded; with `data.on_bad_image=skip` its image is left out."""


@dataclasses.dataclass(frozen=True)
class Header:
  """What a file's header says, before any pixel is decoded.

  Attributes:
    height: in pixels; for an image, after its EXIF orientation is applied.
    width: the same.
    turned: whether the EXIF orientation turns or mirrors the image.
  """

  height: int
  width: int
  turned: bool = False


@dataclasses.dataclass(frozen=True)
class Stored:
  """A label file's content as it is stored.

  Attributes:
    values: uint8 or uint16 [H, W], or [H, W, C].
    palette: uint8 [N, 3], the colours of the values 0 .. N - 1; None without a palette.
  """

  values: np.ndarray
  palette: np.ndarray | None = None


def image_header(path: str) -> Header:
  """Reads an image's header, and checks that a PNG or JPEG is complete.

  Raises:
    BadImage: the file is no image, is cut short, or claims more than MAX_PIXELS pixels.
  """
  with _opened(path, IMAGE_FORMATS, header=True) as (image, exif):
    _check_end(path, image.format)
    orientation = metadata.orientation(image, exif)
    # Pillow turns TIFF files itself.
    is_lying = orientation > 4 and image.format != "TIFF"
    width, height = image.size[::-1] if is_lying else image.size
    return Header(height, width, orientation != 1)


def label_header(path: str) -> Header:
  """Reads a label's header; see `image_header`."""
  with _opened(path, ("PNG",), header=True) as (image, _):
    _check_end(path, image.format)
    return Header(image.height, image.width)


def read_image(path: str, formats: tuple[str, ...] = IMAGE_FORMATS) -> np.ndarray:
  """Decodes an image; the module's docstring says what is converted.

  Args:
    path: of the file.
    formats: the allowed formats, by Pillow's names.

  Returns:
    uint8 [H, W, 3].

  Raises:
    BadImage: the file cannot be decoded, is too large, or is of a kind that is refused.
  """
  with _opened(path, formats) as (opened, exif):
    image = metadata.upright(opened, exif)
    # PNGs of 16-bit grey are "I" to Pillow before 10.4.
    is_wide = image.mode.startswith("I;16") or (image.mode, opened.format) == ("I", "PNG")
    if not is_wide and image.mode not in _CONVERTED:
      raise BadImage(
        f"{path} holds '{image.mode}' pixels; expected 8-bit RGB (grey, palette, RGBA and"
        " 16 bits are converted).",
        f"Convert it to RGB, or {_SKIP}.",
      )
    if is_wide:  # convert() would clamp the values to 255
      grey = (np.asarray(image) >> 8).astype(np.uint8)
      return np.repeat(grey[..., np.newaxis], 3, axis=-1)
    # Otherwise convert() warns about the transparency or keeps it.
    image.info.pop("transparency", None)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_stored(path: str) -> Stored:
  """Decodes a label PNG without any conversion.

  Raises:
    BadImage: the file cannot be decoded, is too large, or is no PNG.
  """
  with _opened(path, ("PNG",)) as (image, _):
    raw_mode = str(image.tile[0].args) if image.tile else ""
    values = np.array(image)
    palette = None
    if image.mode == "P":
      palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if raw_mode in _GREY_SCALE:
      values //= _GREY_SCALE[raw_mode]
    elif raw_mode == "LA;16B":
      raise BadImage(
        f"{path} is a PNG of 16-bit grey with alpha; expected grey, palette, RGB or RGBA.",
        f"Convert it, or {_SKIP}.",
      )
    elif raw_mode in _LOWER_BYTES:
      with _opened(path, ("PNG",)) as (again, _):
        # The open file's tile holds the decoder's arguments.
        again.tile = [again.tile[0]._replace(args=_LOWER_BYTES[raw_mode])]
        values = values.astype(np.uint16) << 8 | np.asarray(again)
    if values.dtype == bool:
      values = values.astype(np.uint8)
    elif values.dtype.itemsize > 1:
      values = values.astype(np.uint16)
  return Stored(values, palette)


def read_ids(path: str, channel: int | None = None) -> np.ndarray:
  """Decodes a label PNG that holds ids.

  Args:
    path: of the file.
    channel: the position of the channel that holds the ids; None for a file with a single
      channel, which holds grey values or a palette's indices.

  Returns:
    uint8 or uint16 [H, W].

  Raises:
    BadImage: the file cannot be decoded, is too large, or is no PNG.
    config.UserError: the file has other channels.
  """
  values = read_stored(path).values
  if channel is None and values.ndim == 2:
    return values
  if channel is not None and values.ndim == 3:
    return values[..., channel]
  came = "one channel" if values.ndim == 2 else f"{values.shape[-1]} channels"
  expected = "one, the ids" if channel is None else "colour channels, one of them the ids"
  raise config_lib.UserError(
    f"{path} has {came} of {8 * values.dtype.itemsize} bits; expected {expected}. Is it the"
    " file of ids, not the one of colours?"
  )


def read_colours(path: str) -> np.ndarray:
  """Decodes a label PNG that holds colours: RGB, RGBA (alpha dropped), palette or grey.

  Returns:
    uint8 [H, W, 3].

  Raises:
    BadImage: the file cannot be decoded, is too large, or is no PNG.
    config.UserError: the file has 16 bits per channel.
  """
  stored = read_stored(path)
  values = stored.values
  if values.dtype != np.uint8:
    raise config_lib.UserError(f"{path} has 16 bits a channel; expected 8-bit colours.")
  if stored.palette is not None:
    return _padded(stored.palette)[values]
  if values.ndim == 2 or values.shape[-1] == 2:
    grey = values if values.ndim == 2 else values[..., 0]
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)
  return values[..., :3]


_SKIP = "set data.on_bad_image=skip"


@contextlib.contextmanager
def _opened(
  path: str, formats: tuple[str, ...], header: bool = False
) -> Iterator[tuple[ImageFile.ImageFile, bytes]]:
  """Opens a file; errors within the context are raised as BadImage.

  Args:
    path: of the file.
    formats: the allowed formats, by Pillow's names.
    header: whether the header alone is read, without pixels.

  Yields:
    The image, and its Exif data, which was removed from the file's content.
  """
  try:
    with contextlib.ExitStack() as opened:
      file, exif = metadata.without_metadata(
        opened.enter_context(files.open_regular(path)), header=header
      )
      image = opened.enter_context(Image.open(file, formats=formats))
      if image.width * image.height > MAX_PIXELS:
        raise _too_large(path, f"{image.width} x {image.height}")
      yield image, exif
  except BadImage:
    raise
  except config_lib.UserError as error:  # a pipe or a device
    raise BadImage(f"{error}", f"To leave it out, {_SKIP}.") from error
  except FileNotFoundError as error:
    raise BadImage(f"{path} is not there.", f"Put it there, or {_SKIP}.") from error
  except Image.DecompressionBombError as error:
    raise _too_large(path, str(error)) from error
  # Pillow raises OSError, SyntaxError, ValueError, struct.error and others.
  except Exception as error:
    kinds = formats[0] if len(formats) == 1 else ", ".join(formats)
    is_none = isinstance(error, UnidentifiedImageError)
    reason = "it begins as none does" if is_none else error
    raise BadImage(
      f"{path} cannot be decoded as {kinds} ({reason}): it is cut short, damaged or no such"
      " file.",
      f"Mend or remove it, or {_SKIP}.",
    ) from error


def _check_end(path: str, kind: str | None) -> None:
  """Raises BadImage if a file is cut short; decodes it only if its end looks wrong."""
  with open(path, "rb") as file:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _LOOKED_AT))
    if _ENDS.get(kind or "", b"") not in file.read():
      with _opened(path, (kind or "",)) as (image, _):
        image.load()


def _too_large(path: str, claim: str) -> BadImage:
  return BadImage(
    f"{path} claims more pixels than any image here can have ({claim}; expected at most"
    f" {MAX_PIXELS:,}, as of 8192 x 8192). It was not decoded.",
    f"Mend or remove it, or {_SKIP}.",
  )


def _padded(palette: np.ndarray) -> np.ndarray:
  """Returns 256 colours: indices beyond the palette are black, as decoders show them."""
  full = np.zeros((256, 3), np.uint8)
  full[: len(palette)] = palette
  return full
