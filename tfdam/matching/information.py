"""Information maximisation on the logits, with a label prior.

Predictions should be confident on each image, and over all images they should have the
source's label frequencies. After Krause, Perona, Gomes, "Discriminative clustering by
regularized information maximization", NIPS 2010, where the prior is a parameter as well.
With a uniform prior this is the loss of SHOT-IM (Liang, Hu, Feng, ICML 2020) up to a
constant.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def loss(
  logits: tf.Tensor,
  prior: tf.Tensor,
  mean_over_replicas: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
  """Conditional entropy plus the divergence of the predicted marginal from the prior.

    mean over samples of H(p(y | x))  +  KL(mean over samples of p(y | x) || prior)

  Args:
    logits: float32 [B, ..., classes]; every location is a sample.
    prior: float32 [classes], the source's label frequencies; they sum to 1.
    mean_over_replicas: averages over replicas, so that the marginal is the global batch's.

  Returns:
    float32 [], in nats; at least 0.
  """
  log_p = tf.nn.log_softmax(tf.reshape(logits, [-1, logits.shape[-1]]))
  p = tf.exp(log_p)
  conditional = -tf.reduce_mean(tf.reduce_sum(p * log_p, axis=-1))
  marginal = mean_over_replicas(tf.reduce_mean(p, axis=0))
  tiny = (
    1e-8  # Keeps logarithms finite for a class that is never predicted or has a prior of 0.
  )
  ratio = tf.math.log(marginal + tiny) - tf.math.log(prior + tiny)
  return conditional + tf.reduce_sum(marginal * ratio)
