"""ERFNet's adaptation step and forward pass in eager PyTorch, for erfnet_step.py.

  erfnet_torch.py step HEIGHT WIDTH BATCH
  erfnet_torch.py forward HEIGHT WIDTH BATCH

It runs in a separate environment (requirements-torch.txt); see steps.py for its answers.
"""

import functools
import sys

import steps
import torch
from torch import nn
from torch.nn import functional

NUM_CLASSES = 19
# {block: its channels}, every tap with weight 1.
TAPS = {4: 64, 8: 128, 12: 128, 17: NUM_CLASSES}
UNITS, SLOPE = (128, 64), 0.2
GAN_WEIGHT, RATE, BETAS = 0.1, 2e-4, (0.5, 0.999)


class Downsampler(nn.Module):
  def __init__(self, inputs, outputs):
    super().__init__()
    self.convolution = nn.Conv2d(inputs, outputs - inputs, 3, stride=2, padding=1)
    self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

  def forward(self, x):
    both = torch.cat([self.convolution(x), functional.max_pool2d(x, 2)], dim=1)
    return functional.relu(self.norm(both))


class NonBottleneck(nn.Module):
  def __init__(self, width, dilation):
    super().__init__()

    def pair(rate):
      tall = nn.Conv2d(width, width, (3, 1), padding=(rate, 0), dilation=(rate, 1))
      wide = nn.Conv2d(width, width, (1, 3), padding=(0, rate), dilation=(1, rate))
      return nn.Sequential(tall, nn.ReLU(), wide, nn.BatchNorm2d(width, eps=1e-3))

    self.first, self.second = pair(1), pair(dilation)

  def forward(self, x):
    return functional.relu(x + self.second(functional.relu(self.first(x))))


class Encoder(nn.Module):
  def __init__(self):
    super().__init__()
    blocks = [Downsampler(3, 16), Downsampler(16, 64)]
    blocks += [NonBottleneck(64, 1) for _ in range(5)]
    blocks += [Downsampler(64, 128)]
    blocks += [NonBottleneck(128, dilation) for dilation in (2, 4, 8, 16, 2, 4, 8, 16)]
    blocks += [nn.Conv2d(128, NUM_CLASSES, 1)]
    self.blocks = nn.ModuleList(blocks)

  def forward(self, x):
    outputs = {}
    for number, block in enumerate(self.blocks, start=1):
      x = outputs[number] = block(x)
    return outputs


def discriminator(width):
  layers = []
  for inputs, outputs in zip((width, *UNITS), UNITS):
    layers += [nn.Conv2d(inputs, outputs, 1), nn.LeakyReLU(SLOPE)]
  return nn.Sequential(*layers, nn.Conv2d(UNITS[-1], 1, 1))


def make_step(height, width, batch):
  """Returns a step with least-squares GANs on four taps, drift, and frozen batch norms."""
  source, target = Encoder().eval().requires_grad_(False), Encoder().eval()
  target.load_state_dict(source.state_dict())
  players = {tap: discriminator(channels) for tap, channels in TAPS.items()}
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
    steps.update(optimizers, (target_weights, player_weights), (moved, loss))

  return step


def make_forward(height, width, batch):
  network, images = Encoder().eval(), torch.rand(batch, 3, height, width)

  def step():
    with torch.inference_mode():
      logits = network(images)[17]
      shape = (height, width)
      functional.interpolate(logits, shape, mode="bilinear").argmax(1)

  return step


if __name__ == "__main__":
  kind, *sizes = sys.argv[1:]
  make = {"step": make_step, "forward": make_forward}[kind]
  steps.run(functools.partial(make, *map(int, sizes)))
