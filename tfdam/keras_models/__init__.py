"""A Keras model as what its graph says: operations in order, taps, and sites."""
