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

  # Number of updates of the target network; warm-ups of discriminators come on top. 0: the
  # run ends after matching.
  steps: int = option(10_000, low=0, high=MAX_STEPS)
  # Images of each domain in a step, over all replicas.
  global_batch_size: int = option(128, low=1, high=MAX_BATCH)
  # Where the target network starts: a copy of the source, or the Gaussian-matched network.
  init: str = option("source", choices=("source", "matched"))
  # Taps, each with the weight of its discriminator's losses for both players. "auto": four,
  # spread evenly over the network's depth. The taps of a "keras" network are its layers.
  # The tap "entropy" is made of the logits: how unsure the network is of each class
  # (ADVENT, Vu et al. 2019).
  taps: str = option("fc3:0.1,fc4:1.0")
  # together: all discriminators play from the start. one_at_a_time: one more joins after
  # each equal share of the steps, in the order of `taps` (Sec. 5, "one GAN at a time").
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
  # lambda in Eq. (3): the weight of the target's alignment loss.
  gan_weight: float = option(0.5, low=0.0, high=MAX_WEIGHT)
  # gan_softmax: whether discriminators tell classes as well as domains (FADA, Wang et al.,
  # ECCV 2020). An image's class is what the networks predict: logits are divided by the
  # temperature, and probabilities are cut at the confidence (defaults as in FADA).
  class_wise: bool = option(False)
  class_temperature: float = option(1.8, low=0.01, high=1e3)
  class_confidence: float = option(0.9, low=0.01, high=1.0)
  # The target is trained only while the mean accuracy of discriminators is above this
  # fraction. 0: always.
  gate_accuracy: float = option(0.0, low=0.0, high=1.0)
  # Weight of information maximisation on the logits, with the source's label frequencies as
  # the prior, and how many steps of the target come before it.
  information_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  information_after: int = option(0, low=0, high=MAX_STEPS)
  # Weight of the target network's cross-entropy on labelled source images, which are
  # randomly changed by section augment (scenes in their light, other images by moves). 0:
  # adaptation sees no label.
  source_label_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  # Whether these images pass the source network's batch norms, and only target images the
  # target's. All other weights are shared.
  source_norms: bool = option(False)
  # Weight of its cross-entropy on target images, changed likewise, with labels that its
  # moving average (ema_momentum) predicts for the unchanged images; and the probability
  # from which such a label counts.
  self_training_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  self_training_confidence: float = option(0.8, low=0.0, high=1.0)
  # Whether half of a source scene's classes are pasted over the target's scene, with their
  # labels (ClassMix).
  self_training_mix: bool = option(False)
  # Classification. Weight of the squared distance between the two domains' centroids of
  # each class, a mean over classes and units (MSTN, Xie et al. 2018). The source's images
  # belong to classes by label, the target's by prediction. centroid_momentum is the weight
  # of the past at each step (0.7 in MSTN), centroid_confidence the probability from which a
  # prediction counts (0: every one).
  centroid_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  centroid_momentum: float = option(0.7, low=0.0, high=0.999999)
  centroid_confidence: float = option(0.0, low=0.0, high=1.0)
  # The tap whose centroids are compared, one of `taps`. Empty: the last but one of them in
  # the network.
  centroid_tap: str = option("")
  # Segmentation. Weight of Curriculum Domain Adaptation (Zhang et al., ICCV 2017). Simple
  # models, trained on the labelled source before the first step, estimate the shares of
  # classes in each target image, and the classes of its landmarks. The target network's
  # mean prediction is held to those shares, and its prediction on each landmark to the
  # landmark's class, the latter with curriculum_local_weight times the weight. 0: nothing
  # is estimated. If gan_weight is 0 as well, there are no discriminators.
  curriculum_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  curriculum_local_weight: float = option(1.0, low=0.0, high=1e3)
  # What estimates the shares: logistic regression on soft labels, or the nearest source
  # images (both Sec. 3.2).
  curriculum_shares: str = option("regression", choices=("regression", "neighbours"))
  # About how many superpixels an image has (SLIC), and the share of them that are its
  # landmarks: those whose class is surest (Sec. 4: 100, 60 %).
  curriculum_superpixels: int = option(100, low=4, high=250)
  curriculum_landmarks: float = option(0.6, low=0.001, high=1.0)
  # With several targets: whether each has its own batch norms in the matched and in the
  # adapted network. All other weights are shared. Matching then changes only batch norms.
  per_target: bool = option(False)
  # Whether both domains' images are randomly changed (section augment).
  augment: bool = option(False)
  # What the target's batch norms use: moving moments as the Gaussian stage left them
  # (matched), or each batch's own (train).
  batch_norm: str = option("matched", choices=("matched", "train"))
  # The adapted network is a moving average of the target's weights, with this weight of the
  # past at each step. 0: it is the target at the last step.
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
  # Widths of each discriminator's hidden layers (Sec. 5: two of 500). Between two layers of
  # 65,536 units there are 16 GiB of weights.
  discriminator_units: tuple[int, ...] = option((500, 500), low=1, high=65_536)
  # Slope of the discriminators' leaky ReLU for negative inputs. 0: ReLU.
  discriminator_slope: float = option(0.0, low=0.0, high=1.0)
  # How many locations of each image's map a discriminator judges in a step, on an even grid
  # that moves from step to step. 0: all of them. With a number, its cost no longer grows
  # with the map.
  discriminator_locations: int = option(0, low=0, high=MAX_PIXELS**2)
  # Whether discriminators' kernels are divided by their largest singular value (Miyato et
  # al. 2018).
  spectral_norm: bool = option(False)
  # MiB that the frozen source's taps may take to be computed once and kept. If they take
  # more, every step computes them. 0: every step does.
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
