"""Reads a Keras model's operations, taps and sites, from its graph or its own methods."""
