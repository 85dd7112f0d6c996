"""The pool of translated images: which are shown, and which stay."""

import numpy as np
import tensorflow as tf

from tests import synthetic
from tfdam.translation import image_pool


def image(*values):
  return tf.constant(values, tf.float32)[:, None, None, None]


class ImagePoolTest(tf.test.TestCase):
  def shown(self, size, num_steps, batch=1, seed=3):
    """What is shown of images that are numbered from 1, and the pool at the end."""
    pool = image_pool.ImagePool(size, (batch, 1, 1, 1), seed, "pool")
    found = []
    for step in range(num_steps):
      numbers = range(1 + step * batch, 1 + (step + 1) * batch)
      found.append(pool(image(*numbers), tf.constant(step)).numpy().ravel())
    return np.array(found), pool.images.numpy().reshape(-1, batch)

  def test_images_are_shown_and_kept_as_long_as_there_is_room(self):
    found, kept = self.shown(size=5, num_steps=5)
    self.assertAllEqual(found.ravel(), [1, 2, 3, 4, 5])
    self.assertAllEqual(kept.ravel(), [1, 2, 3, 4, 5])

  def test_afterwards_an_image_is_shown_or_kept_for_an_older_one(self):
    found, kept = self.shown(size=4, num_steps=400)
    new = found.ravel() == np.arange(1, 401)
    # A fair coin: of 396 between 150 and 246 but once in a million.
    self.assertBetween(new[4:].sum(), 150, 246)
    # No image is shown twice but those that filled it; what was not shown is in the pool.
    self.assertLen({*found[4:].ravel()}, 396)
    self.assertEqual({*range(1, 401)} - {*found.ravel()}, {*kept.ravel()} - {1, 2, 3, 4})

  def test_without_a_size_every_image_is_shown(self):
    found, kept = self.shown(size=0, num_steps=20)
    self.assertAllEqual(found.ravel(), np.arange(1, 21))
    self.assertEmpty(kept)

  def test_a_size_is_rounded_up_to_whole_batches(self):
    _, kept = self.shown(size=5, num_steps=1, batch=4)
    self.assertEqual(kept.shape, (2, 4))

  def test_two_replicas_show_and_keep_what_one_does(self):
    strategy = synthetic.two_replicas()
    with strategy.scope():
      pool = image_pool.ImagePool(8, (4, 1, 1, 1), 3, "pool")

    @tf.function(autograph=False)
    def show(numbers, step):
      return strategy.run(pool, (numbers, step))

    expected, kept = self.shown(size=8, num_steps=12, batch=4)
    for step in range(12):
      numbers = image(*range(1 + step * 4, 5 + step * 4))
      halves = strategy.experimental_distribute_values_from_function(
        lambda context, numbers=numbers: tf.split(numbers, 2)[
          context.replica_id_in_sync_group
        ]
      )
      parts = strategy.experimental_local_results(show(halves, tf.constant(step)))
      self.assertAllEqual(tf.concat(parts, 0).numpy().ravel(), expected[step])
    for copy in strategy.experimental_local_results(pool.images):
      self.assertAllEqual(copy.numpy().reshape(-1, 4), kept)
