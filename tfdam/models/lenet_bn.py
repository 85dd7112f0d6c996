"""LeNet with a batch norm after each of its first three layers, for AdaBN."""

from __future__ import annotations

import tensorflow as tf

from tfdam.models import conv_norm, lenet


class LeNetBN(lenet.LeNet):
  """LeNet whose sites are batch norms (Sec. 4.1, "AdaBN").

  Call arguments and return value are LeNet's. With `training`, batch norms use the batch's
  own moments, else the moving ones.
  """

  def __init__(self, num_classes: int, seed: int = 0, name: str = "lenet_bn"):
    super().__init__(num_classes, seed, name)
    norm = conv_norm.BatchNorm
    self.bn1, self.bn2, self.bn3 = norm(name="bn1"), norm(name="bn2"), norm(name="bn3")

  def affine1(self, x, training):
    return self.bn1(self.conv1(x), training=training)

  def affine2(self, x, training):
    return self.bn2(self.conv2(x), training=training)

  def affine3(self, x, training):
    return self.bn3(self.fc3(x), training=training)

  def site_layers(self) -> tuple[tf.keras.layers.Layer, ...]:
    return self.bn1, self.bn2, self.bn3, self.fc4
