"""From a run folder to files that others load without tfdam; see run.py."""
