"""The library: functions on networks and images, without flags, folders or global state.

  network = tfdam.Network(model)
  gap = tfdam.measure_gap(network, source, target)
  matched = tfdam.match_moments(network, source, target)
  adapted = tfdam.adapt(network, source, target, taps=gap.suggest(4), start=matched)
  adapted.model.save("adapted.keras")

`source` and `target` are images without labels: an array [N, H, W, C], a tf.data.Dataset of
images or batches, the path of a folder of images, or the name of one of tfdam's data sets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Union

import numpy as np
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import images as images_lib
from tfdam import network as network_lib
from tfdam import progress, runtime
from tfdam.data import feeds
from tfdam.keras_files import errors as keras_errors
from tfdam.matching import closed_form
from tfdam.metrics import gap as gap_lib
from tfdam.training import adaptation, loop
from tfdam.training import optimizers as optimizers_lib

Taps = Union[str, Sequence[str], Mapping[str, float]]

# Pixels of a batch if its size is not given: 32 images of 224x224, 4 of 512x1024.
_BATCH_PIXELS = 1 << 21
_LARGEST_BATCH = 64
_LOG_EVERY = 50
_LARGEST_SEED = 2**31 - 1
# For measure_gap: images and pixels per forward pass, which keeps the maps of all layers,
# and locations per map.
_GAP_BATCH = 8
_GAP_PIXELS = 1 << 19
_GAP_LOCATIONS = 64


@dataclasses.dataclass(frozen=True)
class Adapt(config_lib.Adapt):
  """Options of `adapt`: those of section `adapt` of a config, with other defaults.

  The defaults suit networks of any size: least-squares discriminators per location
  (Sec. 4.2), small learning rates, and weight drift. `taps` and `start` are arguments of
  `adapt`. Options that need labels (information_weight, source_label_weight,
  self_training_weight, centroid_weight, curriculum_weight), per_target and augment work in
  training runs only, and are refused here.
  """

  steps: int = config_lib.redefined(config_lib.Adapt, "steps", 2_000)
  # 0: as many images as have two million pixels together, at least 4 and at most 64.
  global_batch_size: int = config_lib.redefined(
    config_lib.Adapt, "global_batch_size", 0, low=0
  )
  taps: str = config_lib.redefined(config_lib.Adapt, "taps", "auto")
  objective: str = config_lib.redefined(config_lib.Adapt, "objective", "least_squares")
  gan_weight: float = config_lib.redefined(config_lib.Adapt, "gan_weight", 0.1)
  target_learning_rate: float = config_lib.redefined(
    config_lib.Adapt, "target_learning_rate", 2e-5
  )
  discriminator_units: tuple[int, ...] = config_lib.redefined(
    config_lib.Adapt, "discriminator_units", (128, 128)
  )
  discriminator_slope: float = config_lib.redefined(
    config_lib.Adapt, "discriminator_slope", 0.2
  )
  discriminator_locations: int = config_lib.redefined(
    config_lib.Adapt, "discriminator_locations", 1_024
  )


class Result(NamedTuple):
  """The result of `match_moments` or `adapt`.

  Attributes:
    network: a copy of the given network, with other weights.
    source: the given network.
    report: what was done, as JSON-like values. After matching: "method", "options",
      "logits" (where they are taken), "sites" (each with its mean scale, and the numbers of
      dead channels and of channels with a bounded scale) and "left_out". After adaptation:
      "method", "options", "seed", "logits", "taps", "steps", "steps_per_s" and "losses".
  """

  network: network_lib.Network
  source: network_lib.Network
  report: dict[str, Any]

  @property
  def model(self) -> Any:
    """The Keras model, of the same class and with the same variables as the given one."""
    return self.network.model


def measure_gap(
  network: network_lib.Network | Result,
  source: Any,
  target: Any,
  layers: Sequence[str] | None = None,
  num_images: int = 64,
  seed: int = 0,
) -> gap_lib.Gap:
  """Measures the gap between two domains in each layer of a network, without training.

  Args:
    network: a network trained on the source, or a result of `match_moments` or `adapt`.
      With a result, target images go through the changed network and source images through
      the original one, so the same call shows how much of the gap is closed.
    source: images of the source, at least two.
    target: images of the target, at least two.
    layers: names of layers; None for those of network.TAPS.
    num_images: at most so many images of each domain are used.
    seed: determines the choice of images and of units.

  Returns:
    A table with one row per layer: the mean Jensen-Shannon divergence (bits) and the AUC of
    Source-or-Not. `suggest(n)` gives taps for `adapt`.

  Raises:
    config.UserError: the network does not take such images, or does not have such a layer.
  """
  _check_number("num_images", num_images, 2, config_lib.MAX_IMAGES)
  _check_number("seed", seed, 0, _LARGEST_SEED)
  layers = [layers] if isinstance(layers, str) else layers
  if isinstance(network, Result):
    networks = {"source": network.source, "target": network.network}
  else:
    _check_network(network)
    networks = {"source": network, "target": network}
  reference = networks["source"]
  tapped = reference.view(list(reference.TAPS if layers is None else layers))
  samples = {}
  for argument, given in (("source", source), ("target", target)):
    images = _images(given, argument, networks[argument])
    size = min(_GAP_BATCH, _fitting(images, _GAP_PIXELS))
    batches = images.checked_batches(size, num_images, seed)
    title = f"gap ({argument})"
    with progress.bar(title, 0, num_images, "images") as shown:
      samples[argument] = _sampled(
        networks[argument], tapped.TAPS, batches, argument, shown
      )
  rows = []
  with progress.bar("gap", 0, len(tapped.TAPS), "layers") as shown:
    for depth, tap in enumerate(tapped.TAPS):
      shape = tapped.tap_shape(tap)
      pair = samples["source"][tap], samples["target"][tap]
      try:
        rows.append(gap_lib.LayerGap.measured(tap, depth, shape, *pair, seed))
      except ValueError as error:
        raise config_lib.UserError(f"Layer '{tap}' cannot be compared: {error}.") from error
      shown.update(depth + 1, {})
  return gap_lib.Gap(tuple(rows))


def _sampled(
  network: network_lib.Network,
  taps: Sequence[str],
  batches: Iterable[tf.Tensor],
  argument: str,
  shown: Any,
) -> dict[str, np.ndarray]:
  """{tap: float32 [images, locations, channels]}, at most _GAP_LOCATIONS of each map."""
  parts: dict[str, list[np.ndarray]] = {tap: [] for tap in taps}
  done = 0
  for batch in batches:
    for tap, found in network.activations(batch, taps).items():
      channels = found.shape[-1]
      maps = np.asarray(tf.cast(found, tf.float32)).reshape(len(batch), -1, channels)
      # The same random places for every image: an even stride could align with columns.
      places = np.random.RandomState(0).permutation(maps.shape[1])[:_GAP_LOCATIONS]
      parts[tap].append(maps[:, np.sort(places)])
    done += len(batch)
    shown.update(done, {})
  if done < 2:
    raise config_lib.UserError(
      f"{argument} holds one image; expected two or more: Source-or-Not compares images of"
      " one domain with each other."
    )
  return {tap: np.concatenate(found) for tap, found in parts.items()}


def match_moments(
  network: network_lib.Network,
  source: Any,
  target: Any,
  options: config_lib.Match | None = None,
  seed: int = 0,
) -> Result:
  """Gives every layer's activations on target images the source's moments (Eq. 2).

  Scales and shifts are folded into existing weights. The result has the same variables as
  the network, and inference costs no more.

  Args:
    network: a network trained on the source; not changed.
    source: images of the source. If None, the moving moments of batch norms stand for the
      source's, and only batch norms are matched.
    target: images of the target.
    options: sites, bounds and the number of images; None for `Match()`.
    seed: determines the choice of `options.max_images` images.

  Returns:
    The matched copy, with a report.

  Raises:
    config.UserError: the network does not take such images, or does not have such a site.
  """
  options = config_lib.Match() if options is None else options
  _check_matching(options, source)
  _check_network(network)
  _check_number("seed", seed, 0, _LARGEST_SEED)
  matched = network.clone("matched")
  of_target = _images(target, "target", network)
  of_source = None if source is None else _images(source, "source", network)
  size = min(options.batch_size, _fitting(of_target, _BATCH_PIXELS))
  options = dataclasses.replace(options, batch_size=size)
  sites = closed_form.match(
    network,
    matched,
    None
    if of_source is None
    else of_source.checked_batches(size, options.max_images, seed),
    of_target.checked_batches(size, options.max_images, seed),
    options,
  )
  _check_weights(matched, "The matched network")
  report = {
    "method": options.method if source is not None else "source_free",
    "options": dataclasses.asdict(options),
    "logits": network.how_logits,
    "sites": sites,
    "left_out": dict(network.left_out),
  }
  return Result(matched, network, report)


def adapt(
  network: network_lib.Network,
  source: Any,
  target: Any,
  taps: Taps = "auto",
  start: Result | network_lib.Network | None = None,
  options: Adapt | None = None,
  seed: int = 0,
) -> Result:
  """Matches distributions of activations by one discriminator per tap (Eq. 3).

  A weight drift term keeps the network close to where it started. Called in the scope of a
  tf.distribute strategy, its replicas share every batch.

  Args:
    network: a network trained on the source; not changed.
    source: images of the source.
    target: images of the target.
    taps: names of layers, {name: weight of its losses}, "name:weight,name:weight", or
      "auto" for four taps, spread evenly over the network's depth.
    start: where the target network starts, such as the result of `match_moments`; None to
      start as a copy of `network`. With options.drift_anchor "matched", drift pulls towards
      this start.
    options: steps, learning rates, weights and discriminators; None for `Adapt()`.
    seed: determines the discriminators' initial weights and the order of images.

  Returns:
    The adapted copy, with a report.

  Raises:
    config.UserError: the network does not take such images or does not have such a tap,
      options contradict each other or need labels, or a loss is not finite.
  """
  options = Adapt() if options is None else options
  _check_network(network)
  _check_options(options)
  _check_number("seed", seed, 0, _LARGEST_SEED)
  images = {
    argument: _images(given, argument, network)
    for argument, given in (("source", source), ("target", target))
  }
  weights = tap_weights(network, taps if taps != "auto" else options.taps)
  begun = network if start is None else _network_of(start)
  options = dataclasses.replace(
    options,
    taps=",".join(f"{tap}:{weight:g}" for tap, weight in weights.items()),
    global_batch_size=_batch_size(options.global_batch_size, images["target"]),
  )
  config = config_lib.Config(seed=seed, adapt=options)
  strategy = tf.distribute.get_strategy()  # The caller's scope, or the default.
  runtime.check_batch(
    "adapt.global_batch_size", options.global_batch_size, strategy.num_replicas_in_sync
  )
  adapted = begun.clone("target")
  averaged = begun.clone("averaged") if options.ema_momentum else adapted
  anchor = begun if options.drift_anchor == "matched" else network
  tapped = list(weights)
  state = adaptation.between(
    adaptation.Networks(network.view(tapped), adapted.view(tapped), averaged, anchor),
    config,
    tf.zeros([1, *images["target"].shape]),
    strategy.num_replicas_in_sync,
  )
  history = _History()
  with feeds.failures_explained(), _ends_explained():
    steps_per_s = loop.run(
      "adapted",
      state.phases,
      lambda start: _pairs(images, options.global_batch_size, seed),
      strategy,
      None,
      history,
      config_lib.Loop(log_every=min(_LOG_EVERY, max(1, options.steps))),
    )
  if averaged is not adapted:
    optimizers_lib.update_average(state.optimizers[0], adapted, averaged)
  report = {
    "method": "gam",
    "options": dataclasses.asdict(options),
    "seed": seed,
    "logits": network.how_logits,
    "taps": {
      tap: {"weight": weight, "shape": list(state.taps[tap].shape[1:])}
      for tap, weight in weights.items()
    },
    "steps": state.num_steps,
    "steps_per_s": steps_per_s,
    "losses": history.lines,
  }
  return Result(averaged, network, report)


def tap_weights(network: network_lib.Network, taps: Taps) -> dict[str, float]:
  """Returns {tap: weight of its losses}, in network order.

  Args:
    network: has the taps.
    taps: as for `adapt`; "auto" chooses four.

  Raises:
    config.UserError: the network does not have such a tap, or none are given.
  """
  if taps == "auto":
    weights = {tap: 1.0 for tap in network_lib.auto_taps(network.TAPS)}
  elif isinstance(taps, str):
    weights = config_lib.parse_taps(taps)
  else:
    try:
      given = taps.items() if isinstance(taps, Mapping) else ((tap, 1.0) for tap in taps)
      weights = {str(tap): float(weight) for tap, weight in given}
      if not all(0 < weight < math.inf for weight in weights.values()):
        raise ValueError
    except (TypeError, ValueError) as error:
      raise config_lib.UserError(
        f"taps is {taps!r}; expected names of layers, {{name: weight above 0}}, or"
        " 'auto'."
      ) from error
  if not weights:
    raise config_lib.UserError("taps is empty; expected at least one name of a layer.")
  return {tap: weights[tap] for tap in network.view(list(weights)).TAPS}


class _History:
  """Keeps the loop's metrics in memory; see loop.Record."""

  def __init__(self) -> None:
    self.lines: list[dict[str, Any]] = []

  def forget_after(self, stage: str, step: int) -> None:
    """Does nothing: there is no earlier process."""

  def write(self, stage: str, step: int, values: Mapping[str, float], phase: str) -> None:
    self.lines.append({"step": step, "phase": phase, **values})

  def continue_clock(self, seconds: float) -> None:
    """Does nothing: there is no earlier process."""

  def elapsed(self) -> dict[str, float]:
    return {}


def _pairs(
  images: Mapping[str, images_lib.Images], batch_size: int, seed: int
) -> tf.data.Dataset:
  """An endless data set of {"source": float32 [B, H, W, C], "target": the same}."""
  return tf.data.Dataset.zip(
    {argument: found.endless(batch_size, seed) for argument, found in images.items()}
  )


def _images(given: Any, argument: str, network: network_lib.Network) -> images_lib.Images:
  expects = network.expects or network_lib.Expects()
  wanted = images_lib.Wanted(
    network.input_shape,
    expects.prepared if network.prepares else None,
    prepares_arrays=network.expects is not None,
  )
  return images_lib.Images(given, argument, wanted)


def _batch_size(given: int, images: images_lib.Images) -> int:
  """`given`; if it is 0, the largest power of two of images with _BATCH_PIXELS."""
  if given:
    return given
  fitting = max(4, min(_LARGEST_BATCH, _fitting(images, _BATCH_PIXELS)))
  return 1 << (fitting.bit_length() - 1)


def _fitting(images: images_lib.Images, pixels: int) -> int:
  """How many images have at most `pixels` pixels together; at least one."""
  height, width, _ = images.shape
  return max(1, pixels // (height * width))


@contextlib.contextmanager
def _ends_explained() -> Iterator[None]:
  """Explains the error for a data set that can be read only once."""
  try:
    yield
  except (tf.errors.OutOfRangeError, tf.errors.FailedPreconditionError) as error:
    raise config_lib.UserError(
      "source or target is a data set that ended early, or cannot be read twice; expected"
      " the same images at each reading. Make a new generator in the function that"
      " from_generator takes, or give arrays."
    ) from error


def _network_of(start: Result | network_lib.Network) -> network_lib.Network:
  network = start.network if isinstance(start, Result) else start
  _check_network(network, "start")
  return network


def _check_network(network: Any, argument: str = "network") -> None:
  if not isinstance(network, network_lib.Network):
    raise config_lib.UserError(
      f"{argument} is {type(network).__name__}; expected a tfdam.Network. Wrap a Keras"
      " model as tfdam.Network(model)."
    )

  _check_weights(network, argument)


def _check_weights(network: network_lib.Network, said: str) -> None:
  for variable in network.variables:
    if variable.dtype.is_floating and np.isnan(variable.numpy()).any():
      raise keras_errors.no_number(said, variable.name)


def _check_number(argument: str, given: Any, low: int, high: int) -> None:
  is_whole = isinstance(given, (int, np.integer)) and not isinstance(given, bool)
  if not (is_whole and low <= given <= high):
    raise config_lib.UserError(
      f"{argument} is {given!r}; expected a whole number from {low:,} to {high:,}."
    )


def _check_matching(options: Any, source: Any) -> None:
  """Raises config.UserError for options that `match_moments` would ignore."""
  if not isinstance(options, config_lib.Match):
    raise config_lib.UserError(
      f"options is {type(options).__name__}; expected tfdam.Match."
    )
  contradictions = {
    "enabled": not options.enabled,
    "image_moments": options.image_moments > 0,
    "method": options.method == "adabn" and source is None,
  }
  for name, contradicts in contradictions.items():
    if contradicts:
      default = getattr(config_lib.Match(), name)
      raise config_lib.UserError(
        f"Match.{name} is {getattr(options, name)!r}, which this call has no use for;"
        f" expected {default!r}."
      )


def _check_options(options: Any) -> None:
  """Raises config.UserError for options that `adapt` cannot use without labels."""
  if not isinstance(options, config_lib.Adapt):
    raise config_lib.UserError(
      f"options is {type(options).__name__}; expected tfdam.Adapt."
    )
  config_lib.check_adapt(options)
  for name in (
    "source_label_weight", "information_weight", "self_training_weight",
    "centroid_weight", "curriculum_weight",
  ):  # fmt: skip
    if getattr(options, name):
      raise config_lib.UserError(
        f"Adapt.{name} is {getattr(options, name)}, which needs labels of the source; this"
        " function takes images alone. Set it to 0, or train with tfdam.train."
      )
  if options.per_target:
    raise config_lib.UserError(
      "Adapt.per_target is True; this function takes images of one target. Set it to False."
    )
  if options.init != "source":
    raise config_lib.UserError(
      f"Adapt.init is {options.init!r}; expected 'source': `start` says where to start."
    )
  if options.is_joint:
    raise config_lib.UserError(
      "Adapt.objective is 'joint_mmd', which needs labels of the source; expected gan,"
      " gan_softmax or least_squares."
    )
  if options.augment:
    raise config_lib.UserError(
      "Adapt.augment is True; this function takes images as they are. Change them in a"
      " tf.data.Dataset, and set it to False."
    )
