"""Pictures with every orientation, with odd metadata, as the car's client reads them."""

import inspect
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from export import client_onnx, client_serving
from tests import pictures
from tfdam.data import image_files, metadata

ORIENTATIONS = {**pictures.ORIENTATIONS, **pictures.OTHER_ORIENTATIONS}


def frames(file, tmp_path):
  """Pixels of a file's frames."""
  (tmp_path / "a.png").write_bytes(file)
  found = client_onnx._stills(str(tmp_path / "a.png"))
  return [np.asarray(frame.convert("RGB")) for _, frame in found]


def as_training(file, tmp_path):
  (tmp_path / "b.png").write_bytes(file)
  return image_files.read_image(str(tmp_path / "b.png"))


@pytest.mark.parametrize("client", [client_onnx, client_serving])
@pytest.mark.parametrize("name", [
  "without_metadata", "upright", "orientation", "_png", "_jpeg", "_of_exif"
])  # fmt: skip
def test_the_clients_copy_is_trainings_source(client, name):
  if (client, name) == (client_serving, "upright"):  # the server turns pictures
    return
  theirs, ours = (inspect.getsource(getattr(m, name)) for m in (client, metadata))
  assert theirs == ours


@pytest.mark.parametrize("client", [client_onnx, client_serving])
def test_the_copys_constants_are_the_same(client):
  names = [name for name in vars(metadata) if name.strip("_").isupper()]
  constants = {name: getattr(metadata, name) for name in names if name != "TYPE_CHECKING"}
  assert {"STILL", "ANIMATED", "_TURNS", "_COLOURS", "_MAX_EXIF"} <= constants.keys()
  assert {name: getattr(client, name) for name in constants} == constants


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_client_turns_pictures_as_training_does(tmp_path, name):
  file, _ = ORIENTATIONS[name]
  (found,) = frames(file, tmp_path)
  np.testing.assert_array_equal(found, as_training(file, tmp_path))


@pytest.mark.filterwarnings("ignore:Invalid APNG")  # as the command line does
@pytest.mark.parametrize("name", pictures.ODD)
def test_the_client_uses_intact_pixels_whatever_stands_beside_them(tmp_path, name):
  tracemalloc.start()
  (found,) = frames(pictures.ODD[name], tmp_path)
  assert tracemalloc.get_traced_memory()[1] < pictures.BOMB / 2
  tracemalloc.stop()
  np.testing.assert_array_equal(found, as_training(pictures.ODD[name], tmp_path))


@pytest.mark.parametrize("name", pictures.DAMAGED)
def test_the_client_refuses_damaged_pixels(tmp_path, name):
  with pytest.raises(client_onnx.ModelError, match=r"a\.png cannot be decoded"):
    frames(pictures.DAMAGED[name], tmp_path)


def animation(form, **options):
  buffer = io.BytesIO()
  first, *others = [Image.fromarray(pictures.PIXELS // n) for n in (1, 2, 3)]
  first.save(buffer, form, save_all=True, append_images=others, **options)
  return buffer.getvalue()


@pytest.mark.parametrize(("form", "options"), [
  ("PNG", {}), ("PNG", {"blend": 1}), ("WEBP", {"lossless": True}), ("TIFF", {})
])  # fmt: skip
def test_every_frame_of_an_animation_is_turned(tmp_path, form, options):
  exif = Image.Exif()
  exif[0x0112] = 6
  plain = frames(animation(form, **options), tmp_path)
  found = frames(animation(form, exif=exif, **options), tmp_path)
  assert len(found) == len(plain) == 3
  for one, other in zip(found, plain):
    np.testing.assert_array_equal(one, np.rot90(other, -1))


def test_odd_metadata_leaves_an_animation_as_it_is(tmp_path):
  file = animation("PNG")
  place = file.index(b"acTL") - 4
  for chunk in (
    pictures.chunk(b"zTXt", b"a\0\7what"), pictures.chunk(b"eXIf", b"MM\0*\xff"),
    pictures.chunk(b"tEXt", b"bbox\x001"),
  ):  # fmt: skip
    found = frames(file[:place] + chunk + file[place:], tmp_path)
    np.testing.assert_array_equal(found, frames(file, tmp_path))
