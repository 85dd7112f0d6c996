"""Training: steps, loss terms, phases, loop and optimisers; no folders and no flags."""
