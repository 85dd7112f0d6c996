"""Benchmarks, whose output is for people; no test asserts a time."""

from tfdam import runtime

# Before any benchmark imports TensorFlow.
runtime.set_environment()
