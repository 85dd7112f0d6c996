"""Draws street scenes: world.py plans, canvas.py paints, sim.py and photo.py render.

data/streets.py offers them as data sets.
"""
