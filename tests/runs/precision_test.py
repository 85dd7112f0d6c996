"""Mixed precision: half where it pays, float32 where it counts."""

import json
import os
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.training import networks, optimizers, source_step
from tfdam.training import optimizers as optimizers_lib
from tfdam.vocabulary import Stage

_POLICIES = ("mixed_float16", "mixed_bfloat16")
# All that an optimiser is asked for beyond plain updates.
_EVERYTHING = {
  "model__name": "lenet_bn", "adapt__batch_norm": "train", "adapt__ema_momentum": 0.9,
  "adapt__gate_accuracy": 0.4, "adapt__information_weight": 0.1, "adapt__augment": True,
  "adapt__spectral_norm": True,
}  # fmt: skip


class PrecisionTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.root = synthetic.write_all(os.path.join(self.folder, "data"))

  def path(self, name):
    return os.path.join(self.folder, name)

  def config(self, policy, **fields):
    """A small run's config, after what runtime.start does with it."""
    tf.keras.mixed_precision.set_global_policy(policy)
    self.addCleanup(tf.keras.mixed_precision.set_global_policy, "float32")
    small = {
      "source__steps": 5, "adapt__steps": 10, "loop__checkpoint_every": 5,
      # Few images: CPUs have no arithmetic of half precision, and are slow without.
      "data__source_limit": 40, "data__target_limit": 40, "source__global_batch_size": 4,
      "adapt__global_batch_size": 4,
    }  # fmt: skip
    return synthetic.small_config(**{**small, "runtime__precision": policy, **fields})

  @parameterized.parameters(*_POLICIES)
  def test_layers_are_half_and_variables_logits_and_losses_float32(self, policy):
    config = self.config(policy)
    network = networks.build_network(config, "net")
    half = policy.replace("mixed_", "")
    output = network(tf.zeros([2, 28, 28, 1]))
    for tap in ("conv1", "conv2", "fc3"):
      self.assertEqual(output["taps"][tap].dtype, half)
    self.assertEqual(output["logits"].dtype, tf.float32)
    discriminators = networks.build_discriminators(config, output)
    for tap, discriminator in discriminators.items():
      self.assertEqual(discriminator(output["taps"][tap]).dtype, tf.float32)
    for model in (network, *discriminators.values()):
      for variable in model.variables:
        self.assertEqual(variable.dtype, tf.float32)
        self.assertEqual(variable.read_value().dtype, tf.float32)

  @parameterized.parameters(*_POLICIES)
  def test_a_run_trains_matches_adapts_and_resumes_to_the_same_bits(self, policy):
    config = self.config(policy, adapt__init="matched")
    whole, cut = self.path("whole"), self.path("cut")
    in_process.execute(config, self.root, whole)
    with open(os.path.join(whole, "metrics.jsonl")) as file:
      for line in map(json.loads, file):
        for name, value in line.items():
          if name.startswith("loss/"):
            self.assertTrue(np.isfinite(value), line)
    # As a kill after step 5 of adaptation would leave it.
    shutil.copytree(whole, cut)
    os.remove(os.path.join(cut, "results.json"))
    shutil.rmtree(os.path.join(cut, "checkpoints", "adapted", "00000010"))
    in_process.execute(config, self.root, cut)
    for stage in Stage:
      first, second = in_process.weights(whole, stage), in_process.weights(cut, stage)
      self.assertCountEqual(first, second)
      for name in first:
        self.assertAllEqual(first[name], second[name])
        self.assertNotEqual(first[name].dtype, np.float16)
    start, end = in_process.weights(whole, "gaussian"), in_process.weights(whole)
    self.assertLen(
      [name for name in end if "loss_scale/current_loss_scale" in name],
      3 if policy == "mixed_float16" else 0,  # the target's, and one a discriminator
    )
    moved = max(np.abs(end[n] - start[n]).max() for n in start if n.startswith("model/"))
    self.assertGreater(moved, 1e-4)

  # float16 alone has something for replicas to agree on that float32 has not: the scales.
  @parameterized.parameters(("mixed_float16", 2), ("mixed_bfloat16", 1))
  def test_every_option_can_be_had(self, policy, num_replicas):
    config = self.config(policy, adapt__steps=5, **_EVERYTHING)
    strategy = synthetic.two_replicas() if num_replicas > 1 else None
    results = in_process.execute(config, self.root, self.path("run"), strategy)
    self.assertIn("adapted", results["stages"])

  def test_a_joint_mmd_run_takes_float16(self):
    config = self.config(
      "mixed_float16", adapt__objective="joint_mmd", adapt__taps="fc3,fc4", adapt__steps=2
    )
    self.assertIn(
      "adapted", in_process.execute(config, self.root, self.path("run"))["stages"]
    )

  def test_gradients_that_overflow_skip_the_step_and_halve_the_scale(self):
    config = self.config("mixed_float16")
    model = networks.build_network(config, "net")
    optimizer = optimizers_lib.for_source(config.source, model)
    optimizer._loss_scale._current_loss_scale.assign(2.0**40)
    step = source_step.SourceStep(model, optimizer, config.source, 1)
    images, labels = synthetic.digits(16, 28)
    batch = {"image": tf.constant(images[..., None] / 255.0, tf.float32), "label": labels}
    before = model.get_weights()
    metrics = step(batch)
    for name, value in metrics.items():
      self.assertTrue(np.isfinite(value), name)
    for now, then in zip(model.get_weights(), before):
      self.assertAllEqual(now, then)
    self.assertEqual(float(optimizer.loss_scale), 2.0**39)

  def test_scaling_leaves_the_gradients_what_they_are(self):
    """float32 layers and a power of two: nothing is rounded."""
    variable = tf.Variable([0.3, -0.7])
    gradients = []
    for policy in ("float32", "mixed_float16"):
      self.config(policy)
      optimizer = optimizers.for_policy(tf.keras.optimizers.SGD(0.1))
      with tf.GradientTape() as tape:
        loss = optimizers.scaled(optimizer, tf.reduce_sum(variable**3))
      gradients += optimizers.unscaled(optimizer, [tape.gradient(loss, variable)])
    self.assertAllEqual(*gradients)

  def test_another_precision_is_another_run(self):
    short = {"adapt__steps": 0, "match__enabled": False}
    in_process.execute(self.config("float32", **short), self.root, self.path("run"))
    with self.assertRaisesRegex(config_lib.UserError, "runtime.precision: 'float32' there"):
      in_process.execute(self.config("mixed_float16", **short), self.root, self.path("run"))
