"""Deep activation matching for TensorFlow."""

from tfdam import stack

__version__ = "0.1.0"

# Before anything of tfdam, or a program that imports tfdam first, imports TensorFlow.
stack.use_legacy_keras()
