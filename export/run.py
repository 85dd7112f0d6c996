"""Exports a run's network to SavedModel and ONNX, and checks that they compute the same.

./bazelw run //export -- --workdir=runs/streets-gam
./bazelw run //export -- --workdir=runs/streets-gam --precision=int8 --label_dtype=uint8
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import shlex

from absl import flags, logging

from tfdam import config as config_lib
from tfdam import data, progress, runtime
from tfdam.reporting import tables
from tfdam.runs import run_folder, signals
from tfdam.vocabulary import Stage, Task

from . import contract as contract_lib
from . import publish, serving_files

FORMATS = tuple(contract_lib.WRITERS)

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a training.")
_STAGE = flags.DEFINE_string(
  "stage", "last", f"Stage to export: {', '.join(contract_lib.STAGES)}, or last."
)
_TARGET = flags.DEFINE_string(
  "target",
  "",
  "Target whose network to export, if the run has batch norms for each target.",
)
_FORMATS = flags.DEFINE_list("formats", list(FORMATS), "Formats to write.")
_OUTPUTS = flags.DEFINE_list(
  "outputs", ["labels"], "Outputs: labels, to which logits and probabilities can be added."
)
_NAME = flags.DEFINE_string("name", "", "Name of the served model. Default: the run's.")
_HEIGHT = flags.DEFINE_integer(
  "height", 0, "Height of the images, pixels. 0: the network's, else they are resized.",
  lower_bound=0, upper_bound=8192,
)  # fmt: skip
_WIDTH = flags.DEFINE_integer(
  "width", 0, "Width of the images, pixels. 0: the network's.", lower_bound=0,
  upper_bound=8192,
)  # fmt: skip
_DYNAMIC_BATCH = flags.DEFINE_bool(
  "dynamic_batch", False, "ONNX: take any number of images per call, as SavedModels do."
)
_DYNAMIC_SIZE = flags.DEFINE_bool(
  "dynamic_size", False, "Take images of any size, and label them at that size."
)
_LAYOUT = flags.DEFINE_enum("layout", "nhwc", contract_lib.LAYOUTS, "ONNX: image layout.")
_LABEL_DTYPE = flags.DEFINE_enum(
  "label_dtype", "int32", contract_lib.LABEL_DTYPES, "ONNX: type of the labels."
)
_PRECISION = flags.DEFINE_enum(
  "precision",
  "float32",
  contract_lib.PRECISIONS,
  "ONNX: a precision to write besides float32: float16, int8 (for CPUs) or int8_tensorrt.",
)
_MAX_METRIC_DROP = flags.DEFINE_float(
  "max_metric_drop", 1.0, "Points of accuracy or mIoU that float16 and int8 may cost.",
  lower_bound=0.0, upper_bound=100.0,
)  # fmt: skip
_METRIC_IMAGES = flags.DEFINE_integer(
  "metric_images", 500, "Test images to score each file on; 0: all.", lower_bound=0,
  upper_bound=config_lib.MAX_IMAGES,
)  # fmt: skip
_CALIBRATION_IMAGES = flags.DEFINE_integer(
  "calibration_images", 200, "Target images that int8 is calibrated on.", lower_bound=1,
  upper_bound=config_lib.MAX_IMAGES,
)  # fmt: skip
_DATA_ROOT = flags.DEFINE_string(
  "data_root", "", "Folder of data sets, if not the run's data.root, $TFDAM_DATA or data/."
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv)
  if not _WORKDIR.value:
    raise config_lib.UserError(
      "Which run? Set --workdir to a run folder, such as runs/streets-gam."
    )
  _check_flags()
  formats = _formats()
  folder = run_folder.RunFolder(runtime.resolve_path(_WORKDIR.value))
  config = folder.read_config(_DATA_ROOT.value)
  results = folder.read_json("results.json") or {}
  if results and len(results["classes"]) != config.data.num_classes:
    raise config_lib.UserError(
      f"{folder.join('results.json')} names {len(results['classes'])} classes, config.json"
      f" {config.data.num_classes}: one of them is damaged. Bring it back from a copy."
    )
  stage = _stage(results, folder)
  of_run, place = config, folder.join("export")
  if config.adapt.per_target and stage != Stage.SOURCE_ONLY:
    data.check_is_target(_TARGET.value, config.data)
    # The export is compared on this target, and has a folder of its own, so that networks
    # of two targets do not replace each other.
    aimed = dataclasses.replace(config.data, target=_TARGET.value)
    config = dataclasses.replace(config, data=aimed)
    place = os.path.join(place, _slug(_TARGET.value))
  elif _TARGET.value:
    raise config_lib.UserError(
      f"--target is {_TARGET.value}, but stage {stage} has one network for all targets."
      " Leave --target out."
    )

  # Imported here, as in train.py: TensorFlow takes seconds to start.
  with progress.waiting("starting TensorFlow"):
    from . import pipeline

  runtime.set_for_export()
  alone = config_lib.Runtime("none", num_replicas=1)  # float32, whatever trained it
  runtime.start(alone, config.seed)
  with progress.waiting():
    network, step = pipeline.restore(of_run, folder, stage, _TARGET.value)
  if config.model.is_file and _DYNAMIC_SIZE.value:
    _check_any_size(network)
  digest = pipeline.weights_digest(network)
  contract = _contract(config, folder, results, stage, step, digest)
  options = pipeline.Options(
    formats=formats, precision=_PRECISION.value,
    max_metric_drop=_MAX_METRIC_DROP.value / 100, metric_images=_METRIC_IMAGES.value,
    calibration_images=_CALIBRATION_IMAGES.value,
  )  # fmt: skip
  with progress.waiting(), signals.exit_at_once():  # an exit removes the staging folder
    exported = pipeline.export(network, contract, config, options, place)
  _print(exported.manifest, exported.parity, place)


def _slug(target: str) -> str:
  """Returns a target's name in a form that is valid as a folder and in a model's name."""
  return re.sub("[^A-Za-z0-9_.-]+", "-", target)


def _formats() -> tuple[str, ...]:
  """Returns --formats, or by default the formats that can be written here.

  Raises:
    config.UserError: the package that writes a format is not installed.
  """
  chosen = tuple(_FORMATS.value)
  if flags.FLAGS["formats"].using_default_value:
    try:
      contract_lib.check_writer("saved_model")
    except config_lib.UserError as error:
      logging.warning("No SavedModel is written. %s", error)
      chosen = tuple(name for name in chosen if name != "saved_model")
  for name in chosen:
    contract_lib.check_writer(name)
  return chosen


def _check_flags() -> None:
  """Raises config.UserError for flags that are wrong for any run."""
  for word in _FORMATS.value:
    if word not in FORMATS:
      raise config_lib.UserError(
        f"'{word}' is no format ({', '.join(FORMATS)}).{config_lib.nearest(word, FORMATS)}"
        " Set --formats."
      )
  if not _FORMATS.value:
    raise config_lib.UserError(
      f"--formats is empty; expected some of {', '.join(FORMATS)}."
    )
  if _STAGE.value not in (*contract_lib.STAGES, "last"):
    raise config_lib.UserError(
      f"'{_STAGE.value}' is no stage ({', '.join(contract_lib.STAGES)}, or last)."
      f"{config_lib.nearest(_STAGE.value, contract_lib.STAGES)} Set --stage."
    )
  contract_lib.parse_extra_outputs(_OUTPUTS.value)
  if not math.isfinite(_MAX_METRIC_DROP.value):
    raise config_lib.UserError(
      f"--max_metric_drop is {_MAX_METRIC_DROP.value}; expected points, such as 1.0."
    )
  for flag in (_LAYOUT, _LABEL_DTYPE, _DYNAMIC_BATCH):
    if flag.value != flag.default and "onnx" not in _FORMATS.value:
      raise config_lib.UserError(
        f"--{flag.name} is {flag.value}, which is for ONNX alone (SavedModels take any"
        " number of images, nhwc, and give int32), and --formats has no onnx. Set"
        f" --formats=onnx or leave --{flag.name} out."
      )
  if _PRECISION.value != "float32" and "onnx" not in _FORMATS.value:
    raise config_lib.UserError(
      f"--precision is {_PRECISION.value}, which ONNX alone has; --formats is"
      f" {','.join(_FORMATS.value)}. Set --formats=onnx or --precision=float32."
    )


def _check_any_size(network) -> None:
  """Raises config.UserError for a network from a file that takes only one size."""
  height, width, _ = network.input_shape
  if height is not None or width is not None:
    raise config_lib.UserError(
      f"--dynamic_size is set, but the network's file says that it takes images of {height}"
      f" x {width}. Leave --dynamic_size out, or build it with an input of shape (None,"
      " None, channels)."
    )


def _stage(results: dict, folder: run_folder.RunFolder) -> str:
  """Returns the stage to export: the one asked for, or the last finished one.

  Raises:
    config.UserError: the stage is not finished.
  """
  finished = [stage for stage in contract_lib.STAGES if stage in results.get("stages", {})]
  if _STAGE.value in finished:
    return _STAGE.value
  if _STAGE.value == "last" and finished:
    return finished[-1]
  wanted = "any stage" if _STAGE.value == "last" else f"stage {_STAGE.value}"
  there = f"it has {', '.join(finished)}" if finished else "it has none"
  command = tables.next_command("tfdam.train", folder.path)
  raise config_lib.UserError(
    f"{folder.path} has not finished {wanted} ({there}). Let the run end ({command}), or"
    " set --stage."
  )


def _contract(
  config, folder, results, stage: str, step: int, weights_sha256: str
) -> contract_lib.Contract:
  """Makes the contract from the flags, checked against what the network can do."""
  data = config.data
  is_segmentation = results["task"] == Task.SEGMENTATION
  if _DYNAMIC_SIZE.value and not is_segmentation:
    raise config_lib.UserError(
      f"--dynamic_size is set, but {config.model.name} labels whole images of"
      f" {data.height}x{data.width} (others are resized inside). Leave --dynamic_size out;"
      " set --height and --width for images of another size."
    )
  classes = tuple(results["classes"])
  if _LABEL_DTYPE.value == "uint8" and len(classes) > 255:
    raise config_lib.UserError(
      f"--label_dtype is uint8, which cannot name {len(classes)} classes. Set"
      " --label_dtype=int32."
    )
  suffix = f"-{_slug(_TARGET.value)}" if _TARGET.value else ""
  name = contract_lib.served_name(_NAME.value or f"{config.name}{suffix}")
  if name in serving_files.RESERVED:
    raise config_lib.UserError(
      f"A model cannot be named '{name}', which is a file beside the models. Set --name."
    )
  return contract_lib.Contract(
    name=name,
    task=results["task"],
    network=config.model.name,
    stage=stage,
    step=step,
    config_sha256=contract_lib.config_digest(folder),
    weights_sha256=weights_sha256,
    classes=classes,
    height=_HEIGHT.value or data.height,
    width=_WIDTH.value or data.width,
    channels=data.channels,
    layout=_LAYOUT.value,
    label_dtype=_LABEL_DTYPE.value,
    extra_outputs=contract_lib.parse_extra_outputs(_OUTPUTS.value),
    dynamic_batch=_DYNAMIC_BATCH.value,
    dynamic_size=_DYNAMIC_SIZE.value,
  )


def _print(manifest: dict, parity: dict, path: str) -> None:
  from . import summary

  summary.print_parity(manifest, parity)
  place = tables.shown_path(path)
  print(f"Exported to {place}; what it was compared on is in {publish.MANIFEST}.")
  if "onnx" in manifest:
    arguments = f"--model={shlex.quote(place)} --image=..."
    print(f"A car needs this folder alone: {publish.FOR_THE_CAR[0]} in it labels pictures.")
    print(f"Next: {runtime.command('export.client_onnx', arguments)}")


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
