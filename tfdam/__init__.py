"""Deep activation matching for TensorFlow."""

__version__ = "0.1.0"
