"""Removes metadata from image files before they are decoded.

Texts, colour profiles and previews do not matter for the pixels. But malformed or huge ones
make Pillow fail, and some change what it returns. So PNG and JPEG files are read chunk by
chunk, and only the chunks that decide the pixels are passed on. Of the metadata only the
orientation is used: a PNG's eXIf chunk before the pixels, or a JPEG's Exif, never XMP.

export/client_onnx.py and client_serving.py run without this package, so they hold copies of
these functions. Tests check that the copies have the same source, and that
export/orientation.py gives the same results.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
  from PIL import Image, ImageFile

# The largest content of a PNG or JPEG, twice what 8192 x 8192 pixels with four channels of
# 16 bits take. Larger files are broken or hostile.
_MAX_BYTES = 1 << 30
# A JPEG's Exif data is never longer, and the orientation lies near its start.
_MAX_EXIF = 1 << 16
_ORIENTATION = 0x0112  # its tag
# {orientation: the transposition, by Pillow's names, that turns the stored image upright}.
_TURNS = {
  2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
  6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"
# The chunks that decide the pixels; tRNS and the last three are for animations only.
STILL = (b"IHDR", b"PLTE", b"IDAT")
ANIMATED = (*STILL, b"tRNS", b"acTL", b"fcTL", b"fdAT")
# {JPEG segment from which libjpeg learns the colours: its first bytes, its size}.
_COLOURS = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}


def without_metadata(
  file: IO[bytes], chunks: tuple[bytes, ...] = STILL, header: bool = False
) -> tuple[IO[bytes], bytes]:
  """Removes everything but the pixels from an image file.

  Args:
    file: a PNG or JPEG, at its start; other files are returned as they are.
    chunks: the chunks of a PNG to keep.
    header: whether the part before the pixels is enough.

  Returns:
    A file with the same pixels and no metadata, and the Exif data that the file had.

  Raises:
    SyntaxError, OSError: the file is visibly damaged.
  """
  start = file.read(len(_PNG))
  if start == _PNG:
    return _png(file, chunks, header)
  file.seek(2)
  if start.startswith(b"\xff\xd8"):
    return _jpeg(file, header)
  file.seek(0)
  return file, b""


def _png(
  file: IO[bytes], chunks: tuple[bytes, ...], header: bool
) -> tuple[IO[bytes], bytes]:
  kept, has_pixels = io.BytesIO(), False
  exif: bytes | None = None
  kept.write(_PNG)
  end = file.seek(0, os.SEEK_END)
  position = len(_PNG)
  while position + 8 <= end:
    file.seek(position)
    head = file.read(8)
    length, name = struct.unpack(">I4s", head)
    position += 12 + length
    if not name.isalpha() or name == b"IEND":
      break
    if name == b"eXIf" and exif is None and not has_pixels:
      exif = file.read(min(length, _MAX_EXIF))
    if name not in chunks:
      continue
    has_pixels = has_pixels or name == b"IDAT"
    if has_pixels and header:
      kept.write(head)
      break
    if position > end or kept.tell() + length > _MAX_BYTES:
      raise OSError(f"chunk {name.decode()} claims {length} bytes, more than there are")
    body = file.read(length + 4)
    if zlib.crc32(name + body[:-4]) == int.from_bytes(body[-4:], "big"):
      kept.write(head + body)
    elif name[:1].isupper():  # others are dropped, as libpng does
      raise SyntaxError(f"the checksum of chunk {name.decode()} is wrong")
  if not has_pixels:
    raise SyntaxError("it has no pixels")
  if not header:
    kept.write(b"\0\0\0\0IEND\xaeB`\x82")
  kept.seek(0)
  return kept, exif or b""


def _jpeg(file: IO[bytes], header: bool) -> tuple[IO[bytes], bytes]:
  kept, exif = io.BytesIO(), b""
  kept.write(b"\xff\xd8")
  while True:
    head = file.read(4)
    while head[:2] == b"\xff\xff":  # fill bytes
      head = head[1:] + file.read(1)
    code, length = (head[1], int.from_bytes(head[2:], "big")) if len(head) == 4 else (0, 0)
    # The pixels begin here, or something that is no segment, which libjpeg may skip.
    if head[:1] != b"\xff" or code < 0xC0 or 0xD0 <= code <= 0xDA or length < 2:
      break
    body = file.read(length - 2)
    if code == 0xE1 and body.startswith(b"Exif\0\0") and not exif:
      exif = body
    if 0xE0 <= code <= 0xEF or code == 0xFE:
      beginning, size = _COLOURS.get(code, (b"", _MAX_BYTES))
      if not body.startswith(beginning) or len(body) < size:
        continue
    kept.write(head + body)
  position = file.tell()
  if kept.tell() + file.seek(0, os.SEEK_END) - position > _MAX_BYTES:
    raise OSError(f"it is larger than {_MAX_BYTES:,} bytes")
  file.seek(position)
  kept.write(head + file.read(4096 if header else -1))
  kept.seek(0)
  return kept, exif


def upright(image: ImageFile.ImageFile, exif: bytes) -> Image.Image:
  """Returns an opened image, turned upright by its orientation.

  Args:
    image: opened from the file that `without_metadata` returned.
    exif: the Exif data that it returned with the file.
  """
  from PIL import Image

  # Pillow turns TIFF files itself, and would obey XMP's orientation, which is not used
  # here.
  for key in ("xmp", "XML:com.adobe.xmp"):
    image.info.pop(key, None)
  turn = _TURNS.get(orientation(image, exif))
  if image.format == "TIFF" or not turn:
    return image
  return image.transpose(getattr(Image.Transpose, turn))


def orientation(image: ImageFile.ImageFile, exif: bytes) -> int:
  """Returns an image's orientation, 1 to 8; 1, as stored, if it has no valid one."""
  if image.format == "TIFF":
    found = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    return found if found in _TURNS else 1
  return _of_exif(image.info.get("exif", b"") if image.format == "WEBP" else exif)


def _of_exif(exif: bytes) -> int:
  tiff = exif[6:] if exif.startswith(b"Exif\0\0") else exif
  order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
  if not order:
    return 1
  try:
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
      tag, *kind, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
      if tag == _ORIENTATION:
        # One unsigned number of 16 bits.
        return value if kind == [3, 1] and 1 <= value <= 8 else 1
  except struct.error:  # the data end here
    pass
  return 1
