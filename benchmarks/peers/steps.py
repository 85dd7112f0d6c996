"""Shared by the step benchmarks' peers: choosing the device, and timing steps."""

import json
import sys
import time
from collections.abc import Callable

import torch

_WARM_UP = 5


def run(make: Callable[[], Callable[[], None]]) -> None:
  """Makes a step, on the GPU if there is one, and times it on request.

  The first line on standard output describes device and versions. Then each line on
  standard input is a number of steps, and its answer is the mean milliseconds per step.
  """
  about = _choose_device()
  torch.manual_seed(0)
  step = make()
  for _ in range(_WARM_UP):
    step()
  about.update(torch=torch.__version__, threads=torch.get_num_threads())
  print(json.dumps(about), flush=True)
  for line in sys.stdin:
    count = int(line)
    _wait()
    start = time.perf_counter()
    for _ in range(count):
      step()
    _wait()
    print(json.dumps(1e3 * (time.perf_counter() - start) / count), flush=True)


def update(optimizers, weights, losses) -> None:
  """Both gradients first, then both updates: neither player sees the other's move.

  Args:
    optimizers: the target's and the discriminators'.
    weights: the same.
    losses: the same.
  """
  target_gradients = torch.autograd.grad(losses[0], weights[0], retain_graph=True)
  player_gradients = torch.autograd.grad(losses[1], weights[1])
  for weight, gradient in zip(weights[0] + weights[1], target_gradients + player_gradients):
    weight.grad = gradient
  for optimizer in optimizers:
    optimizer.step()


def _choose_device() -> dict[str, str]:
  """Sets the default device, and returns its name for the report."""
  # Full float32, as in our steps.
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
  if not torch.cuda.is_available():
    return {"torch_device": "cpu"}
  torch.set_default_device("cuda")
  return {"torch_device": torch.cuda.get_device_name()}


def _wait() -> None:
  """Waits until the device has finished."""
  if torch.cuda.is_available():
    torch.cuda.synchronize()
