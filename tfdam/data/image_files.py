"""Decodes image and label files, and says what is wrong with one that cannot be.

Images (PNG, JPEG, WebP, BMP, TIFF) become 8-bit RGB. Converted: grey and 1 bit (three
equal channels), palettes (their colours), RGBA and grey with alpha (the alpha is dropped),
16 bits a channel (the upper 8). Refused: CMYK, Lab, floating point and 32-bit integers,
where any choice would be a guess. An EXIF orientation is applied (`metadata` says which);
as label files have none, an image that is turned by it and has a label is refused
(`Header.turned`). No other metadata is looked at: pixels that decode are used.

Labels are PNGs, read as they are stored: no palette applied, no scaling of 1, 2, 4 or 16
bits, no orientation. A JPEG would have changed their ids.
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

# 8192 x 8192, the largest data.height and data.width: files that claim more pixels are
# taken for broken or hostile, before memory for them is asked for.
MAX_PIXELS = 1 << 26

# Named, because Pillow knows formats whose decoders start other programs.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
_CONVERTED = frozenset(
  ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "I;16", "I;16B")
)
# What whole files end with; some programs write a little more behind it.
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
_LOOKED_AT = 4096
# Pillow scales grey ids of 1, 2 and 4 bits to 0..255, by these factors.
_GREY_SCALE = {"L;2": 85, "L;4": 17}
# Pillow keeps the first byte of each 16-bit channel of a PNG, which is the upper one; told
# the other byte order, the same decoder keeps the lower one.
_LOWER_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}


class BadImage(config_lib.UserError):
  """A file that cannot be decoded; `data.on_bad_image=skip` leaves its image out."""


@dataclasses.dataclass(frozen=True)
class Header:
  """What a file says of itself before a pixel is decoded.

  Attributes:
    height, width: in pixels; after its EXIF orientation, for an image.
    turned: whether the EXIF orientation turns or mirrors it.
  """

  height: int
  width: int
  turned: bool = False


@dataclasses.dataclass(frozen=True)
class Stored:
  """A label file's content as it is stored.

  Attributes:
    values: uint8 or uint16 [H, W], or [H, W, C].
    palette: uint8 [N, 3], the colours of values 0 .. N - 1; None where there is none.
  """

  values: np.ndarray
  palette: np.ndarray | None = None


def image_header(path: str) -> Header:
  """Reads an image's header, and looks whether a PNG or JPEG ends as it should.

  Raises:
    BadImage: it is no image, is cut short, or claims more than MAX_PIXELS pixels.
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
  """Decodes an image; the module says what is converted.

  Args:
    path: of the file.
    formats: Pillow's names of what it may be.

  Returns:
    uint8 [H, W, 3].

  Raises:
    BadImage: it cannot be decoded, is too large, or is of a kind that is refused.
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
    if is_wide:  # convert() would clamp them to white
      grey = (np.asarray(image) >> 8).astype(np.uint8)
      return np.repeat(grey[..., np.newaxis], 3, axis=-1)
    # Else convert() warns of it, or carries it along.
    image.info.pop("transparency", None)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_stored(path: str) -> Stored:
  """Decodes a label PNG without any conversion.

  Raises:
    BadImage: it cannot be decoded, is too large, or no PNG.
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
        # What the decoder is told lies in the open file's tile.
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
    channel: which of the file's channels holds them; None: it has one alone, grey or the
      index of a palette.

  Returns:
    uint8 or uint16 [H, W].

  Raises:
    BadImage: it cannot be decoded, is too large, or no PNG.
    config.UserError: it has other channels.
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
    BadImage: it cannot be decoded, is too large, or no PNG.
    config.UserError: it has 16 bits a channel.
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
  """Opens a file by its header and turns what goes wrong within into BadImage.

  Args:
    path: of the file.
    formats: Pillow's names of what it may be.
    header: whether no pixel is wanted.

  Yields:
    The image, and Exif data that it was parted from.
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
  # Pillow raises OSError, SyntaxError, ValueError, struct.error and others, by format.
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
  """Decodes a file that looks as if it were cut short: that raises if it is."""
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
  """The palette with black for indices that it does not have, as decoders show them."""
  full = np.zeros((256, 3), np.uint8)
  full[: len(palette)] = palette
  return full
