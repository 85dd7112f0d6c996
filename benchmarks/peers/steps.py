"""Shared by the step benchmarks' peers: choosing the device, and timing steps."""

import json
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

_WARM_UP = 5
SLOPE = 0.2
GAN_WEIGHT, RATE, BETAS = 0.1, 2e-4, (0.5, 0.999)


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


def matching(make_network, taps, units, height, width, batch) -> Callable[[], None]:
  """Returns a step with least-squares GANs on taps, drift, and frozen batch norms.

  Args:
    make_network: makes a module that returns {tap: activations}.
    taps: {tap: its channels}, every tap with weight 1.
    units: channels of the discriminators' hidden layers.
    height: of images.
    width: the same.
    batch: number of images of each domain.
  """
  source, target = make_network().eval().requires_grad_(False), make_network().eval()
  target.load_state_dict(source.state_dict())
  players = {tap: _discriminator(channels, units) for tap, channels in taps.items()}
  target_weights = list(target.parameters())
  player_weights = [weight for player in players.values() for weight in player.parameters()]
  optimizers = [
    torch.optim.Adam(weights, RATE, BETAS) for weights in (target_weights, player_weights)
  ]
  source_images, target_images = torch.rand(2, batch, 3, height, width)

  def step():
    with torch.no_grad():
      source_taps = source(source_images)
    target_taps = target(target_images)
    loss = alignment = 0.0
    for tap, player in players.items():
      on_source, on_target = player(source_taps[tap]), player(target_taps[tap])
      loss = loss + 0.5 * ((on_source - 1.0).square().mean() + on_target.square().mean())
      alignment = alignment + 0.5 * (on_target - 1.0).square().mean()
    drift = sum(
      (now - then).square().mean() for now, then in zip(target_weights, source.parameters())
    )
    moved = GAN_WEIGHT * alignment + drift
    update(optimizers, (target_weights, player_weights), (moved, loss))

  return step


def _discriminator(channels, units):
  layers = []
  for inputs, outputs in zip((channels, *units), units):
    layers += [nn.Conv2d(inputs, outputs, 1), nn.LeakyReLU(SLOPE)]
  return nn.Sequential(*layers, nn.Conv2d(units[-1], 1, 1))


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
