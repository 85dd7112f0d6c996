"""An ONNX file in OpenVINO on the CPU, for inference.py.

It runs in a separate environment (requirements-openvino.txt); see latency.py for its
answers. Its argument is JSON: {"model", "images", "threads", "provider"}.
"""

import latency
import openvino


def make(spec):
  if spec["provider"] != "cpu":
    raise latency.MissingError("OpenVINO computes on the CPU, and on Intel's other devices")
  options = {
    "PERFORMANCE_HINT": "LATENCY",
    # Otherwise OpenVINO would run a float32 file in bfloat16 if the CPU has it.
    "INFERENCE_PRECISION_HINT": "f32",
  }
  if spec["threads"]:
    options["INFERENCE_NUM_THREADS"] = spec["threads"]
  model = openvino.Core().compile_model(spec["model"], "CPU", options)
  labels = next(o for o in model.outputs if "labels" in o.names)
  batches = latency.batches(spec["images"])
  # One request per way, so that neither reuses the other's last query.
  copying, in_place = model.create_infer_request(), model.create_infer_request()
  resident = [openvino.Tensor(batch, shared_memory=True) for batch in batches]

  def on_host(i):
    return copying.infer({"image": batches[i]})[labels]

  def stay(i):
    in_place.set_tensor("image", resident[i])
    in_place.infer()
    return in_place.get_tensor("labels")

  about = {
    "versions": {"openvino": openvino.__version__},
    "threads": model.get_property("INFERENCE_NUM_THREADS"),
  }
  ways = {
    "host": latency.Way(on_host),
    "resident": latency.Way(stay, lambda tensor: tensor.data),
  }
  return latency.Candidate(about, ways, len(batches))


if __name__ == "__main__":
  latency.run(make)
