"""From a run folder to published files: `export.run` on small runs of both tasks."""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from absl.testing import flagsaver
from PIL import Image

from export import (
  backends,
  calibrate,
  client_onnx,
  parity,
  pipeline,
  publish,
  run,
  samples,
  serving_files,
  to_onnx,
  to_saved_model,
)
from tests import exported as small
from tests import in_process, street_folders, synthetic
from tfdam import config as config_lib
from tfdam import data, runtime
from tfdam.data import transforms

_STREETS = {
  "name": "small streets", "data__source": "streets/sim", "data__target": "streets/photo",
  "data__source_limit": 16, "data__target_limit": 16, "source__steps": 4,
  "adapt__steps": 4, "adapt__ema_momentum": 0.5, "data__classes": "sky,road,building,car",
  # int8 makes no smaller file of less.
  "loop__eval_batch_size": 100, "model__depth": 0.25,
}  # fmt: skip


@pytest.fixture(scope="module")
def street_run(tmp_path_factory):
  path = str(tmp_path_factory.mktemp("runs") / "streets")
  in_process.execute(synthetic.scenes_config(**_STREETS), "", path)
  return path


@pytest.fixture(scope="module")
def digit_run(tmp_path_factory):
  root = synthetic.write_all(tmp_path_factory.mktemp("data"))
  path = str(tmp_path_factory.mktemp("runs") / "digits")
  config = synthetic.small_config(data__root=root, source__steps=4, adapt__steps=4)
  in_process.execute(config, root, path)
  return path


@pytest.fixture(scope="module")
def exported(street_run, tmp_path_factory):
  """A run folder with an export in both formats, its manifest, and what was printed."""
  workdir = shutil.copytree(street_run, tmp_path_factory.mktemp("exported") / "run")
  return workdir, *export(workdir)


@pytest.fixture
def workdir(street_run, tmp_path):
  """A copy that a test may export from."""
  return shutil.copytree(street_run, tmp_path / "run")


@pytest.fixture
def exported_workdir(exported, tmp_path):
  """A copy of an export that a test may add to."""
  return shutil.copytree(exported[0], tmp_path / "run")


@pytest.fixture(autouse=True)
def no_stranger(request, monkeypatch):
  """A process of its own imports TensorFlow anew: two exports do it, for the others.

  One of them is `exported`'s, which is older than what is replaced here for one test.
  """
  if "stranger" in request.fixturenames:
    return

  def in_this_process(folder, images):
    run_session = backends.of_session(folder)
    return [run_session(image) for image in images]

  monkeypatch.setattr(backends, "by_a_stranger", in_this_process)


@pytest.fixture
def stranger():
  """Asks for the process that cannot import tfdam."""


def export(workdir, **options):
  """Runs `export.run` in this process; returns the manifest and what it printed."""
  with flagsaver.flagsaver(workdir=str(workdir), metric_images=4, **options):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
      run.main([""])
  with open(os.path.join(workdir, "export", publish.MANIFEST)) as file:
    return json.load(file), printed.getvalue()


def change_config(workdir, section, **fields):
  """Makes the run another config's: its weights stay."""
  config = json.loads((workdir / "config.json").read_text())
  config[section].update(fields)
  (workdir / "config.json").write_text(json.dumps(config))


def refused(workdir, **options):
  with pytest.raises(config_lib.UserError) as refusal:
    export(workdir, **options)
  return str(refusal.value)


def place(workdir, *parts):
  return os.path.join(workdir, "export", *parts)


def files(folder):
  """{path: content} of everything below a folder."""
  return {
    os.path.relpath(os.path.join(base, name), folder): open(
      os.path.join(base, name), "rb"
    ).read()
    for base, _, names in os.walk(folder)
    for name in names
    if name != publish.LOCK
  }


def session(path):
  return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_one_command_leaves_both_formats_and_says_what_to_type_next(exported):
  workdir, manifest, printed = exported
  assert manifest["model"]["stage"] == "adapted"
  assert manifest["model"]["classes"] == ["sky", "road", "building", "car"]
  assert manifest["input"]["shape"] == [1, 32, 48, 3]
  assert manifest["outputs"] == {"labels": {"dtype": "int32", "shape": [1, 32, 48]}}
  assert os.path.isfile(place(workdir, "onnx", "model.onnx"))
  assert os.path.isdir(place(workdir, "saved_model", "small_streets", "1"))
  assert set(manifest["files"]) == set(files(place(workdir))) - {publish.MANIFEST}
  for title in ("SavedModel", "SavedModel without tfdam", "ONNX Runtime"):
    assert manifest["parity"][title]["relative_logit_difference"] <= 1e-4
    assert manifest["parity"][title]["label_agreement"] >= 0.9999
  assert manifest["parity"]["ONNX Runtime"]["metric"]["num_images"] == 4
  assert "export.client_onnx" in printed


def test_an_export_labels_pictures_where_there_is_no_tfdam(exported, tmp_path):
  workdir, _, _ = exported
  car = tmp_path / "car"
  shutil.copytree(place(workdir), car)
  street = os.path.join(runtime.PROJECT, "docs", "street.png")
  command = [sys.executable, "-I", "car/client_onnx.py", f"--image={street}", "--out=out"]
  done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert os.listdir(tmp_path / "out")
  with open(os.path.join(runtime.PROJECT, "export", "requirements-car.txt")) as file:
    assert (car / "requirements-car.txt").read_text() == file.read()


def test_the_moving_average_is_what_is_exported(exported):
  """The checkpoint's "model" is the average; its "target" is not."""
  workdir, *_ = exported
  # A convolution with nothing to fold into it.
  kernel = "model/blocks/2/tall1/kernel/.ATTRIBUTES/VARIABLE_VALUE"
  weights = in_process.weights(str(workdir))
  model = onnx.load(place(workdir, "onnx", "model.onnx"))
  found = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
  average = weights[kernel].transpose(3, 2, 0, 1)
  last = weights[kernel.replace("model/", "target/", 1)].transpose(3, 2, 0, 1)
  same_shape = [array for array in found if array.shape == average.shape]
  assert any(np.array_equal(array, average) for array in same_shape)
  assert not any(np.array_equal(array, last) for array in same_shape)


def test_every_stage_can_be_exported(exported, workdir):
  digests = {exported[1]["model"]["weights_sha256"]}  # of stage adapted
  for stage in ("source_only", "gaussian"):
    manifest, _ = export(workdir, stage=stage, formats=["onnx"])
    metadata = session(place(workdir, "onnx", "model.onnx")).get_modelmeta()
    assert manifest["model"]["stage"] == stage
    assert metadata.custom_metadata_map["tfdam.stage"] == stage
    digest = manifest["model"]["weights_sha256"]
    assert metadata.custom_metadata_map["tfdam.weights_sha256"] == digest
    digests.add(digest)
  assert len(digests) == 3


def test_the_golden_pair_is_what_the_file_answers(workdir):
  manifest, _ = export(workdir, formats=["onnx"], layout="nchw", label_dtype="uint8")
  entry = manifest["onnx"]["float32"]
  golden = np.load(place(workdir, entry["golden"]))
  assert golden["image"].shape == (1, 3, 32, 48)
  (labels,) = session(place(workdir, entry["file"])).run(None, {"image": golden["image"]})
  assert labels.dtype == np.uint8
  np.testing.assert_array_equal(labels, golden["labels"])


def test_metadata_name_no_path_and_no_user(exported):
  workdir, manifest, _ = exported
  model = onnx.load(place(workdir, "onnx", "model.onnx"))
  content = json.dumps(manifest) + str(model.metadata_props)
  for word in (str(workdir), os.path.expanduser("~"), os.getcwd()):
    assert word not in content
  found = {entry.key: entry.value for entry in model.metadata_props}
  assert json.loads(found["tfdam.classes"]) == manifest["model"]["classes"]
  assert json.loads(found["tfdam.input"]) == manifest["input"]
  assert found["tfdam.config_sha256"] == manifest["model"]["config_sha256"]


def test_versions_are_only_ever_added(exported_workdir):
  workdir = exported_workdir
  before = files(place(workdir, "saved_model", "small_streets"))
  manifest, _ = export(workdir, formats=["saved_model"])
  after = files(place(workdir, "saved_model", "small_streets"))
  assert manifest["saved_model"]["folder"] == "saved_model/small_streets/2"
  assert {name.split(os.sep)[0] for name in after} == {"1", "2"}
  assert {k: v for k, v in after.items() if k.startswith("1")} == before


def test_a_format_that_was_not_asked_for_again_stays_in_the_manifest(exported_workdir):
  workdir = exported_workdir
  manifest, _ = export(workdir, formats=["onnx"])
  assert manifest["saved_model"]["folder"] == "saved_model/small_streets/1"
  # Another contract of the file, the same network: the SavedModel still belongs.
  manifest, _ = export(workdir, formats=["onnx"], layout="nchw")
  assert "saved_model" in manifest
  manifest, _ = export(workdir, formats=["onnx"], stage="gaussian")
  assert "saved_model" not in manifest
  # Digests are of every file, also of the other network's SavedModel.
  found = {name for name in manifest["files"] if not name.startswith("saved_model/")}
  assert found == {"onnx/model.onnx", "onnx/golden.npz", *publish.FOR_THE_CAR}
  assert "saved_model/small_streets/1/saved_model.pb" in manifest["files"]


def test_each_format_says_what_it_takes_whatever_came_after(workdir):
  manifest, _ = export(workdir, layout="nchw", label_dtype="uint8")
  assert manifest["input"]["shape"] == [1, 3, 32, 48]
  assert manifest["input"]["colour"] == "RGB"
  served = manifest["saved_model"]
  assert served["input"]["shape"] == [None, 32, 48, 3]
  assert served["outputs"] == {"labels": {"dtype": "int32", "shape": [None, 32, 48]}}
  manifest, _ = export(workdir, formats=["onnx"], height=40, width=64)
  assert manifest["input"]["shape"] == [1, 40, 64, 3]
  assert manifest["saved_model"]["input"] == served["input"]
  manifest, _ = export(workdir, formats=["saved_model"])
  assert manifest["input"]["shape"] == [1, 40, 64, 3]
  assert "onnx/model.onnx" in manifest["files"]


def test_another_network_takes_the_onnx_files_place_and_is_served_beside(
  exported_workdir, caplog
):
  workdir = exported_workdir
  export(
    workdir, formats=["onnx"], precision="int8", max_metric_drop=20.0, calibration_images=4
  )
  _, printed = export(workdir, formats=["onnx"])
  assert "int8" not in printed  # whose figures are of another export
  assert os.path.exists(place(workdir, "onnx", "model.int8.onnx"))
  assert "held another network" not in caplog.text
  open(place(workdir, "onnx", "model.engine"), "w").close()  # the user's own
  manifest, _ = export(workdir, stage="gaussian", name="matched")
  assert "held another network: small_streets, stage adapted at step 4" in caplog.text
  assert sorted(os.listdir(place(workdir, "onnx"))) == [
    "golden.npz", "model.engine", "model.onnx"
  ]  # fmt: skip
  assert manifest["saved_model"]["folder"] == "saved_model/matched/1"
  with open(place(workdir, "saved_model", serving_files.MODELS)) as file:
    served = file.read()
  for name in ("matched", "small_streets"):
    assert f'base_path: "/models/{name}"' in served
    assert os.path.isdir(place(workdir, "saved_model", name, "1"))


def test_a_size_that_the_target_cannot_have_names_exports_own_flag(workdir):
  message = refused(workdir, formats=["onnx"], height=20)
  assert "--height is 20; expected 32 to 4096 for streets. Set --height." in message


def test_precisions_that_no_longer_fit_the_manifest_do_not_go_in_silence(
  exported_workdir, caplog
):
  workdir = exported_workdir
  export(workdir, formats=["onnx"], precision="float16", max_metric_drop=20.0)
  assert "are gone" not in caplog.text
  export(workdir, formats=["onnx"], layout="nchw")
  assert "the ONNX files in float16 take or give something else" in caplog.text
  assert not os.path.exists(place(workdir, "onnx", "model.float16.onnx"))


def test_an_empty_model_beside_may_take_images_of_any_size(tmp_path):
  (tmp_path / "1").mkdir()
  (tmp_path / "1" / "saved_model.pb").touch()
  assert to_saved_model.takes_any_size(str(tmp_path))


@pytest.mark.parametrize("name", serving_files.RESERVED)
def test_a_model_is_not_named_as_a_file_beside_it(workdir, name):
  assert "Set --name" in refused(workdir, name=name)


def test_a_second_name_for_the_same_network_leaves_its_onnx_files_alone(
  exported_workdir, caplog
):
  workdir = exported_workdir
  before = files(place(workdir, "onnx"))
  manifest, _ = export(workdir, formats=["saved_model"], name="second")
  assert files(place(workdir, "onnx")) == before
  assert manifest["model"]["name"] == "second"
  assert "ONNX Runtime" in manifest["parity"]
  assert "held another network" not in caplog.text
  client_onnx.Segmenter(str(workdir), "cpu")
  # Both are served, and every file of theirs has its digest, as long as it is there.
  for name in ("second", "small_streets"):
    assert f"saved_model/{name}/1/saved_model.pb" in manifest["files"]
  shutil.rmtree(place(workdir, "saved_model", "second"))
  manifest, _ = export(workdir, formats=["onnx"], stage="gaussian")
  assert "held another network" in caplog.text
  found = {name for name in manifest["files"] if name.endswith("saved_model.pb")}
  assert found == {"saved_model/small_streets/1/saved_model.pb"}


@pytest.mark.parametrize("kind", ["npz", "folder", "scenes"])
def test_an_own_target_without_a_test_split_is_compared_on_what_it_adapted_to(
  street_run, digit_run, tmp_path, kind
):
  run_path = street_run if kind == "scenes" else digit_run
  workdir = shutil.copytree(run_path, tmp_path / "run")
  root = tmp_path / "data"
  rng = np.random.RandomState(0)
  if kind == "npz":
    (root / "mine").mkdir(parents=True)
    np.savez(root / "mine" / "train.npz", images=rng.randint(0, 255, (6, 28, 28), np.uint8))
  elif kind == "folder":
    train = root / "mine" / "train"
    train.mkdir(parents=True)
    for i in range(6):
      array = rng.randint(0, 255, (28, 28), np.uint8)
      Image.fromarray(array).save(train / f"{i}.png")
  else:
    street_folders.write_own(str(root), "mine")
    spec = root / "mine" / "dataset.yaml"
    spec.write_text("images: images/{split}/**/*.png\nsplits: {train: train}\n")
  change_config(workdir, "data", target=f"{kind}:mine", target_limit=0)
  manifest, printed = export(workdir, formats=["onnx"], data_root=str(root))
  assert "nothing was scored" in printed
  # Random ones, black, white, and real ones: of six.
  expected = 2 + 2 + 4 if kind == "scenes" else 16 + 2 + 6
  assert manifest["parity"]["ONNX Runtime"]["num_images"] == expected


@pytest.mark.parametrize(
  ("error", "remedy"),
  [
    (tf.errors.ResourceExhaustedError(None, None, "No space left on device"), "with room"),
    (OSError(28, "No space left on device", "/tmp/elsewhere"), "TMPDIR"),
    (tf.errors.OutOfRangeError(None, None, "File too large"), "with room"),
  ],
)
def test_a_full_disk_is_told(workdir, monkeypatch, error, remedy):
  def full(*arguments):
    raise error

  monkeypatch.setattr(to_saved_model, "write", full)
  message = refused(workdir)
  assert getattr(error, "strerror", None) or error.message in message
  assert remedy in message
  assert not files(place(workdir))


def test_a_blocked_place_is_named_and_not_what_waits_for_it(workdir):
  os.makedirs(place(workdir, "onnx", "model.onnx", "inside"))
  message = refused(workdir, formats=["onnx"])
  assert f"Cannot write to {place(workdir, 'onnx', 'model.onnx')} (" in message
  assert ".staging" not in message


def test_what_was_removed_by_hand_leaves_the_manifest(exported_workdir):
  shutil.rmtree(place(exported_workdir, "saved_model"))
  manifest, _ = export(exported_workdir, formats=["onnx"])
  assert "saved_model" not in manifest
  assert all(os.path.isfile(place(exported_workdir, name)) for name in manifest["files"])
  shutil.rmtree(place(exported_workdir, "onnx"))
  manifest, _ = export(exported_workdir, formats=["saved_model"])
  assert "onnx" not in manifest
  assert all(os.path.isfile(place(exported_workdir, name)) for name in manifest["files"])


def test_a_model_of_any_size_takes_the_batching_config_away(exported_workdir):
  batching = os.path.join("saved_model", serving_files.BATCHING)
  assert os.path.isfile(place(exported_workdir, batching))
  manifest, _ = export(exported_workdir, formats=["saved_model"], dynamic_size=True)
  assert batching not in manifest["files"]
  assert not os.path.isfile(place(exported_workdir, batching))


def test_encoded_files_are_compared_as_well(workdir, monkeypatch):
  decode = to_saved_model._Served._decode
  monkeypatch.setattr(
    to_saved_model._Served, "_decode", lambda self, encoded: 255 - decode(self, encoded)
  )
  with pytest.raises(parity.GateFailed, match="SavedModel from PNG: .* of the labels"):
    export(workdir, formats=["saved_model"])


def test_norms_that_look_at_each_image_are_exported_in_every_precision(workdir):
  change_config(workdir, "match", image_moments=0.7)
  for precision in ("float16", "int8", "int8_tensorrt"):
    manifest, _ = export(
      workdir, formats=["onnx"], precision=precision, max_metric_drop=20.0,
      calibration_images=8,
    )  # fmt: skip
    kinds = to_onnx.operators(onnx.load(place(workdir, "onnx", f"model.{precision}.onnx")))
    assert kinds["GlobalAveragePool"]
  assert set(manifest["onnx"]) == {"float32", "float16", "int8", "int8_tensorrt"}


def test_images_of_another_size_are_resized_inside(workdir):
  manifest, _ = export(workdir, height=40, width=64)
  assert manifest["input"]["shape"] == [1, 40, 64, 3]
  assert manifest["outputs"]["labels"]["shape"] == [1, 40, 64]


def test_a_larger_camera_is_averaged_in_float32_also_in_int8(workdir):
  export(
    workdir, formats=["onnx"], height=80, width=120, layout="nchw", precision="int8",
    max_metric_drop=30.0, calibration_images=8,
  )  # fmt: skip
  nodes = onnx.load(place(workdir, "onnx", "model.int8.onnx")).graph.node
  convolution = next(node for node in nodes if node.op_type == "Conv")
  made_by = {name: node for node in nodes for name in node.output}
  # Quantised once, where they enter the network.
  taken = made_by[convolution.input[0]]
  before = []
  while taken is not None:
    before.append(taken.op_type)
    taken = made_by.get(taken.input[0])
  assert before.count("DequantizeLinear") == before.count("QuantizeLinear") == 1, before
  products = [node for node in nodes if node.op_type == "MatMul"]
  assert len(products) > 2
  inputs = [made_by[name].op_type for n in products for name in n.input if name in made_by]
  assert "DequantizeLinear" not in inputs


def test_a_dynamic_file_takes_any_batch_and_size(workdir):
  export(workdir, dynamic_batch=True, dynamic_size=True, outputs=["labels", "logits"])
  run_session = session(place(workdir, "onnx", "model.onnx"))
  for shape in ((1, 32, 48, 3), (3, 41, 57, 3)):
    labels, logits = run_session.run(
      ["labels", "logits"], {"image": np.ones(shape, np.uint8)}
    )
    assert labels.shape == shape[:3]
    np.testing.assert_array_equal(labels, logits.argmax(-1))


@pytest.mark.parametrize("size", [(41, 57), (376, 1241)])
def test_sizes_whose_factors_round_down_lose_no_row(workdir, size):
  """376 rows times 32 / 376 are 31.999998 in float32."""
  manifest, _ = export(workdir, formats=["onnx"], height=size[0], width=size[1])
  assert manifest["outputs"]["labels"]["shape"] == [1, *size]


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_logits_and_probabilities_are_compared_as_well(workdir, monkeypatch, layout):
  outputs = ["labels", "logits", "probabilities"]
  manifest, _ = export(workdir, layout=layout, outputs=outputs)
  for title in ("SavedModel", "ONNX Runtime"):
    assert manifest["parity"][title]["extra_difference"] <= 1e-5
  convert = to_onnx.convert

  def wrong(function, contract):
    model = convert(function, contract)
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.op_type = "Relu"
    softmax.ClearField("attribute")
    return model

  monkeypatch.setattr(to_onnx, "convert", wrong)
  with pytest.raises(parity.GateFailed, match="logits or probabilities are"):
    export(workdir, formats=["onnx"], layout=layout, outputs=outputs)


def test_float16_of_any_batch_and_size(workdir):
  export(
    workdir, formats=["onnx"], precision="float16", dynamic_batch=True,
    dynamic_size=True, max_metric_drop=20.0,
  )  # fmt: skip


@pytest.mark.parametrize("precision", ["float16", "int8", "int8_tensorrt"])
def test_a_file_of_fewer_bits_lies_beside_the_float32_one(workdir, precision):
  manifest, printed = export(
    workdir, formats=["onnx"], precision=precision, max_metric_drop=20.0,
    calibration_images=8,
  )  # fmt: skip
  assert set(manifest["onnx"]) == {"float32", precision}
  assert f"ONNX Runtime, {precision}" in printed
  sizes = [
    manifest["files"][manifest["onnx"][p]["file"]]["bytes"] for p in ("float32", precision)
  ]
  assert sizes[1] < sizes[0]
  kinds = to_onnx.operators(onnx.load(place(workdir, "onnx", f"model.{precision}.onnx")))
  assert (kinds["QuantizeLinear"] > 0) == precision.startswith("int8")
  about = manifest["onnx"][precision]
  assert about["golden"] == f"onnx/golden.{precision}.npz"
  assert ("calibration" in about) == precision.startswith("int8")
  client_onnx.Segmenter(str(workdir), precision=precision)  # checks its golden pair


def test_both_forms_of_int8_lie_beside_each_other_and_say_how_they_were_calibrated(workdir):
  options = dict(formats=["onnx"], max_metric_drop=20.0, calibration_images=4)
  export(workdir, precision="int8", **options)
  manifest, printed = export(workdir, precision="int8_tensorrt", **options)
  assert set(manifest["onnx"]) == {"float32", "int8", "int8_tensorrt"}
  for precision in ("int8", "int8_tensorrt"):
    calibration = manifest["onnx"][precision]["calibration"]
    assert calibration["method"] in calibrate.METHODS
    assert set(calibration["label_agreement"]) == set(calibrate.METHODS)
    assert (calibration["images"], calibration["held_out"]) == (4, 4)
  assert "int8_tensorrt: calibrated by" in printed
  assert "int8: calibrated by" not in printed  # of an earlier export


@pytest.mark.parametrize("precision", ["int8", "int8_tensorrt"])
def test_a_metric_that_drops_too_far_publishes_nothing(workdir, monkeypatch, precision):
  monkeypatch.setattr(
    parity,
    "metric",
    lambda *arguments: {"miou": 0.5 - 0.1 * ("int8" in arguments[4]), "num_images": 4},
  )
  message = refused(workdir, formats=["onnx"], precision=precision, calibration_images=4)
  assert "10.00 points below" in message
  assert "--max_metric_drop" in message
  assert not files(place(workdir))


def test_digits_export_with_the_references_of_both_worlds(digit_run, tmp_path, stranger):
  workdir = shutil.copytree(digit_run, tmp_path / "run")
  manifest, _ = export(workdir)
  assert manifest["outputs"]["labels"] == {"dtype": "int32", "shape": [1]}
  assert manifest["parity"]["ONNX reference"]["label_agreement"] == 1.0
  assert "accuracy" in manifest["parity"]["ONNX Runtime"]["metric"]
  assert "--dynamic_size" in refused(workdir, dynamic_size=True)


def test_without_data_parity_is_still_checked(digit_run, tmp_path):
  workdir = shutil.copytree(digit_run, tmp_path / "run")
  manifest, printed = export(workdir, formats=["onnx"], data_root=str(tmp_path / "none"))
  assert "metric" not in manifest["parity"]["keras"]
  assert manifest["parity"]["ONNX Runtime"]["num_images"] == 16 + 2
  assert "nothing was scored" in printed
  message = refused(workdir, precision="int8", data_root=str(tmp_path / "none"))
  assert "calibrated on training images" in message


def test_a_wrong_file_is_refused_and_leaves_the_earlier_export(
  exported_workdir, monkeypatch
):
  workdir = exported_workdir
  before = files(place(workdir))
  convert = to_onnx.convert

  def wrong(function, contract):
    model = convert(function, contract)
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(tensor) + 0.05
    tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
    return model

  monkeypatch.setattr(to_onnx, "convert", wrong)
  with pytest.raises(parity.GateFailed, match="a logit differs by"):
    export(workdir)
  assert files(place(workdir)) == before


def test_an_interrupted_export_leaves_nothing_half_written(workdir, monkeypatch):
  def interrupted(*arguments):
    raise KeyboardInterrupt

  monkeypatch.setattr(pipeline._Work, "manifest", interrupted)
  monkeypatch.setattr(publish, "move", interrupted)
  with pytest.raises(KeyboardInterrupt):
    export(workdir, formats=["onnx"])
  assert not files(place(workdir))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_export_that_takes_its_staging_along(
  exported_workdir, monkeypatch, number
):
  before = files(place(exported_workdir))
  staged = []

  def signalled(work, *arguments):
    staged.extend(files(work.staged))
    os.kill(os.getpid(), number)

  monkeypatch.setattr(pipeline._Work, "manifest", signalled)
  with pytest.raises(SystemExit) as caught:
    export(exported_workdir, formats=["onnx"])
  assert caught.value.code == 128 + number
  assert staged
  assert files(place(exported_workdir)) == before


def test_what_a_killed_export_left_is_swept_away(workdir):
  left = place(workdir, ".staging-killed", "onnx")
  os.makedirs(left)
  open(os.path.join(left, "model.onnx"), "w").close()
  export(workdir, formats=["onnx"])
  assert [name for name in os.listdir(place(workdir)) if name.startswith(".")] == [".lock"]


def test_a_second_export_at_the_same_time_is_refused(workdir):
  with publish.alone(place(workdir)):
    assert "Another export runs in" in refused(workdir)


def test_a_name_that_is_a_number_is_no_version(workdir):
  manifest, _ = export(workdir, formats=["saved_model"], name="2024")
  assert manifest["saved_model"]["folder"] == "saved_model/2024/1"
  assert os.path.isfile(place(workdir, "saved_model", "2024", "1", "saved_model.pb"))


def test_the_reference_scores_what_evaluation_scores(workdir):
  """Nothing else ties the exported function to the network that was evaluated."""
  with open(os.path.join(workdir, "results.json")) as file:
    scores = json.load(file)["stages"]["adapted"]["test"]
  with flagsaver.flagsaver(workdir=str(workdir), metric_images=0, formats=["onnx"]):
    with contextlib.redirect_stdout(io.StringIO()):
      run.main([""])
  with open(place(workdir, publish.MANIFEST)) as file:
    parity_found = json.load(file)["parity"]
  for title in ("keras", "ONNX Runtime"):
    assert parity_found[title]["metric"]["num_images"] == scores["num_images"]
    assert abs(parity_found[title]["metric"]["miou"] - scores["miou"]) < 1e-4


def test_a_run_without_a_finished_stage_is_refused(workdir):
  with open(os.path.join(workdir, "results.json")) as file:
    results = json.load(file)
  del results["stages"]["adapted"]
  with open(os.path.join(workdir, "results.json"), "w") as file:
    json.dump(results, file)
  message = refused(workdir, stage="adapted")
  assert "has not finished stage adapted (it has source_only, gaussian)" in message
  assert "tfdam.train" in message
  manifest, _ = export(workdir, formats=["onnx"])
  assert manifest["model"]["stage"] == "gaussian"
  os.remove(os.path.join(workdir, "results.json"))
  assert "has not finished any stage" in refused(workdir)


@pytest.mark.parametrize(
  ("options", "words"),
  [
    ({"stage": "adaptd"}, "Did you mean 'adapted'?"),
    ({"formats": ["onxx"]}, "Did you mean 'onnx'?"),
    ({"formats": []}, "--formats is empty"),
    ({"outputs": ["logit"]}, "Did you mean 'logits'?"),
    ({"formats": ["saved_model"], "precision": "int8"}, "which ONNX alone has"),
    ({"formats": ["saved_model"], "layout": "nchw"}, "--layout is nchw, which is for ONNX"),
    ({"max_metric_drop": float("nan")}, "expected points, such as 1.0"),
  ],
)
def test_a_wrong_word_is_answered_before_anything_starts(workdir, options, words):
  assert words in refused(workdir, **options)
  assert not os.path.exists(place(workdir))


@pytest.mark.parametrize(
  ("missing", "words"),
  [
    ("tf2onnx", ("needs tf2onnx", "TFDAM_PYTHON", "--formats=saved_model")),
    ("tensorflow_serving", ("needs tensorflow-serving-api", "--formats=onnx")),
  ],
)
def test_a_missing_package_is_told_before_anything_starts(
  workdir, monkeypatch, missing, words
):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, "find_spec", lambda name: None if name == missing else find(name)
  )
  message = refused(workdir, formats=["onnx", "saved_model"])
  for word in words:
    assert word in message
  assert not os.path.exists(place(workdir))


def test_without_formats_a_missing_package_of_tf_serving_leaves_its_format_out(
  workdir, monkeypatch, caplog
):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, "find_spec", lambda n: None if n == "tensorflow_serving" else find(n)
  )
  manifest, _ = export(workdir)
  assert "saved_model" not in manifest
  assert "onnx" in manifest
  assert "No SavedModel is written. The format saved_model needs tensor" in caplog.text


def test_a_folder_that_is_no_run_is_refused(tmp_path):
  assert "no run folder" in refused(tmp_path)
  with (
    flagsaver.flagsaver(workdir=None),
    pytest.raises(config_lib.UserError, match="--workdir"),
  ):
    run.main([""])


def test_a_target_that_cannot_be_written_is_refused(workdir):
  # A file where the folder must be: root, who runs tests in containers, may write anywhere.
  open(place(workdir), "w").close()
  assert "Cannot write to" in refused(workdir)


def test_a_folder_where_a_file_must_be_is_named(workdir):
  os.makedirs(place(workdir, "onnx", "model.onnx", "in the way"))
  message = refused(workdir, formats=["onnx"])
  assert "Cannot write to" in message
  assert "model.onnx" in message
  assert not os.path.exists(place(workdir, publish.MANIFEST))


def test_a_damaged_test_file_is_no_absent_one(digit_run, tmp_path):
  """Else a gate would be off in silence."""
  workdir = shutil.copytree(digit_run, tmp_path / "run")
  root = synthetic.write_all(tmp_path / "data")
  with open(os.path.join(root, "usps", "zip.test.gz"), "r+b") as file:
    file.truncate(500)
  assert "truncated" in refused(workdir, formats=["onnx"], data_root=root)


def test_a_damaged_checkpoint_is_refused(workdir):
  for base, _, names in os.walk(os.path.join(workdir, "checkpoints", "adapted")):
    for name in names:
      if name.startswith("state.data"):
        with open(os.path.join(base, name), "r+b") as file:
          file.write(b"damage")
  assert "no whole checkpoint" in refused(workdir)


def test_samples_have_the_channels_of_the_network(tmp_path):
  """Scenes are read in colour; a grey network takes one channel."""
  name = os.path.basename(street_folders.write_own(tmp_path))
  config = synthetic.scenes_config(
    data__target=f"scenes:{name}", data__classes=",".join(street_folders.NAMES),
    data__channels=1,
  )  # fmt: skip
  for channels in (1, 3):
    contract = small.make("erfnet", channels=channels)[1]
    found = samples.load(config, str(tmp_path), contract, "test")
    image = found.read_image(0)
    assert image.shape == (contract.height, contract.width, channels)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("target", ["svhn", "usps"])
def test_samples_of_digit_sets_are_what_training_saw(tmp_path, target):
  """Sampled where they become smaller, as in the release, not averaged."""
  root = synthetic.write_all(tmp_path)
  config = synthetic.small_config(data__target=target)
  contract = small.make("lenet")[1]
  found = samples.load(config, root, contract, "test")
  stored = data.load(target, "test", True, config.data, root).images
  seen = transforms.to_network(tf.constant(stored), 28, 28, 1).numpy()
  images = np.stack([found.read_image(i) for i in range(found.count)])
  np.testing.assert_allclose(images / 255.0, seen, atol=0.5 / 255 + 1e-6)
