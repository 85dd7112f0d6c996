"""Checks of fields of the section `adapt` that contradict one another."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from tfdam.config.adapt import Adapt
from tfdam.config.errors import UserError, nearest
from tfdam.config.fields import changed, shown

# What joint_mmd, which has no discriminators, has no use for.
_OF_PLAYERS = (
  "warmup_steps", "gate_accuracy", "spectral_norm", "schedule", "information_weight",
  "batch_norm", "discriminator", "discriminator_units", "discriminator_slope",
  "discriminator_locations",
  "source_label_weight", "self_training_weight", "centroid_weight", "curriculum_weight",
  "per_target",
)  # fmt: skip


def check_adapt(options: Adapt) -> None:
  """Raises UserError for options of adaptation that contradict one another."""
  _check_players(options)
  _check_class_wise(options)
  _check_label_terms(options)
  _check_centroids(options)
  _check_curriculum(options)


def _check_players(options: Adapt) -> None:
  """Checks the objective, the gate, and when information maximisation begins."""
  if options.is_joint:
    for name, value, default in changed(options, Adapt(), _OF_PLAYERS):
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
  """Refuses details of a term or method that is turned off.

  Args:
    of: the field that turns it on.
    names: the details.
  """
  off = getattr(options, of)
  if off:
    return
  for name, value, default in changed(options, Adapt(), names):
    on = True if isinstance(off, bool) else 1
    raise UserError(
      f"adapt.{name} is {value!r}, but adapt.{of} is {off if on is True else 0}.",
      f"Set adapt.{of}={on}, or adapt.{name}={default!r}.",
    )


def _check_class_wise(options: Adapt) -> None:
  """Checks class-wise discriminators and their details."""
  _refuse_details(options, "class_wise", ("class_temperature", "class_confidence"))
  if options.class_wise and options.objective != "gan_softmax":
    raise UserError(
      f"adapt.class_wise is True, but adapt.objective is '{options.objective}', which has"
      " no classes.",
      "Set adapt.objective=gan_softmax or adapt.class_wise=False.",
    )


def _check_label_terms(options: Adapt) -> None:
  """Checks the weights of source labels and of self-training."""
  if options.self_training_weight and not options.ema_momentum:
    raise UserError(
      f"adapt.self_training_weight is {options.self_training_weight}, but"
      " adapt.ema_momentum is 0: there is no moving average to give labels.",
      "Set adapt.ema_momentum=0.99, or adapt.self_training_weight=0.",
    )
  details = ("self_training_mix", "self_training_confidence")
  _refuse_details(options, "self_training_weight", details)
  _refuse_details(options, "source_label_weight", ("source_norms",))
  for name in ("source_label_weight", "self_training_mix"):
    if options.per_target and not options.source_norms and getattr(options, name):
      raise UserError(
        f"adapt.{name} is {getattr(options, name)!r}, but adapt.per_target is True: no"
        " target's norms are those of source images.",
        "Set adapt.source_norms=True with adapt.source_label_weight=1, or"
        f" adapt.{name}={getattr(Adapt(), name)!r}.",
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
  """Checks the weight of centroids, its details, and their tap."""
  details = ("centroid_momentum", "centroid_confidence", "centroid_tap")
  _refuse_details(options, "centroid_weight", details)
  tap = options.centroid_tap
  if tap and tap not in options.tap_weights:
    taps = list(options.tap_weights)
    raise UserError(
      f"adapt.centroid_tap is {shown(tap)}; expected one of adapt.taps"
      f" ({', '.join(taps)}).{nearest(tap, taps)}",
      "Set adapt.centroid_tap, or name it in adapt.taps.",
    )


def _check_curriculum(options: Adapt) -> None:
  """Checks the weight of the curriculum, its details, and what else trains the network."""
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
  useless = ("warmup_steps", "gate_accuracy", "schedule", "class_wise")
  for name, value, default in changed(options, Adapt(), useless):
    raise UserError(
      f"adapt.{name} is {value!r}, but with adapt.curriculum_weight and an"
      " adapt.gan_weight of 0 there are no discriminators.",
      f"Set adapt.{name}={default}, or adapt.gan_weight.",
    )
