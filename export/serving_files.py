"""Files for TF Serving beside a SavedModel: warm-up requests, models.config, batching.

They are in the protos' text format or are records, and tests read them with the real
protos. They were never tried with a real TF Serving.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
from collections.abc import Iterable

import numpy as np
from PIL import Image

from tfdam import commands

from . import contract as contract_lib

WARM_UP = "tf_serving_warmup_requests"
MODELS, BATCHING, COMPOSE = "models.config", "batching.config", "docker-compose.yml"
RESERVED = (MODELS, BATCHING, COMPOSE)
# TF Serving pads every batch to one of these; each is warmed up.
BATCH_SIZES = (1, 2, 4)
# Where the compose file mounts the models.
_MOUNT = "/models"

_MODEL = """  config {{
    name: "{name}"
    base_path: "{mount}/{name}"
    model_platform: "tensorflow"
  }}
"""
_BATCHING = """max_batch_size {{ value: {largest} }}
batch_timeout_micros {{ value: 2000 }}
num_batch_threads {{ value: 2 }}
max_enqueued_batches {{ value: 100 }}
{allowed}
"""
_COMPOSE = """# Not run where this was written, which has no TF Serving. From this folder:
#   docker compose up
#   {client}
services:
  serving:
    image: tensorflow/serving:{release} # as old as the TensorFlow that exported, or newer
    ports:
      - "8500:8500" # gRPC
      - "8501:8501" # REST
    volumes:
      - .:{mount}:ro
    entrypoint: tensorflow_model_server
    command:
      - --port=8500
      - --rest_api_port=8501
      - --model_config_file={mount}/{models}
{batching}"""
_WITH_BATCHING = f"""      - --enable_batching=true
      - --batching_parameters_file={_MOUNT}/{BATCHING}
"""


def write_configs(
  contract: contract_lib.Contract,
  folder: str,
  beside: Iterable[str] = (),
  any_size_beside: bool = False,
) -> list[str]:
  """Writes the files that start a server, beside the model's folder.

  A batching server joins requests, whose images must then have one size. If a model takes
  images of any size, batching is off.

  Args:
    contract: of the model.
    folder: of all models.
    beside: names of other models there, which are served too.
    any_size_beside: whether one of those takes images of any size.

  Returns:
    The files' names.
  """
  allowed = "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
  names = sorted({*beside, contract.name})
  batches = not (contract.dynamic_size or any_size_beside)
  models = [_MODEL.format(name=name, mount=_MOUNT) for name in names]
  asked = f"--url=http://localhost:8501 --name={contract.name} --image=..."
  texts = {
    MODELS: f"model_config_list {{\n{''.join(models)}}}\n",
    COMPOSE: _COMPOSE.format(
      client=commands.line("export.client_serving", asked), mount=_MOUNT, models=MODELS,
      release=importlib.metadata.version("tensorflow-serving-api"),
      batching=_WITH_BATCHING if batches else "",
    ),
  }  # fmt: skip
  if batches:
    texts[BATCHING] = _BATCHING.format(largest=BATCH_SIZES[-1], allowed=allowed)
  for name, text in texts.items():
    with open(os.path.join(folder, name), "w") as file:
      file.write(text)
  return list(texts)


def write_warm_up(contract: contract_lib.Contract, path: str) -> None:
  """Writes warm-up requests, one for each signature and allowed batch size.

  Args:
    contract: of the model.
    path: of the TFRecord file; its folder is made.
  """
  contract_lib.check_writer("saved_model")
  import tensorflow as tf
  from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

  os.makedirs(os.path.dirname(path), exist_ok=True)
  with tf.io.TFRecordWriter(path) as writer:
    for size in BATCH_SIZES:
      images = probe(contract, size)
      encoded = [encode(image) for image in images]
      for signature, name, value in (
        (contract_lib.SERVING_DEFAULT, contract_lib.INPUT, images),
        (contract_lib.PREDICT_BYTES, contract_lib.BYTES, encoded),
      ):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = contract.name
        request.model_spec.signature_name = signature
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        log = prediction_log_pb2.PredictionLog(
          predict_log=prediction_log_pb2.PredictLog(request=request)
        )
        writer.write(log.SerializeToString())


def probe(contract: contract_lib.Contract, batch: int, seed: int = 0) -> np.ndarray:
  """Returns random images of the contract's size, uint8 [B, H, W, C]."""
  shape = (batch, contract.height, contract.width, contract.channels)
  return np.random.RandomState(seed).randint(0, 256, shape, dtype=np.uint8)


def encode(image: np.ndarray, kind: str = "PNG") -> bytes:
  """Encodes an image, uint8 [H, W, C], as a PNG or JPEG file."""
  buffer = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, kind)
  return buffer.getvalue()


def decode(file: bytes) -> np.ndarray:
  """Decodes a file as training does, to uint8 [H, W, 1 or 3]."""
  image = np.asarray(Image.open(io.BytesIO(file)))
  return image[..., np.newaxis] if image.ndim == 2 else image
