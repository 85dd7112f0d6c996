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
UNITS = (128, 64)


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


def make_step(height, width, batch):
  return steps.matching(Encoder, TAPS, UNITS, height, width, batch)


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
