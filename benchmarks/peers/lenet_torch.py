"""The digit adaptation step in eager PyTorch, for benchmarks/lenet_step.py.

It runs in a separate environment (requirements-torch.txt); see steps.py for its answers.
"""

import steps
import torch
from torch import nn
from torch.nn import functional

BATCH = 128
TAPS = {"fc3": (500, 0.1), "fc4": (10, 1.0)}
GAN_WEIGHT, RATE, BETAS = 0.5, 2e-4, (0.5, 0.999)


class LeNet(nn.Module):
  def __init__(self):
    super().__init__()
    self.convolutions = nn.Sequential(
      nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2),
      nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    )  # fmt: skip
    self.fc3, self.fc4 = nn.Linear(800, 500), nn.Linear(500, 10)

  def forward(self, images):
    fc3 = functional.relu(self.fc3(self.convolutions(images)))
    return {"fc3": fc3, "fc4": self.fc4(fc3)}


def discriminator(width):
  return nn.Sequential(
    nn.Linear(width, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 1)
  )


def make_step():
  """Returns a step of Eq. (3), with one forward pass of every network."""
  source, target = LeNet().eval().requires_grad_(False), LeNet()
  target.load_state_dict(source.state_dict())
  players = {tap: discriminator(width) for tap, (width, _) in TAPS.items()}
  target_weights = list(target.parameters())
  player_weights = [weight for player in players.values() for weight in player.parameters()]
  optimizers = [
    torch.optim.Adam(weights, RATE, BETAS) for weights in (target_weights, player_weights)
  ]
  source_images, target_images = torch.rand(2, BATCH, 1, 28, 28)

  def step():
    with torch.no_grad():
      source_taps = source(source_images)
    target_taps = target(target_images)
    discriminator_loss = alignment = 0.0
    for tap, (_, weight) in TAPS.items():
      on_source, on_target = players[tap](source_taps[tap]), players[tap](target_taps[tap])
      right = functional.softplus(-on_source).mean() + functional.softplus(on_target).mean()
      discriminator_loss = discriminator_loss + weight * right
      alignment = alignment + weight * functional.softplus(-on_target).mean()
    drift = sum(
      (now - then).square().mean() for now, then in zip(target_weights, source.parameters())
    )
    loss = GAN_WEIGHT * alignment + drift
    steps.update(optimizers, (target_weights, player_weights), (loss, discriminator_loss))

  return step


if __name__ == "__main__":
  steps.run(make_step)
