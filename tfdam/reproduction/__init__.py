"""Runs what the paper's tables and figures need, and writes them."""
