"""The optimisers: Adam with one fused kernel per variable, and a gate that can hold it.

Under mixed_float16, each optimiser is wrapped in a LossScaleOptimizer. A loss goes through
`scaled` inside its tape, and its gradients through `unscaled`; in other precisions both
return their input. If gradients overflow, the update is skipped and the scale is halved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfdam import config as config_lib

# Gradients and their variables.
Pairs = Iterable[tuple[tf.Tensor, tf.Variable]]

_Scaling = tf.keras.mixed_precision.LossScaleOptimizer


class _Scaled:
  """A mixin for Keras' optimisers: some variables may take smaller steps."""

  # Keys of those variables, and the factor of their steps. Keras would track a dict.
  _slowed: frozenset[str] = frozenset()
  _scale = 1.0
  _var_key: Any

  def slow(self, variables: Iterable[tf.Variable], scale: float) -> None:
    """Multiplies the steps of these variables by `scale`."""
    self._slowed = frozenset(self._var_key(v) for v in variables)
    self._scale = scale

  def scale_of(self, variable: tf.Variable) -> float:
    """Returns the factor of a variable's steps."""
    is_slowed = bool(self._slowed) and self._var_key(variable) in self._slowed
    return self._scale if is_slowed else 1.0


class ScaledSGD(_Scaled, tf.keras.optimizers.SGD):
  """Keras's SGD, with smaller steps for some variables."""

  def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
    """Updates one variable. With momentum, too, a step is linear in the gradients."""
    scale = self.scale_of(variable)
    super().update_step(gradient if scale == 1.0 else scale * gradient, variable)


class FusedAdam(_Scaled, tf.keras.optimizers.Adam):
  """Keras's Adam with TensorFlow's fused kernel, a gate, and smaller steps for some.

  The kernel passes over memory once, Keras's formula ten times. The results are the same up
  to rounding (Kingma and Ba 2015, Sec. 2, with the bias correction in the step size).
  """

  # Set while gated gradients are applied: float32 [], 1 to update, 0 to change nothing.
  _gate: tf.Tensor | None = None

  def apply_if(
    self,
    is_open: tf.Tensor,
    grads_and_vars: Pairs,
    wrapper: tf.keras.optimizers.Optimizer | None = None,
  ) -> None:
    """Applies gradients if `is_open`; else weights, moments and step count do not change.

    The gate is arithmetic because, under a strategy, gradients cannot be applied inside
    `tf.cond`.

    Args:
      is_open: bool [], the same on all replicas.
      grads_and_vars: (gradient, variable) pairs.
      wrapper: the LossScaleOptimizer around this optimiser, if there is one.
    """
    self._gate = tf.cast(is_open, tf.float32)
    (wrapper or self).apply_gradients(grads_and_vars)
    self._gate = None
    self.iterations.assign_sub(tf.cast(tf.logical_not(is_open), self.iterations.dtype))

  def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
    """Updates one variable with a dense gradient."""
    position = self._index_dict[self._var_key(variable)]
    step = tf.cast(self.iterations + 1, variable.dtype)
    rate, beta_1, beta_2 = self.learning_rate, self.beta_1, self.beta_2
    # Adam divides by the gradients' size, so the rate is scaled instead of the gradients.
    if (scale := self.scale_of(variable)) != 1.0:
      rate = scale * rate
    gate = self._gate
    if gate is not None:
      # With a rate of 0 and both betas at 1, the kernel changes nothing.
      rate, shut = gate * rate, 1.0 - gate
      beta_1, beta_2 = gate * beta_1 + shut, gate * beta_2 + shut
    tf.raw_ops.ResourceApplyAdam(
      var=variable.handle,
      m=self._momentums[position].handle,
      v=self._velocities[position].handle,
      beta1_power=tf.pow(self.beta_1, step),
      beta2_power=tf.pow(self.beta_2, step),
      lr=rate,
      beta1=beta_1,
      beta2=beta_2,
      epsilon=self.epsilon,
      grad=gradient,
    )


def for_source(
  options: config_lib.Source, model: tf.keras.Model
) -> tf.keras.optimizers.Optimizer:
  """Adam with its slots built for the model's variables."""
  rate = options.learning_rate
  if options.decay_power:
    rate = tf.keras.optimizers.schedules.PolynomialDecay(
      rate, options.steps, end_learning_rate=0.0, power=options.decay_power
    )
  return _of_network(_adam(rate, options), model)


def for_adaptation(
  options: config_lib.Adapt,
  target: tf.keras.Model,
  discriminators: Mapping[str, tf.keras.Model],
) -> tuple[tf.keras.optimizers.Optimizer, dict[str, tf.keras.optimizers.Optimizer]]:
  """Returns (the target's optimiser, {tap: its discriminator's optimiser}), slots built."""

  def make(learning_rate: float, **average: Any) -> tf.keras.optimizers.Optimizer:
    if options.optimizer == "sgd":
      momentum = options.momentum
      return ScaledSGD(learning_rate, momentum, jit_compile=False, **average)
    return _adam(learning_rate, options, **average)

  for_discriminators = {
    tap: _built(make(options.discriminator_learning_rate), d.trainable_variables)
    for tap, d in discriminators.items()
  }
  average = {"use_ema": options.ema_momentum > 0, "ema_momentum": options.ema_momentum}
  for_target = make(options.target_learning_rate, **average)
  return _of_network(for_target, target), for_discriminators


class ConstantThenLinear(tf.keras.optimizers.schedules.LearningRateSchedule):
  """A learning rate that is constant at first, then falls linearly to 0."""

  def __init__(self, rate: float, num_steps: int, constant_share: float):
    """Sets the schedule.

    Args:
      rate: the initial learning rate.
      num_steps: steps until the rate is 0.
      constant_share: the fraction of steps in which the rate is constant, 0 to 1.
    """
    self.rate, self.num_steps, self.constant_share = rate, num_steps, constant_share

  def __call__(self, step: tf.Tensor) -> tf.Tensor:
    num_constant = self.constant_share * self.num_steps
    left = self.num_steps - tf.cast(step, tf.float32)
    # If the rate is constant to the end, the falling part has no steps.
    return self.rate * tf.minimum(left / max(self.num_steps - num_constant, 1.0), 1.0)

  def get_config(self) -> dict[str, Any]:
    return dict(vars(self))


def for_translation(
  options: config_lib.Translation, models: Sequence[tf.keras.Model]
) -> tf.keras.optimizers.Optimizer:
  """One Adam for several models, slots built, with CycleGAN's learning rate schedule."""
  rate = ConstantThenLinear(options.learning_rate, options.steps, options.constant_share)
  variables = [v for model in models for v in model.trainable_variables]
  return _built(_adam(rate, options), variables)


def _adam(
  learning_rate: Any,
  options: config_lib.Source | config_lib.Adapt | config_lib.Translation,
  **average: Any,
) -> FusedAdam:
  # XLA-compiled optimisers fail with several replicas.
  return FusedAdam(
    learning_rate, options.beta_1, options.beta_2, options.epsilon, jit_compile=False,
    **average,
  )  # fmt: skip


def _of_network(
  optimizer: FusedAdam | ScaledSGD, network: Any
) -> tf.keras.optimizers.Optimizer:
  """Builds the optimiser of a network, whose pretrained layers may take smaller steps."""
  slowed: list[tf.Variable] = getattr(network, "slowed_variables", list)()
  if slowed:
    optimizer.slow(slowed, network.pretrained_rate_scale)
  return _built(optimizer, network.trainable_variables)


def _built(
  optimizer: tf.keras.optimizers.Optimizer, variables: Sequence[tf.Variable]
) -> tf.keras.optimizers.Optimizer:
  optimizer = for_policy(optimizer)
  # Slots must exist before a checkpoint is read, and before tf.function traces.
  optimizer.build(variables)
  return optimizer


def update_average(
  optimizer: tf.keras.optimizers.Optimizer,
  target: tf.keras.Model,
  averaged: tf.keras.Model,
) -> None:
  """Copies the moving averages, and the target's non-trainable variables, to `averaged`.

  If no average is kept, both are the same network, and nothing happens.
  """
  if averaged is target:
    return
  for into, average in zip(averaged.trainable_variables, averages(optimizer)):
    into.assign(average)
  for into, value in zip(averaged.non_trainable_variables, target.non_trainable_variables):
    into.assign(value)


def averages(optimizer: tf.keras.optimizers.Optimizer) -> list[tf.Variable]:
  """The moving averages of an optimiser with `use_ema`, one per variable, in order."""
  return _inner(optimizer)._model_variables_moving_average


def for_policy(optimizer: tf.keras.optimizers.Optimizer) -> tf.keras.optimizers.Optimizer:
  """Wraps an optimiser for loss scaling if the global precision policy needs it."""
  if tf.keras.mixed_precision.global_policy().name == "mixed_float16":
    return _Scaling(optimizer)
  return optimizer


def scaled(optimizer: tf.keras.optimizers.Optimizer, loss: tf.Tensor) -> tf.Tensor:
  """The loss times the loss scale, so that gradients do not vanish in float16."""
  return optimizer.get_scaled_loss(loss) if isinstance(optimizer, _Scaling) else loss


def unscaled(
  optimizer: tf.keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
  """Divides gradients of a scaled loss by the loss scale."""
  if isinstance(optimizer, _Scaling):
    return optimizer.get_unscaled_gradients(gradients)
  return list(gradients)


def apply_if(
  optimizer: tf.keras.optimizers.Optimizer, is_open: tf.Tensor, grads_and_vars: Pairs
) -> None:
  """Calls FusedAdam.apply_if, through the loss scaling around it if there is any."""
  inner = _inner(optimizer)
  inner.apply_if(is_open, grads_and_vars, None if inner is optimizer else optimizer)


def _inner(optimizer: tf.keras.optimizers.Optimizer) -> tf.keras.optimizers.Optimizer:
  return optimizer.inner_optimizer if isinstance(optimizer, _Scaling) else optimizer
