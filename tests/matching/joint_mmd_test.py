"""JAN's distance against NumPy, written from its paper."""

import numpy as np
import tensorflow as tf

from tfdam.matching import joint_mmd


def by_hand(source, target, num_kernels):
  size = len(next(iter(source.values())))
  joint = np.ones((2 * size, 2 * size))
  for layer, count in num_kernels.items():
    rows = np.concatenate([source[layer], target[layer]]).reshape(2 * size, -1)
    distances = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    middle = distances.sum() / (2 * size * (2 * size - 1))
    widths = [middle * 2.0**k for k in range(-(count // 2), count - count // 2)]
    joint = joint * sum(np.exp(-distances / width) for width in widths)
  within = joint[:size, :size].mean() + joint[size:, size:].mean()
  return within - 2 * joint[:size, size:].mean()


class JointMmdTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    self.source = {"fc3": rng.normal(0, 1, (12, 7)), "fc4": rng.dirichlet(np.ones(5), 12)}
    self.target = {"fc3": rng.normal(1, 2, (12, 7)), "fc4": rng.dirichlet(np.ones(5), 12)}
    self.kernels = {"fc3": 5, "fc4": 1}

  def test_equals_numpy(self):
    found = joint_mmd.loss(self.source, self.target, self.kernels)
    # Sums of 144 float32 kernels of order 5.
    expected = by_hand(self.source, self.target, self.kernels)
    self.assertAllClose(found, expected, rtol=1e-5)
    self.assertGreater(expected, 0.1)

  def test_maps_count_as_one_vector_an_image(self):
    maps = [{"m": s["fc3"][:, :6].reshape(12, 2, 3, 1)} for s in (self.source, self.target)]
    flat = [{"m": s["fc3"][:, :6]} for s in (self.source, self.target)]
    self.assertAllClose(
      joint_mmd.loss(*maps, {"m": 5}), by_hand(*flat, {"m": 5}), rtol=1e-5
    )

  def test_the_same_samples_are_at_distance_zero(self):
    found = joint_mmd.loss(self.source, self.source, self.kernels)
    # Differences of sums of order 5 in float32.
    self.assertAllClose(found, 0.0, atol=1e-6)

  def test_sees_what_no_single_layer_shows(self):
    """The same marginals in each layer, but another pairing between them."""
    source = {"fc3": self.source["fc3"], "fc4": self.source["fc3"][:, :3]}
    target = {"fc3": self.source["fc3"], "fc4": self.source["fc3"][::-1, :3]}
    for layer in ("fc3", "fc4"):
      alone = joint_mmd.loss({layer: source[layer]}, {layer: target[layer]}, {layer: 5})
      self.assertAllClose(alone, 0.0, atol=1e-6)
    self.assertGreater(joint_mmd.loss(source, target, {"fc3": 5, "fc4": 5}), 0.1)

  def test_samples_that_are_all_alike_give_no_nan(self):
    same = {"fc3": np.ones((4, 3))}
    self.assertAllClose(joint_mmd.loss(same, same, {"fc3": 5}), 0.0, atol=1e-6)
