"""Networks whose first blocks may start from trained weights."""

from __future__ import annotations

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import blocks

# The options of all these networks.
OPTIONS = ("width", "weights", "pretrained_rate_scale")


class Segmenter(blocks.Segmenter):
  """A network that begins with a trunk that others have trained.

  Attributes:
    TRUNK: the trunk's name, for errors.
    NAMED_WEIGHTS: what `weights` may be besides a file.
    pretrained_rate_scale: factor of the step size of the trunk's variables.
  """

  TRUNK: str
  NAMED_WEIGHTS: tuple[str, ...] = ()

  def __init__(
    self,
    num_classes: int,
    seed: int = 0,
    name: str = "network",
    width: float = 1.0,
    weights: str = "",
    pretrained_rate_scale: float = 1.0,
  ):
    """Lays out the blocks, and reads the weights.

    Args:
      num_classes: number of scores per pixel.
      seed: determines random initial weights, together with the layers' names.
      name: of the model.
      width: factor of all numbers of channels, each at least 4.
      weights: initial weights of the trunk: one of NAMED_WEIGHTS, a file, or "" (random).
      pretrained_rate_scale: factor of the step size of the trunk's variables.

    Raises:
      config.UserError: there are no such weights, or `width` does not fit them.
    """
    super().__init__(self.lay_out(num_classes, seed, width), name)
    self.pretrained_rate_scale = pretrained_rate_scale
    if not weights:
      return
    if width != 1.0:
      raise config_lib.UserError(
        f"model.weights is '{weights}', but {self.TRUNK}'s weights fit a width of 1, not"
        f" {width}.",
        "Set model.width=1 or model.weights=''.",
      )
    self(tf.zeros([1, 1, 1, 3]))  # Makes the variables.
    self.fill(weights)

  @staticmethod
  def lay_out(num_classes: int, seed: int, width: float) -> list[blocks.Block]:
    """Makes the blocks, in network order; for the arguments see __init__."""
    raise NotImplementedError

  @staticmethod
  def locate(weights: str) -> str:
    """Returns the file that `weights` stands for, or `weights` itself if it is absent."""
    return weights

  def fill(self, weights: str) -> None:
    """Reads trained weights into the trunk.

    Args:
      weights: a name that the network knows, or a file.

    Raises:
      config.UserError: there are no such weights, or they are another network's.
    """
    raise NotImplementedError

  def trunk(self) -> list[blocks.Block]:
    """Returns the blocks that `fill` fills."""
    raise NotImplementedError

  def slowed_variables(self) -> list[tf.Variable]:
    """Returns the variables whose steps are scaled; none if the factor is 1."""
    if self.pretrained_rate_scale == 1.0:
      return []
    return [v for block in self.trunk() for v in block.trainable_variables]


def scaled(filters: int, width: float) -> int:
  """Returns a scaled number of channels, at least 4."""
  return max(4, round(filters * width))
