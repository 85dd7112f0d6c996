"""Matching of activations, on tensors and dicts. A new objective: a class, a line here."""

from __future__ import annotations

from tfdam.matching import objectives

OBJECTIVES: dict[str, type[objectives.Objective]] = {
  "gan": objectives.Gan,
  "gan_softmax": objectives.GanSoftmax,
  "least_squares": objectives.LeastSquares,
}
