"""Learning: steps, terms, phases, the loop and the optimisers; no folder, no flags."""
