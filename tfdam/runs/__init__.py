"""Training runs in run folders: stages, checkpoints, cache, workers and signals."""
