"""Draws street scenes: world.py plans, canvas.py paints, sim.py and photo.py render.

As a data set they stand in data/streets.py.
"""
