"""Reads a user's trained network from its file, and checks it against the config."""

from __future__ import annotations

from absl import logging

from tfdam import config as config_lib
from tfdam import files, keras_files
from tfdam import network as network_lib


def build(config: config_lib.Config, name: str) -> network_lib.Network:
  """Reads the network; the same weights at every call.

  Args:
    config: a whole config; `model.path` is absolute.
    name: its role; facts about the network are logged only for "source".

  Returns:
    A network that takes images in [0, 1], as runs feed them. If there is adaptation, its
    taps are those of `adapt.taps`.

  Raises:
    config.UserError: there is no such file; the network's form, size or number of classes
      differs from the config's; or nothing says how it takes pixels.
  """
  options, path = config.model, files.shown(config.model.path)
  expects = _expects(options)
  try:
    network = network_lib.Network(
      keras_files.read(options.path), options.outputs, options.enlarge, expects, name,
      unit_images=True,
    )  # fmt: skip
  except config_lib.UserError as error:
    raise config_lib.UserError(f"{error}", "Set model.path.") from error
  says_scale = options.scale or options.mean or options.deviation
  if not says_scale and not network.scales_pixels:
    raise config_lib.UserError(
      f"{path} begins with no Rescaling or Normalization layer, and nothing says how it"
      " takes pixels (0 to 255); expected what it was trained on.",
      "Set model.scale (1/255 for values from 0 to 1, 1 for pixels as they are), and"
      " model.mean, .deviation and .channel_order where it wants them.",
    )
  if says_scale and network.scales_pixels and name == "source":
    logging.warning(
      "%s begins with a layer that scales pixels, and model.scale, mean or deviation does"
      " so as well: both are applied.", path,
    )  # fmt: skip
  _check_size(network, config.data, path)
  _check_classes(network, config.data, path)
  if name == "source":
    _log(network, path)
  return _tapped(network, config.adapt)


def _expects(options: config_lib.Model) -> network_lib.Expects | None:
  """How the config says to prepare images; None if it says nothing."""

  def numbers(name: str, default: float) -> tuple[float, ...]:
    text = getattr(options, name)
    most = text.count(",") + 1  # config.py has checked it against the channels.
    return config_lib.parse_numbers(text, f"model.{name}", most) if text else (default,)

  found = network_lib.Expects(
    numbers("scale", 1.0)[0], numbers("mean", 0.0), numbers("deviation", 1.0),
    options.channel_order,
  )  # fmt: skip
  says_any = options.scale or options.mean or options.deviation
  return found if says_any or options.channel_order != "rgb" else None


def _check_size(network: network_lib.Network, data: config_lib.Data, path: str) -> None:
  """Raises config.UserError if the network does not take images of the config's size."""
  names = ("height", "width", "channels")
  shape = network.input_shape
  sizes = [(data.height, data.width, data.channels)]
  if data.crop_height or data.crop_width:
    crop = (data.crop_height or data.height, data.crop_width or data.width)
    sizes.append((*crop, data.channels))
  for size in sizes:
    if any(w is not None and f != w for f, w in zip(size, shape)):
      wanted = " x ".join("any" if w is None else str(w) for w in shape)
      found = " x ".join(map(str, size))
      what = "data.height x width x channels is" if size == sizes[0] else "crops are"
      remedy = [f"data.{name}={w}" for name, w in zip(names, shape) if w is not None]
      if len(sizes) > 1 and shape[0] is not None:
        remedy += ["data.crop_height=0", "data.crop_width=0"]
      raise config_lib.UserError(
        f"{path} takes images of {wanted}, and {what} {found}.", f"Set {' '.join(remedy)}."
      )


def _check_classes(network: network_lib.Network, data: config_lib.Data, path: str) -> None:
  """Raises config.UserError if task or number of classes differ from the config's."""
  shape = network.output_shape
  labels_pixels, count = len(shape) == 3, shape[-1]
  if len(shape) not in (1, 3) or count is None or count < 2:
    shown = ", ".join("any" if size is None else str(size) for size in shape)
    raise config_lib.UserError(
      f"{path} gives [batch, {shown}]; expected scores of two or more classes, [batch,"
      " classes] or [batch, height, width, classes]. Give it such an output."
    )
  if labels_pixels and not data.classes:
    raise config_lib.UserError(
      f"{path} labels pixels with {count} classes, and data.classes is empty; expected"
      " their names, in the order of its scores.",
      "Set data.classes and data.num_classes=0.",
    )
  if not labels_pixels and data.classes:
    raise config_lib.UserError(
      f"{path} labels whole images, and data.classes ({data.classes}) are classes of"
      f" pixels.",
      f"Set data.classes= data.num_classes={count}, and data sets with one label per image;"
      " or another model.path.",
    )
  if count != data.num_classes:
    named = "data.classes names" if data.classes else "data.num_classes is"
    remedy = "data.classes" if data.classes else f"data.num_classes={count}"
    raise config_lib.UserError(
      f"{path} has {count} classes, but {named} {data.num_classes}; expected {count}.",
      f"Set {remedy}.",
    )


def _tapped(network: network_lib.Network, options: config_lib.Adapt) -> network_lib.Network:
  """A view of the network that returns the taps of adaptation, if there is any."""
  if not options.steps:
    return network
  is_auto = options.taps == config_lib.AUTO
  taps = network_lib.auto_taps(network.TAPS) if is_auto else list(options.tap_weights)
  if config_lib.ENTROPY not in network.all_taps:  # Computed from the logits later.
    taps = [tap for tap in taps if tap != config_lib.ENTROPY] or [*network.TAPS[-1:]]
  try:
    return network.view(taps)
  except config_lib.UserError as error:
    raise config_lib.UserError(
      f"{error}", f"Set adapt.taps; '{config_lib.AUTO}' takes four."
    ) from error


def _log(network: network_lib.Network, path: str) -> None:
  logging.info(
    "%s: model '%s', %d layers that can be taps, %d sites; logits: %s.",
    path, network.model.name, len(network.all_taps), len(network.sites()),
    network.how_logits,
  )  # fmt: skip
  for layer, reason in network.left_out.items():
    logging.info("Gaussian matching leaves '%s' out: %s.", layer, reason)
