"""`python -m tests.damaged_inputs.networks FOLDER`: small networks as Keras saves them.

pictures.keras, .h5 and a folder take pictures of any size; digits.* the digits of runs.
Where Keras 3 is, pictures3.keras and .h5 are its own.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfdam import runtime

_ENDINGS = (".keras", ".h5", "")


def main(argv: list[str]) -> None:
  folder = argv[1]
  os.makedirs(folder, exist_ok=True)
  made = [
    ("pictures", _pictures(tf.keras), _ENDINGS),
    ("digits", _digits(tf.keras), _ENDINGS),
  ]
  import keras

  if keras.__version__.startswith("3."):
    made.append(("pictures3", _pictures(keras), _ENDINGS[:2]))
  for name, network, endings in made:
    random = np.random.RandomState(0)
    network.set_weights([random.uniform(0.2, 1.0, w.shape) for w in network.get_weights()])
    for ending in endings:
      network.save(os.path.join(folder, f"{name}{ending}"))


def _pictures(keras: Any) -> Any:
  layers = keras.layers
  image = layers.Input((None, None, 3), name="image")
  x = layers.Rescaling(1 / 255, name="rescaling")(image)
  x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
  x = layers.BatchNormalization(name="norm")(x)
  x = layers.GlobalAveragePooling2D(name="pool")(x)
  return keras.Model(image, layers.Dense(3, name="scores")(x), name="network")


def _digits(keras: Any) -> Any:
  layers = keras.layers
  image = layers.Input((28, 28, 1), name="image")
  x = layers.Conv2D(4, 5, strides=3, activation="relu", name="conv")(image)
  x = layers.BatchNormalization(name="norm")(x)
  x = layers.Dense(10, activation="softmax", name="scores")(layers.Flatten(name="flat")(x))
  return keras.Model(image, x, name="network")


if __name__ == "__main__":
  runtime.run(main)
