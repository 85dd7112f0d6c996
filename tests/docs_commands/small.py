"""What makes a command of a page small: flags that are added to those that it shows."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from tests.docs_commands import calls, paths

# {field: the most that it may be}: a smaller number of the page or the config file stays.
_AT_MOST = {
  "source.steps": 2, "source.global_batch_size": 4, "adapt.steps": 2,
  "adapt.global_batch_size": 4, "adapt.warmup_steps": 0, "match.max_images": 8,
  "match.batch_size": 4,
}  # fmt: skip
# Neither watched nor drawn: //tfdam:report does it for one of them.
_QUIET = {
  "loop.watch_every": 0, "loop.num_panels": 0, "loop.report": False, "loop.log_every": 1,
  "loop.eval_batch_size": 20, "source.cache": "off",
}  # fmt: skip
_SCENES = {
  "data.height": 32, "data.width": 48, "data.source_limit": 8, "data.target_limit": 8,
}  # fmt: skip
_NETWORK = {"model.width": 0.1, "model.depth": 0.1, "adapt.taps": "block03,block05"}
_OWN_NETWORK = {"data.height": 32, "data.width": 32, "adapt.discriminator_units": "8,8"}
_TRANSLATION = {
  "translation.steps": 2,
  "translation.channels": 2, "translation.blocks": 1,
  "translation.discriminator_channels": 2, "translation.discriminator_layers": 1,
  "loop.num_panels": 2,
}  # fmt: skip

# {module: flags that make it small, or let it end without a person or a GPU}.
_FLAGS: Mapping[str, tuple[str, ...]] = {
  "export.run": ("--metric_images=4", "--calibration_images=4", "--max_metric_drop=100"),
  "export.client_onnx": ("--provider=cpu",),
  "tfdam.gap": ("--images=8",),
  # Hours; tests/reproduce_test.py runs experiments.
  "tfdam.reproduce": ("--dry_run",),
  # A terminal would answer its questions.
  "tfdam.source_or_not": ("--images=8", "--reveal"),
}


# Folders of a run without --config that begins: the default's.
_DEFAULT_RUN = ("", "runs/streets-gam", "runs/a")
# Trained networks without their weights, which are for a width of 1.
_TRAINED = {"model.width": 0.1, "model.weights": ""}


def flags(call: calls.Call) -> tuple[str, ...]:
  """What is added to a command's own flags; the last of two for one field holds."""
  if call.module == "tfdam.reproduce" and "--report_only" in call.arguments:
    return ()
  if call.module not in ("tfdam.train", "tfdam.translate"):
    return _FLAGS.get(call.module, ())
  if not call.value("config") and call.value("workdir", "") not in _DEFAULT_RUN:
    return ()  # The folder has a config, small by what made it.
  fields = dict(_fields(call))
  if call.module == "tfdam.train":
    config = paths.config_of(call)
    for name, most in _AT_MOST.items():
      section, field = name.split(".")
      if int(call.value(f"config.{name}", str(config[section][field]))) > most:
        fields[name] = most
  return tuple(f"--config.{name}={value}" for name, value in fields.items())


def script(text: str) -> str:
  """A script of the pages with few images and one epoch."""
  text = re.sub(r"range\(\d{3,}\)", "range(12)", text)
  return re.sub(r"epochs=\d+", "epochs=1", text)


def _fields(call: calls.Call) -> dict[str, object]:
  config, is_keras = call.value("config"), call.value("config.model.name") == "keras"
  if call.module == "tfdam.translate":
    return {**_QUIET, **_SCENES, **_TRANSLATION}
  if os.path.basename(config) == "own_network.py":
    return {**_QUIET, **_OWN_NETWORK}
  if config.startswith("configs/digits/"):
    return _QUIET
  if is_keras:
    return {**_QUIET, **_SCENES}
  if not config:  # the default run, whose pictures a page has labelled
    return {**_QUIET, **_SCENES, **_TRAINED, "loop.num_panels": 2}
  if re.search("lite0|vgg16|streets.py", os.path.basename(config)):
    return {**_QUIET, **_SCENES, **_TRAINED}
  network: dict[str, object] = dict(_NETWORK)
  if call.value("config.adapt.taps"):
    del network["adapt.taps"]
  return {**_QUIET, **_SCENES, **network}
