"""What a command reads and what it makes, as paths below the folder that it runs in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tests import in_process
from tests.docs_commands import calls, pages
from tfdam import runtime

_TRAINS = ("tfdam.train", "tfdam.translate")
_COPIED = "configs/own_network.py"
_OF_RUNS = ("tfdam.evaluate", "tfdam.report", "tfdam.source_or_not", "export.run")
_DEFAULTS = {
  "tfdam.train": runtime.DEFAULT_CONFIG, "tfdam.translate": "configs/translation/streets.py"
}  # fmt: skip


def made_by(command: pages.Command) -> Iterator[str]:
  """Yields paths that a command makes, if it is run."""
  if command.script or command.in_sentence:
    return
  words = command.words
  if words[0] == "scp" and len(words) == 4:
    yield os.path.join("car", os.path.basename(words[2]))
  if words[1:3] == ("-m", "venv") and len(words) == 4:
    yield os.path.join(words[3], "bin", "activate")
  if words[0] == "python" and words[1].endswith(".py") and "/" not in words[1]:
    # Of signs.py: signs.keras, data/signs_render and data/signs_camera.
    name = words[1][: -len(".py")]
    yield f"{name}.keras"
    yield from (os.path.join("data", f"{name}_{domain}") for domain in ("render", "camera"))
  try:
    call = calls.of_words(words)
    is_training = bool(call and call.module in _TRAINS)
    name = config_of(call).name if call and is_training else ""
  except Exception:  # of a config file, too: the command's own test says so
    return
  if call and is_training:
    yield call.value("workdir") or os.path.join("runs", name)
    yield from call.values("write")
  if call and call.module == "export.run":
    yield os.path.join(call.value("workdir"), "export")


def read_by(call: calls.Call) -> Iterator[str]:
  """Yields paths that have to be there before a command is run."""
  if call.in_car:
    yield "car/export"
    yield os.path.join("car", call.value("image"))
  elif call.module == "export.client_onnx":
    yield os.path.join(call.value("model"), "export")
    yield call.value("image")
  elif call.module in _TRAINS:
    yield from _read_by_training(call)
  elif call.module in _OF_RUNS:
    yield from filter(None, call.value("workdir").split(","))
    yield from _folders([call.value("target")])
  elif call.module == "tfdam.gap":
    yield from (call.value(name) for name in ("model", "source", "target"))


def _read_by_training(call: calls.Call) -> Iterator[str]:
  config = call.value("config")
  if config and "/" not in config:
    yield config
  else:
    ours = config_of(call).data
    yield from _folders(
      call.value(f"config.data.{side}", ours[side]) for side in ("source", "target")
    )
  yield from call.values("config.model.path")
  yield from call.values("config.translation.semantic_run")


def _folders(names: Iterable[str]) -> Iterator[str]:
  """Yields where data sets lie that are named with their folder."""
  for name in "+".join(names).split("+"):
    if ":" in name:
      yield os.path.join("data", name.partition(":")[2])


def config_of(call: calls.Call):
  """What the config file of a training gives, without its flags."""
  path, _, options = call.value("config", _DEFAULTS[call.module]).partition(":")
  # A name alone is that of a reader's copy.
  return in_process.load_config(path if "/" in path else _COPIED, options or None)
