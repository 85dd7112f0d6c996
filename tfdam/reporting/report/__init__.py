"""Reports: pages of HTML that need nothing beside themselves. Imports no TensorFlow."""
