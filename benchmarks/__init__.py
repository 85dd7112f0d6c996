"""Measurements: what they print is for people, and no test asserts a time."""

from tfdam import runtime

# Before any of them imports TensorFlow.
runtime.set_environment()
