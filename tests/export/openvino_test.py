"""OpenVINO takes int8 for CPUs as well. Set TFDAM_OPENVINO_PYTHON to a Python that has it:

python -m venv ov && ov/bin/pip install -r benchmarks/peers/requirements-openvino.txt
"""

import os

import numpy as np
import pytest

from benchmarks import inference_candidates
from export import backends, module, parity, reduce, samples, to_onnx
from tests import exported, networks

_PYTHON = os.environ.get("TFDAM_OPENVINO_PYTHON", "")


@pytest.mark.skipif(not _PYTHON, reason="TFDAM_OPENVINO_PYTHON names no Python")
@pytest.mark.parametrize("name", networks.SMALL)
def test_openvino_gives_int8s_labels(name, tmp_path):
  inference, contract = exported.make(name)
  float32 = to_onnx.convert(module.traced(inference, contract, 1), contract)
  noise = [v for k, v in parity.probes(contract, None).items() if "random" in k]
  images = samples.Samples(len(noise), noise.__getitem__, None)
  model, _ = reduce.to_int8(float32, contract, reduce.calibration(images, 4))
  (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
  np.save(tmp_path / "images.npy", np.stack(noise))
  spec = {
    "model": str(tmp_path / "model.onnx"), "images": str(tmp_path / "images.npy"),
    "threads": 1, "provider": "cpu",
  }  # fmt: skip
  worker = inference_candidates.start("openvino_int8", spec, _PYTHON)
  try:
    worker.about()
    worker.ask("label", way="host", file=str(tmp_path / "labels.npy"))
  finally:
    worker.close()
  run = backends.of_onnx(model, contract)
  expected = np.stack([run(image).labels for image in noise])
  equal = np.mean(np.load(tmp_path / "labels.npy") == expected)
  # It rounds some sums elsewhere; random weights' scores lie close together.
  assert equal > 0.95
