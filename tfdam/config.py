"""The schema of a run: every field with its default, its unit and its bounds.

Configuration files start from `default()`, a locked `ml_collections.ConfigDict`, and change
fields; flags change them again; `resolve` turns the result into a frozen, checked `Config`.
Imports no TensorFlow, so that a typo is found at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import reprlib
import shlex
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import ml_collections

from tfdam.vocabulary import Task


class UserError(Exception):
  """A mistake that the user can mend: says what came, what was expected, and what mends it.

  Attributes:
    exit_status: of a command that it ends.
    what: what came, and what was expected.
    remedy: what mends it, with fields by their names; empty where `what` says it.
  """

  # No ValueError: ml_collections would wrap one that a configuration file raises in a
  # traceback.

  exit_status = 2

  def __init__(self, what: str, remedy: str = ""):
    """Takes what is said of the mistake.

    Args:
      what: what came, and what was expected; it may end with what mends it.
      remedy: a sentence that names fields as `config.Config` does, such as "Set x.y.".
    """
    super().__init__(f"{what} {remedy}" if remedy else what)
    self.what, self.remedy = what, remedy

  def with_flags(self) -> str:
    """The same for a command line: fields in the remedy as its flags spell them."""
    return f"{self.what} {_flags(self.remedy)}" if self.remedy else self.what


def _flags(remedy: str) -> str:
  """Turns "Set match.sites." into "Set --config.match.sites."; any number of fields."""
  dotted = [name for name in field_names() if "." in name]
  fields = "|".join(map(re.escape, sorted(dotted, key=len, reverse=True)))
  return re.sub(rf"(?<![\w.-])({fields})(?![\w])", r"--config.\1", remedy)


def nearest(name: str, names: Iterable[str]) -> str:
  """Returns " Did you mean 'x'?" for the closest of `names`, or nothing."""
  close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
  return f" Did you mean '{close[0]}'?" if close else ""


# Bounds of fields: what can work at all, on machines larger than today's.
# Eleven days of steps that take a millisecond; more than a float32 tells apart.
_MAX_STEPS = 1_000_000_000
# No data set has as many images.
MAX_IMAGES = 1_000_000_000
# The largest batches known to train (LAMB, You et al. 2020). What this machine cannot hold,
# memory.py says.
_MAX_BATCH = 65_536
# 16 TiB.
_MAX_MB = 1 << 24
_MAX_PIXELS = 8192
# Of one loss among others: float32 has 7 digits, and beside a million times as much
# nothing is left of the others.
_MAX_WEIGHT = 1e6
# A step size beyond it makes every weight infinite within a few steps.
_MAX_RATE = 1e3
# Of a discriminator; each one halves a map that patches are judged on.
_MAX_LAYERS = 16
# Of a training split: which labels get rare, or are gone.
SKEWS = ("none", "odd", "even", "no_odd", "no_even")
# Looks that source images may get: "none", and the names in tfdam.data.styles.STYLES.
SOURCE_STYLES = ("none", "fourier", "lab")
# In `model.name`: the network is a file's, `model.path`.
KERAS = "keras"
# In `adapt.taps`: four of the network's, spread evenly over its depth.
AUTO, NUM_AUTO = "auto", 4
# The tap that is made of the logits: each class's part of the prediction's entropy.
ENTROPY = "entropy"
# Adam divides by the root of squared gradients plus epsilon: the smallest that float32
# keeps apart from 0 beside them, and the largest beside which they count.
_EPSILONS: dict[str, Any] = {"low": 1e-30, "high": 1e3}


def _field(
  default: Any,
  *,
  low: float | None = None,
  high: float | None = None,
  choices: Sequence[Any] | None = None,
  affects_result: bool = True,
) -> Any:
  """A dataclass field with its bounds (inclusive) or choices.

  `affects_result=False` marks what may differ between a run and its continuation.
  """
  metadata = {
    "low": low,
    "high": high,
    "choices": choices,
    "affects_result": affects_result,
  }
  return dataclasses.field(default=default, metadata=metadata)


# For errors; the standard's cuts text after 30 letters.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 200


def _check_value(
  field: dataclasses.Field, value: Any, name: str, remedy: str | None = None
) -> Any:
  """Returns the value in its field's type (an int where a float is meant is one).

  Args:
    name: for errors.
    remedy: the last sentence of errors; None: which flag to set.
  """
  if remedy is None:
    remedy = f" Set --config.{name}."
  wanted: Any = type(field.default)
  if wanted is float and type(value) is int:
    value = _as_float(value)
  if wanted is tuple and isinstance(value, (list, tuple)):
    value = tuple(value)
    wrong_items = [item for item in value if type(item) is not int]
    if not 0 < len(value) <= _MAX_LAYERS or wrong_items:
      raise UserError(
        f"{name} is {_shown(value)}; expected 1 to {_MAX_LAYERS} whole numbers.{remedy}"
      )
  if type(value) is not wanted:
    raise UserError(
      f"{name} is {_shown(value)} ({type(value).__name__}); expected {wanted.__name__}."
      f"{remedy}"
    )
  choices, low, high = (field.metadata[key] for key in ("choices", "low", "high"))
  if choices is not None and value not in choices:
    hint = nearest(value, choices) if isinstance(value, str) else ""
    raise UserError(
      f"{name} is {_shown(value)}; expected one of {', '.join(map(str, choices))}."
      f"{hint}{remedy}"
    )
  numbers = value if wanted is tuple else (value,)
  for number in numbers:
    if wanted is float and not math.isfinite(number):
      raise UserError(f"{name} is {number}; expected a finite number.{remedy}")
    for bound, words, beyond in ((low, "at least", -1), (high, "at most", 1)):
      if bound is not None and beyond * number > beyond * bound:
        raise UserError(f"{name} is {_shown(number)}; expected {words} {bound}.{remedy}")
  return value


def _as_float(number: int) -> float:
  try:
    return float(number)
  except OverflowError:
    return math.inf if number > 0 else -math.inf


def _shown(value: Any) -> str:
  """A value for an error: of a long or deep one the beginning."""
  if type(value) is int and value.bit_length() > 64:
    return f"a whole number of {value.bit_length()} bits"  # Python shows no longer ones
  return _REPR.repr(value)


def redefined(section: type, name: str, default: Any, **bounds: Any) -> Any:
  """A field of a section's subclass: as it is there, with another default.

  Args:
    bounds: `low`, `high` or `choices`, where those change as well.
  """
  field = next(field for field in dataclasses.fields(section) if field.name == name)
  return dataclasses.field(default=default, metadata={**field.metadata, **bounds})


class _Section:
  """Options that check themselves, whoever builds them."""

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):  # type: ignore[arg-type]
      name = f"{type(self).__name__}.{field.name}"
      value = _check_value(field, getattr(self, field.name), name, "")
      object.__setattr__(self, field.name, value)


@dataclasses.dataclass(frozen=True)
class Data(_Section):
  """Which domains, and how their images become tensors."""

  # Folder that holds one folder per data set; empty: $TFDAM_DATA, else data/ in the
  # working directory.
  root: str = _field("", affects_result=False)
  # Names in tfdam.data.DATASETS. Source equal to target gives the supervised bound. "+"
  # joins several targets, "camvid/day+camvid/dusk": of each, a batch of adaptation has as
  # many images, and what says "target" in the fields below counts for each.
  source: str = _field("mnist")
  target: str = _field("usps")
  # Height and width in pixels after a bilinear resize, and channels (1 grey, 3 RGB).
  height: int = _field(28, low=8, high=_MAX_PIXELS)
  width: int = _field(28, low=8, high=_MAX_PIXELS)
  channels: int = _field(1, choices=(1, 3))
  # Number of classes; labels are 0 .. num_classes - 1. 0: as many as `classes` names.
  # Scores count pairs of classes: those of 10,000 are 0.8 GB.
  num_classes: int = _field(10, low=0, high=10_000)
  # Segmentation: the classes that both domains share, in the order of their labels, each
  # with its names in the data sets if they differ: "sky,road=road+road line,car=car+truck".
  # What is not named is ignored in training and in scores.
  classes: str = _field("")
  # CARLA: the first version whose ids its labels have, 0.8 (13 classes), 0.9.10 (23) or
  # 0.9.14 (30, in the order of Cityscapes); auto: recognised from them, or refused.
  carla_version: str = _field("auto", choices=("auto", "0.8", "0.9.10", "0.9.14"))
  # Segmentation: size in pixels of the random crops that training takes from a resized
  # image, 0: all of it; and whether half of them are mirrored.
  crop_height: int = _field(0, low=0, high=_MAX_PIXELS)
  crop_width: int = _field(0, low=0, high=_MAX_PIXELS)
  flip: bool = _field(False)
  # Segmentation: decoded and resized images of a split stay in memory if all of them take
  # no more MiB than this; 0: none do.
  cache_mb: int = _field(4096, low=0, high=_MAX_MB, affects_result=False)
  # Images taken from each training split, a choice seeded by `seed`; 0: all of them. The
  # test split is always whole.
  source_limit: int = _field(0, low=0, high=MAX_IMAGES)
  target_limit: int = _field(0, low=0, high=MAX_IMAGES)
  # Table 2, before the limit: odd (even) drops half of the training images with an odd
  # (even) label, no_odd (no_even) all of them. On the target labels decide which images are
  # left, and nothing else.
  source_skew: str = _field("none", choices=SKEWS)
  target_skew: str = _field("none", choices=SKEWS)
  # Source training images in the look of target ones, each of one that `seed` draws:
  # fourier takes over the amplitudes of low frequencies (FDA, Yang and Soatto 2020), lab
  # mean and covariance of colours (of grey values) in Lab (Pitie and Kokaram 2007).
  source_style: str = _field("none", choices=SOURCE_STYLES)
  # fourier: beta, half the side of the square of frequencies, a share of the shorter side
  # of the resized image; where that is below a pixel the mean alone is taken over.
  fourier_share: float = _field(0.01, low=0.0, high=0.5)
  # True: refuse MNIST, USPS or SVHN files whose counts or checksums are not the official
  # ones. False: say so in the log, in run.json and under the table.
  require_canonical: bool = _field(False)
  # An image that cannot be decoded: stop, or skip and count (at most 1 % of a set). A run
  # that stopped at one may go on with "skip".
  on_bad_image: str = _field("fail", choices=("fail", "skip"), affects_result=False)


@dataclasses.dataclass(frozen=True)
class Model(_Section):
  """The network that is trained on the source and adapted to the target."""

  # Name in tfdam.models.MODELS; or "keras": a trained network of yours, from a file.
  name: str = _field("lenet")
  # Factors of the numbers of channels and of repeated blocks, where the network can be
  # scaled (erfnet, drn26, fcn8s: width; erfnet: depth), for small runs.
  width: float = _field(1.0, low=0.01, high=16.0)
  depth: float = _field(1.0, low=0.01, high=16.0)
  # Factor of the rates at which source training drops channels (erfnet); 0: none.
  dropout: float = _field(1.0, low=0.0, high=2.0)
  # Whether scores have the images' size instead of an eighth of it (erfnet).
  decoder: bool = _field(False)
  # Weights of VGG16 to start from (fcn8s): "imagenet" (Keras fetches them), or a file that
  # tf.keras.applications.VGG16 wrote; empty: random ones.
  weights: str = _field("")
  # keras: the file or folder that Keras saved it in (.keras, .h5, a SavedModel). The run
  # folder keeps a copy.
  path: str = _field("", affects_result=False)
  # keras: what the network expects of its images, (pixels * scale - mean) / deviation with
  # pixels from 0 to 255: numbers such as "127.5" or "1/255"; of mean and deviation also one
  # a channel, "0.485,0.456,0.406". All empty: its first layers scale the pixels themselves.
  scale: str = _field("")
  mean: str = _field("")
  deviation: str = _field("")
  # keras: the order of its images' channels, in which mean and deviation are given, too.
  channel_order: str = _field("rgb", choices=("rgb", "bgr"))
  # keras: what its output is. auto: logits, but for a softmax at the end, which is left
  # out; probabilities: its logarithm is taken.
  outputs: str = _field("auto", choices=("auto", "logits", "probabilities"))
  # keras: whether its maps of scores are enlarged to the images' size, bilinearly, as
  # training on labels wants them; scores and exports enlarge them in any case.
  enlarge: bool = _field(False)

  @property
  def is_file(self) -> bool:
    """Whether the network comes from a user's file."""
    return self.name == KERAS


@dataclasses.dataclass(frozen=True)
class Source(_Section):
  """Supervised training on the labelled source domain."""

  # Updates. 0 needs init_checkpoint, or a network that is trained (model.name "keras").
  steps: int = _field(10_000, low=0, high=_MAX_STEPS)
  # Images a step, over all replicas.
  global_batch_size: int = _field(128, low=1, high=_MAX_BATCH)
  # Adam's step size, momenta and epsilon.
  learning_rate: float = _field(1e-3, low=0.0, high=_MAX_RATE)
  beta_1: float = _field(0.9, low=0.0, high=0.999999)
  beta_2: float = _field(0.999, low=0.0, high=0.999999)
  # Added to the root of squared gradients; TensorFlow 1's default, hence the release's.
  epsilon: float = _field(1e-8, **_EPSILONS)
  # Weight of sum(w^2) / 2 over kernels; not applied in adaptation.
  l2: float = _field(2.5e-5, low=0.0, high=_MAX_WEIGHT)
  # The step size falls to 0 as (1 - step / steps) ** decay_power; 0: it stays. From 100 on
  # it is 0 for nearly all of the steps.
  decay_power: float = _field(0.0, low=0.0, high=100.0)
  # Segmentation: classes weigh 1 / ln(offset + their share of the source's pixels), as in
  # ENet (1.02) and ERFNet (1.10); 0, and nearly so from 1,000 on: all the same.
  class_weight_offset: float = _field(0.0, low=0.0, high=1e3)
  # Whether to train on randomly changed images (section augment).
  augment: bool = _field(False)
  # A run folder (its source_only stage) or one checkpoint folder to start from; empty:
  # random.
  init_checkpoint: str = _field("")
  # Folder of trained source networks that runs share; empty: $TFDAM_CACHE, else
  # ~/.cache/tfdam; "off": share none.
  cache: str = _field("", affects_result=False)


@dataclasses.dataclass(frozen=True)
class Match(_Section):
  """Gaussian i.i.d. matching (Eq. 2, Sec. 4.1)."""

  # False leaves the stage out.
  enabled: bool = _field(True)
  # gaussian: scale and shift give each site the source's moments; adabn: batch norms take
  # the target's moving mean and variance, other sites stay (Sec. 4.1).
  method: str = _field("gaussian", choices=("gaussian", "adabn"))
  # The share that each image's own mean and variance (over its locations) have in what the
  # batch norms of the matched and the adapted network normalise by; moving moments have
  # the rest. 0: nothing is added to the network; above, inference computes them. 1 divides
  # an image without contrast by its rounding: export may refuse it.
  image_moments: float = _field(0.0, low=0.0, high=1.0)
  # Sites to match, in network order: "all", or names separated by commas.
  sites: str = _field("all")
  # Calibration images taken from each training split; 0: all of them.
  max_images: int = _field(10_000, low=0, high=MAX_IMAGES)
  # MiB that the target's activations take: those that wait in memory for the next site, and
  # the batch in work. What is more waits in a temporary folder ($TMPDIR).
  memory_mb: int = _field(2048, low=0, high=_MAX_MB, affects_result=False)
  # Images a forward pass.
  batch_size: int = _field(500, low=1, high=_MAX_BATCH)
  # Bounds alpha to [1 / max_scale, max_scale]; channels with less variance than
  # min_variance in either domain count as dead and are only shifted. Scaled by more than a
  # million, float32's seventh digit would decide.
  max_scale: float = _field(10.0, low=1.0, high=1e6)
  min_variance: float = _field(1e-10, low=1e-30, high=1e6)


@dataclasses.dataclass(frozen=True)
class Adapt(_Section):
  """Adversarial matching with weight drift (Eq. 3, Sec. 4.2)."""

  # Updates of the target network; discriminator warm-ups come on top. 0 leaves the stage
  # out.
  steps: int = _field(10_000, low=0, high=_MAX_STEPS)
  # Images of each domain a step, over all replicas.
  global_batch_size: int = _field(128, low=1, high=_MAX_BATCH)
  # Where the target network starts: a copy of the source, or the Gaussian-matched network.
  init: str = _field("source", choices=("source", "matched"))
  # Taps with the weight of their discriminator's losses, for both players; "auto": four,
  # spread evenly over the network's depth. Those of a "keras" network are its layers.
  # "entropy" is what the network is unsure of, made of its logits (ADVENT, Vu et al. 2019).
  taps: str = _field("fc3:0.1,fc4:1.0")
  # All discriminators from the start, or one more after each equal share of the steps, in
  # the order of `taps` (Sec. 5, "one GAN at a time").
  schedule: str = _field("together", choices=("together", "one_at_a_time"))
  # Steps in which a new discriminator trains alone before it moves the target (Sec. 5:
  # 500).
  warmup_steps: int = _field(0, low=0, high=_MAX_STEPS)
  # gan: one sigmoid logit; gan_softmax: the release's two-way softmax; least_squares:
  # LSGAN; joint_mmd: JAN, no discriminators but a kernel distance of all taps together,
  # with the source's labels on the same network (Table 1, "Long et al.").
  objective: str = _field(
    "gan_softmax", choices=("gan", "gan_softmax", "least_squares", "joint_mmd")
  )
  # lambda in Eq. (3), on the target's alignment loss only.
  gan_weight: float = _field(0.5, low=0.0, high=_MAX_WEIGHT)
  # gan_softmax: discriminators tell classes as well as domains (FADA, Wang et al., ECCV
  # 2020). Classes are the networks' own predictions, their logits divided by the
  # temperature, and no surer than the confidence (both as FADA has them).
  class_wise: bool = _field(False)
  class_temperature: float = _field(1.8, low=0.01, high=1e3)
  class_confidence: float = _field(0.9, low=0.01, high=1.0)
  # Mean discriminator accuracy above which the target moves, a fraction; 0: it always does.
  gate_accuracy: float = _field(0.0, low=0.0, high=1.0)
  # Weight of information maximisation on the logits, with the source's label frequencies
  # as the prior, and the target's steps before it sets in.
  information_weight: float = _field(0.0, low=0.0, high=_MAX_WEIGHT)
  information_after: int = _field(0, low=0, high=_MAX_STEPS)
  # Weight of the target network's cross-entropy on labelled source images, which section
  # augment varies (the light of scenes; others are moved); 0: adaptation sees no label.
  source_label_weight: float = _field(0.0, low=0.0, high=_MAX_WEIGHT)
  # Weight of its cross-entropy on target images, varied likewise, with the labels that its
  # moving average (ema_momentum) gives them as they are; and the probability from which
  # such a label counts.
  self_training_weight: float = _field(0.0, low=0.0, high=_MAX_WEIGHT)
  self_training_confidence: float = _field(0.8, low=0.0, high=1.0)
  # Half of a source scene's classes lie over the target's, with their labels (ClassMix).
  self_training_mix: bool = _field(False)
  # Classification. Weight of the squared distance between both domains' centroids of each
  # class, a mean over classes and units: the source's by its labels, the target's by what
  # is predicted. The weight of the past in such a centroid at each step (0.7 in MSTN, Xie
  # et al. 2018), and the probability from which a prediction counts; 0: each does.
  centroid_weight: float = _field(0.0, low=0.0, high=_MAX_WEIGHT)
  centroid_momentum: float = _field(0.7, low=0.0, high=0.999999)
  centroid_confidence: float = _field(0.0, low=0.0, high=1.0)
  # Which of `taps` has centroids; empty: the last but one of them in the network.
  centroid_tap: str = _field("")
  # Segmentation. Weight of Curriculum Domain Adaptation (Zhang et al., ICCV 2017): the
  # target network's mean prediction on a target image is held to the shares of classes
  # that simple models, trained on the labelled source before the first step, estimate for
  # it; and, with `curriculum_local_weight` times that weight, on each landmark to its
  # class. 0: nothing is estimated. Without gan_weight there are then no discriminators.
  curriculum_weight: float = _field(0.0, low=0.0, high=_MAX_WEIGHT)
  curriculum_local_weight: float = _field(1.0, low=0.0, high=1e3)
  # What estimates shares: logistic regression on soft labels, or the source's nearest
  # neighbours (both Sec. 3.2).
  curriculum_shares: str = _field("regression", choices=("regression", "neighbours"))
  # Superpixels of an image, about (SLIC), and the share of them that are its landmarks:
  # those whose class is surest (Sec. 4: 100, 60 %).
  curriculum_superpixels: int = _field(100, low=4, high=250)
  curriculum_landmarks: float = _field(0.6, low=0.001, high=1.0)
  # Of several targets: whether each has batch norms of its own, in the matched and in the
  # adapted network. All other weights are shared. Matching then moves norms alone.
  per_target: bool = _field(False)
  # Whether both domains' images are randomly changed (section augment).
  augment: bool = _field(False)
  # Batch norms of the target: their moving moments, which stay (as the Gaussian stage left
  # them), or each batch's own.
  batch_norm: str = _field("matched", choices=("matched", "train"))
  # The adapted network is the moving average of the target's weights; the weight of the
  # past at each step, 0: the last weights themselves.
  ema_momentum: float = _field(0.0, low=0.0, high=0.999999)
  # Weight of the squared weight distance in Eq. (3).
  drift_weight: float = _field(1.0, low=0.0, high=_MAX_WEIGHT)
  # sum: over all weights (Eq. 3); mean: over each variable, then summed (the release).
  drift_reduction: str = _field("mean", choices=("sum", "mean"))
  # What drift pulls towards: the source's weights (Eq. 3) or the Gaussian-matched ones.
  drift_anchor: str = _field("source", choices=("source", "matched"))
  # The two players' optimisers. momentum is SGD's; the betas and epsilon Adam's.
  optimizer: str = _field("adam", choices=("adam", "sgd"))
  target_learning_rate: float = _field(2e-4, low=0.0, high=_MAX_RATE)
  discriminator_learning_rate: float = _field(2e-4, low=0.0, high=_MAX_RATE)
  beta_1: float = _field(0.5, low=0.0, high=0.999999)
  beta_2: float = _field(0.999, low=0.0, high=0.999999)
  epsilon: float = _field(1e-8, **_EPSILONS)
  momentum: float = _field(0.9, low=0.0, high=1.0)
  # per_location: an MLP over channels (Sec. 4); patch: convolutions of 4x4, stride 2.
  discriminator: str = _field("per_location", choices=("per_location", "patch"))
  # Hidden widths of each discriminator (Sec. 5: two of 500). Two layers of 65,536 between
  # them are 16 GiB.
  discriminator_units: tuple[int, ...] = _field((500, 500), low=1, high=65_536)
  # Slope of its leaky ReLU for negative inputs; 0: ReLU.
  discriminator_slope: float = _field(0.0, low=0.0, high=1.0)
  # Locations of each image's map that it judges at a step, on an even grid that moves from
  # step to step; 0: all of them. What it costs then no longer grows with the map.
  discriminator_locations: int = _field(0, low=0, high=_MAX_PIXELS**2)
  # Divide its kernels by their largest singular value (Miyato et al. 2018).
  spectral_norm: bool = _field(False)
  # The frozen source's taps are computed once instead of at every step if all of them fit
  # into so many MiB; 0: never.
  cache_taps_mb: int = _field(1024, low=0, high=_MAX_MB)

  @property
  def is_joint(self) -> bool:
    """JAN: the taps are compared as they are, and one network sees both domains."""
    return self.objective == "joint_mmd"

  @property
  def has_discriminators(self) -> bool:
    """Whether any are trained; a weight of 0 alone leaves them to watch."""
    return not self.is_joint and (self.gan_weight > 0 or not self.curriculum_weight)

  @property
  def tap_weights(self) -> dict[str, float]:
    """{tap: weight of its losses} of `taps`, in their order; not of AUTO."""
    return parse_taps(self.taps)

  @property
  def needs_source_labels(self) -> bool:
    """Whether adaptation sees the source's labels."""
    by_weight = self.source_label_weight > 0 or self.centroid_weight > 0
    return self.is_joint or by_weight or self.self_training_mix


@dataclasses.dataclass(frozen=True)
class Augment(_Section):
  """Random changes of images: each a bound, drawn uniformly on both sides of 0."""

  # Degrees; fraction of the size; fraction (tangent of the angle); pixels of the input.
  rotation: float = _field(10.0, low=0.0, high=180.0)
  scale: float = _field(0.1, low=0.0, high=0.9)
  shear: float = _field(0.1, low=0.0, high=1.0)
  translation: float = _field(2.0, low=0.0, high=_MAX_PIXELS)
  # Segmentation: added to grey values of 0 to 1; fractions of contrast and saturation.
  brightness: float = _field(0.0, low=0.0, high=1.0)
  contrast: float = _field(0.0, low=0.0, high=1.0)
  saturation: float = _field(0.0, low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class Translation(_Section):
  """Image translation by CycleGAN (Zhu et al., ICCV 2017), of //tfdam:translate alone."""

  # Updates, and images of each domain a step, over all replicas.
  steps: int = _field(100_000, low=1, high=_MAX_STEPS)
  global_batch_size: int = _field(1, low=1, high=_MAX_BATCH)
  # Generators: residual blocks (9 from 256 pixels on, 6 for smaller images), and channels
  # of the first convolution, of which blocks have four times as many.
  blocks: int = _field(9, low=1, high=64)
  channels: int = _field(64, low=1, high=1024)
  # Discriminators: channels of the first convolution, and convolutions of stride 2. Three
  # of them judge patches of 70x70 pixels.
  discriminator_channels: int = _field(64, low=1, high=1024)
  discriminator_layers: int = _field(3, low=1, high=8)
  # Adam's step size, momenta and epsilon, of both players. The step size stays for a share
  # of the steps, then falls to 0 on a line.
  learning_rate: float = _field(2e-4, low=0.0, high=_MAX_RATE)
  constant_share: float = _field(0.5, low=0.0, high=1.0)
  beta_1: float = _field(0.5, low=0.0, high=0.999999)
  beta_2: float = _field(0.999, low=0.0, high=0.999999)
  epsilon: float = _field(1e-8, **_EPSILONS)
  # Weight of the distance between an image and itself, translated there and back; and, as a
  # share of that weight, between an image and what the other generator, which should leave
  # it alone, makes of it.
  cycle_weight: float = _field(10.0, low=0.0, high=_MAX_WEIGHT)
  identity_weight: float = _field(0.5, low=0.0, high=_MAX_WEIGHT)
  # Translated images that each discriminator is shown again (Shrivastava et al. 2017); 0:
  # none.
  pool_size: int = _field(50, low=0, high=100_000)
  # Weight of semantic consistency (CyCADA, Hoffman et al., ICML 2018): a trained network
  # must label a translated image as it labels the image. It is the source-only network of
  # a run folder.
  semantic_weight: float = _field(0.0, low=0.0, high=_MAX_WEIGHT)
  semantic_run: str = _field("")


@dataclasses.dataclass(frozen=True)
class Loop(_Section):
  """How often the loop looks up. Changes no result."""

  # Steps inside one tf.function call; a line of metrics after each.
  log_every: int = _field(100, low=1, high=_MAX_STEPS, affects_result=False)
  # Steps between checkpoints, and how many of each stage are
  # kept.
  checkpoint_every: int = _field(1_000, low=1, high=_MAX_STEPS, affects_result=False)
  keep_checkpoints: int = _field(2, low=1, high=_MAX_STEPS, affects_result=False)
  # Images a forward pass in evaluation.
  eval_batch_size: int = _field(1_000, low=1, high=_MAX_BATCH, affects_result=False)
  # Segmentation: test scenes on the panels that compare the stages; 0: no panels. They are
  # one forward pass and one picture.
  num_panels: int = _field(6, low=0, high=100, affects_result=False)
  # Steps of adaptation between two looks at activations and predicted labels; 0: none.
  watch_every: int = _field(1_000, low=0, high=_MAX_STEPS, affects_result=False)
  # Steps of adaptation between two scores of the network on the target's test split, its
  # moving average where one is kept: a curve to read, and nothing chooses by it; 0: none.
  score_every: int = _field(0, low=0, high=_MAX_STEPS, affects_result=False)
  # Images of each training split that a look sees, always the same; of the target's, scores
  # without labels (results.json, "label_free") see them, too.
  watch_images: int = _field(1_000, low=1, high=MAX_IMAGES, affects_result=False)
  # Alarm when a tap has more channels that never change than the source network's, by more
  # than this share of its channels. MNIST to USPS stays within 0.02 (600 steps); a run
  # that collapsed had 0.5 to 1.
  alarm_dead_share: float = _field(0.2, low=0.0, high=1.0, affects_result=False)
  # Alarm when predicted labels are further than this from the source's label shares (total
  # variation, 0 to 1). MNIST to USPS, whose true shares are 0.09 apart, stays at 0.10 to
  # 0.14 (600 steps; the choice of 1,000 images alone makes 0.04); one class for all is at
  # 0.9. Domains with other class frequencies need more.
  alarm_marginal: float = _field(0.25, low=0.0, high=1.0, affects_result=False)
  # Whether a run ends with report.html, which takes a few seconds.
  report: bool = _field(True, affects_result=False)


@dataclasses.dataclass(frozen=True)
class Runtime(_Section):
  """Devices and arithmetic."""

  # auto: multi_worker if TF_CONFIG names several workers, else one device without a
  # strategy, several with MirroredStrategy.
  strategy: str = _field(
    "auto", choices=("auto", "none", "mirrored", "multi_worker"), affects_result=False
  )
  # Devices to use, of each worker; 0: every GPU. On a machine without one: that many
  # logical CPU devices, one a worker.
  num_replicas: int = _field(0, low=0, high=128, affects_result=False)
  # Arithmetic of layers. Variables, logits, losses and moments are float32 in each;
  # mixed_float16 scales every player's loss by a factor that adjusts itself.
  precision: str = _field("float32", choices=("float32", "mixed_float16", "mixed_bfloat16"))
  # TensorFlow's op determinism: a killed and resumed run ends with the same bits.
  deterministic: bool = _field(True, affects_result=False)


@dataclasses.dataclass(frozen=True)
class Config:
  """One run. `name` becomes the default run folder; `method` and `recipe` are labels."""

  name: str = _field("run", affects_result=False)
  method: str = _field("gam", affects_result=False)
  recipe: str = _field("release", affects_result=False)
  # Seeds initial weights, the order of images and the choice of a part of them.
  seed: int = _field(0, low=0, high=2**31 - 1)
  data: Data = Data()
  model: Model = Model()
  source: Source = Source()
  match: Match = Match()
  adapt: Adapt = Adapt()
  augment: Augment = Augment()
  translation: Translation = Translation()
  loop: Loop = Loop()
  runtime: Runtime = Runtime()

  @property
  def task(self) -> Task:
    """What the network labels; classes of pixels have names."""
    return Task.SEGMENTATION if self.data.classes else Task.CLASSIFICATION

  @property
  def needs_source_labels(self) -> bool:
    """Whether the run reads labels of the source: all do that train their own network."""
    adapt = self.adapt
    by_terms = (
      adapt.needs_source_labels
      or adapt.information_weight > 0
      or adapt.curriculum_weight > 0
    )
    return not self.model.is_file or self.source.steps > 0 or (adapt.steps > 0 and by_terms)


_SECTIONS = {
  "data": Data,
  "model": Model,
  "source": Source,
  "match": Match,
  "adapt": Adapt,
  "augment": Augment,
  "translation": Translation,
  "loop": Loop,
  "runtime": Runtime,
}


# What a network from a file alone has a use for, and what it has none for.
_OF_FILES = (
  "path", "scale", "mean", "deviation", "channel_order", "outputs", "enlarge"
)  # fmt: skip
_OF_BUILT_IN = ("width", "depth", "dropout", "decoder", "weights")
# What joint_mmd, which has no discriminators, has no use for.
_OF_PLAYERS = (
  "warmup_steps", "gate_accuracy", "spectral_norm", "schedule", "information_weight",
  "batch_norm", "discriminator", "discriminator_units", "discriminator_slope",
  "discriminator_locations",
  "source_label_weight", "self_training_weight", "centroid_weight", "curriculum_weight",
  "per_target",
)  # fmt: skip
# What scenes alone have a use for.
_OF_SCENES = (
  "data.classes", "data.carla_version", "data.crop_height", "data.crop_width",
  "data.flip", "augment.brightness", "augment.contrast", "augment.saturation",
  "source.class_weight_offset", "adapt.self_training_mix", "adapt.curriculum_weight",
)  # fmt: skip

_PER_MACHINE = (
  "data.root", "data.cache_mb", "model.path", "source.cache", "match.memory_mb"
)  # fmt: skip


def default() -> ml_collections.ConfigDict:
  """Returns the defaults for a configuration file to change; unknown fields raise."""
  return ml_collections.ConfigDict(dataclasses.asdict(Config())).lock()


def resolve(values: Mapping[str, Any]) -> Config:
  """Checks every field of a `ConfigDict` (or a loaded config.json).

  Raises:
    UserError: a field is unknown, has the wrong type or is out of bounds.
  """
  if not isinstance(values, (Mapping, ml_collections.ConfigDict)):
    raise UserError(
      f"The config is {_shown(values)}; expected its fields, as get_config(options=None) of"
      " a config file returns them and config.json of a run folder holds them."
    )
  sections = {}
  for name, section in _SECTIONS.items():
    if not isinstance(values.get(name, {}), (Mapping, ml_collections.ConfigDict)):
      raise UserError(
        f"{name} is {_shown(values.get(name))}; expected a section of fields."
      )
    sections[name] = section(**_check_fields(section, values.get(name, {}), f"{name}."))
  top = {key: value for key, value in values.items() if key not in _SECTIONS}
  sections["data"] = _count_classes(sections["data"])
  config = Config(**_check_fields(Config, top, ""), **sections)
  _check_together(config)
  return config


def check_task(config: Config, task: str) -> None:
  """Raises UserError if a field is set that the task has no use for.

  Args:
    task: of Task, as the data says.
  """
  if task != Task.CLASSIFICATION:
    return
  for name in _OF_SCENES:
    value, default = get(config, name), get(Config(), name)
    if value != default:
      raise UserError(
        f"{name} is {value!r}, but {config.data.source} is for classification, which has no"
        " use for it.",
        f"Set {name}={default!r}.",
      )


def unused(config: Config, given: Iterable[str]) -> list[str]:
  """Sentences on what flags set although it changes nothing in this run.

  Args:
    given: names of the fields that flags set. Config files set the section augment for
      whoever turns it on, and are no mistake.
  """
  adapt = config.adapt
  varies = adapt.source_label_weight or adapt.self_training_weight
  reasons = {"translation.": "only //tfdam:translate translates."}
  if not (config.source.augment or adapt.augment or varies):
    reasons["augment."] = (
      "neither source.augment nor adapt.augment is True, and adapt trains on no labels."
    )
  return [
    f"{name} is {get(config, name)!r}, which changes nothing: {reason}"
    for prefix, reason in reasons.items()
    for name in given
    if name.startswith(prefix)
  ]


def to_json(config: Config) -> str:
  """The resolved config, one field a line, as config.json holds it."""
  return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def differences(config: Config, other: Config) -> dict[str, tuple[Any, Any]]:
  """Fields that affect the result and differ: {"adapt.steps": (value, other value)}."""
  found = {}
  for name, field, value in _walk(config):
    other_value = get(other, name)
    if field.metadata.get("affects_result") and value != other_value:
      found[name] = (value, other_value)
  return found


def shared_fields(config: Config) -> dict[str, Any]:
  """{dotted name: value} of what the workers of a run must have alike.

  That is all but what is a machine's own: its folders and its memory.
  """
  return {name: value for name, _, value in _walk(config) if name not in _PER_MACHINE}


def with_defaults(config: Config) -> list[tuple[str, Any, Any]]:
  """(dotted name, value, default) of every field."""
  return [(name, value, get(Config(), name)) for name, _, value in _walk(config)]


def field_names() -> list[str]:
  """Every field's dotted name, as flags spell it after `--config.`."""
  return [name for name, _, _ in _walk(Config())]


def field_type(name: str) -> type | None:
  """The type of a field by its dotted name; None if there is no such field."""
  return next((type(value) for known, _, value in _walk(Config()) if known == name), None)


def parse_taps(text: str) -> dict[str, float]:
  """Parses "fc3:0.1,fc4:1.0" into {tap: weight}, in that order; a bare name weighs 1.

  Raises:
    UserError: empty, repeated or malformed.
  """
  taps: dict[str, float] = {}
  for part in filter(None, (part.strip() for part in text.split(","))):
    name, _, weight = part.partition(":")
    try:
      value = float(weight) if weight else 1.0
    except ValueError:
      value = math.nan
    if not name or name in taps or not 0 < value <= _MAX_WEIGHT:
      raise UserError(
        f"adapt.taps has the entry '{part}'; expected each tap once as name:weight with a"
        f" weight above 0 and at most {_MAX_WEIGHT:,.0f}, such as 'fc3:0.1,fc4:1.0'.",
        "Set adapt.taps.",
      )
    taps[name] = value
  if not taps:
    raise UserError("adapt.taps is empty; expected at least one tap.", "Set adapt.taps.")
  return taps


def parse_classes(text: str) -> dict[str, tuple[str, ...]]:
  """Parses "sky,road=road+road line" into {class: its names in data sets}, in that order.

  Raises:
    UserError: empty, repeated or malformed, or one name in two classes.
  """
  classes: dict[str, tuple[str, ...]] = {}
  taken: set[str] = set()
  for part in (part.strip() for part in text.split(",")):
    name, _, own = (word.strip() for word in part.partition("="))
    own_names = tuple(word.strip() for word in (own or name).split("+"))
    if not name or name in classes or not all(own_names) or taken & set(own_names):
      raise UserError(
        f"data.classes has the entry '{part}'; expected each class once, as name or"
        " name=name in a data set+another one, such as 'sky,road=road+road line', and no"
        " name in two classes.",
        "Set data.classes.",
      )
    classes[name] = own_names
    taken.update(own_names)
  return classes


def parse_numbers(text: str, name: str, most: int = 1, flag: str = "") -> tuple[float, ...]:
  """Parses "127.5", "1/255" or "0.485,0.456,0.406".

  Args:
    name: of the field, for errors.
    most: numbers that there may be.
    flag: that sets it; empty: the field's.

  Raises:
    UserError: no such numbers, or more than `most`.
  """
  numbers = []
  for part in text.split(","):
    over, slash, under = part.partition("/")
    try:
      numbers.append(float(over) / (float(under) if slash else 1.0))
    except (ValueError, ZeroDivisionError):
      numbers.append(math.nan)
  if not all(map(math.isfinite, numbers)) or len(numbers) not in (1, most):
    a_channel = f", or {most}, one a channel, with commas" if most > 1 else ""
    raise UserError(
      f"{name} is {_shown(text)}; expected a number, such as 127.5 or 1/255{a_channel}.",
      f"Set {flag or f'{name}'}.",
    )
  return tuple(numbers)


def parse_options(text: str | None, **groups: tuple[str, ...]) -> dict[str, str]:
  """Parses a configuration file's argument, such as "paper,adda" after the colon.

  Args:
    text: words separated by commas, in any order.
    **groups: for each option the words it may be; the first is its default.

  Returns:
    {option: word}.

  Raises:
    UserError: a word belongs to no group, or two to one.
  """
  chosen: dict[str, str] = {}
  for word in filter(None, (word.strip() for word in (text or "").split(","))):
    option = next((name for name, words in groups.items() if word in words), None)
    if option is None or option in chosen:
      every = [word for words in groups.values() for word in words]
      listing = "; ".join(f"{name}: {', '.join(words)}" for name, words in groups.items())
      raise UserError(
        f"'{word}' after the config file's colon is"
        f" {'a second ' + option if option else 'unknown'} (one of each:"
        f" {listing}).{nearest(word, every) if option is None else ''}"
      )
    chosen[option] = word
  return {name: chosen.get(name, words[0]) for name, words in groups.items()}


def derive_seed(seed: int, purpose: str) -> int:
  """A seed for one purpose, 31 bits: independent of what else was drawn, and when."""
  return zlib.crc32(f"{purpose} {seed}".encode()) & 0x7FFFFFFF


def _count_classes(options: Data) -> Data:
  """Fills num_classes in from `classes`."""
  if not options.classes:
    if options.num_classes < 2:
      raise UserError(
        f"data.num_classes is {options.num_classes}; expected at least 2.",
        "Set data.num_classes (or, for segmentation, data.classes).",
      )
    return options
  count = len(parse_classes(options.classes))
  if count < 2:
    raise UserError(
      f"data.classes is '{options.classes}', one class; expected at least two: what is not"
      " named is left out, no class of its own.",
      "Set data.classes.",
    )
  if options.num_classes not in (0, count):
    raise UserError(
      f"data.num_classes is {options.num_classes}, but data.classes names {count}.",
      "Set data.num_classes=0.",
    )
  return dataclasses.replace(options, num_classes=count)


def _walk(config: Config) -> Iterator[tuple[str, dataclasses.Field, Any]]:
  """Yields (dotted name, field, value) of every leaf."""
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if field.name in _SECTIONS:
      for leaf in dataclasses.fields(value):
        yield f"{field.name}.{leaf.name}", leaf, getattr(value, leaf.name)
    else:
      yield field.name, field, value


def get(config: Config, name: str) -> Any:
  """A field's value by its dotted name."""
  value: Any = config
  for part in name.split("."):
    value = getattr(value, part)
  return value


def _check_fields(section: type, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
  fields = {field.name: field for field in dataclasses.fields(section)}
  for name in values:
    if name not in fields:
      every = field_names()
      dotted = nearest(f"{prefix}{name}", every) or nearest(
        str(name), [f.split(".")[-1] for f in every]
      )
      raise UserError(f"Unknown config field '{prefix}{name}'.{dotted}")
  return {
    name: _check_value(fields[name], value, prefix + name) for name, value in values.items()
  }


def _check_together(config: Config) -> None:
  """What no field can say alone."""
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
  if config.adapt.per_target and config.model.is_file:
    raise UserError(
      "adapt.per_target is True, but batch norms of a network from a file cannot be more"
      " than it has.",
      "Set adapt.per_target=False.",
    )
  _check_semantic(config.translation)
  check_adapt(config.adapt)


def _check_semantic(options: Translation) -> None:
  """Refuses a weight without a network that labels, and one that nothing asks."""
  if options.semantic_weight and not options.semantic_run:
    raise UserError(
      f"translation.semantic_weight is {options.semantic_weight}, but"
      " translation.semantic_run is empty: no network says what images show.",
      "Set translation.semantic_run to a run folder, or translation.semantic_weight=0.",
    )
  if options.semantic_run and not options.semantic_weight:
    raise UserError(
      f"translation.semantic_run is {_shown(options.semantic_run)}, but"
      " translation.semantic_weight is 0.",
      "Set translation.semantic_weight=1, or leave translation.semantic_run empty.",
    )


def _check_model(config: Config) -> None:
  """Refuses fields that the network has no use for, where its file is one of them."""
  model = config.model
  useless = _OF_BUILT_IN if model.is_file else _OF_FILES
  for name in useless:
    value, default = getattr(model, name), getattr(Model(), name)
    if value == default:
      continue
    if model.is_file:
      raise UserError(
        f"model.{name} is {_shown(value)}, but the network is a file's (model.name"
        f" '{KERAS}'), as large as it is and trained.",
        f"Set model.{name}={default}.",
      )
    raise UserError(
      f"model.{name} is {_shown(value)}, but model.name is {_shown(model.name)}, which has"
      " no use for it.",
      f"Set model.name={KERAS} for a network from a file, or model.{name}={default}.",
    )
  if model.is_file:
    _check_file(config)


def _check_file(config: Config) -> None:
  """Refuses what a network from a file would contradict."""
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
        f"model.{name} is {_shown(text)}, which leaves nothing of an image; expected other"
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


def check_adapt(options: Adapt) -> None:
  """Raises UserError for options of adaptation that contradict one another."""
  _check_players(options)
  _check_class_wise(options)
  _check_label_terms(options)
  _check_centroids(options)
  _check_curriculum(options)


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
  """Refuses a look that there is none of, and fields that have no use."""
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
  """Refuses what `match.image_moments` would contradict."""
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


def _check_players(options: Adapt) -> None:
  """Refuses what an objective without discriminators, and others, would contradict."""
  if options.is_joint:
    for name in _OF_PLAYERS:
      value, default = getattr(options, name), getattr(Adapt(), name)
      if value != default:
        raise UserError(
          f"adapt.{name} is {value!r}, but adapt.objective 'joint_mmd' (no discriminators,"
          " one network for both domains) has no use for it.",
          f"Set adapt.{name}={shlex.quote(str(default))} or another adapt.objective.",
        )
  if options.is_joint and set(options.tap_weights.values()) != {1.0}:
    raise UserError(
      f"adapt.taps is '{options.taps}', but adapt.objective 'joint_mmd' takes all taps"
      " together; expected names without weights.",
      "Set adapt.taps, such as fc3,fc4.",
    )
  if options.gate_accuracy and options.optimizer != "adam":
    raise UserError(
      f"adapt.gate_accuracy is {options.gate_accuracy}, which only Adam can follow;"
      f" adapt.optimizer is '{options.optimizer}'.",
      "Set adapt.optimizer=adam or adapt.gate_accuracy=0.",
    )
  if options.information_after and not options.information_weight:
    raise UserError(
      f"adapt.information_after is {options.information_after}, but"
      " adapt.information_weight is 0.",
      "Set adapt.information_weight, or adapt.information_after=0.",
    )
  if options.steps and options.information_after > options.steps:
    raise UserError(
      f"adapt.information_after is {options.information_after}, more than adapt.steps"
      f" ({options.steps}).",
      "Set adapt.information_after.",
    )


def _refuse_details(options: Adapt, of: str, names: Iterable[str]) -> None:
  """Refuses fields that only say how something is done which is not done at all.

  Args:
    of: the field that turns it on.
    names: of the details.
  """
  off = getattr(options, of)
  if off:
    return
  for name in names:
    value, default = getattr(options, name), getattr(Adapt(), name)
    if value != default:
      on = True if isinstance(off, bool) else 1
      raise UserError(
        f"adapt.{name} is {value!r}, but adapt.{of} is {off if on is True else 0}.",
        f"Set adapt.{of}={on}, or adapt.{name}={default!r}.",
      )


def _check_class_wise(options: Adapt) -> None:
  """Refuses details of classes that no discriminator tells, and other objectives."""
  _refuse_details(options, "class_wise", ("class_temperature", "class_confidence"))
  if options.class_wise and options.objective != "gan_softmax":
    raise UserError(
      f"adapt.class_wise is True, but adapt.objective is '{options.objective}', which has"
      " no classes.",
      "Set adapt.objective=gan_softmax or adapt.class_wise=False.",
    )


def _check_label_terms(options: Adapt) -> None:
  """Refuses what terms of the loss that know classes would contradict."""
  if options.self_training_weight and not options.ema_momentum:
    raise UserError(
      f"adapt.self_training_weight is {options.self_training_weight}, but"
      " adapt.ema_momentum is 0: there is no moving average to give labels.",
      "Set adapt.ema_momentum=0.99, or adapt.self_training_weight=0.",
    )
  details = ("self_training_mix", "self_training_confidence")
  _refuse_details(options, "self_training_weight", details)
  for name in ("source_label_weight", "self_training_mix"):
    if options.per_target and getattr(options, name):
      raise UserError(
        f"adapt.{name} is {getattr(options, name)!r}, but adapt.per_target is True: no"
        " target's norms are those of source images.",
        f"Set adapt.per_target=False, or adapt.{name}={getattr(Adapt(), name)!r}.",
      )
  if options.batch_norm == "train":
    for name in ("source_label_weight", "self_training_weight"):
      if getattr(options, name):
        raise UserError(
          f"adapt.{name} is {getattr(options, name)}, but adapt.batch_norm is 'train', by"
          " which one domain's images would move what the other is normalised by.",
          f"Set adapt.batch_norm=matched, or adapt.{name}=0.",
        )


def _check_centroids(options: Adapt) -> None:
  """Refuses details of centroids that there are none of, and a tap that is none."""
  details = ("centroid_momentum", "centroid_confidence", "centroid_tap")
  _refuse_details(options, "centroid_weight", details)
  tap = options.centroid_tap
  if tap and tap not in options.tap_weights:
    taps = list(options.tap_weights)
    raise UserError(
      f"adapt.centroid_tap is {_shown(tap)}; expected one of adapt.taps"
      f" ({', '.join(taps)}).{nearest(tap, taps)}",
      "Set adapt.centroid_tap, or name it in adapt.taps.",
    )


def _check_curriculum(options: Adapt) -> None:
  """Refuses details of a curriculum that there is none of, and one that nothing holds."""
  details = ("local_weight", "shares", "superpixels", "landmarks")
  _refuse_details(options, "curriculum_weight", [f"curriculum_{each}" for each in details])
  if options.is_joint or options.has_discriminators:
    return
  if not options.source_label_weight:
    raise UserError(
      f"adapt.curriculum_weight is {options.curriculum_weight}, but adapt.gan_weight and"
      " adapt.source_label_weight are 0: estimated shares alone would train the network.",
      "Set adapt.source_label_weight=1, or adapt.gan_weight.",
    )
  for name in ("warmup_steps", "gate_accuracy", "schedule", "class_wise"):
    value, default = getattr(options, name), getattr(Adapt(), name)
    if value != default:
      raise UserError(
        f"adapt.{name} is {value!r}, but with adapt.curriculum_weight and an"
        " adapt.gan_weight of 0 there are no discriminators.",
        f"Set adapt.{name}={default}, or adapt.gan_weight.",
      )
