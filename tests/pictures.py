"""PNG, JPEG, WebP and TIFF files with every kind of metadata beside the same pixels."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# No two of its eight orientations are alike, and JPEG keeps its flat blocks.
PIXELS = np.kron(
  np.random.RandomState(3).randint(0, 4, (3, 5, 3)) * 80, np.ones((16, 16, 1))
).astype(np.uint8)


def turned(pixels, orientation):
  """What a picture stored as `pixels` shows in an EXIF orientation, by its definition.

  1 to 4: row 0 is at the top, right, bottom, ... as the standard's table has it.
  """
  shown = np.swapaxes(pixels, 0, 1) if orientation > 4 else pixels
  if orientation in (2, 3, 6, 7):
    shown = shown[:, ::-1]
  if orientation in (3, 4, 7, 8):
    shown = shown[::-1]
  return shown


def exif(value, kind=3, count=1, order="<", before=(), after=b""):
  """Exif data with an orientation; `before`: tags of one number that stand before it."""
  tags = [(tag, 3, 1, 7) for tag in before] + [(0x0112, kind, count, value)]
  head = b"II*\0" if order == "<" else b"MM\0*"
  data = head + struct.pack(f"{order}IH", 8, len(tags))
  for tag, tag_kind, tag_count, number in tags:
    form = "I" if tag_kind == 4 else "H2x"
    data += struct.pack(f"{order}HHI{form}", tag, tag_kind, tag_count, number)
  return data + bytes(4) + after


def chunk(name, data, checksum=None):
  """A PNG chunk; with a wrong checksum if one is given."""
  if checksum is None:
    checksum = zlib.crc32(name + data)
  return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def png(before=b"", after=b"", array=PIXELS):
  """A PNG file with chunks before and after its pixels."""
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, "PNG")
  content = buffer.getvalue()
  pixels, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
  return content[:pixels] + before + content[pixels:end] + after + content[end:]


def segment(code, data):
  return bytes([0xFF, code]) + struct.pack(">H", len(data) + 2) + data


def jpeg(segments=b"", first=b"", array=PIXELS):
  """A JPEG file with segments behind, and before, its own first one (JFIF)."""
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, "JPEG", quality=95, subsampling=0)
  content = buffer.getvalue()
  return content[:2] + first + content[2:20] + segments + content[20:]


def app1(data):
  return segment(0xE1, b"Exif\0\0" + data)


def saved(form, **options):
  """A file as Pillow writes it."""
  buffer = io.BytesIO()
  Image.fromarray(PIXELS).save(buffer, form, **options)
  return buffer.getvalue()


_XMP = (
  b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
)
_XMP_TEXT = b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP
_XMP_SEGMENT = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _XMP)
_RAW_PROFILE = b"\nexif\n%8d\n%s\n" % (
  6 + len(exif(6)),
  (b"Exif\0\0" + exif(6)).hex().encode(),
)

# Exif data in which no orientation makes sense.
SENSELESS = {
  "0": exif(0),
  "9": exif(9),
  "65535": exif(65535),
  "of 32 bits": exif(6, kind=4),
  "of two numbers": exif(6, count=2),
  "a text": exif(6, kind=2),
  "empty": b"",
  "no TIFF": b"Exif is what this is not",
  "of neither order": b"IM*\0" + exif(6)[4:],
  "a folder past the end": b"II*\0" + struct.pack("<I", 1 << 30) + exif(6)[8:],
  "a folder at the last byte": b"II*\0" + struct.pack("<I", 21) + exif(6)[8:],
  "cut in the entry": exif(6)[:18],
  "cut before the value's end": exif(6, order=">")[:19],
  "a count past the end": exif(1)[:8] + b"\xff\xff" + exif(1)[10:],
  "all ones": b"MM\0*" + b"\xff" * 60,
}  # fmt: skip

# {name: (file, the orientation it is to be seen in)}: what all readers must agree on.
ORIENTATIONS = {
  **{f"png {n}": (png(chunk(b"eXIf", exif(n))), n) for n in range(1, 9)},
  **{f"png {n}, big-endian": (png(chunk(b"eXIf", exif(n, order=">"))), n) for n in (3, 6)},
  **{f"jpeg {n}": (jpeg(app1(exif(n))), n) for n in range(1, 9)},
  **{f"jpeg {n}, big-endian": (jpeg(app1(exif(n, order=">"))), n) for n in (3, 6)},
  **{f"png, {why}": (png(chunk(b"eXIf", data)), 1) for why, data in SENSELESS.items()},
  **{f"jpeg, {why}": (jpeg(app1(data)), 1) for why, data in SENSELESS.items()},
  "png, none": (png(), 1),
  "png, behind other tags": (png(chunk(b"eXIf", exif(6, before=(0x100, 0x110)))), 6),
  "png, with the prefix of a JPEG": (png(chunk(b"eXIf", b"Exif\0\0" + exif(6))), 6),
  "png, behind the pixels": (png(after=chunk(b"eXIf", exif(6))), 1),
  "png, on both sides": (png(chunk(b"eXIf", exif(3)), chunk(b"eXIf", exif(6))), 3),
  "png, XMP": (png(chunk(b"iTXt", _XMP_TEXT)), 1),
  "png, XMP behind the pixels": (png(after=chunk(b"iTXt", _XMP_TEXT)), 1),
  "png, XMP and Exif": (png(chunk(b"iTXt", _XMP_TEXT) + chunk(b"eXIf", exif(3))), 3),
  "png, a raw profile": (png(chunk(b"tEXt", b"Raw profile type exif\0" + _RAW_PROFILE)), 1),
  "png, a text named exif": (png(chunk(b"tEXt", b"exif\0Exif\0\0" + exif(6))), 1),
  "png, a long preview": (png(chunk(b"eXIf", exif(6, after=bytes(1 << 20)))), 6),
  "png, two": (png(chunk(b"eXIf", exif(3)) + chunk(b"eXIf", exif(6))), 3),
  "png, an empty one first": (png(chunk(b"eXIf", b"") + chunk(b"eXIf", exif(6))), 1),
  "jpeg, none": (jpeg(), 1),
  "jpeg, before JFIF": (jpeg(first=app1(exif(6))), 6),
  "jpeg, XMP": (jpeg(_XMP_SEGMENT), 1),
  "jpeg, XMP and Exif": (jpeg(_XMP_SEGMENT + app1(exif(3))), 3),
  "jpeg, behind a comment and fill": (
    jpeg(segment(0xFE, b"\xff\xe1\0\x08") + b"\xff\xff" + app1(exif(6))), 6
  ),
  "jpeg, two": (jpeg(app1(exif(3)) + app1(exif(6))), 3),
  "jpeg, a long preview": (jpeg(app1(exif(6, after=bytes(60_000)))), 6),
}  # fmt: skip

_XMP_TAG = 700
# The same, of formats that TensorFlow does not read.
OTHER_ORIENTATIONS = {
  **{f"webp {n}": (saved("WEBP", lossless=True, exif=exif(n)), n) for n in range(1, 9)},
  **{
    f"webp, {why}": (saved("WEBP", lossless=True, exif=data), 1)
    for why, data in SENSELESS.items()
    if data
  },
  "webp, XMP": (saved("WEBP", lossless=True, xmp=_XMP), 1),
  **{f"tiff {n}": (saved("TIFF", tiffinfo={0x0112: n}), n) for n in range(1, 9)},
  "tiff, packed": (saved("TIFF", compression="tiff_lzw", tiffinfo={0x0112: 6}), 6),
  "tiff, 9": (saved("TIFF", tiffinfo={0x0112: 9}), 1),
  "tiff, XMP": (saved("TIFF", tiffinfo={_XMP_TAG: _XMP}), 1),
  "tiff, XMP and its own": (saved("TIFF", tiffinfo={_XMP_TAG: _XMP, 0x0112: 3}), 3),
}


_1_MB = zlib.compress(bytes(1 << 20))
_2_MB = zlib.compress(bytes(2 << 20))
# What a quarter of a MiB unpacks to.
BOMB = 1 << 26
_BOMB = zlib.compress(bytes(BOMB))
# {name: file}: metadata that is malformed or large, or that Pillow takes for its own words.
ODD = {
  **{
    f"png, {name}": png(before=content)
    for name, content in {
      "malformed eXIf": chunk(b"eXIf", b"MM\0*" + b"\xff" * 40),
      "eXIf with a wrong checksum": chunk(b"eXIf", exif(1), checksum=1),
      "text with a wrong checksum": chunk(b"tEXt", b"a\0b", checksum=1),
      "colour profile of 2 MB": chunk(b"iCCP", b"icc\0\0" + _2_MB),
      "colour profile that unpacks to 64 MB": chunk(b"iCCP", b"icc\0\0" + _BOMB),
      "colour profile packed otherwise": chunk(b"iCCP", b"icc\0\7what"),
      "empty colour profile": chunk(b"iCCP", b""),
      "text that unpacks to 2 MB": chunk(b"zTXt", b"a\0\0" + _2_MB),
      "text that unpacks to 64 MB": chunk(b"zTXt", b"a\0\0" + _BOMB),
      "text packed otherwise": chunk(b"zTXt", b"a\0\7what"),
      "international text of 64 MB": chunk(b"iTXt", b"a\0\1\0\0\0" + _BOMB),
      "text of 2 MB": chunk(b"tEXt", b"a\0" + b"b" * (2 << 20)),
      "sixty-five texts of 1 MB": 65 * chunk(b"zTXt", b"a\0\0" + _1_MB),
      "short sRGB": chunk(b"sRGB", b""),
      "short pHYs": chunk(b"pHYs", b"\0"),
      "short gAMA": chunk(b"gAMA", b""),
      "cHRM of five bytes": chunk(b"cHRM", b"12345"),
      "short tRNS": chunk(b"tRNS", b""),
      "short acTL": chunk(b"acTL", b"\0"),
      "acTL of no frames": chunk(b"acTL", bytes(8)),
      "two acTL": 2 * chunk(b"acTL", struct.pack(">II", 2, 0)),
      "short fcTL": chunk(b"fcTL", b"\0"),
      "fcTL out of order": chunk(b"fcTL", struct.pack(">I22x", 7)),
      "a text named interlace": chunk(b"tEXt", b"interlace\x001"),
      "a text named bbox": chunk(b"tEXt", b"bbox\x001"),
      "a text named transparency": chunk(b"tEXt", b"transparency\x001"),
      "a private chunk of 2 MB": chunk(b"prVt", bytes(2 << 20)),
    }.items()
  },
  "png, bad text behind the pixels": png(after=chunk(b"zTXt", b"a\0\7what")),
  "png, bomb behind the pixels": png(after=chunk(b"zTXt", b"a\0\0" + _BOMB)),
  "png, wrong checksum behind the pixels": png(after=chunk(b"tEXt", b"a", checksum=1)),
  **{
    f"jpeg, {name}": jpeg(content)
    for name, content in {
      "malformed Exif": app1(b"MM\0*" + b"\xff" * 40),
      "malformed preview list": segment(0xE2, b"MPF\0II*\0" + b"\xff" * 20),
      "short preview list": segment(0xE2, b"MPF\0"),
      "colour profile without its numbers": segment(0xE2, b"ICC_PROFILE\0"),
      "malformed Photoshop data": segment(0xED, b"Photoshop 3.0\0" + b"8BIM\xff\xff\xff"),
      "short Adobe": segment(0xEE, b"Adobe"),
      "short JFIF": segment(0xE0, b"JFIF\0"),
      "FlashPix of nothing": segment(0xE2, b"FPXR\0"),
      "one hundred comments": 100 * segment(0xFE, bytes(65_000)),
    }.items()
  },
}


def _cut(content, marker, by):
  """The file without the last `by` bytes of the pixels before `marker`."""
  end = content.index(marker)
  return content[: end - by]


_IDAT = png().index(b"IDAT")
# {name: file}: the pixels themselves are damaged.
DAMAGED = {
  "png, cut in the pixels": _cut(png(), b"IEND", 60),
  "png, a bit of the pixels": png()[: _IDAT + 30] + b"\0" + png()[_IDAT + 31 :],
  "png, checksum of the pixels": _cut(png(), b"IEND", 5) + b"\0\0" + png()[-15:],
  "png, checksum of the header": png()[:29] + b"\0\0\0\0" + png()[33:],
  "png, fewer pixels than it says": (
    png()[: _IDAT - 4] + chunk(b"IDAT", zlib.compress(bytes(100))) + png()[-12:]
  ),
  "png, no pixels": png()[: _IDAT - 4] + png()[-12:],
  "png, a chunk past the end": png(struct.pack(">I", 1 << 30) + b"tEXt"),
  "jpeg, cut in the pixels": jpeg()[:-200],
  "jpeg, cut in the header": jpeg()[:300],
  "jpeg, a segment past the end": jpeg()[:20] + b"\xff\xe1\xff\xff" + bytes(100),
}  # fmt: skip
