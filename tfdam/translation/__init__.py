"""Translates images of one domain into the other's look (CycleGAN, CyCADA)."""
