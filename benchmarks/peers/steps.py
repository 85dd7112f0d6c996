"""What the step benchmarks' peers share: the device, and answering with step times."""

import json
import sys
import time
from collections.abc import Callable

import torch

_WARM_UP = 5


def run(make: Callable[[], Callable[[], None]]) -> None:
  """Makes a step, on the GPU if there is one, and times it as often as it is asked to.

  The first line on standard output says what computes. Then each line on standard input is
  a number of steps, and is answered with the mean milliseconds a step.
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
    optimizers, weights, losses: the target's and the discriminators' of each.
  """
  target_gradients = torch.autograd.grad(losses[0], weights[0], retain_graph=True)
  player_gradients = torch.autograd.grad(losses[1], weights[1])
  for weight, gradient in zip(weights[0] + weights[1], target_gradients + player_gradients):
    weight.grad = gradient
  for optimizer in optimizers:
    optimizer.step()


def _choose_device() -> dict[str, str]:
  """Makes the device the default of what follows; says which, for the report."""
  # Float32 in full, as ours.
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
  if not torch.cuda.is_available():
    return {"torch_device": "cpu"}
  torch.set_default_device("cuda")
  return {"torch_device": torch.cuda.get_device_name()}


def _wait() -> None:
  """Returns when the device has done what it was given."""
  if torch.cuda.is_available():
    torch.cuda.synchronize()
