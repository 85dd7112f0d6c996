"""Runs stages in this process, and reads what they left."""

import os

import tensorflow as tf

from tfdam import data
from tfdam.training import checkpoints, context, run_folder, stages


def domains(config, root):
  load = data.load_training
  return context.Domains(
    load("source", True, config.data, root, config.seed),
    load("target", False, config.data, root, config.seed),
    data.load_scored(config.data, root, config.seed),
  )


def execute(config, root, path, strategy=None):
  folder = run_folder.RunFolder(path)
  folder.check(config)
  run = stages.Run(
    config, domains(config, root), folder, strategy or tf.distribute.get_strategy()
  )
  run.prepare()
  folder.claim(config, {}, [], [])
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
