"""Exports a run's network to files that load without tfdam; see run.py."""

# First, because it switches to legacy Keras before any module here imports TensorFlow.
# Copied clients do without this package.
import tfdam  # noqa: F401
