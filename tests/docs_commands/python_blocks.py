"""Runs the blocks of Python of a page, in their order, with what a reader has by then."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import re
import sys
import types
from collections.abc import Iterator, Sequence
from unittest import mock

import numpy as np
import tensorflow as tf
from PIL import Image

import tfdam
from export import client_onnx
from tests.docs_commands import materials, pages, workplace
from tfdam import config as config_lib
from tfdam.reproduction import plan

_STEPS = 2


def run(blocks: Sequence[pages.Block], place: workplace.Workplace) -> None:
  """Runs them, and what the functions give that they define.

  Raises:
    ValueError: one of them fails, with its place.
  """
  names = _brought(place)
  # A copy of the car's client, as a page has it beside a program.
  beside = {"client_onnx": types.SimpleNamespace(Segmenter=_in_car(place))}
  before = os.getcwd()
  os.chdir(place.folder)
  try:
    with _few_steps(), mock.patch.dict(sys.modules, beside):
      for block in blocks:
        _run(block, names)
  finally:
    os.chdir(before)


def _run(block: pages.Block, names: dict[str, object]) -> None:
  # Lines of errors are then the page's.
  code = "\n" * (block.line - 1) + block.text
  try:
    exec(compile(code, block.page, "exec"), names)
    _try_functions(block, names)
  except Exception as error:
    raise ValueError(f"{block.page}:{block.line}: {error!r}\n{block.text}") from error


def _try_functions(block: pages.Block, names: dict[str, object]) -> None:
  """Of a config's or an experiment's file: what its function gives is whole."""
  defined = re.findall(r"^def (\w+)\(", block.text, re.M)
  if "get_config" in defined:
    config_lib.resolve(names["get_config"]())
  if "get_experiment" in defined:
    experiment = names["get_experiment"]()
    if not plan.Planner().jobs(experiment, range(experiment.seeds), []):
      raise ValueError("The experiment has no runs.")


def _brought(place: workplace.Workplace) -> dict[str, object]:
  """Names that pages take for granted: a network, images, what comes of them."""
  for path in ("city.keras", "frames/simulator", "frames/town"):
    place.require(path)
  source, target = (_images(seed, gain) for seed, gain in ((1, 1.0), (2, 0.6)))
  np.save(place.folder / "simulator.npy", source)
  model = materials.network()
  network = tfdam.Network(model)
  town = place.folder / "frames" / "town"
  return {
    "__name__": "page", "np": np, "tf": tf, "tfdam": tfdam, "model": model,
    "network": network, "source": source, "target": target, "images": source,
    "paths": sorted(map(str, town.iterdir())), "read": _read, "image": _picture(),
    "adapted": tfdam.match_moments(network, source, target),
  }  # fmt: skip


def _images(seed: int, gain: float) -> np.ndarray:
  """float32 [24, SIDE, SIDE, 3]."""
  size = (24, materials.SIDE, materials.SIDE, 3)
  return (gain * np.random.RandomState(seed).uniform(0, 255, size)).astype(np.float32)


def _picture() -> np.ndarray:
  return np.asarray(Image.fromarray(_images(0, 1.0)[0].astype(np.uint8)).resize((48, 32)))


def _read(path: tf.Tensor) -> tf.Tensor:
  return tf.cast(tf.io.decode_png(tf.io.read_file(path)), tf.float32)


def _in_car(place: workplace.Workplace):
  """Segmenter as code in a car makes it, where an export was copied to; on the CPU."""

  def make(model_dir: str, provider: str = "auto", **options) -> client_onnx.Segmenter:
    if provider not in ("auto", *client_onnx._PROVIDERS):
      raise ValueError(f"There is no provider '{provider}'.")
    folder = place.require(os.path.join("car", model_dir))
    return client_onnx.Segmenter(str(folder), provider="cpu", **options)

  return make


@contextlib.contextmanager
def _few_steps() -> Iterator[None]:
  """Has tfdam.adapt take few steps, whatever its options say."""
  adapt = tfdam.adapt
  signature = inspect.signature(adapt)

  def small(*arguments, **named):
    bound = signature.bind(*arguments, **named)
    options = bound.arguments.get("options") or tfdam.Adapt()
    few = dataclasses.replace(options, steps=_STEPS, global_batch_size=4, warmup_steps=0)
    bound.arguments["options"] = few
    return adapt(*bound.args, **bound.kwargs)

  with mock.patch.object(tfdam, "adapt", small):
    yield
