"""Runs of a user's trained network, from its Keras file to the one that comes back."""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import flagsaver
from PIL import Image

from export import backends, pipeline, publish
from export import run as export_run
from tests import in_process, keras_networks, programs, synthetic
from tfdam import config as config_lib
from tfdam import data
from tfdam.reporting import evaluation, tables
from tfdam.runs import context, network_file, run_folder
from tfdam.runs import run as run_lib
from tfdam.training import networks
from tfdam.vocabulary import Stage

SIDE = 16


def classifier(keras):
  """Both kinds of sites, a norm that takes a convolution's, dropout, and a softmax."""
  layers = keras.layers
  images = layers.Input((SIDE, SIDE, 1))
  x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv1")(images)
  x = layers.ReLU(name="relu1")(layers.BatchNormalization(name="norm1")(x))
  x = layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
  x = layers.Dropout(0.5)(layers.Flatten()(x))
  x = layers.Dense(16, activation="relu", name="hidden")(x)
  scores = layers.Dense(10, activation="softmax", name="scores")(x)
  return keras.Model(images, scores, name="digits")


def segmenter(keras):
  """Takes images of any size, scales pixels itself, and gives maps of half the size."""
  layers = keras.layers
  images = layers.Input((None, None, 3))
  x = layers.Rescaling(1 / 127.5, offset=-1.0)(images)
  x = layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="down1")(x)
  y = layers.Conv2D(8, 3, 2, padding="same", activation="relu", name="down2")(x)
  y = layers.Conv2DTranspose(8, 2, strides=2, activation="relu", name="up")(y)
  x = layers.Concatenate(name="both")([x, y])
  return keras.Model(images, layers.Conv2D(3, 1, name="scores")(x), name="scenes")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  """Two domains of labelled digits, the source without labels, and networks' files."""
  root = tmp_path_factory.mktemp("data")
  for name, style in (("render", {}), ("photo", {"gain": 0.6, "offset": 0.2})):
    (root / name).mkdir()
    for split, count, seed in (("train", 64, 1), ("test", 40, 2)):
      images, labels = synthetic.digits(count, SIDE, seed, **style)
      np.savez(root / name / f"{split}.npz", images=images, labels=labels)
  for name in ("render", "photo"):
    images = np.load(root / name / "train.npz")["images"]
    (root / f"{name}_alone").mkdir()
    np.savez(root / f"{name}_alone" / "train.npz", images=images)
  made = keras_networks.made(classifier, 2)
  for ending in (".keras", ".h5", ""):
    made.save(root / f"digits{ending}")
  keras_networks.made(segmenter, 2).save(root / "scenes.keras")
  return str(root)


def options(root, **overrides):
  return {
    "name": "own", "data__root": root, "data__source": "npz:render",
    "data__target": "npz:photo", "data__height": SIDE, "data__width": SIDE,
    "model__name": "keras", "model__path": os.path.join(root, "digits.keras"),
    "model__scale": "1/255", "source__steps": 0, "adapt__steps": 8, "adapt__taps": "auto",
    "adapt__init": "matched", "adapt__objective": "least_squares",
    "adapt__ema_momentum": 0.5,
    "loop__checkpoint_every": 4, "loop__log_every": 2, **overrides,
  }  # fmt: skip


def config_of(root, **overrides):
  return synthetic.small_config(**options(root, **overrides))


def scenes_config(root, **overrides):
  return synthetic.scenes_config(**{
    "model__name": "keras", "model__width": 1.0, "model__depth": 1.0,
    "model__path": os.path.join(root, "scenes.keras"), "adapt__taps": "down2,scores:0.5",
    "source__steps": 0, "adapt__steps": 4, **overrides,
  })  # fmt: skip


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
  """A run folder, and its results."""
  path = str(tmp_path_factory.mktemp("runs") / "whole")
  return path, in_process.execute(config_of(root), root, path)


def restored(path, stage="adapted"):
  folder = run_folder.RunFolder(path)
  return pipeline.restore(folder.read_config(), folder, stage)[0]


def assert_same_weights(one, other, stage="adapted", atol=0.0):
  first, second = in_process.weights(one, stage), in_process.weights(other, stage)
  assert first.keys() == second.keys()
  for name in first:
    np.testing.assert_allclose(first[name], second[name], rtol=0, atol=atol, err_msg=name)


def test_every_stage_is_scored_and_scored_alike_again(finished, root):
  path, results = finished
  assert list(results["stages"]) == ["source_only", "gaussian", "adapted"]
  config = config_of(root)
  scored = data.load_scored(config.data, root, config.seed)
  for stage, scores in results["stages"].items():
    assert scores["test"]["num_images"] == 40
    again = evaluation.score_splits(restored(path, stage), scored, config)
    assert again == scores
  moved = [not np.array_equal(one, two) for one, two in zip(
    restored(path, "source_only").get_weights(), restored(path).get_weights()
  )]  # fmt: skip
  assert all(moved[:2])


def test_the_source_network_computes_what_its_file_does(finished, root):
  pixels = np.load(os.path.join(root, "photo", "test.npz"))["images"][:4, ..., None]
  model = tf.keras.models.load_model(os.path.join(root, "digits.keras"))
  logits = restored(finished[0], "source_only")(pixels / np.float32(255))["logits"]
  # The scale of 1/255 is none at all to images from 0 to 1.
  wanted = model(pixels / np.float32(255), training=False)
  np.testing.assert_allclose(tf.nn.softmax(logits), wanted, atol=1e-6)


def test_what_comes_back_loads_in_a_process_without_tfdam(finished, tmp_path):
  path, _ = finished
  images = np.random.RandomState(0).uniform(size=(3, SIDE, SIDE, 1)).astype(np.float32)
  np.save(tmp_path / "images.npy", images)
  script = f"""
import sys
sys.modules["tfdam"] = None
import numpy as np, tensorflow as tf
model = tf.keras.models.load_model({os.path.join(path, "adapted.keras")!r})
print([layer.name for layer in model.layers])
np.save({str(tmp_path / "found.npy")!r}, model(np.load({str(tmp_path / "images.npy")!r})))
"""
  done = subprocess.run(
    [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert "'conv1', 'norm1', 'relu1', 'conv2'" in done.stdout
  logits = restored(path)(images)["logits"]
  found = np.load(tmp_path / "found.npy")
  np.testing.assert_allclose(tf.nn.softmax(logits), found, atol=1e-6)


def test_a_run_cut_off_ends_with_the_same_bits_without_the_users_file(
  finished, root, tmp_path
):
  path, whole = finished
  cut = str(tmp_path / "cut")
  shutil.copytree(path, cut)
  shutil.rmtree(os.path.join(cut, "checkpoints", "adapted", "00000008"))
  shutil.rmtree(os.path.join(cut, "checkpoints", "gaussian"))
  for name in ("results.json", "adapted.keras"):
    os.remove(os.path.join(cut, name))
  config = config_of(root, model__path="/gone/digits.keras")
  again = in_process.execute(config, root, cut)
  assert again["stages"] == whole["stages"]
  for stage in Stage:
    assert_same_weights(path, cut, stage)
  one, two = (
    tf.keras.models.load_model(os.path.join(place, "adapted.keras")).get_weights()
    for place in (path, cut)
  )
  assert all(map(np.array_equal, one, two))


def test_a_changed_file_is_told_when_the_run_goes_on(finished, root, tmp_path):
  path = shutil.copytree(finished[0], tmp_path / "run")
  other = keras_networks.made(classifier, 2)
  other.set_weights([w + 0.01 for w in other.get_weights()])
  other.save(tmp_path / "digits.keras")
  config = config_of(root, model__path=str(tmp_path / "digits.keras"))
  with pytest.raises(
    config_lib.UserError, match=r"begun with another network than .*digits"
  ):
    in_process.execute(config, root, str(path))


def test_both_formats_and_int8_are_exported_and_agree(finished, tmp_path, monkeypatch):
  workdir = shutil.copytree(finished[0], tmp_path / "run")
  monkeypatch.setattr(  # a process that imports TensorFlow anew
    backends, "by_a_stranger",
    lambda folder, images: [backends.of_session(folder)(image) for image in images],
  )  # fmt: skip
  with (
    flagsaver.flagsaver(
      workdir=str(workdir), precision="int8", calibration_images=8, max_metric_drop=100.0
    ),
    contextlib.redirect_stdout(io.StringIO()),
  ):
    export_run.main([""])
  manifest = json.loads((workdir / "export" / publish.MANIFEST).read_text())
  assert manifest["model"]["network"] == "keras"
  assert {*manifest["onnx"]} == {"float32", "int8"}
  image = np.full((SIDE, SIDE), 80, np.uint8)
  image[4:12, 7:9] = 200
  Image.fromarray(image).save(tmp_path / "image.png")
  code, output = programs.run(
    None, None, f"--model={workdir / 'export'}", f"--image={tmp_path / 'image.png'}",
    "--provider=cpu", module="export.client_onnx",
  )  # fmt: skip
  assert code == 0, output


@pytest.mark.parametrize("ending", [".h5", ""])
def test_the_form_that_came_in_goes_out(root, tmp_path, ending):
  config = config_of(
    root, model__path=os.path.join(root, f"digits{ending}"), adapt__steps=0
  )
  path = str(tmp_path / "run")
  in_process.execute(config, root, path)
  place = os.path.join(path, f"adapted{ending}")
  assert network_file.written(run_folder.RunFolder(path)) == place
  model = tf.keras.models.load_model(place)
  network = restored(path, "gaussian")
  for one, two in zip(model.get_weights(), network.get_weights()):
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("version", [2, 3])
def test_one_replica_and_two_agree(root, tmp_path, version):
  made = keras_networks.made(classifier, version)  # skips where there is no Keras 3
  made.save(tmp_path / "digits.keras")
  config = config_of(
    root, model__path=str(tmp_path / "digits.keras"), adapt__epsilon=1e-3,
    adapt__taps="conv2",
  )  # fmt: skip
  in_process.execute(config, root, str(tmp_path / "one"))
  in_process.execute(config, root, str(tmp_path / "two"), synthetic.two_replicas())
  one, two = (in_process.weights(str(tmp_path / name)) for name in ("one", "two"))
  names = [name for name in one if name.startswith("model/")]
  assert len(names) == len(made.weights)
  for name in names:
    # Sums in another order, in eight steps of up to 2e-4.
    np.testing.assert_allclose(one[name], two[name], rtol=0, atol=1e-5, err_msg=name)
  read = keras_networks.keras_of(version).models.load_model(
    str(tmp_path / "two" / "adapted.keras")
  )
  assert type(read) is type(made)
  assert keras_networks.variables(read) == keras_networks.variables(made)


def test_batch_norms_may_train_and_labels_too(root, tmp_path):
  config = config_of(
    root, source__steps=3, adapt__batch_norm="train", adapt__taps="scores:0.5"
  )
  path = str(tmp_path / "run")
  in_process.execute(config, root, path)
  kept = tf.keras.models.load_model(os.path.join(path, "network.keras"))
  weights = [kept.get_weights()] + [restored(path, s).get_weights() for s in Stage]
  moving = [v.name for v in kept.weights].index("norm1/moving_mean:0")
  for before, after in zip(weights, weights[1:]):
    # Matching leaves moving moments as they are, and folds into scale and offset.
    is_matched = after is weights[2]
    assert np.array_equal(before[moving], after[moving]) == is_matched
    assert not np.array_equal(before[1], after[1])


def test_without_labels_anywhere_the_same_bits_come_out_and_numbers_for_them(
  finished, root, tmp_path
):
  config = config_of(
    root, data__source="npz:render_alone", data__target="npz:photo_alone",
    loop__watch_every=4,
  )  # fmt: skip
  assert not config.needs_source_labels
  path = str(tmp_path / "run")
  results = in_process.execute(config, root, path)
  assert_same_weights(finished[0], path)
  assert results["stages"] == {"source_only": {}, "gaussian": {}, "adapted": {}}
  assert list(results["unlabelled"]) == list(results["stages"])
  for found in results["unlabelled"].values():
    assert 0 <= found["marginal_distance"] <= 1
    assert 1 <= found["classes_predicted"] <= 10
    assert found["dead_channels"] <= found["channels"] == 8 + 8 + 16 + 10
  with contextlib.redirect_stdout(io.StringIO()) as printed:
    tables.print_unlabelled(results)
  assert "of 42" in printed.getvalue()
  # The source has no labels either: its network's predictions stand for them.
  assert len(results["source_label_shares"]) == 10
  assert sum(results["source_label_shares"]) == pytest.approx(1.0)
  for stage, found in results["label_free"].items():
    assert found["marginal_distance"] == results["unlabelled"][stage]["marginal_distance"]
    assert f" {found['entropy']:.3f} " in printed.getvalue()


def test_a_segmenter_is_adapted_scored_and_drawn(root, tmp_path):
  config = scenes_config(root, loop__num_panels=2)
  domains = in_process.scenes_domains(config)
  domains = domains._replace(source=domains.source.without_labels())
  path = str(tmp_path / "run")
  results = in_process.execute(config, domains, path)
  assert results["task"] == "segmentation"
  assert results["classes"] == ["sky", "ground", "box"]
  for scores in results["stages"].values():
    assert len(scores["test"]["iou_per_class"]) == 3
  assert os.path.exists(os.path.join(path, "pictures", "panels.png"))
  network = restored(path)
  assert network.TAPS == ("down2", "scores")
  assert network(tf.zeros([1, 32, 48, 3]))["logits"].shape == (1, 16, 24, 3)


def test_a_segmenter_of_images_alone_is_matched_and_drawn(root, tmp_path):
  for name, gain in (("sim", 1.0), ("street", 0.6)):
    scenes = synthetic.scenes(6, gain=gain)
    (tmp_path / name).mkdir()
    images = np.stack([scenes.read_image(i) for i in range(6)])
    np.savez(tmp_path / name / "train.npz", images=images)
  config = scenes_config(
    root, data__source="npz:sim", data__target="npz:street", adapt__steps=0,
    loop__num_panels=2,
  )  # fmt: skip
  path = str(tmp_path / "run")
  results = in_process.execute(config, str(tmp_path), path)
  assert (results["task"], results["classes"]) == ("segmentation", ["sky", "ground", "box"])
  assert os.path.exists(os.path.join(path, "pictures", "panels.png"))
  assert os.path.exists(os.path.join(path, "adapted.keras"))


def test_a_segmenter_trains_on_labels_of_the_images_size(root, tmp_path):
  config = scenes_config(root, source__steps=2, adapt__steps=0)
  domains = in_process.scenes_domains(config)
  with pytest.raises(
    config_lib.UserError, match=r"differ in size: 16 x 24 and 32 x 48\. Set"
  ):
    in_process.execute(config, domains, str(tmp_path / "refused"))
  model = dataclasses.replace(config.model, enlarge=True)
  config = dataclasses.replace(config, model=model)
  in_process.execute(config, domains, str(tmp_path / "run"))
  logits = restored(str(tmp_path / "run"), "gaussian")(tf.zeros([1, 32, 48, 3]))["logits"]
  assert logits.shape == (1, 32, 48, 3)


@pytest.mark.parametrize(("fields", "said"), [
  ({"model__path": ""}, "'keras' and model.path is empty; expected a network"),
  ({"model__width": 0.5}, "model.width is 0.5, but the network is a file's"),
  ({"match__image_moments": 0.7}, "Set match.image_moments=0"),
  ({"runtime__precision": "mixed_bfloat16"}, "Set runtime.precision=float32"),
  ({"model__mean": "0.5,0.5"}, "model.mean is '0.5,0.5'; expected a number, such as"),
  ({"model__scale": "1/0"}, "model.scale is '1/0'; expected a number"),
  ({"model__deviation": "0"}, "leaves nothing of an image"),
  ({"model__name": "lenet"}, "no use for it. Set model.name=keras for a network"),
])  # fmt: skip
def test_what_no_config_may_say_is_told_before_tensorflow_starts(root, fields, said):
  with pytest.raises(config_lib.UserError) as refusal:
    config_of(root, **fields)
  assert said in str(refusal.value)


@pytest.mark.parametrize(("fields", "said"), [
  ({"model__path": "/no/such.keras"}, "/no/such.keras"),
  ({"model__scale": ""}, "begins with no Rescaling or Normalization layer, and nothing"),
  ({"data__num_classes": 7}, "digits.keras has 10 classes, but data.num_classes is 7;"),
  ({"data__classes": "a,b,c", "data__num_classes": 0}, "labels whole images, and data.cl"),
  ({"data__height": 20}, "takes images of 16 x 16 x 1, and data.height x width x channels"
   " is 20 x 16 x 1. Set data.height=16 data.width=16"),
  ({"adapt__taps": "relu"}, "Did you mean 'relu1'? Set adapt.taps; 'auto' takes"),
  ({"match__sites": "conv1"}, "Site 'conv1' is not in keras"),
])  # fmt: skip
def test_a_network_that_does_not_fit_is_refused_before_the_first_step(
  root, tmp_path, fields, said
):
  plain = {key: value for key, value in fields.items() if key != "data__classes"}
  domains = in_process.domains(config_of(root, **{**plain, "data__num_classes": 10}), root)
  with pytest.raises(config_lib.UserError) as refusal:
    in_process.execute(config_of(root, **fields), domains, str(tmp_path / "run"))
  assert said in str(refusal.value)
  assert "Set --config." in config_lib.with_flags(refusal.value)
  assert not (tmp_path / "run").exists()


def test_a_segmenter_wants_names_for_its_classes(root, tmp_path):
  config = config_of(
    root, model__path=os.path.join(root, "scenes.keras"), model__scale="",
    data__channels=3, data__num_classes=3,
  )  # fmt: skip
  none = context.Domains(*(synthetic.scenes(2, labels=False),) * 2, {})
  with pytest.raises(config_lib.UserError, match="labels pixels with 3 classes, and data."):
    in_process.execute(config, none, str(tmp_path / "run"))


def test_a_frozen_network_is_matched_and_not_adapted(root, tmp_path):
  model = keras_networks.made(classifier, 2)
  model.trainable = False
  model.save(tmp_path / "frozen.keras")
  config = config_of(root, model__path=str(tmp_path / "frozen.keras"))
  with pytest.raises(
    config_lib.UserError, match="All layers of .*frozen.keras were frozen"
  ):
    in_process.execute(config, root, str(tmp_path / "run"))


def test_an_operation_without_a_deterministic_kernel_is_told(root, tmp_path, monkeypatch):
  def resize_gradient(*arguments):
    raise tf.errors.UnimplementedError(
      None, None, "A deterministic GPU implementation of X"
    )

  monkeypatch.setattr(run_lib.adapt_stage, "adapt", resize_gradient)
  config = config_of(root, match__enabled=False, adapt__init="source")
  with pytest.raises(config_lib.UserError, match=r"of X\). Set runtime.determ"):
    in_process.execute(config, root, str(tmp_path / "run"))


@pytest.mark.parametrize("style", ["fourier", "lab"])
def test_a_source_without_labels_may_have_the_targets_look(finished, root, tmp_path, style):
  config = config_of(
    root, data__source="npz:render_alone", data__target="npz:photo_alone",
    data__source_style=style, adapt__steps=0, source__steps=0,
  )  # fmt: skip
  path = str(tmp_path / "run")
  in_process.execute(config, root, path)
  plain, styled = (
    restored(place, "gaussian").get_weights() for place in (finished[0], path)
  )
  assert not all(map(np.array_equal, plain, styled))


def test_auto_takes_four_taps_of_our_networks_as_well():
  config = synthetic.small_config(model__name="lenet_bn", adapt__taps="auto")
  settled = networks.settle_taps(config, networks.build_network(config, "net"))
  assert settled.adapt.taps == "conv1,conv2,fc3,fc4"
  assert list(settled.adapt.tap_weights.values()) == [1.0] * 4


def test_images_alone_suit_a_classifier_and_a_segmenter(root):
  options = config_lib.Data(source="npz:render_alone", target="npz:photo_alone")
  assert data.task(options, root, source_labels=False) == "classification"
  named = dataclasses.replace(options, classes="sky,ground,box")
  assert data.task(named, root, source_labels=False) == "segmentation"


def test_the_command_runs_the_example_and_says_where_the_network_is(root, tmp_path):
  flags = [
    "--config=configs/own_network.py", f"--config.model.path={root}/digits.keras",
    "--config.data.source=npz:render_alone", "--config.data.target=npz:photo",
    f"--config.data.height={SIDE}", f"--config.data.width={SIDE}",
    "--config.data.channels=1",
    "--config.model.mean=", "--config.model.deviation=", "--config.adapt.steps=4",
    "--config.loop.num_panels=0",
  ]  # fmt: skip
  code, output = programs.run(tmp_path / "run", root, *flags)
  assert code == 0, output
  assert "Adapted network, in the form of your file:" in output
  assert "run/adapted.keras" in output
  recorded = json.loads((tmp_path / "run" / "run.json").read_text())["data"]
  assert recorded["network"].keys() == {"network"}
  # Nothing was read of labels that are not there, and these are missed when wanted.
  message = programs.refused(tmp_path / "other", root, *flags, "--config.source.steps=5")
  assert "npz:render_alone in" in message
  assert "Set --config.source.steps=0" in message
  assert not (tmp_path / "other").exists()
