"""An adaptation step of lite0_pyramid in eager PyTorch, for lite0_step.py.

  lite0_torch.py HEIGHT WIDTH BATCH

It runs in a separate environment (requirements-torch.txt); see steps.py for its answers.
"""

import functools
import sys

import steps
import torch
from torch import nn
from torch.nn import functional

# Blocks, kernel, stride, factor by which the input is widened, channels: Tan and Le,
# "EfficientNet", 2019, Table 1.
STAGES = (
  (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
  (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
NUM_CLASSES = 11
# The blocks that the head joins.
DEPTHS = {3: 24, 5: 40, 11: 112, 16: 320}
SIDE, JOINED = 48, 96
# {tap: its channels}.
TAPS = {3: 24, 5: 40, 11: 112, "joined": JOINED}
UNITS = (64, 32)


def pair(inputs, outputs, kernel, stride=1, groups=1, bias=False):
  padding = kernel // 2
  convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, 1, groups, bias)
  return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-3))


class Block(nn.Module):
  def __init__(self, inputs, kernel, stride, factor, outputs):
    super().__init__()
    wide = inputs * factor
    layers = [pair(inputs, wide, 1), nn.ReLU6(inplace=True)] if factor > 1 else []
    layers += [pair(wide, wide, kernel, stride, wide), nn.ReLU6(inplace=True)]
    self.layers = nn.Sequential(*layers, pair(wide, outputs, 1))
    self.adds = stride == 1 and inputs == outputs

  def forward(self, x):
    return x + self.layers(x) if self.adds else self.layers(x)


class Network(nn.Module):
  def __init__(self):
    super().__init__()
    self.stem = nn.Sequential(pair(3, 32, 3, 2), nn.ReLU6(inplace=True))
    blocks, channels = [], 32
    for count, kernel, stride, factor, outputs in STAGES:
      for i in range(count):
        blocks.append(Block(channels, kernel, stride if i == 0 else 1, factor, outputs))
        channels = outputs
    self.blocks = nn.ModuleList(blocks)
    self.sides = nn.ModuleDict(
      {str(depth): pair(width, SIDE, 1, bias=True) for depth, width in DEPTHS.items()}
    )
    self.join = pair(SIDE * len(DEPTHS), JOINED, 3, bias=True)
    self.score = nn.Conv2d(JOINED, NUM_CLASSES, 1)

  def forward(self, x):
    outputs: dict[int | str, torch.Tensor] = {}
    sides = []
    x = self.stem((255.0 * x - 127.0) / 128.0)
    for number, block in enumerate(self.blocks, start=1):
      x = outputs[number] = block(x)
      if number in DEPTHS:
        sides.append(functional.relu(self.sides[str(number)](x)))
    size = sides[0].shape[2:]
    sides[1:] = [functional.interpolate(s, size, mode="bilinear") for s in sides[1:]]
    outputs["joined"] = functional.relu(self.join(torch.cat(sides, dim=1)))
    outputs["score"] = self.score(outputs["joined"])
    return outputs


if __name__ == "__main__":
  sizes = map(int, sys.argv[1:])
  steps.run(functools.partial(steps.matching, Network, TAPS, UNITS, *sizes))
