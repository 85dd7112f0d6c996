"""Builds what a config names: the network, its taps, and one discriminator per tap."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import matching, models, runtime
from tfdam import network as network_lib
from tfdam.models import conv_norm, pretrained
from tfdam.training import chosen_taps, own_network
from tfdam.vocabulary import Stage


def build_network(
  config: config_lib.Config, name: str, stage: str = Stage.SOURCE_ONLY
) -> Any:
  """Builds the config's network with all its variables; the same weights at every call.

  A network from a file is read by own_network.py.

  Args:
    config: a whole config.
    name: its role; only "source" starts from `model.weights`, if that is set.
    stage: the stage that it belongs to; `match.image_moments` applies after "source_only".

  Raises:
    config.UserError: there is no such network, it cannot take images of this size, or
      `match.image_moments` is set and it has no batch norms.
  """
  if config.model.is_file:
    model = own_network.build(config, name)
    _try(model, config)
    return model
  if config.model.name not in models.MODELS:
    every = (*models.MODELS, config_lib.KERAS)
    raise config_lib.UserError(
      f"'{config.model.name}' is no network ({', '.join(every)})."
      f"{config_lib.nearest(config.model.name, every)}",
      "Set model.name.",
    )
  kind = models.MODELS[config.model.name]
  options = _model_options(config.model, kind)
  if "weights" in options:  # Other roles get the source network's weights later.
    options["weights"] = weights_path(config.model) if name == "source" else ""
  model = kind(config.data.num_classes, config.seed, name=name, **options)
  share = config.match.image_moments
  num_norms = conv_norm.normalise_by_image(
    model, share if stage != Stage.SOURCE_ONLY else 0.0
  )
  if share and not num_norms:
    raise config_lib.UserError(
      f"match.image_moments is {share}, but {config.model.name} has no batch norms of"
      " maps.",
      "Set match.image_moments=0, or model.name to a network that has some (lenet_bn;"
      " erfnet or drn26 of scenes).",
    )
  _try(model, config)
  return model


def _try(model: Any, config: config_lib.Config) -> None:
  """Calls a network on a black image, which builds it; raises config.UserError."""
  data = config.data
  height, width = input_size(data)
  try:
    model(tf.zeros([1, height, width, data.channels]))
  except (ValueError, tf.errors.InvalidArgumentError) as error:
    raise config_lib.UserError(
      f"{config.model.name} cannot take images of {height}x{width}x{data.channels}"
      f" ({_reason(error)}).",
      "Set data.height and data.width (or the crop's).",
    ) from error


def _reason(error: Exception) -> str:
  """Why a network's call failed, without the location that Keras puts first."""
  first, *others = [part.strip() for part in str(error).split("\n\n")]
  if others and first.startswith("Exception encountered"):
    first = others[0]
  return first.splitlines()[0]


def weights_path(options: config_lib.Model) -> str:
  """`model.weights`, as an absolute path if it is a file."""
  weights = options.weights
  # Another network's names, too: what reads them says that they are none of its own.
  kinds = models.MODELS.values()
  names = {"", *(name for kind in kinds for name in getattr(kind, "NAMED_WEIGHTS", ()))}
  return weights if weights in names else runtime.resolve_path(weights)


def weights_file(options: config_lib.Model) -> str:
  """The file that `model.weights` stands for; what it says if there is no such file."""
  return _trained(options).locate(weights_path(options)) if options.weights else ""


def _trained(options: config_lib.Model) -> type[pretrained.Segmenter]:
  kind = models.MODELS.get(options.name)
  if kind and issubclass(kind, pretrained.Segmenter):
    return kind
  return pretrained.Segmenter


def input_size(options: config_lib.Data) -> tuple[int, int]:
  """Height and width of training images: of crops, if they are set."""
  return options.crop_height or options.height, options.crop_width or options.width


def _model_options(options: config_lib.Model, kind: Any) -> dict[str, Any]:
  """The fields that this network uses.

  Raises:
    config.UserError: a field is set that the network does not use.
  """
  chosen = {}
  for field in dataclasses.fields(options):
    value = getattr(options, field.name)
    if field.name in kind.OPTIONS:
      chosen[field.name] = value
    elif field.name != "name" and value != field.default:
      raise config_lib.UserError(
        f"model.{field.name} is {value!r}, but {options.name} has no use for it (it has"
        f" {', '.join(kind.OPTIONS) or 'no options'}).",
        f"Set model.{field.name}={field.default} or another model.name.",
      )
  return chosen


def settle_taps(config: config_lib.Config, model: Any) -> config_lib.Config:
  """The config with "auto" replaced by the names of taps.

  Args:
    config: a whole config.
    model: the network, with its TAPS.

  Raises:
    config.UserError: the network does not have one of `adapt.taps`.
  """
  if not config.adapt.steps:
    return config
  if config.adapt.taps == config_lib.AUTO:
    taps = network_lib.auto_taps(model.TAPS)
    adapt = dataclasses.replace(config.adapt, taps=",".join(taps))
    return dataclasses.replace(config, adapt=adapt)
  for tap in config.adapt.tap_weights:
    if tap not in (*model.TAPS, config_lib.ENTROPY):
      raise config_lib.UserError(
        f"Tap '{tap}' is not in {config.model.name} ({', '.join(model.TAPS)})."
        f"{config_lib.nearest(tap, model.TAPS)}",
        "Set adapt.taps.",
      )
  return config


def build_discriminators(
  config: config_lib.Config, output: Mapping[str, Any]
) -> dict[str, tf.keras.Model]:
  """One built discriminator for each of adapt.taps; none if the objective needs none.

  Args:
    config: a whole config.
    output: {"logits", "taps"} of a network, to find shapes from.

  Raises:
    config.UserError: the discriminator does not fit a tap.
  """
  options = config.adapt
  if not options.has_discriminators:
    return {}
  num_outputs = matching.OBJECTIVES[options.objective].NUM_OUTPUTS
  taps = chosen_taps.of_output(output, options.tap_weights)
  if options.class_wise:
    num_outputs = 2 * output["logits"].shape[-1]
    _check_locations(output["logits"], taps)
  wrap = _spectral_norm() if options.spectral_norm else None
  built = {}
  for tap in options.tap_weights:
    built[tap] = models.DISCRIMINATORS[options.discriminator](
      options.discriminator_units,
      num_outputs,
      options.discriminator_slope,
      config.seed,
      wrap,
      name=f"discriminator_{tap}",
    )
    try:
      built[tap](tf.zeros_like(taps[tap]))
    except ValueError as error:
      raise config_lib.UserError(
        f"adapt.discriminator is '{options.discriminator}', which cannot judge tap '{tap}'"
        f" of shape {tuple(taps[tap].shape[1:])} ({_reason(error)}).",
        "Set adapt.discriminator=per_location or adapt.taps.",
      ) from error
  return built


def _check_locations(logits: tf.Tensor, taps: Mapping[str, tf.Tensor]) -> None:
  """Raises config.UserError for taps without locations if classes are of pixels."""
  for tap, activations in taps.items():
    shape = activations.shape
    if logits.shape.rank == 4 and shape.rank != 4:
      raise config_lib.UserError(
        f"adapt.class_wise is True, but tap '{tap}' of shape {tuple(shape[1:])} has no"
        " locations, so pixels' classes do not apply to it.",
        "Set adapt.taps or adapt.class_wise=False.",
      )


def _spectral_norm() -> Any:
  # Imported here: addons takes a second to import, and only this option needs it.
  from tfdam import addons

  return addons.spectral_norm
