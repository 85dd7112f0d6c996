"""A run in its folder: its story, checkpoints, cache, workers and signals."""
