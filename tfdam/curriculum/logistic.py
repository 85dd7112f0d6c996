"""Multinomial logistic regression on soft labels, in NumPy and SciPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Lower bound of a standard deviation, for features that never change.
_LEAST_DEVIATION = 1e-6
_MOST_ITERATIONS = 200


class Scale(NamedTuple):
  """Standardises features to mean 0 and standard deviation 1.

  Attributes:
    mean: float64 [D].
    deviation: float64 [D], the standard deviation, above 0.
  """

  mean: np.ndarray
  deviation: np.ndarray

  @classmethod
  def of(cls, features: np.ndarray) -> Scale:
    """The scale that standardises features, float [N, D]."""
    deviation = features.std(axis=0, dtype=np.float64)
    return cls(
      features.mean(axis=0, dtype=np.float64), np.maximum(deviation, _LEAST_DEVIATION)
    )

  def __call__(self, features: np.ndarray) -> np.ndarray:
    return (features - self.mean) / self.deviation


class Model(NamedTuple):
  """Class probabilities as the softmax of linear scores.

  Attributes:
    weights: float64 [D, K].
    bias: float64 [K].
  """

  weights: np.ndarray
  bias: np.ndarray

  def __call__(self, features: np.ndarray) -> np.ndarray:
    """Returns probabilities, float64 [N, K], for features [N, D]."""
    return np.exp(_log_softmax(features @ self.weights + self.bias))


def fit(features: np.ndarray, shares: np.ndarray, l2: float) -> Model:
  """Minimises the mean cross-entropy plus l2 / 2 times the squared weights, by L-BFGS.

  Labels are distributions over classes (Zhang et al. 2017, Sec. 3.2).

  Args:
    features: float [N, D], all of similar scale.
    shares: float [N, K], the labels; each row sums to 1.
    l2: above 0, so that the solution is unique. Biases are not regularised.
  """
  from scipy import optimize

  features = np.asarray(features, np.float64)
  shares = np.asarray(shares, np.float64)
  count, num_features = features.shape
  num_classes = shares.shape[1]
  split = num_features * num_classes

  def loss_and_gradient(values: np.ndarray) -> tuple[float, np.ndarray]:
    weights = values[:split].reshape(num_features, num_classes)
    log_found = _log_softmax(features @ weights + values[split:])
    loss = -np.sum(shares * log_found) / count + 0.5 * l2 * np.sum(weights**2)
    error = (np.exp(log_found) - shares) / count
    of_weights = features.T @ error + l2 * weights
    return float(loss), np.concatenate([of_weights.ravel(), error.sum(axis=0)])

  found = optimize.minimize(
    loss_and_gradient, np.zeros(split + num_classes), jac=True, method="L-BFGS-B",
    options={"maxiter": _MOST_ITERATIONS},
  ).x  # fmt: skip
  return Model(found[:split].reshape(num_features, num_classes), found[split:])


def _log_softmax(scores: np.ndarray) -> np.ndarray:
  scores = scores - scores.max(axis=1, keepdims=True)
  return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
