"""The section `adapt` of a config."""

from __future__ import annotations

import dataclasses

from tfdam.config.fields import (
  EPSILONS,
  MAX_BATCH,
  MAX_MB,
  MAX_PIXELS,
  MAX_RATE,
  MAX_STEPS,
  MAX_WEIGHT,
  Section,
  option,
)
from tfdam.config.parsing import parse_taps

# In `adapt.taps`: four of the network's, spread evenly over its depth.
AUTO, NUM_AUTO = "auto", 4
# The tap that is made of the logits: each class's part of the prediction's entropy.
ENTROPY = "entropy"


@dataclasses.dataclass(frozen=True)
class Adapt(Section):
  """Adversarial matching with weight drift (Eq. 3, Sec. 4.2)."""

  # Updates of the target network; discriminator warm-ups come on top. 0 leaves the stage
  # out.
  steps: int = option(10_000, low=0, high=MAX_STEPS)
  # Images of each domain a step, over all replicas.
  global_batch_size: int = option(128, low=1, high=MAX_BATCH)
  # Where the target network starts: a copy of the source, or the Gaussian-matched network.
  init: str = option("source", choices=("source", "matched"))
  # Taps with the weight of their discriminator's losses, for both players; "auto": four,
  # spread evenly over the network's depth. Those of a "keras" network are its layers.
  # "entropy" is what the network is unsure of, made of its logits (ADVENT, Vu et al. 2019).
  taps: str = option("fc3:0.1,fc4:1.0")
  # All discriminators from the start, or one more after each equal share of the steps, in
  # the order of `taps` (Sec. 5, "one GAN at a time").
  schedule: str = option("together", choices=("together", "one_at_a_time"))
  # Steps in which a new discriminator trains alone before it moves the target (Sec. 5:
  # 500).
  warmup_steps: int = option(0, low=0, high=MAX_STEPS)
  # gan: one sigmoid logit; gan_softmax: the release's two-way softmax; least_squares:
  # LSGAN; joint_mmd: JAN, no discriminators but a kernel distance of all taps together,
  # with the source's labels on the same network (Table 1, "Long et al.").
  objective: str = option(
    "gan_softmax", choices=("gan", "gan_softmax", "least_squares", "joint_mmd")
  )
  # lambda in Eq. (3), on the target's alignment loss only.
  gan_weight: float = option(0.5, low=0.0, high=MAX_WEIGHT)
  # gan_softmax: discriminators tell classes as well as domains (FADA, Wang et al., ECCV
  # 2020). Classes are the networks' own predictions, their logits divided by the
  # temperature, and no surer than the confidence (both as FADA has them).
  class_wise: bool = option(False)
  class_temperature: float = option(1.8, low=0.01, high=1e3)
  class_confidence: float = option(0.9, low=0.01, high=1.0)
  # Mean discriminator accuracy above which the target moves, a fraction; 0: it always does.
  gate_accuracy: float = option(0.0, low=0.0, high=1.0)
  # Weight of information maximisation on the logits, with the source's label frequencies
  # as the prior, and the target's steps before it sets in.
  information_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  information_after: int = option(0, low=0, high=MAX_STEPS)
  # Weight of the target network's cross-entropy on labelled source images, which section
  # augment varies (the light of scenes; others are moved); 0: adaptation sees no label.
  source_label_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  # Weight of its cross-entropy on target images, varied likewise, with the labels that its
  # moving average (ema_momentum) gives them as they are; and the probability from which
  # such a label counts.
  self_training_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  self_training_confidence: float = option(0.8, low=0.0, high=1.0)
  # Half of a source scene's classes lie over the target's, with their labels (ClassMix).
  self_training_mix: bool = option(False)
  # Classification. Weight of the squared distance between both domains' centroids of each
  # class, a mean over classes and units: the source's by its labels, the target's by what
  # is predicted. The weight of the past in such a centroid at each step (0.7 in MSTN, Xie
  # et al. 2018), and the probability from which a prediction counts; 0: each does.
  centroid_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  centroid_momentum: float = option(0.7, low=0.0, high=0.999999)
  centroid_confidence: float = option(0.0, low=0.0, high=1.0)
  # Which of `taps` has centroids; empty: the last but one of them in the network.
  centroid_tap: str = option("")
  # Segmentation. Weight of Curriculum Domain Adaptation (Zhang et al., ICCV 2017): the
  # target network's mean prediction on a target image is held to the shares of classes
  # that simple models, trained on the labelled source before the first step, estimate for
  # it; and, with `curriculum_local_weight` times that weight, on each landmark to its
  # class. 0: nothing is estimated. Without gan_weight there are then no discriminators.
  curriculum_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  curriculum_local_weight: float = option(1.0, low=0.0, high=1e3)
  # What estimates shares: logistic regression on soft labels, or the source's nearest
  # neighbours (both Sec. 3.2).
  curriculum_shares: str = option("regression", choices=("regression", "neighbours"))
  # Superpixels of an image, about (SLIC), and the share of them that are its landmarks:
  # those whose class is surest (Sec. 4: 100, 60 %).
  curriculum_superpixels: int = option(100, low=4, high=250)
  curriculum_landmarks: float = option(0.6, low=0.001, high=1.0)
  # Of several targets: whether each has batch norms of its own, in the matched and in the
  # adapted network. All other weights are shared. Matching then moves norms alone.
  per_target: bool = option(False)
  # Whether both domains' images are randomly changed (section augment).
  augment: bool = option(False)
  # Batch norms of the target: their moving moments, which stay (as the Gaussian stage left
  # them), or each batch's own.
  batch_norm: str = option("matched", choices=("matched", "train"))
  # The adapted network is the moving average of the target's weights; the weight of the
  # past at each step, 0: the last weights themselves.
  ema_momentum: float = option(0.0, low=0.0, high=0.999999)
  # Weight of the squared weight distance in Eq. (3).
  drift_weight: float = option(1.0, low=0.0, high=MAX_WEIGHT)
  # sum: over all weights (Eq. 3); mean: over each variable, then summed (the release).
  drift_reduction: str = option("mean", choices=("sum", "mean"))
  # What drift pulls towards: the source's weights (Eq. 3) or the Gaussian-matched ones.
  drift_anchor: str = option("source", choices=("source", "matched"))
  # The two players' optimisers. momentum is SGD's; the betas and epsilon Adam's.
  optimizer: str = option("adam", choices=("adam", "sgd"))
  target_learning_rate: float = option(2e-4, low=0.0, high=MAX_RATE)
  discriminator_learning_rate: float = option(2e-4, low=0.0, high=MAX_RATE)
  beta_1: float = option(0.5, low=0.0, high=0.999999)
  beta_2: float = option(0.999, low=0.0, high=0.999999)
  epsilon: float = option(1e-8, **EPSILONS)
  momentum: float = option(0.9, low=0.0, high=1.0)
  # per_location: an MLP over channels (Sec. 4); patch: convolutions of 4x4, stride 2.
  discriminator: str = option("per_location", choices=("per_location", "patch"))
  # Hidden widths of each discriminator (Sec. 5: two of 500). Two layers of 65,536 between
  # them are 16 GiB.
  discriminator_units: tuple[int, ...] = option((500, 500), low=1, high=65_536)
  # Slope of its leaky ReLU for negative inputs; 0: ReLU.
  discriminator_slope: float = option(0.0, low=0.0, high=1.0)
  # Locations of each image's map that it judges at a step, on an even grid that moves from
  # step to step; 0: all of them. What it costs then no longer grows with the map.
  discriminator_locations: int = option(0, low=0, high=MAX_PIXELS**2)
  # Divide its kernels by their largest singular value (Miyato et al. 2018).
  spectral_norm: bool = option(False)
  # The frozen source's taps are computed once instead of at every step if all of them fit
  # into so many MiB; 0: never.
  cache_taps_mb: int = option(1024, low=0, high=MAX_MB)

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
