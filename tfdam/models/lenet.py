"""LeNet for digits, as the release adapts it: no batch norm, no dropout."""

from __future__ import annotations

import tensorflow as tf

from tfdam import config as config_lib
from tfdam.models import sites as sites_lib


class LeNet(tf.keras.Model):
  """Two convolutions and two dense layers, each a tap (Sec. 5, "Network Architecture").

  Call arguments:
    images: float32 [B, H, W, C], in [0, 1].

  Returns:
    {"logits": float32 [B, num_classes],
     "taps": {"conv1": [B, H1, W1, 20], "conv2": [B, H2, W2, 50], after ReLU and pooling,
              "fc3": [B, 500] after ReLU, "fc4": [B, num_classes]: the logits}}
  """

  TAPS = ("conv1", "conv2", "fc3", "fc4")

  def __init__(self, num_classes: int, seed: int = 0, name: str = "lenet"):
    super().__init__(name=name)
    # A seed a layer: weights do not depend on what else was created before.
    init = [
      tf.keras.initializers.GlorotUniform(config_lib.derive_seed(seed, tap))
      for tap in self.TAPS
    ]
    layers = tf.keras.layers
    self.conv1 = layers.Conv2D(20, 5, kernel_initializer=init[0], name="conv1")
    self.conv2 = layers.Conv2D(50, 5, kernel_initializer=init[1], name="conv2")
    self.pool = layers.MaxPool2D(2)
    self.flatten = layers.Flatten()
    self.fc3 = layers.Dense(500, kernel_initializer=init[2], name="fc3")
    # float32 even under mixed precision: losses need full-precision logits.
    self.fc4 = layers.Dense(
      num_classes, kernel_initializer=init[3], name="fc4", dtype="float32"
    )

  def call(self, images, training=False):
    taps = {}
    x = taps["conv1"] = self._after_conv(self.conv1(images))
    x = taps["conv2"] = self._after_conv(self.conv2(x))
    x = taps["fc3"] = tf.nn.relu(self.fc3(self.flatten(x)))
    logits = taps["fc4"] = self.fc4(x)
    return {"logits": logits, "taps": taps}

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """Every layer before its ReLU, where scale and shift fold into its weights."""

    def conv1(state):
      return {"output": self.conv1(state["output"])}

    def conv2(state):
      return {"output": self.conv2(self._after_conv(state["output"]))}

    def fc3(state):
      return {"output": self.fc3(self.flatten(self._after_conv(state["output"])))}

    def fc4(state):
      return {"output": self.fc4(tf.nn.relu(state["output"]))}

    return (
      sites_lib.Site("conv1", self.conv1, conv1),
      sites_lib.Site("conv2", self.conv2, conv2),
      sites_lib.Site("fc3", self.fc3, fc3),
      sites_lib.Site("fc4", self.fc4, fc4),
    )

  def _after_conv(self, x):
    return self.pool(tf.nn.relu(x))
