"""Matching of activations, on tensors and dicts of tensors.

To add an objective, write a class in objectives.py and a line below.
"""

from __future__ import annotations

from tfdam.matching import objectives

OBJECTIVES: dict[str, type[objectives.Objective]] = {
  "gan": objectives.Gan,
  "gan_softmax": objectives.GanSoftmax,
  "least_squares": objectives.LeastSquares,
}
