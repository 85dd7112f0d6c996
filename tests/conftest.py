"""Two logical CPU devices for every test: made before TensorFlow starts, or never."""

import os

# Tests compare bits with a CPU's, and two replicas: a GPU rounds otherwise and is one.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import tensorflow as tf
from absl import flags, logging

# absl's create_tempdir reads a flag, and pytest parses none.
flags.FLAGS.mark_as_parsed()
# As in programs. Saving a SavedModel sets absl's level anew: to warnings, if it has none.
logging.set_verbosity(logging.INFO)

tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def pytest_collection_modifyitems(items):
  """Drops tf.test.TestCase's `test_session`: no test, yet it would count as skipped."""
  items[:] = [item for item in items if item.name != "test_session"]
