"""Runs the experiments of the paper's tables and figures, and writes the results."""
