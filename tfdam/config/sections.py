"""The sections of a config, but for `adapt`."""

from __future__ import annotations

import dataclasses

from tfdam.config.fields import (
  EPSILONS,
  MAX_BATCH,
  MAX_IMAGES,
  MAX_MB,
  MAX_PIXELS,
  MAX_RATE,
  MAX_STEPS,
  MAX_WEIGHT,
  Section,
  option,
)

# Of a training split: which labels get rare, or are gone.
SKEWS = ("none", "odd", "even", "no_odd", "no_even")
# Looks that source images may get: "none", and the names in tfdam.data.styles.STYLES.
SOURCE_STYLES = ("none", "fourier", "lab")
# In `model.name`: the network is a file's, `model.path`.
KERAS = "keras"


@dataclasses.dataclass(frozen=True)
class Data(Section):
  """Which domains, and how their images become tensors."""

  # Folder that holds one folder per data set; empty: $TFDAM_DATA, else data/ in the
  # working directory.
  root: str = option("", affects_result=False)
  # Names in tfdam.data.DATASETS. Source equal to target gives the supervised bound. "+"
  # joins several targets, "camvid/day+camvid/dusk": of each, a batch of adaptation has as
  # many images, and what says "target" in the fields below counts for each.
  source: str = option("mnist")
  target: str = option("usps")
  # Height and width in pixels after a bilinear resize, and channels (1 grey, 3 RGB).
  height: int = option(28, low=8, high=MAX_PIXELS)
  width: int = option(28, low=8, high=MAX_PIXELS)
  channels: int = option(1, choices=(1, 3))
  # Number of classes; labels are 0 .. num_classes - 1. 0: as many as `classes` names.
  # Scores count pairs of classes: those of 10,000 are 0.8 GB.
  num_classes: int = option(10, low=0, high=10_000)
  # Segmentation: the classes that both domains share, in the order of their labels, each
  # with its names in the data sets if they differ: "sky,road=road+road line,car=car+truck".
  # What is not named is ignored in training and in scores.
  classes: str = option("")
  # CARLA: the first version whose ids its labels have, 0.8 (13 classes), 0.9.10 (23) or
  # 0.9.14 (30, in the order of Cityscapes); auto: recognised from them, or refused.
  carla_version: str = option("auto", choices=("auto", "0.8", "0.9.10", "0.9.14"))
  # Segmentation: size in pixels of the random crops that training takes from a resized
  # image, 0: all of it; and whether half of them are mirrored.
  crop_height: int = option(0, low=0, high=MAX_PIXELS)
  crop_width: int = option(0, low=0, high=MAX_PIXELS)
  flip: bool = option(False)
  # Segmentation: decoded and resized images of a split stay in memory if all of them take
  # no more MiB than this; 0: none do.
  cache_mb: int = option(4096, low=0, high=MAX_MB, affects_result=False)
  # Images taken from each training split, a choice seeded by `seed`; 0: all of them. The
  # test split is always whole.
  source_limit: int = option(0, low=0, high=MAX_IMAGES)
  target_limit: int = option(0, low=0, high=MAX_IMAGES)
  # Table 2, before the limit: odd (even) drops half of the training images with an odd
  # (even) label, no_odd (no_even) all of them. On the target labels decide which images are
  # left, and nothing else.
  source_skew: str = option("none", choices=SKEWS)
  target_skew: str = option("none", choices=SKEWS)
  # Source training images in the look of target ones, each of one that `seed` draws:
  # fourier takes over the amplitudes of low frequencies (FDA, Yang and Soatto 2020), lab
  # mean and covariance of colours (of grey values) in Lab (Pitie and Kokaram 2007).
  source_style: str = option("none", choices=SOURCE_STYLES)
  # fourier: beta, half the side of the square of frequencies, a share of the shorter side
  # of the resized image; where that is below a pixel the mean alone is taken over.
  fourier_share: float = option(0.01, low=0.0, high=0.5)
  # True: refuse MNIST, USPS or SVHN files whose counts or checksums are not the official
  # ones. False: say so in the log, in run.json and under the table.
  require_canonical: bool = option(False)
  # An image that cannot be decoded: stop, or skip and count (at most 1 % of a set). A run
  # that stopped at one may go on with "skip".
  on_bad_image: str = option("fail", choices=("fail", "skip"), affects_result=False)


@dataclasses.dataclass(frozen=True)
class Model(Section):
  """The network that is trained on the source and adapted to the target."""

  # Name in tfdam.models.MODELS; or "keras": a trained network of yours, from a file.
  name: str = option("lenet")
  # Factors of the numbers of channels and of repeated blocks, where the network can be
  # scaled (erfnet, drn26, fcn8s: width; erfnet: depth), for small runs.
  width: float = option(1.0, low=0.01, high=16.0)
  depth: float = option(1.0, low=0.01, high=16.0)
  # Factor of the rates at which source training drops channels (erfnet); 0: none.
  dropout: float = option(1.0, low=0.0, high=2.0)
  # Whether scores have the images' size instead of an eighth of it (erfnet).
  decoder: bool = option(False)
  # Weights of VGG16 to start from (fcn8s): "imagenet" (Keras fetches them), or a file that
  # tf.keras.applications.VGG16 wrote; empty: random ones.
  weights: str = option("")
  # keras: the file or folder that Keras saved it in (.keras, .h5, a SavedModel). The run
  # folder keeps a copy.
  path: str = option("", affects_result=False)
  # keras: what the network expects of its images, (pixels * scale - mean) / deviation with
  # pixels from 0 to 255: numbers such as "127.5" or "1/255"; of mean and deviation also one
  # a channel, "0.485,0.456,0.406". All empty: its first layers scale the pixels themselves.
  scale: str = option("")
  mean: str = option("")
  deviation: str = option("")
  # keras: the order of its images' channels, in which mean and deviation are given, too.
  channel_order: str = option("rgb", choices=("rgb", "bgr"))
  # keras: what its output is. auto: logits, but for a softmax at the end, which is left
  # out; probabilities: its logarithm is taken.
  outputs: str = option("auto", choices=("auto", "logits", "probabilities"))
  # keras: whether its maps of scores are enlarged to the images' size, bilinearly, as
  # training on labels wants them; scores and exports enlarge them in any case.
  enlarge: bool = option(False)

  @property
  def is_file(self) -> bool:
    """Whether the network comes from a user's file."""
    return self.name == KERAS


@dataclasses.dataclass(frozen=True)
class Source(Section):
  """Supervised training on the labelled source domain."""

  # Updates. 0 needs init_checkpoint, or a network that is trained (model.name "keras").
  steps: int = option(10_000, low=0, high=MAX_STEPS)
  # Images a step, over all replicas.
  global_batch_size: int = option(128, low=1, high=MAX_BATCH)
  # Adam's step size, momenta and epsilon.
  learning_rate: float = option(1e-3, low=0.0, high=MAX_RATE)
  beta_1: float = option(0.9, low=0.0, high=0.999999)
  beta_2: float = option(0.999, low=0.0, high=0.999999)
  # Added to the root of squared gradients; TensorFlow 1's default, hence the release's.
  epsilon: float = option(1e-8, **EPSILONS)
  # Weight of sum(w^2) / 2 over kernels; not applied in adaptation.
  l2: float = option(2.5e-5, low=0.0, high=MAX_WEIGHT)
  # The step size falls to 0 as (1 - step / steps) ** decay_power; 0: it stays. From 100 on
  # it is 0 for nearly all of the steps.
  decay_power: float = option(0.0, low=0.0, high=100.0)
  # Segmentation: classes weigh 1 / ln(offset + their share of the source's pixels), as in
  # ENet (1.02) and ERFNet (1.10); 0, and nearly so from 1,000 on: all the same.
  class_weight_offset: float = option(0.0, low=0.0, high=1e3)
  # Whether to train on randomly changed images (section augment).
  augment: bool = option(False)
  # A run folder (its source_only stage) or one checkpoint folder to start from; empty:
  # random.
  init_checkpoint: str = option("")
  # Folder of trained source networks that runs share; empty: $TFDAM_CACHE, else
  # ~/.cache/tfdam; "off": share none.
  cache: str = option("", affects_result=False)


@dataclasses.dataclass(frozen=True)
class Match(Section):
  """Gaussian i.i.d. matching (Eq. 2, Sec. 4.1)."""

  # False leaves the stage out.
  enabled: bool = option(True)
  # gaussian: scale and shift give each site the source's moments; adabn: batch norms take
  # the target's moving mean and variance, other sites stay (Sec. 4.1).
  method: str = option("gaussian", choices=("gaussian", "adabn"))
  # The share that each image's own mean and variance (over its locations) have in what the
  # batch norms of the matched and the adapted network normalise by; moving moments have
  # the rest. 0: nothing is added to the network; above, inference computes them. 1 divides
  # an image without contrast by its rounding: export may refuse it.
  image_moments: float = option(0.0, low=0.0, high=1.0)
  # Sites to match, in network order: "all", or names separated by commas.
  sites: str = option("all")
  # Calibration images taken from each training split; 0: all of them.
  max_images: int = option(10_000, low=0, high=MAX_IMAGES)
  # MiB that the target's activations take: those that wait in memory for the next site, and
  # the batch in work. What is more waits in a temporary folder ($TMPDIR).
  memory_mb: int = option(2048, low=0, high=MAX_MB, affects_result=False)
  # Images a forward pass.
  batch_size: int = option(500, low=1, high=MAX_BATCH)
  # Bounds alpha to [1 / max_scale, max_scale]; channels with less variance than
  # min_variance in either domain count as dead and are only shifted. Scaled by more than a
  # million, float32's seventh digit would decide.
  max_scale: float = option(10.0, low=1.0, high=1e6)
  min_variance: float = option(1e-10, low=1e-30, high=1e6)


@dataclasses.dataclass(frozen=True)
class Augment(Section):
  """Random changes of images: each a bound, drawn uniformly on both sides of 0."""

  # Degrees; fraction of the size; fraction (tangent of the angle); pixels of the input.
  rotation: float = option(10.0, low=0.0, high=180.0)
  scale: float = option(0.1, low=0.0, high=0.9)
  shear: float = option(0.1, low=0.0, high=1.0)
  translation: float = option(2.0, low=0.0, high=MAX_PIXELS)
  # Segmentation: added to grey values of 0 to 1; fractions of contrast and saturation.
  brightness: float = option(0.0, low=0.0, high=1.0)
  contrast: float = option(0.0, low=0.0, high=1.0)
  saturation: float = option(0.0, low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class Translation(Section):
  """Image translation by CycleGAN (Zhu et al., ICCV 2017), of //tfdam:translate alone."""

  # Updates, and images of each domain a step, over all replicas.
  steps: int = option(100_000, low=1, high=MAX_STEPS)
  global_batch_size: int = option(1, low=1, high=MAX_BATCH)
  # Generators: residual blocks (9 from 256 pixels on, 6 for smaller images), and channels
  # of the first convolution, of which blocks have four times as many.
  blocks: int = option(9, low=1, high=64)
  channels: int = option(64, low=1, high=1024)
  # Discriminators: channels of the first convolution, and convolutions of stride 2. Three
  # of them judge patches of 70x70 pixels.
  discriminator_channels: int = option(64, low=1, high=1024)
  discriminator_layers: int = option(3, low=1, high=8)
  # Adam's step size, momenta and epsilon, of both players. The step size stays for a share
  # of the steps, then falls to 0 on a line.
  learning_rate: float = option(2e-4, low=0.0, high=MAX_RATE)
  constant_share: float = option(0.5, low=0.0, high=1.0)
  beta_1: float = option(0.5, low=0.0, high=0.999999)
  beta_2: float = option(0.999, low=0.0, high=0.999999)
  epsilon: float = option(1e-8, **EPSILONS)
  # Weight of the distance between an image and itself, translated there and back; and, as a
  # share of that weight, between an image and what the other generator, which should leave
  # it alone, makes of it.
  cycle_weight: float = option(10.0, low=0.0, high=MAX_WEIGHT)
  identity_weight: float = option(0.5, low=0.0, high=MAX_WEIGHT)
  # Translated images that each discriminator is shown again (Shrivastava et al. 2017); 0:
  # none.
  pool_size: int = option(50, low=0, high=100_000)
  # Weight of semantic consistency (CyCADA, Hoffman et al., ICML 2018): a trained network
  # must label a translated image as it labels the image. It is the source-only network of
  # a run folder.
  semantic_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  semantic_run: str = option("")


@dataclasses.dataclass(frozen=True)
class Loop(Section):
  """How often the loop looks up. Changes no result."""

  # Steps inside one tf.function call; a line of metrics after each.
  log_every: int = option(100, low=1, high=MAX_STEPS, affects_result=False)
  # Steps between checkpoints, and how many of each stage are
  # kept.
  checkpoint_every: int = option(1_000, low=1, high=MAX_STEPS, affects_result=False)
  keep_checkpoints: int = option(2, low=1, high=MAX_STEPS, affects_result=False)
  # Images a forward pass in evaluation.
  eval_batch_size: int = option(1_000, low=1, high=MAX_BATCH, affects_result=False)
  # Segmentation: test scenes on the panels that compare the stages; 0: no panels. They are
  # one forward pass and one picture.
  num_panels: int = option(6, low=0, high=100, affects_result=False)
  # Steps of adaptation between two looks at activations and predicted labels; 0: none.
  watch_every: int = option(1_000, low=0, high=MAX_STEPS, affects_result=False)
  # Steps of adaptation between two scores of the network on the target's test split, its
  # moving average where one is kept: a curve to read, and nothing chooses by it; 0: none.
  score_every: int = option(0, low=0, high=MAX_STEPS, affects_result=False)
  # Images of each training split that a look sees, always the same; of the target's, scores
  # without labels (results.json, "label_free") see them, too.
  watch_images: int = option(1_000, low=1, high=MAX_IMAGES, affects_result=False)
  # Alarm when a tap has more channels that never change than the source network's, by more
  # than this share of its channels. MNIST to USPS stays within 0.02 (600 steps); a run
  # that collapsed had 0.5 to 1.
  alarm_dead_share: float = option(0.2, low=0.0, high=1.0, affects_result=False)
  # Alarm when predicted labels are further than this from the source's label shares (total
  # variation, 0 to 1). MNIST to USPS, whose true shares are 0.09 apart, stays at 0.10 to
  # 0.14 (600 steps; the choice of 1,000 images alone makes 0.04); one class for all is at
  # 0.9. Domains with other class frequencies need more.
  alarm_marginal: float = option(0.25, low=0.0, high=1.0, affects_result=False)
  # Whether a run ends with report.html, which takes a few seconds.
  report: bool = option(True, affects_result=False)


@dataclasses.dataclass(frozen=True)
class Runtime(Section):
  """Devices and arithmetic."""

  # auto: multi_worker if TF_CONFIG names several workers, else one device without a
  # strategy, several with MirroredStrategy.
  strategy: str = option(
    "auto", choices=("auto", "none", "mirrored", "multi_worker"), affects_result=False
  )
  # Devices to use, of each worker; 0: every GPU. On a machine without one: that many
  # logical CPU devices, one a worker.
  num_replicas: int = option(0, low=0, high=128, affects_result=False)
  # Arithmetic of layers. Variables, logits, losses and moments are float32 in each;
  # mixed_float16 scales every player's loss by a factor that adjusts itself.
  precision: str = option("float32", choices=("float32", "mixed_float16", "mixed_bfloat16"))
  # TensorFlow's op determinism: a killed and resumed run ends with the same bits.
  deterministic: bool = option(True, affects_result=False)
