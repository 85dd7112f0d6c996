"""The gap command: a table, a file, a picture, and its errors."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import keras_networks, programs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
  """A folder with a network and two folders of images."""
  folder = tmp_path_factory.mktemp("gap")
  keras_networks.made(keras_networks.nested, 2).save(folder / "city.keras")
  keras_networks.made(keras_networks.unet, 2).save(folder / "plain.h5")
  image = tf.keras.Input((32, 32, 3))
  tf.keras.Model(image, [image, image], name="twins").save(folder / "twins.keras")
  for seed, (name, brightness) in enumerate((("game", 1.0), ("street", 0.6))):
    (folder / name).mkdir()
    for i, pixels in enumerate(keras_networks.images(6, seed, brightness)):
      Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")
  return folder


def test_the_command_shows_and_keeps_the_gap(place):
  arguments = ["--model=city.keras", "--source=game", "--target=street", "--taps=2"]
  code, output = programs.run(None, None, *arguments, module="tfdam.gap", cwd=place)
  assert code == 0, output
  assert "Gap between source and target" in output
  assert "Taps to adapt: backbone/" in output
  assert "Picture: runs/gap-city/gap.png" in output
  rows = json.loads((place / "runs" / "gap-city" / "gap.json").read_text())["layers"]
  assert rows[-1]["layer"] == "scores"
  assert max(row["divergence_bits"] for row in rows) > 0.05
  with Image.open(place / "runs" / "gap-city" / "gap.png") as picture:
    assert picture.width > 500


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (
      ["--model=twins.keras", "--source=game", "--target=street"],
      "/twins.keras: Model 'twins' (Functional) has 2 outputs",
    ),
    (["--model=city.keras", "--source=game"], "--target is missing"),
    (["--model=none.keras", "--source=game", "--target=street"], "none.keras"),
    (["--model=plain.h5", "--source=game", "--target=street"], "nothing says how"),
    (
      ["--model=plain.h5", "--source=game", "--target=street", "--scale=1/x"],
      "scale is '1/x'; expected a number",
    ),
    (
      ["--model=plain.h5", "--source=game", "--target=street", "--mean=1,2"],
      "expected a finite number, or 3 of them",
    ),
    (
      ["--model=city.keras", "--source=gme", "--target=street"],
      "no folder and no data set",
    ),
    (
      ["--model=city.keras", "--source=game", "--target=street", "--layers=score"],
      "Did you mean 'scores'",
    ),
  ],
)
def test_mistakes_are_told_in_one_line(place, arguments, words):
  assert words in programs.refused(None, None, *arguments, module="tfdam.gap", cwd=place)
