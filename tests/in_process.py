"""Runs stages in this process, and reads what they left."""

import importlib.util
import os
import tempfile

import tensorflow as tf

from tests import synthetic
from tfdam import data, runtime
from tfdam.data import scenes
from tfdam.runs import checkpoints, context, network_file, run_folder
from tfdam.runs import run as run_lib


def class_folder(test_class):
  """A folder that all tests of a class share; it goes with the last of them."""
  folder = tempfile.TemporaryDirectory()
  test_class.addClassCleanup(folder.cleanup)
  return folder.name


def domains(config, root):
  load = data.load_training
  target = load("target", False, config.data, root, config.seed)
  return context.Domains(
    load("source", config.needs_source_labels, config.data, root, config.seed, target),
    target,
    data.load_scored(config.data, root, config.seed, target),
  )


def load_config(path, options):
  """What a config file of the project, with its argument, gives."""
  spec = importlib.util.spec_from_file_location(
    "a_config", os.path.join(runtime.PROJECT, path)
  )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(options)


def scenes_domains(config):
  """Drawn scenes of two domains: the target's colours are darker."""
  target = scenes.at_size(synthetic.scenes(20, seed=2, gain=0.6), config.data)
  test = synthetic.scenes(8, seed=3, gain=0.6)
  scored = {"test": scenes.at_size(test, config.data, labels_too=False)}
  source = scenes.at_size(synthetic.scenes(24, seed=1), config.data)
  return context.Domains(
    source, target.without_labels(), {**scored, "transductive": target}
  )


def execute(config, root, path, strategy=None):
  """Runs a config; `root` may also be the domains themselves."""
  folder = run_folder.RunFolder(path)
  folder.check(config)
  read = domains(config, root) if isinstance(root, str) else root
  run = run_lib.Run(config, read, folder, strategy or tf.distribute.get_strategy())
  run.prepare()
  folder.claim(config, network_file.run_digests(config, folder), [], [])
  results = run.execute()
  folder._lock.close()
  return results


def weights(path, stage="adapted"):
  """{variable: value} of a stage's newest checkpoint, optimisers included."""
  reader = tf.train.load_checkpoint(
    os.path.join(checkpoints.newest(os.path.join(path, "checkpoints", stage)), "state")
  )
  names = [
    n for n in reader.get_variable_to_shape_map() if n != "_CHECKPOINTABLE_OBJECT_GRAPH"
  ]
  return {name: reader.get_tensor(name) for name in names}
