"""Information maximisation on the logits, with a label prior: matching of label marginals.

Sure predictions on each image, and over all images the label frequencies of the source:
Krause, Perona, Gomes, "Discriminative clustering by regularized information maximization",
NIPS 2010, where the prior is a parameter as well. With a uniform prior it is the loss of
SHOT-IM (Liang, Hu, Feng, ICML 2020) but for a constant.
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
    prior: float32 [classes], sums to 1: the source's label frequencies.
    mean_over_replicas: makes the marginal that of the global batch.

  Returns:
    float32 [], in nats; at least 0.
  """
  log_p = tf.nn.log_softmax(tf.reshape(logits, [-1, logits.shape[-1]]))
  p = tf.exp(log_p)
  conditional = -tf.reduce_mean(tf.reduce_sum(p * log_p, axis=-1))
  marginal = mean_over_replicas(tf.reduce_mean(p, axis=0))
  tiny = (
    1e-8  # a class that is never predicted, or has no prior, must not make a log infinite
  )
  ratio = tf.math.log(marginal + tiny) - tf.math.log(prior + tiny)
  return conditional + tf.reduce_sum(marginal * ratio)
