"""Tests; conftest.py and every test of this package come after these lines."""

from tfdam import runtime

# Before any of them imports TensorFlow.
runtime.set_environment()
