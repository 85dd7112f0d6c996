"""The car's client on toy models whose labels NumPy can tell, and on everything broken."""

from __future__ import annotations

import ast
import concurrent.futures
import contextlib
import ctypes
import dataclasses
import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import PIL
import pytest
from onnx import TensorProto, helper
from PIL import Image

from export import client_onnx, contract

CLASSES = ("sky", "road", "car")
PALETTE = np.array([(70, 130, 180), (128, 64, 128), (0, 0, 142)], np.uint8)
# Whole numbers: float32 adds them without rounding, in any order.
WEIGHTS = {
  3: np.array([[2, -1, 0], [-1, 2, -1], [0, -1, 2]], np.float32),
  1: np.array([[1], [-1], [0]], np.float32),
}
BIAS = {3: np.array([10, -3, 5], np.float32), 1: np.array([-200, 60, 0], np.float32)}


@dataclasses.dataclass(frozen=True)
class Toy:
  """A model that labels each pixel by a linear rule, in every form that can be exported."""

  layout: str = "nhwc"
  batch: int | None = 1
  size: tuple = (8, 12)
  channels: int = 3
  task: str = "segmentation"
  label_dtype: str = "int32"
  step: int = 700

  @property
  def image_shape(self):
    if self.layout == "nhwc":
      return [self.batch, *self.size, self.channels]
    return [self.batch, self.channels, *self.size]

  @property
  def label_shape(self):
    return [self.batch, *(self.size if self.task == "segmentation" else ())]

  @property
  def origin(self):
    return {"config_sha256": "ab" * 32, "stage": "adapted", "step": self.step}

  def images(self, count=1, seed=0, size=None):
    """uint8 [count, H, W, C]."""
    shape = (count, *(size or self.size), self.channels)
    return np.random.RandomState(seed).randint(0, 256, shape, np.uint8)

  def reference(self, images):
    """The labels of uint8 [B, H, W, C] in NumPy."""
    scores = images.astype(np.float32) @ WEIGHTS[self.channels].T + BIAS[self.channels]
    if self.task == "classification":
      scores = scores.mean(axis=(1, 2))
    return scores.argmax(axis=-1).astype(self.label_dtype)

  def arranged(self, images):
    return images if self.layout == "nhwc" else images.transpose(0, 3, 1, 2)

  def model(self):
    to = {"int32": TensorProto.INT32, "uint8": TensorProto.UINT8}[self.label_dtype]
    nodes = [helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT)]
    if self.layout == "nhwc":
      nodes.append(helper.make_node("Transpose", ["floats"], ["first"], perm=[0, 3, 1, 2]))
    first = "first" if self.layout == "nhwc" else "floats"
    nodes.append(helper.make_node("Conv", [first, "weights", "bias"], ["scores"]))
    scores = "scores"
    if self.task == "classification":
      nodes.append(helper.make_node("GlobalAveragePool", ["scores"], ["means"]))
      nodes.append(helper.make_node("Flatten", ["means"], ["flat"]))
      scores = "flat"
    nodes += [
      helper.make_node("ArgMax", [scores], ["ids"], axis=1, keepdims=0),
      helper.make_node("Cast", ["ids"], ["labels"], to=to),
    ]
    weights = WEIGHTS[self.channels][..., np.newaxis, np.newaxis]
    graph = helper.make_graph(
      nodes,
      "toy",
      [helper.make_tensor_value_info("image", TensorProto.UINT8, self.image_shape)],
      [helper.make_tensor_value_info("labels", to, self.label_shape)],
      [
        onnx.numpy_helper.from_array(weights, "weights"),
        onnx.numpy_helper.from_array(BIAS[self.channels], "bias"),
      ],
    )
    made = helper.make_model(
      graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(
      made, {f"tfdam.{key}": str(value) for key, value in self.origin.items()}
    )
    return made

  def golden(self):
    images = self.images(self.batch or 2, seed=1, size=[side or 8 for side in self.size])
    return {"image": self.arranged(images), "labels": self.reference(images)}

  def manifest(self):
    return {
      "format": 1,
      "tool": {"name": "tfdam", "version": "0.1.0"},
      "model": {
        "name": "toy", "task": self.task, "network": "toy", **self.origin,
        "classes": list(CLASSES), "palette": PALETTE.tolist(), "ignored": 255,
      },
      "input": {
        "name": "image", "dtype": "uint8", "layout": self.layout,
        "shape": self.image_shape, "channels": self.channels,
      },
      "outputs": {"labels": {"dtype": self.label_dtype, "shape": self.label_shape}},
      "onnx": {
        "float32": {
          "file": "onnx/model.onnx", "golden": "onnx/golden.npz", "onnxruntime": "1.2.3"
        },
      },
      "files": {},
    }  # fmt: skip

  def write(self, run):
    """Writes the export of a run folder and returns that folder."""
    (run / "export" / "onnx").mkdir(parents=True)
    onnx.save(self.model(), run / "export" / "onnx" / "model.onnx")
    np.savez(run / "export" / "onnx" / "golden.npz", **self.golden())
    write_manifest(run, self.manifest())
    return run


def write_manifest(run, manifest):
  """Writes export.json with the digests of the files as they are now."""
  folder = run / "export"
  for file in sorted((folder / "onnx").iterdir()):
    content = file.read_bytes()
    manifest["files"][f"onnx/{file.name}"] = {
      "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)
    }  # fmt: skip
  (folder / "export.json").write_text(json.dumps(manifest))


@pytest.fixture
def run(tmp_path):
  return Toy().write(tmp_path / "run")


def start(run, **options):
  return client_onnx.Segmenter(str(run), **{"provider": "cpu", **options})


def refused(run, **options):
  """The sentence with which a start is refused."""
  with pytest.raises(client_onnx.ModelError) as caught:
    start(run, **options)
  return str(caught.value)


def has_nvidia_driver():
  try:
    ctypes.CDLL("libcuda.so.1")
  except OSError:
    return False
  return True


# ---- Labels.


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("label_dtype", ["int32", "uint8"])
def test_labels_of_an_image_equal_the_numpy_reference(
  tmp_path, layout, channels, label_dtype
):
  toy = Toy(layout=layout, channels=channels, label_dtype=label_dtype)
  segmenter = start(toy.write(tmp_path / "run"))
  images = toy.images()
  labels = segmenter(images[0])
  assert labels.dtype == label_dtype
  assert set(np.unique(labels)) == {0, 1, 2}
  np.testing.assert_array_equal(labels, toy.reference(images)[0])
  np.testing.assert_array_equal(segmenter(images), toy.reference(images))


def test_a_view_that_is_not_contiguous_is_labelled_as_it_looks(run):
  bgr = Toy().images()[0]
  np.testing.assert_array_equal(
    start(run)(bgr[..., ::-1]), Toy().reference(bgr[np.newaxis, ..., ::-1])[0]
  )


def test_a_grey_image_may_leave_out_its_channel(tmp_path):
  toy = Toy(channels=1)
  segmenter = start(toy.write(tmp_path / "run"))
  image = toy.images()[0]
  np.testing.assert_array_equal(segmenter(image[..., 0]), segmenter(image))


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_an_open_batch_takes_one_image_or_many(tmp_path, layout):
  toy = Toy(layout=layout, batch=None)
  segmenter = start(toy.write(tmp_path / "run"))
  images = toy.images(5)
  np.testing.assert_array_equal(segmenter(images), toy.reference(images))
  np.testing.assert_array_equal(segmenter(images[3]), toy.reference(images)[3])


def test_an_open_size_takes_images_of_any(tmp_path):
  toy = Toy(size=(None, None))
  segmenter = start(toy.write(tmp_path / "run"))
  assert segmenter.size == (None, None)
  for size in ((8, 8), (5, 31)):
    images = toy.images(size=size)
    np.testing.assert_array_equal(segmenter(images[0]), toy.reference(images)[0])


def test_classification_gives_a_number_or_one_for_each_image(tmp_path):
  toy = Toy(task="classification", batch=None)
  segmenter = start(toy.write(tmp_path / "run"))
  images = toy.images(4)
  images[0], images[1] = 0, 255
  expected = toy.reference(images)
  assert len(set(expected)) > 1
  np.testing.assert_array_equal(segmenter(images), expected)
  assert [segmenter(image) for image in images] == expected.tolist()
  assert type(segmenter(images[0])) is int


def test_labels_are_the_callers_and_no_later_call_changes_them(run):
  segmenter, images = start(run), Toy().images(2)
  first = segmenter(images[0])
  kept = first.copy()
  segmenter(images[1])
  np.testing.assert_array_equal(first, kept)


def test_threads_share_a_segmenter(run):
  segmenter, images = start(run), Toy().images(40)
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    labels = list(pool.map(segmenter, images))
  np.testing.assert_array_equal(np.stack(labels), Toy().reference(images))


def test_a_segmenter_says_what_it_is(run):
  segmenter = start(run)
  assert (segmenter.name, segmenter.task, segmenter.provider) == (
    "toy", "segmentation", "cpu"
  )  # fmt: skip
  assert (segmenter.classes, segmenter.channels, segmenter.size) == (CLASSES, 3, (8, 12))
  np.testing.assert_array_equal(segmenter.palette, PALETTE)


# ---- Images that are refused.


@pytest.mark.parametrize(("image", "said"), [
  (np.zeros((9, 12, 3), np.uint8), "[9, 12, 3]; toy takes [8, 12, 3]"),
  (np.zeros((9, 12, 3), np.uint8), "Resize it"),
  (np.zeros((8, 12, 4), np.uint8), "drops an alpha channel"),
  (np.zeros((8, 12), np.uint8), "the shape [8, 12]; toy takes [8, 12, 3]"),
  (np.zeros((3, 8, 12), np.uint8), "image.transpose(1, 2, 0)"),
  (np.zeros((1, 1, 8, 12, 3), np.uint8), "toy takes [8, 12, 3]"),
  (np.zeros((), np.uint8), "the shape []"),
  (np.zeros((8, 12, 3), np.float32), "is float32; toy takes uint8, 0 to 255. If it is in"),
  (np.zeros((8, 12, 3), np.int64), "is int64; toy takes uint8"),
  (np.zeros((2, 8, 12, 3), np.uint8), "2 images; toy takes 1. Call it once for each"),
  (np.zeros((0, 8, 12, 3), np.uint8), "0 images; toy takes 1"),
  ([[1], [1, 2]], "no array"),
])  # fmt: skip
def test_an_image_that_the_model_does_not_take_is_refused(run, image, said):
  with pytest.raises(client_onnx.ModelError) as caught:
    start(run)(image)
  assert said in str(caught.value)


def test_a_colour_image_for_a_grey_model_is_refused(tmp_path):
  segmenter = start(Toy(channels=1).write(tmp_path / "run"))
  with pytest.raises(client_onnx.ModelError, match="grey.*convert"):
    segmenter(np.zeros((8, 12, 3), np.uint8))


def test_an_open_batch_refuses_none_at_all(tmp_path):
  segmenter = start(Toy(batch=None).write(tmp_path / "run"))
  with pytest.raises(client_onnx.ModelError, match="0 images; toy takes one or more"):
    segmenter(np.zeros((0, 8, 12, 3), np.uint8))


# ---- Exports that are refused.


def test_the_export_is_found_from_its_run_itself_and_its_onnx_folder(run):
  for folder in (run, run / "export", run / "export" / "onnx"):
    assert start(folder).name == "toy"


@pytest.mark.parametrize("name", ["", "nothing"])
def test_a_folder_without_an_export_is_told_what_was_expected(tmp_path, name):
  message = refused(tmp_path / name)
  for part in (str(tmp_path), "export.json", "export/export.json", "export.run"):
    assert part in message


@pytest.mark.parametrize("file", ["model.onnx", "golden.npz"])
@pytest.mark.parametrize(("damage", "said"), [
  (lambda content: content[: len(content) // 2], "cut off"),
  (lambda content: b"", "has 0 bytes"),
  (lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:], "SHA-256"),
  (None, "cannot be read: No such file"),
])  # fmt: skip
def test_one_changed_byte_a_cut_and_a_missing_file_are_refused(run, file, damage, said):
  path = run / "export" / "onnx" / file
  if damage:
    path.write_bytes(damage(path.read_bytes()))
  else:
    path.unlink()
  message = refused(run)
  assert str(path) in message
  assert said in message
  assert "Copy the whole export folder again" in message


@pytest.mark.parametrize(("key", "other"), [
  ("step", 800), ("stage", "gaussian"), ("config_sha256", "cd" * 32)
])  # fmt: skip
def test_the_model_of_another_manifest_is_refused(run, key, other):
  """Digests agree, so the ONNX file's own metadata must tell."""
  manifest = Toy().manifest()
  manifest["model"][key] = other
  write_manifest(run, manifest)
  found = Toy().origin[key]
  assert f"its tfdam.{key} is {found}, expected {other}" in refused(run)


def test_a_model_without_metadata_is_refused(run):
  path = run / "export" / "onnx" / "model.onnx"
  model = onnx.load(path)
  del model.metadata_props[:]
  onnx.save(model, path)
  write_manifest(run, Toy().manifest())
  assert "its tfdam.config_sha256 is missing" in refused(run)


@pytest.mark.parametrize(("made", "promised", "said"), [
  (Toy(), Toy(size=(8, 16)), "inputs image tensor(uint8) [1, 8, 12, 3]"),
  (Toy(), Toy(batch=None), "export.json says image tensor(uint8) [any, 8, 12, 3]"),
  (Toy(), Toy(label_dtype="uint8"), "outputs labels tensor(int32) [1, 8, 12]"),
  (Toy(task="classification"), Toy(), "outputs labels tensor(int32) [1];"),
])  # fmt: skip
def test_a_model_with_another_signature_is_refused(tmp_path, made, promised, said):
  run = made.write(tmp_path / "run")
  write_manifest(run, promised.manifest())
  assert said in refused(run)


def test_an_output_that_the_model_has_not_is_refused(run):
  manifest = Toy().manifest()
  manifest["outputs"]["logits"] = {"dtype": "float32", "shape": [1, 8, 12, 3]}
  write_manifest(run, manifest)
  assert "logits tensor(float) [1, 8, 12, 3]" in refused(run)


def test_a_golden_pair_that_differs_in_more_than_one_of_10000_labels_is_refused(tmp_path):
  toy = Toy(size=(100, 100))
  run = toy.write(tmp_path / "run")
  pair = toy.golden()
  for changed in (1, 2):
    pair["labels"][0, 0, :changed] = 255
    np.savez(run / "export" / "onnx" / "golden.npz", **pair)
    write_manifest(run, toy.manifest())
    if changed == 1:
      start(run)
  message = refused(run)
  assert "toy on cpu labels its golden image otherwise than at export: 0.020%" in message
  assert "at most 0.01% may" in message
  assert f"Here is ONNX Runtime {ort.__version__}, there was 1.2.3" in message


@pytest.mark.parametrize(("pair", "said"), [
  ({"image": Toy().golden()["image"]}, "holds no image and labels"),
  ({**Toy().golden(), "image": np.zeros((1, 8, 8, 3), np.uint8)}, "[1, 8, 8, 3]"),
  ({**Toy().golden(), "image": np.zeros((8, 12, 3), np.uint8)}, "[8, 12, 3]"),
  ({**Toy().golden(), "labels": np.zeros((1, 8, 13), np.int32)}, "[1, 8, 13]"),
])  # fmt: skip
def test_a_golden_pair_of_another_form_is_refused(run, pair, said):
  np.savez(run / "export" / "onnx" / "golden.npz", **pair)
  write_manifest(run, Toy().manifest())
  assert said in refused(run)


def test_a_label_without_a_class_is_refused(tmp_path, capsys):
  """Of classes and colours that were cut alike."""
  toy = Toy(task="classification", channels=1)
  run = toy.write(tmp_path / "run")
  manifest = toy.manifest()
  manifest["model"].update(classes=["sky"], palette=[[0, 0, 0]])
  write_manifest(run, manifest)
  save(tmp_path / "dark.png", np.zeros((8, 12, 3), np.uint8))
  assert label(run, tmp_path / "dark.png", tmp_path / "out") == 2
  assert "gives the label 1, and export.json has 1 classes" in capsys.readouterr().err


@pytest.mark.parametrize("content", [
  "", "{", "[]", '"text"', "{}", '{"format": 1, "onnx": {"float32": {}}}'
])  # fmt: skip
def test_a_damaged_manifest_is_refused(run, content):
  (run / "export" / "export.json").write_text(content)
  message = refused(run)
  assert "export.json" in message
  assert "is damaged or no manifest" in message


@pytest.mark.parametrize("content", [
  b"[" * 100_000, b'{"format": 1, "onnx": ' + b"[" * 100_000, b"\xff{}", b"\0" * 100,
  b" " * (1 << 25), b'{"format": 1' + b"0" * 5000 + b"}", b'{"format": true}',
  b'\xef\xbb\xbf{"format": 1}',
], ids=range(8))  # fmt: skip
def test_a_manifest_of_odd_bytes_is_damaged_in_one_line(run, content):
  (run / "export" / "export.json").write_bytes(content)
  message = refused(run)
  assert "is damaged or no manifest" in message
  assert len(message) < 1000


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("file", ["export.json", "onnx/model.onnx", "onnx/golden.npz"])
def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_refused(run, file, make):
  path = run / "export" / file
  path.unlink()
  make(path)
  message = refused(run)
  assert f"{path} is a folder, a pipe" in message


@pytest.mark.parametrize("change", [
  lambda manifest: manifest["input"].update(layout="chwn"),
  lambda manifest: manifest["input"].update(dtype="uint16"),
  lambda manifest: manifest["input"].update(shape=[8, 12, 3]),
  lambda manifest: manifest["model"].update(task="detection"),
  lambda manifest: manifest["model"].update(palette=[[0, 0, 0]]),
  lambda manifest: manifest["outputs"].pop("labels"),
  lambda manifest: manifest.pop("files"),
])  # fmt: skip
def test_a_manifest_that_makes_no_sense_is_refused(run, change):
  manifest = Toy().manifest()
  write_manifest(run, manifest)
  change(manifest)
  (run / "export" / "export.json").write_text(json.dumps(manifest))
  assert "is damaged or no manifest" in refused(run)


def test_no_damage_to_a_manifest_is_a_traceback(run):
  manifest = Toy().manifest()
  write_manifest(run, manifest)
  del manifest["tool"]  # is for readers alone

  def places(node):
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(pairs):
      yield node, key
      if isinstance(value, (dict, list)):
        yield from places(value)

  starts = []
  for node, key in list(places(manifest)):
    kept = node[key]
    for damage in (
      None, [], {}, "?", -1, 1.5, True, [None], {"a": None}, "\0", "\ud800", "\n",
      10**400, float("nan"), "x" * 5000, ["segmentation"], "classification", "nchw",
    ):  # fmt: skip
      if damage == kept:
        continue
      node[key] = damage
      (run / "export" / "export.json").write_text(json.dumps(manifest))
      with contextlib.suppress(client_onnx.ModelError):
        start(run)
        starts.append((key, damage))
    node[key] = kept
  # What says nothing of the model or its files; names, which may be any; True, which is 1.
  free = {"network", "ignored", "onnxruntime"}
  texts, numbers = {"name", 0, 1, 2}, {"format", 0, 1, 2}
  assert [
    (key, damage)
    for key, damage in starts
    if not (
      key in free
      or (isinstance(damage, str) and key in texts)
      or (damage is True and key in numbers)
    )
  ] == []


def test_a_manifest_of_another_format_is_refused(run):
  write_manifest(run, {**Toy().manifest(), "format": 2})
  assert "has format 2; this client reads 1" in refused(run)


def test_a_file_without_a_digest_is_refused(run):
  manifest = Toy().manifest()
  (run / "export" / "export.json").write_text(json.dumps(manifest))
  assert "names onnx/model.onnx, but has no digest" in refused(run)


def test_an_unknown_precision_is_answered_with_those_there_are(run):
  shutil.copy(run / "export/onnx/model.onnx", run / "export/onnx/model.int8.onnx")
  manifest = Toy().manifest()
  manifest["onnx"]["int8"] = {
    "file": "onnx/model.int8.onnx", "golden": "onnx/golden.npz"
  }  # fmt: skip
  write_manifest(run, manifest)
  assert start(run, precision="int8").name == "toy"
  message = refused(run, precision="float16")
  assert "no precision 'float16'; it has: float32, int8" in message
  del manifest["onnx"]
  write_manifest(run, manifest)
  assert "no ONNX file at all" in refused(run)


# ---- Providers.


def test_an_unknown_provider_and_negative_threads_are_refused(run):
  assert "'gpu' is no provider; expected auto, cpu, cuda" in refused(run, provider="gpu")
  for threads in (-1, 1025, 1 << 40):
    assert f"threads is {threads}; expected" in refused(run, threads=threads)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_is_an_error_that_says_why(run, provider):
  if has_nvidia_driver():
    pytest.skip("this machine has an NVIDIA driver: nothing is missing")
  if "CUDAExecutionProvider" not in ort.get_available_providers():
    pytest.skip("the installed ONNX Runtime is not the GPU package")
  message = refused(run, provider=provider)
  for part in (
    f"Provider '{provider}' cannot be had", f" {ort.__version__} lists it",
    "libcuda.so.1: cannot open", "CUDA 12 or 13", "cuDNN 9", "provider 'cpu'",
  ):  # fmt: skip
    assert part in message
  assert "libcublas" in message or "libcudnn" in message
  assert ("TensorRT 10" in message) == (provider == "tensorrt")


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_the_cpu_package_is_told_from_the_gpu_package(run, provider, monkeypatch):
  monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
  message = refused(run, provider=provider)
  assert "has CPUExecutionProvider alone" in message
  assert "pip install onnxruntime-gpu" in message


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_onnx_runtime_itself_is_told_not_to_fall_back_to_the_cpu(
  run, provider, monkeypatch, capfd
):
  """Even where no missing library is noticed beforehand."""
  if has_nvidia_driver():
    pytest.skip("this machine has an NVIDIA driver: the provider may start")
  monkeypatch.setattr(client_onnx, "_check_listed", lambda provider: None)
  monkeypatch.setattr(client_onnx, "_check_libraries", lambda provider: None)
  message = refused(run, provider=provider)
  assert "it does not start here" in message
  assert "it became" not in message
  assert "Falling back" not in capfd.readouterr().out


def test_a_session_that_became_another_provider_is_refused(run, monkeypatch):
  """As ONNX Runtime does when nothing forbids it."""
  real = ort.InferenceSession

  def falls_back(path, options, providers, **_):
    return real(path, providers=["CPUExecutionProvider"])

  monkeypatch.setattr(client_onnx, "_check_listed", lambda provider: None)
  monkeypatch.setattr(client_onnx, "_check_libraries", lambda provider: None)
  monkeypatch.setattr(ort, "InferenceSession", falls_back)
  assert "it became CPUExecutionProvider" in refused(run, provider="cuda")


def test_auto_takes_what_starts_and_says_why_nothing_better(run, caplog):
  if has_nvidia_driver():
    pytest.skip("this machine has an NVIDIA driver: auto need not become cpu")
  with caplog.at_level("INFO"):
    segmenter = start(run, provider="auto")
  assert segmenter.provider == "cpu"
  assert "Provider auto is cpu" in caplog.text
  if "CUDAExecutionProvider" in ort.get_available_providers():
    assert "cuda does not start: libcuda.so.1: cannot open" in caplog.text


# ---- The command line.


def save(path, image):
  Image.fromarray(image).save(path)
  return path


def label(run, image, out, *flags):
  """Runs the command in this process and returns its exit status."""
  return client_onnx.main([
    f"--model={run}", f"--image={image}", f"--out={out}", "--provider=cpu", *flags
  ])  # fmt: skip


def read(path):
  with Image.open(path) as image:
    return image.mode, np.asarray(image)


def names(folder):
  return sorted(path.name for path in folder.iterdir())


def test_an_interrupted_command_ends_without_a_traceback(run, monkeypatch):
  def interrupted(options):
    raise KeyboardInterrupt

  monkeypatch.setattr(client_onnx, "_label", interrupted)
  assert label(run, "frames", "labels") == 130


def test_the_command_labels_one_image(run, tmp_path, capsys):
  image = Toy().images()
  save(tmp_path / "street.png", image[0])
  assert label(run, tmp_path / "street.png", tmp_path / "out") == 0
  assert names(tmp_path / "out") == ["street-labels.png", "street-overlay.png"]
  mode, ids = read(tmp_path / "out" / "street-labels.png")
  assert mode == "L"
  np.testing.assert_array_equal(ids, Toy().reference(image)[0])
  mode, overlay = read(tmp_path / "out" / "street-overlay.png")
  blended = (image[0].astype(float) + PALETTE[ids]) / 2
  assert mode == "RGB"
  np.testing.assert_allclose(overlay[:8], blended, atol=1)  # rounding of half a step
  legend = overlay[8:].reshape(-1, 3)
  for colour in PALETTE[np.unique(ids)]:
    assert (legend == colour).all(axis=1).any()
  printed = capsys.readouterr().out
  assert "1 image by toy on cpu, median" in printed
  assert f"Pictures: {tmp_path / 'out'}" in printed


def test_the_command_labels_a_folder_in_the_order_of_names(run, tmp_path, capsys):
  folder = tmp_path / "frames"
  folder.mkdir()
  images = Toy().images(3)
  for name, image in zip(("b.png", "a.png", "a.bmp"), images):
    save(folder / name, image)
  for other in ("notes.txt", "._a.png"):  # the latter as macOS leaves them
    (folder / other).write_text("no image")
  assert label(run, folder, tmp_path / "out", "--alpha=1") == 0
  assert names(tmp_path / "out") == [
    "a.bmp-labels.png", "a.bmp-overlay.png", "a.png-labels.png", "a.png-overlay.png",
    "b-labels.png", "b-overlay.png",
  ]  # fmt: skip
  expected = Toy().reference(images)
  for i, stem in enumerate(("b", "a.png", "a.bmp")):
    _, ids = read(tmp_path / "out" / f"{stem}-labels.png")
    np.testing.assert_array_equal(ids, expected[i])
  _, overlay = read(tmp_path / "out" / "b-overlay.png")
  np.testing.assert_array_equal(overlay[:8], PALETTE[expected[0]])
  assert "3 images by toy" in capsys.readouterr().out


def test_an_image_of_another_size_is_resized_and_its_labels_brought_back(
  run, tmp_path, caplog
):
  """And it is said, once for images of a size."""
  image = np.zeros((16, 36, 3), np.uint8)
  image[:, 18:] = (0, 0, 255)
  (tmp_path / "frames").mkdir()
  for name in ("wide.png", "wider.png"):
    save(tmp_path / "frames" / name, image)
  with caplog.at_level("INFO"):
    assert label(run, tmp_path / "frames", tmp_path / "out") == 0
  _, ids = read(tmp_path / "out" / "wide-labels.png")
  assert ids.shape == (16, 36)
  assert (ids[:, :15] == 0).all()
  assert (ids[:, 21:] == 2).all()
  said = "Images of 36 x 16 pixels, such as wide, are resized to 12 x 8"
  assert said in caplog.text
  assert caplog.text.count("are resized") == 1


def test_without_resizing_an_image_of_another_size_is_refused(run, tmp_path, capsys):
  save(tmp_path / "wide.png", np.zeros((16, 36, 3), np.uint8))
  assert label(run, tmp_path / "wide.png", tmp_path / "out", "--no-resize") == 2
  error = capsys.readouterr().err
  assert "Error: The image has the shape [16, 36, 3]; toy takes [8, 12, 3]" in error


def test_the_command_prints_the_class_of_each_image(tmp_path, capsys):
  toy = Toy(task="classification", channels=1)
  run = toy.write(tmp_path / "run")
  folder = tmp_path / "digits"
  folder.mkdir()
  save(folder / "dark.png", np.zeros((8, 12, 3), np.uint8))
  save(folder / "light.png", np.full((8, 12), 255, np.uint8))
  assert label(run, folder, tmp_path / "out") == 0
  printed = capsys.readouterr().out
  assert printed.startswith("dark: road (1)\nlight: sky (0)\n2 images by toy")
  assert not (tmp_path / "out").exists()
  os.rename(folder / "light.png", os.fsencode(folder) + b"/l\xfcght.png")
  assert label(run, folder, tmp_path / "out") == 0
  assert "l\\xfcght: sky (0)" in capsys.readouterr().out


def test_frames_and_pictures_of_one_name_overwrite_nothing(run, tmp_path):
  folder = tmp_path / "in"
  folder.mkdir()
  frames = [Image.fromarray(array) for array in Toy().images(3, seed=5)]
  frames[0].save(folder / "clip-000001.png")
  frames[1].save(folder / "clip.gif", save_all=True, append_images=frames[2:])
  out = tmp_path / "out"
  assert label(run, folder, out) == 0
  assert sorted(path.name for path in out.glob("*-labels.png")) == [
    "clip-000001-labels.png", "clip-000002-labels.png", "clip.gif-000001-labels.png"
  ]  # fmt: skip


@pytest.mark.parametrize("ending", ["gif", "tiff", "webp", "png"])
def test_every_frame_of_an_animation_is_labelled(run, tmp_path, ending):
  """Flat frames: neither a GIF's palette nor WebP's compression can turn their labels."""
  colours = [(0, 0, 255), (255, 0, 0), (0, 255, 0)]
  frames = [Image.new("RGB", (12, 8), colour) for colour in colours]
  path = tmp_path / f"drive.{ending}"
  frames[0].save(path, save_all=True, append_images=frames[1:])
  assert label(run, path, tmp_path / "out") == 0
  assert len(names(tmp_path / "out")) == 6
  for i, expected in enumerate((2, 0, 1)):
    _, ids = read(tmp_path / "out" / f"drive-{i + 1:06d}-labels.png")
    assert (ids == expected).all()


@pytest.mark.parametrize(("channels", "make"), [
  (3, lambda pixels: Image.fromarray(pixels).convert("RGBA")),
  (1, lambda pixels: Image.fromarray(pixels[..., 0])),
  (1, lambda pixels: Image.fromarray(pixels[..., 0].astype(np.uint16) * 256 + 99)),
  (1, lambda pixels: Image.fromarray(pixels.repeat(3, axis=-1))),
])  # fmt: skip
def test_alpha_grey_and_16_bits_are_read_as_training_reads_them(tmp_path, channels, make):
  toy = Toy(channels=channels)
  run = toy.write(tmp_path / "run")
  pixels = toy.images()
  make(pixels[0]).save(tmp_path / "image.png")
  assert label(run, tmp_path / "image.png", tmp_path / "out") == 0
  _, ids = read(tmp_path / "out" / "image-labels.png")
  np.testing.assert_array_equal(ids, toy.reference(pixels)[0])


def test_pixels_of_another_kind_are_refused(run, tmp_path, capsys):
  Image.new("CMYK", (12, 8)).save(tmp_path / "print.jpg")
  assert label(run, tmp_path / "print.jpg", tmp_path / "out") == 2
  assert "holds 'CMYK' pixels; expected grey or RGB" in capsys.readouterr().err


def test_an_exif_orientation_is_applied(run, tmp_path):
  image = Toy().images()[0]
  exif = Image.Exif()
  exif[0x0112] = 3  # upside down
  Image.fromarray(image[::-1, ::-1]).save(tmp_path / "image.png", exif=exif)
  assert label(run, tmp_path / "image.png", tmp_path / "out") == 0
  _, ids = read(tmp_path / "out" / "image-labels.png")
  np.testing.assert_array_equal(ids, Toy().reference(image[np.newaxis])[0])


FFMPEG_DOUBLE = """#!{python}
# Stands in for ffmpeg: two PPM pictures, the second one turned, then `status`.
import sys
assert "rgb24" in sys.argv and sys.argv[sys.argv.index("-i") + 1] == {path!r}
for width, height, colour in ((12, 8, (0, 0, 255)), (8, 12, (255, 0, 0))):
  sys.stdout.buffer.write(b"P6\\n%d %d\\n255\\n" % (width, height))
  sys.stdout.buffer.write(bytes(colour) * width * height)
if {status}:
  sys.exit("moov atom not found")
"""


def ffmpeg_double(folder, path, status, monkeypatch):
  folder.mkdir()
  program = folder / "ffmpeg"
  program.write_text(
    FFMPEG_DOUBLE.format(python=sys.executable, path=str(path), status=status)
  )
  program.chmod(0o755)
  monkeypatch.setenv("PATH", str(folder))


def test_every_frame_of_a_video_is_labelled(run, tmp_path, monkeypatch):
  video = tmp_path / "drive.mp4"
  video.write_bytes(b"the double does not read it")
  ffmpeg_double(tmp_path / "bin", video, 0, monkeypatch)
  assert label(run, video, tmp_path / "out") == 0
  for number, expected, shape in ((1, 2, (8, 12)), (2, 0, (12, 8))):
    _, ids = read(tmp_path / "out" / f"drive-{number:06d}-labels.png")
    assert ids.shape == shape
    assert (ids == expected).all()


def test_a_video_that_breaks_off_ends_with_what_ffmpeg_says(
  run, tmp_path, monkeypatch, capsys
):
  video = tmp_path / "drive.mkv"
  video.write_bytes(b"the double does not read it")
  ffmpeg_double(tmp_path / "bin", video, 1, monkeypatch)
  assert label(run, video, tmp_path / "out") == 2
  error = capsys.readouterr().err
  assert "cannot be decoded after frame 2" in error
  assert "moov atom not found" in error


def test_a_video_without_ffmpeg_is_refused(run, tmp_path, monkeypatch, capsys):
  (tmp_path / "drive.webm").write_bytes(b"")
  monkeypatch.setenv("PATH", str(tmp_path))
  assert label(run, tmp_path / "drive.webm", tmp_path / "out") == 2
  assert "no ffmpeg on PATH" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "content", "said"), [
  ("nothing.png", None, "There is no image, video or folder"),
  ("empty", "folder", "holds no image (.png"),
  ("broken.png", b"\x89PNG\r\n\x1a\n", "broken.png cannot be decoded"),
])  # fmt: skip
def test_what_cannot_be_read_ends_with_status_2(run, tmp_path, capsys, name, content, said):
  path = tmp_path / name
  if content == "folder":
    path.mkdir()
  elif content:
    path.write_bytes(content)
  assert label(run, path, tmp_path / "out") == 2
  error = capsys.readouterr().err
  assert error.startswith("Error: ")
  assert said in error


def test_pictures_are_not_written_where_they_would_be_read(run, tmp_path, capsys):
  save(tmp_path / "a.png", Toy().images()[0])
  assert label(run, tmp_path, tmp_path) == 2
  assert "--out is the folder of the images" in capsys.readouterr().err


def test_a_target_that_cannot_be_written_is_named(run, tmp_path, capsys):
  save(tmp_path / "a.png", Toy().images()[0])
  (tmp_path / "out").write_text("a file")
  assert label(run, tmp_path / "a.png", tmp_path / "out") == 2
  assert f"Cannot write to {tmp_path / 'out'}" in capsys.readouterr().err


def test_a_pipe_in_the_place_of_a_picture_is_refused(run, tmp_path, capsys):
  save(tmp_path / "a.png", Toy().images()[0])
  (tmp_path / "out").mkdir()
  os.mkfifo(tmp_path / "out" / "a-overlay.png")
  assert label(run, tmp_path / "a.png", tmp_path / "out") == 2
  assert f"{tmp_path / 'out' / 'a-overlay.png'} is a folder, a" in capsys.readouterr().err


def test_progress_shows_on_a_terminal_after_five_seconds(monkeypatch, capsys):
  clock = iter([0.0, 4.0, 6.0, 6.1, 7.0])
  monkeypatch.setattr(client_onnx.time, "monotonic", lambda: next(clock))
  monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
  progress = client_onnx._Progress()
  for count in (1, 3, 4, 5):
    progress.show(count)
  progress.end()
  shown = capsys.readouterr().err
  # The cursor goes back: what is printed next, such as an error, takes the line.
  assert shown.split("\r") == ["3 images, 0.5 a second ", "5 images, 0.7 a second ", "\n"]


# ---- Names, streams and special files.


def started(*arguments, **options):
  """Runs the command in a process of its own."""
  options = {"capture_output": True, "timeout": 120, **options}
  return subprocess.run([sys.executable, client_onnx.__file__, *arguments], **options)


@pytest.mark.parametrize("make", [
  os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path),
  lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
])  # fmt: skip
@pytest.mark.parametrize("name", ["b.png", "b.mp4"])
def test_what_is_no_file_is_refused_before_any_picture_is_labelled(
  run, tmp_path, monkeypatch, capsys, make, name
):
  (tmp_path / "in").mkdir()
  monkeypatch.chdir(tmp_path / "in")  # a socket's path may not be long
  save(tmp_path / "in" / "a.png", Toy().images()[0])
  make(name)
  assert label(run, tmp_path / "in", tmp_path / "out") == 2
  assert f"{tmp_path / 'in' / name} is a folder, a pipe" in capsys.readouterr().err
  assert not (tmp_path / "out").exists()
  if make is not os.mkdir:
    assert label(run, tmp_path / "in" / name, tmp_path / "out") == 2
    assert f"{name} is a folder, a pipe" in capsys.readouterr().err


def test_a_folder_that_may_not_be_listed_is_named(run, tmp_path, monkeypatch, capsys):
  """Root may list every folder."""

  def listdir(path):
    raise PermissionError(errno.EACCES, "Permission denied", path)

  monkeypatch.setattr(client_onnx.os, "listdir", listdir)
  assert label(run, tmp_path, tmp_path / "out") == 2
  assert f"Error: {tmp_path} cannot be read: Permission denied" in capsys.readouterr().err


def test_a_name_is_one_line_on_any_terminal(tmp_path):
  """Class and file names that are not ASCII, no UTF-8, or of two lines."""
  toy = Toy(task="classification", channels=1)
  run = toy.write(tmp_path / "run")
  manifest = toy.manifest()
  manifest["model"].update(name="st\xe4dte\ud800", classes=["stra\xdfe\n", "\ud800", "[b]"])
  write_manifest(run, manifest)
  os.mkdir(tmp_path / "in")
  save(tmp_path / "in" / "a.png", np.zeros((8, 12, 3), np.uint8))
  os.rename(tmp_path / "in" / "a.png", os.fsencode(tmp_path / "in") + b"/\xfc\n[b].png")
  flags = f"--model={run}", f"--image={tmp_path / 'in'}", "--provider=cpu"
  for encoding, city in (
    ("ascii", b"st\\xe4dte\\ud800"),
    ("utf-8", b"st\xc3\xa4dte\\ud800"),
  ):
    done = started(*flags, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\\xfc\\n[b]: \\ud800 (1)\n1 image by " + city)


def test_class_names_of_any_kind_are_drawn(tmp_path):
  run = Toy().write(tmp_path / "run")
  manifest = Toy().manifest()
  manifest["model"]["classes"] = ["\ud800", "two\nlines", "\0"]
  write_manifest(run, manifest)
  save(tmp_path / "a.png", Toy().images()[0])
  assert label(run, tmp_path / "a.png", tmp_path / "out") == 0


def test_a_reader_that_goes_ends_the_command_in_silence(tmp_path):
  run = Toy(task="classification").write(tmp_path / "run")
  save(tmp_path / "a.png", Toy().images()[0])
  reading, writing = os.pipe()
  os.close(reading)
  done = started(
    f"--model={run}", f"--image={tmp_path / 'a.png'}", "--provider=cpu",
    stdout=writing, stderr=subprocess.PIPE, capture_output=False,
  )  # fmt: skip
  os.close(writing)
  assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path):
  run = Toy(task="classification").write(tmp_path / "run")
  save(tmp_path / "a.png", Toy().images()[0])
  with open("/dev/full", "w") as full:
    done = started(
      f"--model={run}", f"--image={tmp_path / 'a.png'}", "--provider=cpu",
      stdout=full, stderr=subprocess.PIPE, capture_output=False, text=True,
    )  # fmt: skip
  assert done.returncode == 2
  assert done.stderr == "Error: [Errno 28] No space left on device\n"


def test_a_home_folder_that_is_not_there_is_told(run, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(client_onnx.os.path, "expanduser", lambda path: path)
  assert label(run, "~/a.png", tmp_path / "out") == 2
  assert "Error: ~/a.png: there is no home folder" in capsys.readouterr().err


# ---- What it needs.


@pytest.mark.skipif(
  sys.version_info < (3, 10), reason="Python 3.9 does not list its library"
)
def test_it_imports_the_standard_library_numpy_and_onnxruntime_alone():
  """Anywhere in the file; of Pillow, what the command line needs, inside functions."""
  with open(client_onnx.__file__) as file:
    tree = ast.parse(file.read())
  at_the_top = {node for part in tree.body for node in ast.walk(part)} - {
    node
    for part in tree.body
    if isinstance(part, (ast.FunctionDef, ast.ClassDef))
    or (isinstance(part, ast.If) and ast.unparse(part.test) == "TYPE_CHECKING")
    for node in ast.walk(part)
  }
  imported = {True: set(), False: set()}
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      found = {name.name.split(".")[0] for name in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0
      found = {node.module.split(".")[0]}
    else:
      continue
    imported[node in at_the_top] |= found - set(sys.stdlib_module_names)
  assert imported[True] - {"__future__"} == {"numpy", "onnxruntime"}
  assert imported[False] == {"PIL"}


@pytest.mark.parametrize(("module", "version", "said"), [
  (PIL, "9.5.0", "pillow is 9.5.0; the command line needs 10.1 or newer. pip install"),
  (PIL, "10.0.1", "pillow is 10.0.1;"), (np, "1.23.5", "numpy is 1.23.5;"),
  (ort, "1.15.1", "onnxruntime is 1.15.1; the command line needs 1.16 or newer"),
])  # fmt: skip
def test_an_old_package_is_told_at_the_start(
  run, monkeypatch, capsys, module, version, said
):
  monkeypatch.setattr(module, "__version__", version)
  assert label(run, "nothing.png", "out") == 2
  assert f"Error: {said}" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["numpy", "onnxruntime"])
def test_a_package_that_cannot_be_imported_is_told_in_one_line(tmp_path, module):
  (tmp_path / f"{module}.py").write_text("raise AttributeError('_ARRAY_API not\\nfound')")
  done = started(
    "--model=run", "--image=in", env={**os.environ, "PYTHONPATH": str(tmp_path)}, text=True
  )
  assert done.returncode == 2
  assert done.stderr.startswith("Error: _ARRAY_API not. client_onnx.py needs numpy and onn")
  assert done.stderr.count("\n") == 1


def test_copied_alone_it_labels_an_image_from_where_the_user_stands(run, tmp_path):
  shutil.copy(client_onnx.__file__, tmp_path / "client_onnx.py")
  save(tmp_path / "street.png", Toy().images()[0])
  environment = {**os.environ, "BUILD_WORKING_DIRECTORY": str(tmp_path)}
  environment.pop("PYTHONPATH", None)
  command = [
    sys.executable, str(tmp_path / "client_onnx.py"), "--model=run",
    "--image", "street.png", "--out=out",
  ]  # fmt: skip
  done = subprocess.run(
    command, cwd="/", env=environment, capture_output=True, text=True, timeout=600
  )
  assert done.returncode == 0, done.stderr
  assert "1 image by toy on " in done.stdout
  assert "Provider auto is " in done.stderr
  assert names(tmp_path / "out") == ["street-labels.png", "street-overlay.png"]


def test_the_command_ends_with_status_2_and_a_bare_message(run, tmp_path):
  (run / "export" / "onnx" / "model.onnx").write_bytes(b"short")
  save(tmp_path / "street.png", Toy().images()[0])
  done = subprocess.run(
    [sys.executable, client_onnx.__file__, f"--model={run}",
     f"--image={tmp_path / 'street.png'}"],
    cwd=tmp_path, capture_output=True, text=True, timeout=600,
  )  # fmt: skip
  assert done.returncode == 2
  assert done.stderr.startswith("Error: ")
  assert "Traceback" not in done.stderr
  assert "has 5 bytes" in done.stderr


def test_onnx_runtime_keeps_no_number_of_the_device(tmp_path):
  home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
  environment = {**os.environ, **home}
  environment.pop("ORT_DISABLE_TELEMETRY", None)
  done = subprocess.run(
    [sys.executable, client_onnx.__file__, f"--model={tmp_path}", "--image=none.png"],
    env=environment, capture_output=True, text=True, timeout=600,
  )  # fmt: skip
  assert done.returncode == 2
  assert not list(tmp_path.rglob("*"))


def test_it_offers_every_precision_that_is_exported():
  assert client_onnx._PRECISIONS == contract.PRECISIONS
