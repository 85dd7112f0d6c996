"""What `benchmarks.inference` counts, compares and says; no test asserts a time."""

import dataclasses
import io
import json
import os
import sys

import numpy as np
import onnx
import pytest
from absl.testing import flagsaver

from benchmarks import (
  erfnet_step,
  inference,
  inference_candidates,
  inference_files,
  inference_report,
  inference_rounds,
  inference_subject,
  inference_worker,
)
from benchmarks.peers import latency
from export import contract as contract_lib
from export import publish
from tfdam import config as config_lib
from tfdam.runs import run_folder


def tiny_model(path, gains=(1.0, 2.0, 3.0)):
  """Writes an ONNX file that labels an image by 3 1x1 kernels of these gains."""
  helper = onnx.helper
  kernel = np.array(gains, np.float32).reshape(3, 1, 1, 1) - 2.0
  bias = np.array([0.0, 20.0, -150.0], np.float32)
  nodes = [
    helper.make_node("Cast", ["image"], ["floats"], to=onnx.TensorProto.FLOAT),
    helper.make_node("Transpose", ["floats"], ["nchw"], perm=[0, 3, 1, 2]),
    helper.make_node("Conv", ["nchw", "kernel", "bias"], ["logits"]),
    helper.make_node("ArgMax", ["logits"], ["long"], axis=1, keepdims=0),
    helper.make_node("Cast", ["long"], ["labels"], to=onnx.TensorProto.INT32),
  ]
  info = helper.make_tensor_value_info
  graph = helper.make_graph(
    nodes, "tiny",
    [info("image", onnx.TensorProto.UINT8, [1, 8, 6, 1])],
    [info("labels", onnx.TensorProto.INT32, [1, 8, 6])],
    [onnx.numpy_helper.from_array(v, n) for n, v in (("kernel", kernel), ("bias", bias))],
  )  # fmt: skip
  opsets = [helper.make_opsetid("", 17)]
  model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
  onnx.save(model, path)
  return model


def tiny_labels(images, gains=(1.0, 2.0, 3.0)):
  kernel, bias = np.array(gains) - 2.0, np.array([0.0, 20.0, -150.0])
  return np.argmax(images * kernel + bias, axis=-1)


@pytest.fixture
def tiny(tmp_path):
  """What a process of the tiny model is told, and what it has to answer."""
  images = np.random.RandomState(0).randint(0, 256, (3, 8, 6, 1)).astype(np.uint8)
  np.save(tmp_path / "images.npy", images)
  tiny_model(str(tmp_path / "tiny.onnx"))
  spec = {
    "model": str(tmp_path / "tiny.onnx"), "images": str(tmp_path / "images.npy"),
    "threads": 1, "provider": "cpu",
  }  # fmt: skip
  return spec, tiny_labels(images)


# ---- What the figures amount to.


def test_percentiles_are_nearest_ranks():
  thousand = [float(i) for i in range(1, 1_001)]
  found = [inference_report.percentile(thousand, p) for p in (50.0, 90.0, 99.0, 99.9)]
  assert found == [500.0, 900.0, 990.0, 999.0]
  assert inference_report.percentile([1.0, 2.0, 3.0, 4.0], 50.0) == 2.0
  assert inference_report.percentile([1.0, 2.0, 3.0, 4.0], 90.0) == 4.0
  assert inference_report.percentile([7.0], 99.9) == 7.0


def test_a_summary_is_over_all_rounds():
  found = inference_report.summary([[4.0, 1.0], [3.0, 2.0, 10.0]])
  assert (found["p50"], found["p90"], found["max"]) == (3.0, 10.0, 10.0)
  assert (found["mean"], found["queries"], found["queries_per_s"]) == (4.0, 5, 250.0)
  assert found["p50_by_round"] == [1.0, 3.0]
  assert found["least_p50"] == 1.0


def timed(p50, p90=0.0):
  return {"latency_ms": {"host": {"p50": p50, "p90": p90}}}


def test_ratios_compare_what_is_there():
  candidates = {
    "keras": timed(200.0, 300.0), "onnx_float32": timed(150.0, 200.0),
    "onnx_int8": timed(75.0, 100.0), "torch": {"missing": "no torch"},
  }  # fmt: skip
  assert inference_report.ratios(candidates, 120.0, "p50") == {
    "ONNX Runtime times as fast as Keras": 200.0 / 150.0,
    "int8 times as fast as float32": 2.0,
    "share of floor, Keras tf.function": 0.6,
    # Of int8 there is none: it may well be faster than float32 can be.
    "share of floor, ONNX Runtime float32": 0.8,
  }
  by_p90 = inference_report.ratios(candidates, 0.0, "p90")
  assert by_p90["ONNX Runtime times as fast as Keras"] == 1.5
  assert len(by_p90) == 2


def test_the_floor_is_at_the_median_rate():
  floor = inference_report.floor({"Conv": 30_000_000}, [100.0, 60.0, 10.0])
  assert (floor["gflop"], floor["ms"]) == (0.06, 1.0)


def matrix_products():
  helper, types = onnx.helper, onnx.TensorProto
  weights = {
    "grouped": (6, 2, 3, 5), "up": (6, 4, 2, 2), "transposed": (7, 8), "plain": (7, 3)
  }  # fmt: skip
  nodes = [
    helper.make_node("Conv", ["image", "grouped"], ["a"], group=2, strides=[2, 2]),
    helper.make_node("ConvTranspose", ["a", "up"], ["b"], strides=[2, 2]),
    helper.make_node("Relu", ["b"], ["c"]),
    helper.make_node("Flatten", ["c"], ["d"], axis=3),
    helper.make_node("Gemm", ["d", "transposed"], ["e"], transB=1),
    helper.make_node("MatMul", ["e", "plain"], ["f"]),
  ]
  graph = helper.make_graph(
    nodes, "products",
    [helper.make_tensor_value_info("image", types.FLOAT, ["batch", 4, 9, 11])],
    [helper.make_tensor_value_info("f", types.FLOAT, [32, 3])],
    [onnx.numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()],
  )  # fmt: skip
  return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_operations_are_counted_by_operator():
  """By hand: 4x4 places, 4 channels in two groups; then 8x8; then 32 rows of 8."""
  assert inference_report.macs_by_operator(matrix_products(), (1, 4, 9, 11)) == {
    "Conv": 6 * 4 * 4 * (2 * 3 * 5),
    "ConvTranspose": 6 * 4 * 4 * (4 * 2 * 2),
    "Gemm": 4 * 8 * 7 * 8,
    "MatMul": 4 * 8 * 3 * 7,
  }


def test_operations_of_unknown_shapes_are_not_guessed():
  assert not inference_report.macs_by_operator(matrix_products(), ())
  assert not inference_report.floor({}, [100.0])
  assert not inference_report.floor({"Conv": 1}, [])


def kernel(ts, dur, operator, node, provider="CPUExecutionProvider"):
  return {
    "cat": "Node", "name": f"{node}_kernel_time", "ts": ts, "dur": dur,
    "args": {"op_name": operator, "provider": provider, "node_index": str(node)},
  }  # fmt: skip


def test_the_profile_leaves_the_first_runs_out():
  run = {"cat": "Session", "name": "model_run", "dur": 100}
  events = [
    {**run, "ts": 0}, kernel(1, 5_000, "Conv", 0),
    {**run, "ts": 200}, kernel(201, 3_000, "Conv", 0), kernel(210, 500, "Add", 1, "Other"),
    kernel(220, 500, "Conv", 2), {**kernel(221, 9, "Conv", 2), "name": "2_fence_before"},
    {**run, "ts": 300}, kernel(301, 3_000, "Conv", 0), kernel(310, 500, "Add", 1, "Other"),
    kernel(320, 500, "Conv", 2),
  ]  # fmt: skip
  assert inference_worker.by_operator(events, num_skipped=1) == {
    "nodes": {"CPUExecutionProvider": 2, "Other": 1},
    "operators": {
      "Conv": {"nodes": 2, "ms": 3.5, "share": 0.875},
      "Add": {"nodes": 1, "ms": 0.5, "share": 0.125},
    },
  }


# ---- Asking processes.


def test_a_process_answers_and_ends(tiny):
  spec, labels = tiny
  worker = inference_candidates.start("onnx_float32", spec)
  about = worker.about()
  assert about["providers"] == ["CPUExecutionProvider"]
  assert about["threads"] == 1
  assert inference_candidates.check_labels("onnx_float32", worker, labels, "cpu") == 1.0
  request = {"warm_up": 1, "queries": 7, "seconds": 60.0, "both": False, "seed": [0]}
  for way in ("host", "resident"):
    answer = worker.ask("time", way=way, **request)
    assert len(answer["ms"]) == 7
    assert sum(answer["ms"]) <= 1e3 * answer["seconds"]
  profile = worker.ask("profile")
  assert profile["nodes"] == {"CPUExecutionProvider": sum(
    found["nodes"] for found in profile["operators"].values()
  )}  # fmt: skip
  assert sum(found["share"] for found in profile["operators"].values()) == pytest.approx(1)
  usage = worker.ask("usage")
  # Far below this process, which has TensorFlow: no memory is inherited.
  assert 10 < usage["peak_resident_mb"] < latency.peak_resident_mb()
  assert usage["cpu_seconds"] > 0
  assert worker.close() == 0


def test_what_computes_something_else_is_not_timed(tiny):
  spec, labels = tiny
  tiny_model(spec["model"], gains=(1.0, 2.0, 3.1))
  worker = inference_candidates.start("onnx_float32", spec)
  worker.about()
  with pytest.raises(config_lib.UserError, match="not timed"):
    inference_candidates.check_labels("onnx_float32", worker, labels, "cpu")
  share = inference_candidates.check_labels("onnx_int8", worker, labels, "cpu")
  assert 0.5 < share < 1.0
  assert worker.close() == 0


def test_other_shapes_agree_nowhere():
  assert inference_candidates.agreement(np.zeros([2, 3]), np.zeros([2, 3, 1])) == 0.0


def test_a_failure_is_told_with_its_reason(tiny):
  spec, _ = tiny
  worker = inference_candidates.start("onnx_float32", {**spec, "model": "/no/such.onnx"})
  with pytest.raises(
    config_lib.UserError, match=r"ONNX Runtime float32 fails: .*such\.onnx"
  ):
    worker.about()
  assert worker.close() == 0


def test_a_process_that_is_killed_is_told_of(tiny):
  worker = inference_candidates.start("onnx_float32", tiny[0])
  worker.about()
  worker._process.kill()
  with pytest.raises(config_lib.UserError, match="ended with status -9"):
    worker.ask("usage")
  assert worker.close() == -9


@pytest.mark.parametrize(
  ("name", "flag"), [("openvino", "--openvino_python"), ("torch", "--peer_python")]
)
def test_a_peer_without_its_packages_is_missing(name, flag, tiny, tmp_path):
  bare = tmp_path / "python"
  bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
  bare.chmod(0o755)
  worker = inference_candidates.start(name, tiny[0], str(bare))
  with pytest.raises(latency.MissingError, match="No module named") as error:
    worker.about()
  worker.close()
  told = inference_candidates.explained(name, error.value)
  assert flag in told
  assert f"benchmarks/peers/requirements-{name}.txt" in told
  requirements = os.path.join(os.path.dirname(latency.__file__), f"requirements-{name}.txt")
  assert os.path.exists(requirements)


def test_a_peer_without_python_is_missing(tiny):
  with pytest.raises(latency.MissingError, match="No such file"):
    inference_candidates.start("openvino", tiny[0], "/no/such/python")


def test_the_order_of_images_depends_on_the_seed_alone():
  def asked(seed):
    found = []
    candidate = latency.Candidate({}, {"host": latency.Way(found.append)}, num_images=5)
    request = {
      "do": "time", "way": "host", "warm_up": 3, "queries": 30, "seconds": 0.0,
      "both": True, "seed": seed,
    }  # fmt: skip
    answers = io.StringIO()
    latency.serve(candidate, [json.dumps(request)], answers)
    assert len(json.loads(answers.getvalue())["ms"]) == 30
    return found

  assert len(asked([2, 0])) == 33
  assert set(asked([2, 0])) == set(range(5))
  assert asked([2, 0]) == asked([2, 0]) != asked([2, 1])


# ---- Rounds.


class FakeWorker:
  """Answers as a process whose queries take `ms` each would."""

  def __init__(self, name, ms, log):
    self.name = self.title = name
    self.ms, self.log = ms, log

  def about(self):
    return {}

  def close(self):
    return 0

  def ask(self, do, **details):
    if do == "gemm":
      return {"gflop_per_s": 100.0}
    if do == "usage":
      return {"peak_resident_mb": 12.0, "cpu_seconds": 0.0}
    self.log.append((self.name, details["warm_up"]))
    return {"ms": [self.ms] * details["queries"], "seconds": self.ms * details["queries"]}


def rounds(budget, num_rounds, **milliseconds):
  log = []
  workers = {name: FakeWorker(name, ms, log) for name, ms in milliseconds.items()}
  workers["gemm"] = FakeWorker("gemm", 0.0, log)
  found = inference_rounds.measure(workers, ["host"], budget, num_rounds, seed=0)
  return found, log


def test_candidates_take_turns_there_and_back():
  budget = inference_rounds.Budget(queries=4, seconds=1e9, needs_both=False)
  found, log = rounds(budget, 2, keras=2.0, torch=8.0)
  assert [name for name, _ in log] == ["keras", "torch", "torch", "keras"]
  first, later = log[0][1], log[-1][1]
  assert first > later > 0
  assert found.num_rounds == len(found.gflop_per_s) == 2
  assert found.candidates["torch"]["latency_ms"]["host"]["mean"] == 8.0
  assert found.candidates["torch"]["peak_resident_mb"] == 12.0


def test_whoever_needs_more_rounds_has_them():
  budget = inference_rounds.Budget(queries=4, seconds=40.0, needs_both=True)
  found, log = rounds(budget, 2, keras=5.0, torch=10.0)
  assert [name for name, _ in log].count("torch") == 2
  assert found.candidates["keras"]["latency_ms"]["host"]["queries"] == 8


def test_the_long_form_wants_both_and_says_what_it_is_not():
  with flagsaver.flagsaver(mlperf_like=True, queries=10, seconds=1.0):
    assert inference._budget() == inference_rounds.Budget(1_024, 60.0, needs_both=True)
    assert inference._ways() == ("host",)
  with flagsaver.flagsaver(queries=10, seconds=1.0):
    assert inference._budget() == inference_rounds.Budget(10, 1.0, needs_both=False)
  figures = {
    "subject": {"weights": "of a run", "int8_calibrated_on": "training images"},
    "candidates": {}, "others_cpu_share": 0.0, "mlperf_like": True,
  }  # fmt: skip
  assert inference_report.notes(figures) == [inference_report.NOT_MLPERF]
  assert "no MLPerf result" in inference_report.NOT_MLPERF
  figures.update(mlperf_like=False, others_cpu_share=0.3)
  assert "disturbed" in inference_report.notes(figures)[0]


# ---- The network, its files, and the whole.


@pytest.fixture(scope="module")
def short_erfnet(tmp_path_factory):
  """ERFNet of full width with one block of each kind, its files, and specs."""
  folder = tmp_path_factory.mktemp("erfnet")
  full = inference_subject.random("erfnet", 16, 32, seed=0)
  model = dataclasses.replace(full.config.model, depth=0.125)
  subject = full._replace(config=dataclasses.replace(full.config, model=model))
  network = subject.network()
  images, source = inference_subject.images(subject, 2, seed=0)
  assert source == "random images"
  np.save(folder / "images.npy", images)
  files = inference_files.Files(subject, network, str(folder), {})
  reference = inference_subject.reference_labels(subject, network, images)
  spec = {"images": str(folder / "images.npy"), "threads": 0, "provider": "cpu"}
  return subject, files, spec, reference


def test_every_candidate_of_this_python_gives_keras_labels(short_erfnet):
  subject, files, spec, reference = short_erfnet
  # As another process gets it: by way of JSON.
  keras_spec = json.loads(json.dumps({**spec, **subject.spec()}))
  assert inference_subject.parse(keras_spec) == subject
  candidates = {
    "keras": inference_worker.keras(keras_spec),
    "saved_model": inference_worker.saved_model(
      {**spec, "model": files.path("saved_model")}
    ),
    "onnx": inference_worker.onnx({**spec, "model": files.path("onnx_float32")}),
  }
  for name, candidate in candidates.items():
    assert candidate.num_images == 2
    for way in candidate.ways.values():
      found = [way.read(way.query(i)).copy() for i in range(2)]
      np.testing.assert_array_equal(np.concatenate(found), reference, err_msg=name)


def test_the_machines_limit_is_there_to_be_asked(short_erfnet):
  assert set(inference_worker.gemm(short_erfnet[2]).others) == {"gemm"}


def test_the_graph_has_the_operations_that_were_counted_by_hand(short_erfnet):
  _, files, _, _ = short_erfnet
  parts = erfnet_step.encoder_macs(16, 32)
  parts["five blocks of 64"] //= 5
  parts["eight blocks of 128"] //= 8
  found = inference_report.macs_by_operator(files.float32(), (1, 16, 32, 3))
  assert found == {"Conv": sum(parts.values())}


def a_run(path, contract):
  """A run folder without checkpoints, exported; returns its contract."""
  subject = inference_subject.random("erfnet", 16, 32, seed=0)
  os.makedirs(path / "export")
  (path / "config.json").write_text(config_lib.to_json(subject.config))
  digest = contract_lib.config_digest(run_folder.RunFolder(str(path)))
  contract = dataclasses.replace(contract, config_sha256=digest)
  manifest = {
    "format": publish.FORMAT, **contract.describe(),
    "onnx": {"int8": {"file": "onnx/model.int8.onnx"}},
    "saved_model": {"folder": "saved_model/small/3"},
  }  # fmt: skip
  publish.write_manifest(str(path / "export"), manifest)
  return contract


@pytest.mark.parametrize("changes", [
  {}, {"layout": "nchw", "label_dtype": "uint8", "extra_outputs": ("logits",)},
  {"dynamic_batch": True, "dynamic_size": True},
])  # fmt: skip
def test_a_runs_export_is_what_is_timed(changes, tmp_path):
  random = inference_subject.random("erfnet", 16, 32, seed=0).contract
  contract = a_run(tmp_path, dataclasses.replace(random, **changes))
  subject, ready = inference_subject.of_run(str(tmp_path))
  assert subject.contract == contract
  assert ready == {
    "onnx_int8": str(tmp_path / "export/onnx/model.int8.onnx"),
    "saved_model": str(tmp_path / "export/saved_model/small/3"),
  }


def test_another_runs_export_is_refused(tmp_path):
  a_run(tmp_path, inference_subject.random("erfnet", 16, 32, seed=0).contract)
  with open(tmp_path / "config.json", "a") as file:
    file.write("\n")
  with pytest.raises(config_lib.UserError, match="Export again"):
    inference_subject.of_run(str(tmp_path))


def test_a_run_without_a_finished_stage_is_refused(tmp_path):
  config = inference_subject.random("erfnet", 16, 32, seed=0).config
  (tmp_path / "config.json").write_text(config_lib.to_json(config))
  with pytest.raises(config_lib.UserError, match="finished no stage"):
    inference_subject.of_run(str(tmp_path))


def test_there_is_no_yardstick_for_other_networks():
  with pytest.raises(config_lib.UserError, match="only ERFNet"):
    inference_files.check_yardstick(inference_subject.random("lenet", 0, 0, seed=0))


def test_an_unknown_candidate_is_named():
  with flagsaver.flagsaver(candidates=["onnx_int4"]):
    with pytest.raises(config_lib.UserError, match="Did you mean 'onnx_int8'"):
      inference.main([""])


def test_a_json_file_in_no_folder_is_refused_at_once():
  with flagsaver.flagsaver(json="/no/such/folder/figures.json"):
    with pytest.raises(config_lib.UserError, match="no folder /no/such/folder"):
      inference.main([""])


def test_nothing_to_time_is_told_with_reasons():
  found = {"torch": {"missing": "PyTorch sees no GPU."}}
  with pytest.raises(config_lib.UserError, match="sees no GPU"):
    inference._compare({}, found, np.zeros([1]))


def test_the_whole_ends_with_a_table_and_figures(tmp_path, capsys, monkeypatch):
  path = tmp_path / "figures.json"
  start = inference_candidates.start
  monkeypatch.setattr(  # a process with TensorFlow takes seconds
    inference_candidates, "start",
    lambda name, *rest: FakeWorker(name, 0.0, []) if name == "gemm" else start(name, *rest),
  )  # fmt: skip
  with flagsaver.flagsaver(
    network="lenet", candidates=["onnx_float32", "onnx_float16", "openvino", "torch"],
    openvino_python="/no/such/python", queries=20, seconds=0.2, rounds=1, json=str(path),
  ):  # fmt: skip
    inference.main([""])
  figures = json.loads(path.read_text())
  plain = figures["candidates"]["onnx_float32"]
  assert plain["equal_labels"] == 1.0
  assert set(plain["latency_ms"]) == {"host", "resident"}
  assert plain["peak_resident_mb"] > 0
  assert list(plain["profile"]["nodes"]) == ["CPUExecutionProvider"]
  assert "latency_ms" not in figures["candidates"]["openvino"]
  assert figures["floor"]["gflop"] == pytest.approx(2 * (288 + 1600 + 400 + 5) * 1e-6)
  assert figures["provider"] == "cpu"
  printed = capsys.readouterr().out
  assert "ONNX Runtime float16" in printed
  assert "OpenVINO float32     │ missing" in printed
  assert "PyTorch's script has only ERFNet, not lenet." in printed
