"""What is decoded, converted and refused; and how it is said."""

import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from tests import street_folders
from tfdam import config as config_lib
from tfdam.data import image_files

RGB = np.random.RandomState(0).randint(0, 256, (12, 17, 3)).astype(np.uint8)


def save(path, array, **options):
  Image.fromarray(array).save(path, **options)
  return str(path)


def test_8_bit_rgb_is_read_as_it_is(tmp_path):
  path = save(tmp_path / "a.png", RGB)
  np.testing.assert_array_equal(image_files.read_image(path), RGB)
  assert image_files.image_header(path) == image_files.Header(12, 17)


def test_alpha_is_dropped(tmp_path):
  alpha = np.full((12, 17, 1), 3, np.uint8)
  path = save(tmp_path / "a.png", np.concatenate([RGB, alpha], axis=-1))
  np.testing.assert_array_equal(image_files.read_image(path), RGB)


def test_grey_becomes_three_equal_channels(tmp_path):
  grey = RGB[..., 0]
  wanted = np.repeat(grey[..., np.newaxis], 3, axis=-1)
  path = save(tmp_path / "a.png", grey)
  np.testing.assert_array_equal(image_files.read_image(path), wanted)
  bands = [Image.fromarray(grey), Image.new("L", (17, 12), 3)]
  Image.merge("LA", bands).save(tmp_path / "b.png")
  found = image_files.read_image(str(tmp_path / "b.png"))
  np.testing.assert_array_equal(found, wanted)


def test_a_palette_gives_its_colours_without_a_warning(tmp_path):
  indices = RGB[..., 0] % 4
  palette = np.array([(1, 2, 3), (250, 0, 9), (7, 7, 7), (90, 200, 30)], np.uint8)
  image = Image.fromarray(indices)
  image.putpalette(palette.ravel().tolist())
  image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255, 255]))
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    found = image_files.read_image(str(tmp_path / "a.png"))
  np.testing.assert_array_equal(found, palette[indices])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_keep_their_upper_8(tmp_path, channels):
  """Not clamped: a grey ramp over all 16 bits stays a ramp."""
  ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16, 1)
  wide = np.concatenate([ramp, ramp[::-1], ramp.T.reshape(16, 16, 1), ramp], -1)
  path = street_folders.write_png(wide[..., :channels], tmp_path, "a.png", depth=16)
  wanted = wide[..., [0, 0, 0] if channels == 1 else [0, 1, 2]] >> 8
  np.testing.assert_array_equal(image_files.read_image(path), wanted)


@pytest.mark.parametrize("mode", ["CMYK", "F", "I"])
def test_other_kinds_are_refused_with_what_is_converted(tmp_path, mode):
  Image.new(mode, (8, 8)).save(tmp_path / "a.tif")
  with pytest.raises(image_files.BadImage, match=rf"a\.tif holds '{mode}'.*8-bit RGB"):
    image_files.read_image(str(tmp_path / "a.tif"))


def test_exif_orientation_is_applied_and_seen_in_the_header(tmp_path):
  """Tag 6: the camera was turned, the picture is to be turned by 90 degrees clockwise."""
  exif = Image.Exif()
  exif[0x0112] = 6
  for ending in ("jpg", "png"):
    path = save(tmp_path / f"a.{ending}", np.repeat(RGB[..., :1], 3, -1), exif=exif)
    with Image.open(path) as plain:
      wanted = np.rot90(np.asarray(plain), -1)
    np.testing.assert_array_equal(image_files.read_image(path), wanted)
    assert image_files.image_header(path) == image_files.Header(17, 12, turned=True)


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0, 10, 40, 0.6])
def test_a_file_that_is_cut_short_is_named_with_the_remedy(tmp_path, ending, kept):
  path = tmp_path / f"a.{ending}"
  save(path, RGB.repeat(8, 0))
  content = path.read_bytes()
  path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
  with pytest.raises(image_files.BadImage) as caught:
    image_files.read_image(str(path))
  assert str(path) in str(caught.value)
  assert "data.on_bad_image=skip" in str(caught.value)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_header_is_not_taken_for_a_whole_file(tmp_path, ending):
  path = tmp_path / f"a.{ending}"
  save(path, RGB.repeat(8, 0))
  content = path.read_bytes()
  path.write_bytes(content[:-200])
  read = image_files.label_header if ending == "png" else image_files.image_header
  with pytest.raises(image_files.BadImage, match=rf"a\.{ending} .* cut short"):
    read(str(path))


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_whole_picture_may_have_anything_behind_it(tmp_path, ending):
  path = tmp_path / f"a.{ending}"
  save(path, RGB)
  path.write_bytes(path.read_bytes() + bytes(10_000))
  assert image_files.image_header(str(path)) == image_files.Header(12, 17)


def test_damage_in_the_middle_is_found(tmp_path):
  path = tmp_path / "a.png"
  save(path, RGB)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 0xFF
  path.write_bytes(content)
  with pytest.raises(image_files.BadImage, match=r"a\.png cannot be decoded"):
    image_files.read_image(str(path))


def huge(path, side):
  """A PNG of some bytes that claims side x side pixels."""
  header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
  chunk = b"IHDR" + header
  content = street_folders.png(np.zeros((1, 1, 3), np.uint8))
  start = content.index(b"IDAT") - 4
  checksum = struct.pack(">I", zlib.crc32(chunk))
  path.write_bytes(content[:12] + chunk + checksum + content[start:])
  return str(path)


@pytest.mark.parametrize("side", [9_000, 12_000, 100_000])
@pytest.mark.parametrize(
  "read",
  [
    image_files.image_header,
    image_files.label_header,
    image_files.read_image,
    image_files.read_stored,
  ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_claim_of_too_many_pixels_is_refused_before_memory_is_asked_for(
  tmp_path, side, read
):
  path = huge(tmp_path / "bomb.png", side)
  tracemalloc.start()
  with pytest.raises(image_files.BadImage, match=r"bomb\.png claims more pixels"):
    read(path)
  # Headers take kilobytes; a decoder would need 240 MB and more.
  assert tracemalloc.get_traced_memory()[1] < 10e6
  tracemalloc.stop()


def test_no_other_formats_are_tried(tmp_path):
  """Pillow would start another program for some."""
  (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
  with pytest.raises(image_files.BadImage, match=r"a\.png cannot be decoded"):
    image_files.read_image(str(tmp_path / "a.png"))


@pytest.mark.parametrize(
  ("depth", "colour_type"),
  [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (1, 3), (2, 3), (4, 3), (8, 3)],
)
def test_ids_are_not_scaled_whatever_their_bits(tmp_path, depth, colour_type):
  """Pillow shows grey of 2 and 4 bits as 0..255."""
  top = 2 ** min(depth, 9)
  ids = (np.arange(24 * 16) % top).reshape(24, 16).astype(np.uint16)
  path = street_folders.write_png(
    ids, tmp_path, "a.png", depth=depth, colour_type=colour_type
  )
  found = image_files.read_ids(path)
  assert found.dtype == (np.uint16 if depth == 16 else np.uint8)
  np.testing.assert_array_equal(found, ids)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_16_bit_channels_are_read_whole_with_every_filter(tmp_path, channels, kind):
  values = np.random.RandomState(kind).randint(0, 65536, (9, 13, channels))
  path = street_folders.write_png(values, tmp_path, "a.png", depth=16, filters=(kind,))
  found = image_files.read_stored(path)
  assert found.values.dtype == np.uint16
  np.testing.assert_array_equal(found.values, values)
  np.testing.assert_array_equal(image_files.read_ids(path, 1), values[..., 1])


def test_a_channel_is_asked_for_or_there_is_one(tmp_path):
  colour = street_folders.save(RGB, tmp_path, "colour.png")
  grey = street_folders.save(RGB[..., 0], tmp_path, "grey.png")
  np.testing.assert_array_equal(image_files.read_ids(colour, 2), RGB[..., 2])
  with pytest.raises(config_lib.UserError, match=r"colour\.png has 3 channels.*one, the"):
    image_files.read_ids(colour)
  with pytest.raises(
    config_lib.UserError, match=r"grey\.png has one channel.*expected col"
  ):
    image_files.read_ids(grey, 0)


def test_colours_come_out_of_palettes_and_alpha(tmp_path):
  indices = RGB[..., 0] % 4
  palette = np.array([(1, 2, 3), (250, 0, 9), (7, 7, 7), (90, 200, 30)], np.uint8)
  path = street_folders.save(indices, tmp_path, "p.png", palette=palette)
  np.testing.assert_array_equal(image_files.read_colours(path), palette[indices])
  path = street_folders.save(np.dstack([RGB, RGB[..., :1]]), tmp_path, "rgba.png")
  np.testing.assert_array_equal(image_files.read_colours(path), RGB)
  path = street_folders.save(RGB[..., 0], tmp_path, "grey.png")
  np.testing.assert_array_equal(image_files.read_colours(path)[..., 2], RGB[..., 0])
  path = street_folders.write_png(RGB, tmp_path, "wide.png", depth=16)
  with pytest.raises(config_lib.UserError, match=r"wide\.png has 16 bits"):
    image_files.read_colours(path)


def test_a_jpeg_is_no_label(tmp_path):
  path = save(tmp_path / "a.jpg", RGB[..., 0])
  with pytest.raises(image_files.BadImage, match=r"a\.jpg cannot be decoded as PNG"):
    image_files.read_ids(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
  with pytest.raises(image_files.BadImage, match=r"gone\.png is not there"):
    image_files.read_image(str(tmp_path / "gone.png"))
