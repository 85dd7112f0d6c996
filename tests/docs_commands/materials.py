"""What a reader of the pages brings: data sets, pictures and networks, all of them tiny."""

from __future__ import annotations

import os
import pathlib
import re
import shutil

import numpy as np
import tensorflow as tf

from tests import street_folders, synthetic
from tests.docs_commands import pages
from tfdam import runtime

# Of frames, and of the network's images.
SIDE = 32
CLASSES = 10
# Of the sets that pages call their reader's own: names that their dataset.yaml has.
_SIDES = {"mysim": dict(gain=0.8, offset=50.0), "mytown": {}}


def data(root: pathlib.Path) -> None:
  """Writes every data set that a page names."""
  synthetic.write_mnist(root, train=100, test=40)
  synthetic.write_usps(root, train=100, test=40, gain=0.6, offset=0.2)
  street_folders.write_camvid(root, train=16, test=8, dusk=(8, 4))
  for name, style in _SIDES.items():
    _scenes(root, name, **style)
  for name, count in (("render", 12), ("camera", 12)):
    frames(root / name / "train", count)

  for domain in ("parts_render", "parts_photo"):
    for part in ("bolt", "nut", "washer"):
      for split in ("train", "test"):
        frames(root / domain / split / part)


def frames(folder: pathlib.Path, count: int = 6) -> None:
  """Pictures of streets, without labels."""
  for i in range(count):
    street_folders.save(street_folders.scene(i, SIDE, SIDE)[0], folder, f"{i:03d}.png")


def dataset_yaml() -> str:
  """The one that a page shows."""
  found = {
    block.text
    for page, text in pages.texts().items()
    for block in pages.blocks(page, text)
    if block.language == "yaml" and block.text.startswith("images:")
  }
  if len(found) != 1:
    raise ValueError(f"The pages show {len(found)} dataset.yaml; expected one.")
  return found.pop()


def _scenes(root: pathlib.Path, name: str, **style: float) -> None:
  """A reader's own set, with the ids of the page's dataset.yaml."""
  folder = pathlib.Path(street_folders.write_own(root, name, train=16, test=4, **style))
  shown = dataset_yaml()
  ids = {name: int(number) for number, name in re.findall(r"(\d+): (\w+)", shown)}
  if not ids or "lane" not in ids:
    raise ValueError(f"No ids of sky, road and lane in the page's dataset.yaml:\n{shown}")
  native = np.full(256, 255, np.uint8)
  for position, known in enumerate(street_folders.NAMES):
    # A pavement for the lane, which the drawn streets lack.
    native[position] = ids.get("lane" if known == "sidewalk" else known, 255)
  for path in folder.rglob("*_label.png"):
    label = np.asarray(street_folders.Image.open(path))
    street_folders.save(native[label], path)
  (folder / "dataset.yaml").write_text(shown)


def own_network(path: pathlib.Path) -> None:
  """A classifier as a reader has one: five layers worth a look, channels in RGB."""
  network().save(path)


def network() -> tf.keras.Model:
  layers = tf.keras.layers
  model = tf.keras.Sequential([layers.Input((SIDE, SIDE, 3))])
  for number, filters in enumerate((4, 6, 8), start=1):
    name = f"conv{number}"
    model.add(layers.Conv2D(filters, 3, 2, "same", use_bias=False, name=name))
    model.add(layers.BatchNormalization(name=f"norm{number}"))
    model.add(layers.ReLU(name=f"relu{number}"))
  model.add(layers.Flatten())
  model.add(layers.Dense(8, "relu", name="hidden"))
  model.add(layers.Dense(CLASSES, name="scores"))
  return model


def outsiders_network(path: pathlib.Path) -> None:
  """In the form of benchmarks/outsiders_network.py's, whose weights are not here."""
  layers = tf.keras.layers
  images = layers.Input((None, None, 3))
  x = images
  for block in (3, 4, 5):
    x = layers.MaxPooling2D()(x) if block < 5 else x
    name = f"block{block}_conv3"
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name=name)(x)
  scores = layers.Conv2D(11, 1, name="scores")(x)
  tf.keras.Model(images, scores).save(path)


def config(path: pathlib.Path) -> None:
  """The copy of configs/own_network.py that the page asks for."""
  shutil.copy(os.path.join(runtime.PROJECT, "configs", "own_network.py"), path)
