"""Batches as functions of seed and step."""

import dataclasses

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import synthetic
from tfdam.data import examples as examples_lib
from tfdam.data import guides, pairs


def numbered(count):
  """Images that show their own number."""
  images = np.zeros((count, 8, 8, 1), np.uint8) + np.arange(count)[:, None, None, None]
  return examples_lib.Examples(images.astype(np.uint8), np.arange(count), {})


def numbers(images):
  return np.rint(images.numpy()[:, 0, 0, 0] * 255).astype(int)


class PairsTest(tf.test.TestCase, parameterized.TestCase):
  def config(self, seed=0):
    return synthetic.small_config(
      seed=seed,
      data__height=8,
      data__width=8,
      source__global_batch_size=7,
      adapt__global_batch_size=7,
    )

  def drawn(self, seed=0, start=0, steps=30):
    dataset = pairs.labelled_batches(numbered(50), self.config(seed), start)
    return np.concatenate([batch["label"].numpy() for batch in dataset.take(steps)])

  def test_every_epoch_is_another_permutation(self):
    order = self.drawn(steps=100)
    epochs = order[:700].reshape(14, 50)
    for epoch in epochs:
      self.assertCountEqual(epoch, range(50))
    self.assertLen({tuple(epoch) for epoch in epochs}, 14)

  @parameterized.parameters(60_000, 7_291, 843)
  def test_successive_epochs_are_independent_orders(self, size):
    """Ranks of independent permutations correlate by about 1 / sqrt(size)."""
    epochs = [
      pairs._shuffled(
        e * size + tf.range(size, dtype=tf.int64), size, seed=0, stream="s"
      ).numpy()
      for e in range(6)
    ]
    correlations = np.corrcoef(epochs)[np.triu_indices(6, 1)]
    self.assertLess(np.abs(correlations).max(), 4 / np.sqrt(size))

  @parameterized.parameters(1, 7, 8, 23)
  def test_starting_at_a_step_continues_the_sequence(self, start):
    np.testing.assert_array_equal(
      self.drawn(start=start), self.drawn(steps=start + 30)[7 * start :]
    )

  def test_another_seed_gives_another_order(self):
    self.assertNotAllEqual(self.drawn(seed=0), self.drawn(seed=1))

  def test_images_and_labels_stay_together(self):
    for batch in pairs.labelled_batches(numbered(50), self.config()).take(20):
      np.testing.assert_array_equal(numbers(batch["image"]), batch["label"])

  def test_domains_are_drawn_independently_and_without_labels(self):
    batch = next(iter(pairs.domain_batches(numbered(50), numbered(50), self.config())))
    self.assertCountEqual(batch, ["source", "target"])
    self.assertNotAllEqual(numbers(batch["source"]), numbers(batch["target"]))

  def several(self, *counts):
    """Images that show their own number, of several targets."""
    names = tuple(f"target {i}" for i in range(len(counts)))
    of = np.repeat(np.arange(len(counts)), counts)
    parts = examples_lib.Parts(names, of)
    return dataclasses.replace(numbered(sum(counts)), parts=parts)

  def targets(self, split, steps, **options):
    config = synthetic.small_config(
      data__height=8, data__width=8, adapt__global_batch_size=12
    )
    batches = pairs.domain_batches(numbered(50), split, config, **options)
    return np.array([numbers(batch["target"]) for batch in batches.take(steps)])

  def test_batches_have_as_many_images_of_each_target_in_turn(self):
    split = self.several(10, 30, 20)
    drawn = self.targets(split, 30)
    for i in range(12):
      self.assertAllEqual(split.parts.of[drawn[:, i]], np.full(30, i % 3))
    # Each target's images have their turn, whatever its size: 120 draws.
    for part, count in enumerate((10, 30, 20)):
      images = drawn[:, part::3].ravel()
      self.assertAllEqual(np.bincount(images)[-count:], np.full(count, 120 // count))

  def test_batches_of_targets_are_a_function_of_the_step_and_shared_evenly(self):
    split = self.several(10, 30)
    drawn = self.targets(split, 6)
    self.assertAllEqual(self.targets(split, 2, start=4), drawn[4:])
    halves = [self.targets(split, 6, share=pairs.Share(i, 2)) for i in range(2)]
    self.assertAllEqual(np.concatenate(halves, axis=1), drawn)

  @parameterized.parameters((0, 30), (13, 12), (2, 3))
  def test_looks_at_networks_of_each_target_see_as_many_of_each_in_turn(self, limit, seen):
    split = self.several(10, 30, 20)
    config = synthetic.small_config(data__height=8, data__width=8, adapt__per_target=True)
    batches = [numbers(b) for b in pairs.probe_batches(split, limit, 8, config)]
    for batch in batches:
      self.assertAllEqual(split.parts.of[batch], np.arange(len(batch)) % 3)
      self.assertLessEqual(len(batch), 6)
    every = np.concatenate(batches)
    self.assertLen(set(every), seen)
    self.assertLen(every, seen)

  def test_joint_mmd_gets_the_sources_labels_and_no_others(self):
    config = synthetic.small_config(
      data__height=8, data__width=8, adapt__objective="joint_mmd", adapt__taps="fc3,fc4"
    )
    batch = next(iter(pairs.domain_batches(numbered(50), numbered(50), config)))
    self.assertCountEqual(batch, ["source", "source_label", "target"])
    self.assertAllEqual(batch["source_label"], numbers(batch["source"]))

  @parameterized.parameters(
    ({"source_label_weight": 1.0}, ["source_label", "source_varied"]),
    ({"self_training_weight": 1.0, "ema_momentum": 0.9}, ["target_varied"]),
    ({"centroid_weight": 1.0}, ["source_label"]),
  )
  def test_terms_of_the_loss_get_varied_images_beside_plain_ones(self, fields, names):
    fields = {f"adapt__{name}": value for name, value in fields.items()}
    config = synthetic.small_config(data__height=8, data__width=8, **fields)
    batch = next(iter(pairs.domain_batches(numbered(50), numbered(50), config)))
    self.assertCountEqual(batch, ["source", "target", *names])
    for domain in ("source", "target"):
      self.assertAllClose(numbers(batch[domain]) / 255, batch[domain][:, 0, 0, 0])
      if f"{domain}_varied" in batch:
        self.assertNotAllClose(batch[f"{domain}_varied"], batch[domain])
    if "source_label" in batch:
      self.assertAllEqual(batch["source_label"], numbers(batch["source"]))

  def test_no_thread_tunes_what_is_fixed(self):
    """It may sleep for a minute after its iterator has gone, and holds that up."""
    some, config = numbered(50), self.config()
    for dataset in (
      pairs.labelled_batches(some, config),
      pairs.domain_batches(some, some, config),
      pairs.ordered_batches(some, 8, config.data),
    ):
      self.assertIs(dataset.options().autotune.enabled, False)

  def test_ordered_batches_give_every_image_once(self):
    batches = list(pairs.ordered_batches(numbered(50), 8, self.config().data))
    np.testing.assert_array_equal(np.concatenate([numbers(b) for b in batches]), range(50))

  def test_a_subset_is_a_seeded_choice_without_repeats_or_labels(self):
    chosen = pairs.subset(numbered(50), 20, seed=0)
    self.assertIsNone(chosen.labels)
    picked = chosen.images[:, 0, 0, 0]
    self.assertLen(set(picked), 20)
    np.testing.assert_array_equal(
      picked, pairs.subset(numbered(50), 20, 0).images[:, 0, 0, 0]
    )
    self.assertLen(pairs.subset(numbered(50), 0, seed=0), 50)


class GuidedBatchesTest(tf.test.TestCase, parameterized.TestCase):
  """Estimates that go with target images."""

  def setUp(self):
    super().setUp()
    rng = np.random.RandomState(0)
    self.target = synthetic.scenes(5, seed=2, labels=False)
    self.maps = rng.randint(0, 4, (5, 32, 48)).astype(np.uint8)
    self.maps[self.maps == 3] = 255
    shares = rng.dirichlet(np.ones(3), 5).astype(np.float32)
    classes = rng.randint(0, 3, (5, 3)).astype(np.uint8)
    packed = [guides.pack(numbers) for numbers in self.maps]
    self.guides = guides.Guides(shares, classes, packed, (32, 48))

  def batches(self, share=pairs.WHOLE, **fields):
    config = synthetic.scenes_config(adapt__global_batch_size=4, **fields)
    source = synthetic.scenes(6, seed=1)
    found = pairs.domain_batches(
      source, self.target, config, share=share, guided=self.guides
    )
    return list(found.take(3))

  def number(self, image):
    """Which of the drawn images one is."""
    drawn = [self.target.read_image(i) / 255.0 for i in range(5)]
    return int(np.argmin([np.abs(image - other).max() for other in drawn]))

  def test_each_image_comes_with_its_own_estimates(self):
    for batch in self.batches():
      for i, image in enumerate(batch["target"].numpy()):
        number = self.number(image)
        self.assertAllEqual(batch["landmarks"][i], self.maps[number])
        self.assertAllEqual(batch["landmark_classes"][i], self.guides.classes[number])
        self.assertAllEqual(batch["target_shares"][i], self.guides.shares[number])

  def test_crops_and_mirrors_move_landmarks_with_the_image(self):
    # Maps that are a colour of their images tell whether they have moved alike.
    packed = [
      guides.pack(self.target.read_image(i)[..., 0].copy()) for i in range(5)
    ]  # fmt: skip
    self.guides = guides.Guides(
      self.guides.shares, self.guides.classes, packed, (32, 48)
    )  # fmt: skip
    fields = {"data__crop_height": 20, "data__crop_width": 30, "data__flip": True}
    for batch in self.batches(**fields):
      reds = np.rint(batch["target"].numpy()[..., 0] * 255)
      self.assertAllEqual(batch["landmarks"], reds)
      self.assertEqual(batch["landmarks"].shape, (4, 20, 30))

  def test_images_are_what_they_are_without_estimates(self):
    fields = {"data__crop_height": 20, "data__flip": True}
    guided = self.batches(**fields)
    self.guides = None
    for one, two in zip(guided, self.batches(**fields)):
      for name in two:
        self.assertAllEqual(one[name], two[name])

  def test_workers_have_their_parts_of_the_same_batch(self):
    for whole, *parts in zip(
      self.batches(), *(self.batches(pairs.Share(i, 2)) for i in range(2))
    ):
      for name in ("landmarks", "landmark_classes", "target_shares"):
        self.assertAllEqual(whole[name], tf.concat([p[name] for p in parts], 0))
