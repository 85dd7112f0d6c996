"""A disk that is full, at every file that a run writes: one line, and the run goes on."""

import glob
import json
import os

import tensorflow as tf

from tests import in_process, programs, synthetic

_FLAGS = (
  "--config.source.steps=20",
  "--config.source.global_batch_size=16",
  "--config.adapt.steps=20",
  "--config.adapt.global_batch_size=16",
  "--config.loop.log_every=10",
  "--config.loop.checkpoint_every=10",
)
# In the order of a run: (after what the disk is full, what is then not written).
_FILES = (
  ("/config.json.partial", "config.json"),
  ("/run.json.partial", "run.json"),
  ("/run.json", "summaries/source_only/events"),
  ("/metrics.jsonl", "metrics.jsonl"),
  ("/source_only/00000010.partial", "source_only/00000010.partial/state"),
  ("/00000020.partial/checkpoint.json.partial", "00000020.partial/checkpoint.json"),
  ("/report.json.partial", "report.json"),
  ("/results.json.partial", "results.json"),
  ("/gaussian.json.partial", "gaussian.json"),
  ("/gaussian/00000000.partial", "gaussian/00000000.partial/state"),
  ("/adapted/00000010.partial", "adapted/00000010.partial/state"),
  ("/activations-adapted.png.partial", "pictures/activations-adapted.png"),
  ("/report.html.partial", "report.html"),
)


class FullDiskTest(tf.test.TestCase):
  def assert_refused(self, output, name, code):
    """One line on standard error, which names the file and the reason."""
    self.assertEqual(code, 2, output)
    self.assertNotIn("Traceback", output)
    (said,) = [line for line in output.splitlines() if line.startswith("Error: ")]
    self.assertIn(name, said)
    self.assertIn("File too large", said)

  def test_at_every_file_the_run_says_so_and_goes_on_to_the_same_bits(self):
    folder = self.create_tempdir().full_path
    root = synthetic.write_all(os.path.join(folder, "data"))
    whole, full = os.path.join(folder, "whole"), os.path.join(folder, "full")
    flags = (*_FLAGS, f"--config.source.cache={folder}/cache")
    code, output = programs.run(whole, root, *_FLAGS, "--config.source.cache=off")
    self.assertEqual(code, 0, output)

    for ending, name in _FILES:
      before = ("full", ending, "tfdam.train")
      code, output = programs.run(
        full, root, *flags, module="tests.bad_disk", before=before
      )
      self.assert_refused(output, name, code)
      left = glob.glob(os.path.join(full, "**", "*partial*"), recursive=True)
      self.assertEmpty(left)

    code, output = programs.run(full, root, *flags)
    self.assertEqual(code, 0, output)
    self.assertIn("Picture:", output)
    self.assertIn("Report:", output)
    for stage in ("source_only", "gaussian", "adapted"):
      one, other = in_process.weights(whole, stage), in_process.weights(full, stage)
      self.assertCountEqual(one, other)
      for name in one:
        self.assertAllEqual(one[name], other[name])
    read = [json.load(open(os.path.join(path, "results.json"))) for path in (whole, full)]
    self.assertEqual(read[0]["stages"], read[1]["stages"])
    lines = [open(os.path.join(path, "metrics.jsonl")).read() for path in (whole, full)]
    self.assertEqual(*lines)

    # A table is what evaluation is for, whether it can be kept or not.
    said = "The scores above were not written"
    for kind, where, reason in (
      ("full", "/evaluation.json.partial", "File too large"),
      ("read_only", full, "Read-only file system"),
    ):
      code, output = programs.run(
        full, "", f"--data_root={root}", module="tests.bad_disk",
        before=(kind, where, "tfdam.evaluate"),
      )  # fmt: skip
      self.assertEqual(code, 2, output)
      self.assertNotIn("Traceback", output)
      self.assertRegex(output, f"Error: {said}. .*evaluation.json: {reason}")
      self.assertIn("Gaussian", output)
      self.assertEqual(kind == "read_only", "will be shown and not kept" in output)
    self.assertNotIn("evaluation.json", os.listdir(full))

    stage = os.path.join(full, "checkpoints", "adapted")
    before = ("secret", stage, "tfdam.evaluate")
    code, output = programs.run(
      full, "", f"--data_root={root}", module="tests.bad_disk", before=before
    )
    self.assertEqual(code, 2, output)
    self.assertIn(f"Error: The folder {stage} cannot be listed: Permission denied", output)

  def test_at_every_file_of_a_users_network_too(self):
    folder = self.create_tempdir().full_path
    root = synthetic.write_all(os.path.join(folder, "data"))
    network, full = os.path.join(folder, "own.keras"), os.path.join(folder, "full")
    layers = tf.keras.layers
    parts = [layers.Conv2D(4, 5, 3, name="conv"), layers.Flatten(), layers.Dense(10)]
    tf.keras.Sequential([layers.Input((28, 28, 1)), *parts]).save(network)
    flags = (
      *_FLAGS, "--config.source.steps=0", "--config.source.cache=off",
      "--config.model.name=keras", f"--config.model.path={network}",
      "--config.model.scale=1/255", "--config.adapt.taps=auto",
    )  # fmt: skip
    for ending, name in (
      ("/network.keras.partial", "network.keras"),
      ("/adapted.partial.keras", "adapted.keras"),
    ):
      before = ("full", ending, "tfdam.train")
      code, output = programs.run(
        full, root, *flags, module="tests.bad_disk", before=before
      )
      self.assert_refused(output, name, code)
      self.assertEmpty(glob.glob(os.path.join(full, "**", "*partial*"), recursive=True))
      self.assertNotIn(name, os.listdir(full))
    code, output = programs.run(full, root, *flags)
    self.assertEqual(code, 0, output)
    self.assertIn("adapted.keras", output)
    self.assertLen(tf.keras.models.load_model(f"{full}/adapted.keras").layers, 3)
