"""The stack: legacy Keras in one place, and what is said where it cannot be had."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from tfdam import addons, runtime, stack
from tfdam import config as config_lib

needs_keras_3 = pytest.mark.skipif(
  stack.installed() == "tf215", reason="TensorFlow 2.15 has no Keras 3"
)


def python(code, **variables):
  """Runs a program of its own that may import tfdam."""
  environment = {**os.environ, "PYTHONPATH": runtime.PROJECT, **variables}
  return subprocess.run(
    [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
    check=False,
  )  # fmt: skip


def test_this_environment_has_a_stack_with_keras_2():
  assert stack.installed() in stack.STACKS
  assert "engine.training" in tf.keras.Model.__module__  # Keras 3 has no engine
  assert stack.tensorflow_version() == tf.__version__


@needs_keras_3
@pytest.mark.parametrize("order", ["tfdam, tensorflow", "tensorflow, tfdam"])
def test_keras_2_comes_whichever_is_imported_first(order):
  code = f"import {order}; print(tensorflow.keras.Model.__module__)"
  done = python(code, TF_USE_LEGACY_KERAS="")
  assert done.stdout.startswith("tf_keras."), done.stderr


@needs_keras_3
def test_a_program_that_has_used_keras_3_is_told_what_to_set():
  code = "import tensorflow as tf; tf.keras.Model; import tfdam"
  done = python(code, TF_USE_LEGACY_KERAS="0")
  assert done.returncode == 1
  last = done.stderr.splitlines()[-1]
  assert last.startswith("ImportError: TensorFlow 2.")
  assert "import tfdam first, or set TF_USE_LEGACY_KERAS=1" in last


@pytest.mark.parametrize(
  ("version", "found", "variable"),
  [("2.15.1", "tf215", None), ("2.21.0", "tf221", "1"), ("2.21.1", "tf221", "1"),
   ("2.18.0", stack.OTHER, "1"), ("2.150.0", stack.OTHER, "1"), ("", "", "0")],
)  # fmt: skip
def test_the_variable_is_what_each_tensorflow_needs(monkeypatch, version, found, variable):
  monkeypatch.setattr(stack, "tensorflow_version", lambda: version)
  monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
  monkeypatch.delitem(sys.modules, "tensorflow")
  stack.use_legacy_keras()
  assert stack.installed() == found
  assert os.environ.get("TF_USE_LEGACY_KERAS") == variable


def test_another_stack_than_the_chosen_one_stops_every_command():
  other = next(name for name in stack.STACKS if name != stack.installed())
  for chosen, said in (
    (other, f"TFDAM_STACK is '{other}', but {sys.prefix} has TensorFlow {tf.__version__}"),
    ("tf22", "TFDAM_STACK is 'tf22'; expected tf215 or tf221. Did you mean 'tf221'?"),
  ):
    for module in ("tfdam.train", "tfdam.evaluate", "export.run"):
      code = f"import {module} as m; m.run()"
      done = python(code, TFDAM_STACK=chosen)
      assert done.returncode == 2, done.stderr
      assert done.stderr.startswith(f"Error: {said}")
      assert done.stderr.count("\n") == 1


def test_spectral_norm_needs_addons_on_tensorflow_2_15_alone(monkeypatch):
  monkeypatch.setattr(addons.importlib.util, "find_spec", lambda name: None)
  monkeypatch.setattr(stack, "tensorflow_version", lambda: "2.15.1")
  with pytest.raises(config_lib.UserError, match="needs tensorflow-addons.*TFDAM_STACK=tf"):
    addons.check()
  monkeypatch.setattr(stack, "tensorflow_version", lambda: "2.21.0")
  addons.check()


def test_addons_that_are_missing_are_told_before_any_data_is_looked_for():
  code = (
    "import sys; from tfdam import addons, stack, train;"
    " stack.installed = lambda: 'tf215'; addons.importlib.util.find_spec = lambda n: None;"
    " sys.argv += ['--config=configs/digits/mnist_to_usps.py',"
    " '--config.adapt.spectral_norm=True', '--workdir=/no/such/place/run']; train.run()"
  )
  done = python(code, TFDAM_DATA="/no/such/folder")
  assert done.returncode == 2, done.stderr
  assert done.stderr.startswith("Error: adapt.spectral_norm needs tensorflow-addons on")
  assert done.stderr.count("\n") == 1


def test_addons_that_cannot_be_imported_are_told(monkeypatch):
  monkeypatch.setattr(stack, "installed", lambda: "tf215")
  monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
  addons._seeded_wrapper.cache_clear()
  with pytest.raises(config_lib.UserError, match="cannot be imported"):
    addons.spectral_norm(tf.keras.layers.Dense(1), 0)
