"""Checks of fields that contradict one another."""

from __future__ import annotations

from tfdam.config.adapt_checks import check_adapt
from tfdam.config.errors import UserError
from tfdam.config.fields import changed, shown
from tfdam.config.parsing import parse_numbers, parse_taps
from tfdam.config.schema import Config, get
from tfdam.config.sections import KERAS, Data, Model, Translation
from tfdam.vocabulary import Task

# What a network from a file alone has a use for, and what it has none for.
_OF_FILES = (
  "path", "scale", "mean", "deviation", "channel_order", "outputs", "enlarge"
)  # fmt: skip
_OF_BUILT_IN = (
  "width", "depth", "dropout", "decoder", "weights", "pretrained_rate_scale"
)  # fmt: skip


def check_together(config: Config) -> None:
  """Raises UserError for fields that contradict one another."""
  parse_taps(config.adapt.taps)
  _check_model(config)
  is_trained = config.source.init_checkpoint or config.model.is_file
  if config.source.steps == 0 and not is_trained:
    raise UserError(
      "source.steps is 0 and source.init_checkpoint is empty: the source network would be"
      " random.",
      "Set source.steps or source.init_checkpoint.",
    )
  for name in ("init", "drift_anchor"):
    if (
      getattr(config.adapt, name) == "matched"
      and config.adapt.steps
      and not config.match.enabled
    ):
      raise UserError(
        f"adapt.{name} is 'matched' but match.enabled is False: there is no matched"
        " network.",
        f"Set match.enabled=True or adapt.{name}=source.",
      )
  offset = config.source.class_weight_offset
  if 0 < offset <= 1:
    raise UserError(
      f"source.class_weight_offset is {offset}, which would give rare classes a weight"
      " without bound, or below 0; expected 0 (all classes weigh the same) or more than 1,"
      " such as 1.1.",
      "Set source.class_weight_offset.",
    )
  _check_crop(config.data)
  _check_style(config.data)
  _check_image_moments(config)
  if config.adapt.centroid_weight and config.task == Task.SEGMENTATION:
    raise UserError(
      f"adapt.centroid_weight is {config.adapt.centroid_weight}, but data.classes names"
      " classes of pixels; centroids are of images with one label each.",
      "Set adapt.centroid_weight=0.",
    )
  for name in ("per_target", "source_norms"):
    if getattr(config.adapt, name) and config.model.is_file:
      raise UserError(
        f"adapt.{name} is True, but batch norms of a network from a file cannot be more"
        " than it has.",
        f"Set adapt.{name}=False.",
      )
  _check_semantic(config.translation)
  check_adapt(config.adapt)


def _check_model(config: Config) -> None:
  """Refuses fields of `model` that the network does not use."""
  model = config.model
  useless = _OF_BUILT_IN if model.is_file else _OF_FILES
  for name, value, default in changed(model, Model(), useless):
    if model.is_file:
      raise UserError(
        f"model.{name} is {shown(value)}, but the network is a file's (model.name"
        f" '{KERAS}'), as large as it is and trained.",
        f"Set model.{name}={default}.",
      )
    raise UserError(
      f"model.{name} is {shown(value)}, but model.name is {shown(model.name)}, which has"
      " no use for it.",
      f"Set model.name={KERAS} for a network from a file, or model.{name}={default}.",
    )
  if model.pretrained_rate_scale != 1.0 and not model.weights:
    raise UserError(
      f"model.pretrained_rate_scale is {model.pretrained_rate_scale}, but model.weights is"
      " empty: no layer is pretrained.",
      "Set model.weights, or model.pretrained_rate_scale=1.",
    )
  if model.is_file:
    _check_file(config)


def _check_file(config: Config) -> None:
  """Checks the fields of a network from a file."""
  model = config.model
  if not model.path:
    raise UserError(
      f"model.name is '{KERAS}' and model.path is empty; expected a network that Keras"
      " saved (.keras, .h5, or a SavedModel folder).",
      "Set model.path.",
    )
  for name in ("scale", "mean", "deviation"):
    text = getattr(model, name)
    most = 1 if name == "scale" else config.data.channels
    numbers = parse_numbers(text, f"model.{name}", most) if text else ()
    if name != "mean" and 0.0 in numbers:
      raise UserError(
        f"model.{name} is {shown(text)}, which leaves nothing of an image; expected other"
        " numbers than 0.",
        f"Set model.{name}.",
      )
  if config.runtime.precision != "float32":
    raise UserError(
      f"runtime.precision is '{config.runtime.precision}', but the layers of a network from"
      " a file compute in the types that they were saved with.",
      "Set runtime.precision=float32.",
    )
  if config.match.image_moments:
    raise UserError(
      f"match.image_moments is {config.match.image_moments}, but batch norms of a network"
      " from a file are Keras' own, which normalise by moving moments alone.",
      "Set match.image_moments=0.",
    )


def _check_crop(options: Data) -> None:
  for side in ("height", "width"):
    crop, whole = getattr(options, f"crop_{side}"), getattr(options, side)
    if crop > whole:
      raise UserError(
        f"data.crop_{side} is {crop}, but images are resized to data.{side} {whole};"
        " expected a crop no larger than the image.",
        f"Set data.crop_{side} to at most {whole} (0: no crop) or data.{side} to at least"
        f" {crop}.",
      )


def _check_style(options: Data) -> None:
  """Checks the source's style and its share of frequencies."""
  style, share = options.source_style, options.fourier_share
  if share != Data.fourier_share and style != "fourier":
    raise UserError(
      f"data.fourier_share is {share}, but data.source_style is '{style}', which has no use"
      " for it.",
      f"Set data.source_style=fourier or data.fourier_share={Data.fourier_share}.",
    )
  if style != "none" and options.source == options.target:
    raise UserError(
      f"data.source_style is '{style}', but source and target are both"
      f" '{options.target}': there is no other look.",
      "Set data.source_style=none.",
    )


def _check_image_moments(config: Config) -> None:
  """Checks the fields that `match.image_moments` depends on."""
  contradictions = {
    "match.enabled": ("True", not config.match.enabled),
    "match.method": ("gaussian", config.match.method != "gaussian"),
    "adapt.batch_norm": ("matched", config.adapt.batch_norm != "matched"),
  }
  for name, (wanted, contradicts) in contradictions.items():
    if config.match.image_moments and contradicts:
      raise UserError(
        f"match.image_moments is {config.match.image_moments}, but {name} is"
        f" {get(config, name)!r}, which leaves batch norms no moments to mix with.",
        f"Set match.image_moments=0 or {name}={wanted}.",
      )


def _check_semantic(options: Translation) -> None:
  """Checks that semantic consistency has both a weight and a network, or neither."""
  if options.semantic_weight and not options.semantic_run:
    raise UserError(
      f"translation.semantic_weight is {options.semantic_weight}, but"
      " translation.semantic_run is empty: no network says what images show.",
      "Set translation.semantic_run to a run folder, or translation.semantic_weight=0.",
    )
  if options.semantic_run and not options.semantic_weight:
    raise UserError(
      f"translation.semantic_run is {shown(options.semantic_run)}, but"
      " translation.semantic_weight is 0.",
      "Set translation.semantic_weight=1, or leave translation.semantic_run empty.",
    )
