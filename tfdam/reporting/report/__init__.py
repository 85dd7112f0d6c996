"""Reports as self-contained HTML pages. TensorFlow is not imported."""
