"""What the digit tasks share: recipes `release`, `paper`, `best`; the methods of Table 1.

Argument after the config file's colon: a recipe and a method, in any order, each optional:
`configs/digits/mnist_to_usps.py:paper,adda_drift`. The numbers in brackets are the
departures that tfdam/PAPER.md explains.
"""

from __future__ import annotations

import ml_collections

from tfdam import config as config_lib

RECIPES = ("release", "paper", "best")
METHODS = (
  "gam",
  "gam_no_drift",
  "adda_drift",
  "adda",
  "jan",
  "gaussian",
  "adabn",
  "source_only",
  "supervised",
)


def digits(source: str, target: str, options: str | None) -> ml_collections.ConfigDict:
  """A row of Table 1: `source` to `target`, by the recipe and method in `options`."""
  chosen = config_lib.parse_options(options, recipe=RECIPES, method=METHODS)
  config = config_lib.default()
  config.name = f"{source}_to_{target}-{chosen['recipe']}-{chosen['method']}"
  config.update(chosen)
  config.data.source, config.data.target = source, target
  {"release": _release, "paper": _paper, "best": _best}[chosen["recipe"]](config)
  _method(config, chosen["method"])
  return config


def _release(config: ml_collections.ConfigDict) -> None:
  """What the authors' released scripts do (PAPER.md, "Recipes")."""
  config.adapt.update(
    steps=10_000,
    init="source",
    taps="fc3:0.1,fc4:1.0",
    schedule="together",
    warmup_steps=0,
    objective="gan_softmax",
    gan_weight=0.5,  # the release averages over two halves of which one has a gradient [3]
    drift_weight=1.0,
    drift_reduction="mean",
    drift_anchor="source",
    optimizer="adam",
    target_learning_rate=2e-4,
    discriminator_learning_rate=2e-4,
    beta_1=0.5,
  )


def _paper(config: ml_collections.ConfigDict) -> None:
  """What Sec. 4 and 5 of the paper say, read as PAPER.md explains (departures 1, 2, 4)."""
  config.adapt.update(
    steps=20_000,
    init="matched",  # Sec. 4.2: "crucial"
    taps="fc4:1.0,fc3:0.1",  # the last layer's GAN first, then the one before it [4]
    schedule="one_at_a_time",
    warmup_steps=500,
    objective="gan",
    gan_weight=1.0,
    drift_weight=0.5,  # Sec. 5.2: half for all layers
    drift_reduction="sum",  # Eq. (3)
    drift_anchor="source",
    optimizer="adam",
    target_learning_rate=1e-4,  # printed as "1e4" [1]
    discriminator_learning_rate=1e-4,
    beta_1=0.5,
  )


def _best(config: ml_collections.ConfigDict) -> None:
  """What matches activations better than the paper, the same for every pair [14]."""
  _release(config)
  config.source.augment = True
  config.adapt.update(
    # MNIST has eight times as many images as USPS.
    steps=20_000 if config.data.target == "mnist" else 10_000,
    init="matched",
    drift_anchor="matched",
    warmup_steps=500,
    augment=True,
    information_weight=0.5,
    ema_momentum=0.999,
  )


def _method(config: ml_collections.ConfigDict, method: str) -> None:
  """Turns the recipe's GAM into one of Table 1's other rows."""
  if method in ("adda", "adda_drift"):
    config.adapt.taps = "fc4:1.0"
    config.adapt.init = config.adapt.drift_anchor = "source"
  if method in ("adda", "gam_no_drift"):
    config.adapt.drift_weight = 0.0
  if method == "jan":
    _jan(config)
  if method in ("gaussian", "adabn", "source_only", "supervised"):
    config.adapt.steps = 0
  if method == "adabn":
    config.model.name = "lenet_bn"
    config.match.method = "adabn"
  if method in ("source_only", "supervised"):
    config.match.enabled = False
  if method == "supervised":
    # The upper bound is source training on the target's labels: no code of its own.
    config.data.source = config.data.target


def _jan(config: ml_collections.ConfigDict) -> None:
  """Joint MMD over the last two layers ("Long et al.", [15])."""
  config.adapt.update(
    objective="joint_mmd",
    taps="fc3,fc4",
    gan_weight=1.0,
    drift_weight=0.0,
    schedule="together",
    warmup_steps=0,
    information_weight=0.0,
    information_after=0,
  )
