"""LeNet for digits, as in the authors' release: no batch norm and no dropout."""

from __future__ import annotations

import tensorflow as tf

from tfdam import config as config_lib
from tfdam import sites as sites_lib


class LeNet(tf.keras.Model):
  """Two convolutions and two dense layers, each a tap (Sec. 5, "Network Architecture").

  Call arguments:
    images: float32 [B, H, W, C], in [0, 1].

  Returns:
    {"logits": float32 [B, num_classes],
     "taps": {"conv1": [B, H1, W1, 20], "conv2": [B, H2, W2, 50], after pooling and ReLU,
              "fc3": [B, 500] after ReLU, "fc4": [B, num_classes]: the logits}}
  """

  TAPS = ("conv1", "conv2", "fc3", "fc4")
  # Fields of config.Model, besides the name, that the constructor takes.
  OPTIONS: tuple[str, ...] = ()
  num_noise = 0  # Random numbers per image for dropout, which LeNet lacks.

  def __init__(self, num_classes: int, seed: int = 0, name: str = "lenet"):
    super().__init__(name=name)
    # One seed per layer: weights do not depend on the order in which layers are made.
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

  def call(self, images, training=False, noise=None):
    taps = {}
    x = taps["conv1"] = self._after_conv(self.affine1(images, training))
    x = taps["conv2"] = self._after_conv(self.affine2(x, training))
    x = taps["fc3"] = tf.nn.relu(self.affine3(self.flatten(x), training))
    logits = taps["fc4"] = self.fc4(x)
    return {"logits": logits, "taps": taps}

  def affine1(self, x, training):
    """The layers before the first ReLU; `affine2` and `affine3` likewise."""
    return self.conv1(x)

  def affine2(self, x, training):
    return self.conv2(x)

  def affine3(self, x, training):
    return self.fc3(x)

  def site_layers(self) -> tuple[tf.keras.layers.Layer, ...]:
    """The layers that scale and shift are folded into, in network order."""
    return self.conv1, self.conv2, self.fc3, self.fc4

  def sites(self) -> tuple[sites_lib.Site, ...]:
    """Every layer's output before its ReLU, in network order."""

    def first(state):
      return {"output": self.affine1(state["output"], training=False)}

    def second(state):
      pooled = self._after_conv(state["output"])
      return {"output": self.affine2(pooled, training=False)}

    def third(state):
      flat = self.flatten(self._after_conv(state["output"]))
      return {"output": self.affine3(flat, training=False)}

    def fourth(state):
      return {"output": self.fc4(tf.nn.relu(state["output"]))}

    advances = (first, second, third, fourth)
    return tuple(
      sites_lib.Site(layer.name, layer, advance)
      for layer, advance in zip(self.site_layers(), advances)
    )

  def logits_from(self, state: sites_lib.State, images: tf.Tensor) -> tf.Tensor:
    """The logits of `images`, from the state after their last site."""
    return state["output"]

  def _after_conv(self, x):
    # ReLU after the pool gives the same result for a quarter of the work.
    return tf.nn.relu(self.pool(x))
