"""ERFNet's encoder from image to labels in eager PyTorch, for inference.py.

It runs in a separate environment (requirements-torch.txt); see latency.py for its answers.
Its argument is JSON: {"model": weights by Keras' names, .npz, "images", "threads",
"provider"}. It computes the same as tfdam/models/erfnet.py, for any width and depth.
"""

import itertools

import erfnet_torch
import latency
import numpy as np
import torch
from torch import nn
from torch.nn import functional

_DILATIONS = (2, 4, 8, 16)


def encoder(weights):
  """Returns the network with weights {"block01_conv3x3/kernel": array}, for inference."""
  blocks: list[nn.Module] = []
  num_downsamplers = num_dilated = 0
  for number in itertools.count(1):
    name = f"block{number:02d}"
    if f"{name}_conv3x3/kernel" in weights:
      inputs = weights[f"{name}_conv3x3/kernel"].shape[2]
      block = erfnet_torch.Downsampler(inputs, len(weights[f"{name}_bn/gamma"]))
      layers = {"conv3x3": block.convolution, "bn": block.norm}
      num_downsamplers += 1
    elif f"{name}_conv3x1_1/kernel" in weights:
      dilation = 1
      if num_downsamplers == 3:
        dilation = _DILATIONS[num_dilated % len(_DILATIONS)]
        num_dilated += 1
      width = weights[f"{name}_conv3x1_1/kernel"].shape[2]
      block = erfnet_torch.NonBottleneck(width, dilation)
      layers = {}
      for n, pair in enumerate((block.first, block.second), 1):
        layers.update({f"conv3x1_{n}": pair[0], f"conv1x3_{n}": pair[2], f"bn{n}": pair[3]})
    else:
      block = nn.Conv2d(*weights[f"{name}/kernel"].shape[2:], 1)
      _load(block, weights, name)
      return nn.Sequential(*blocks, block).eval()
    for suffix, layer in layers.items():
      _load(layer, weights, f"{name}_{suffix}")
    blocks.append(block)


def _load(layer, weights, name):
  """Loads a convolution or a batch norm from Keras' arrays."""
  if isinstance(layer, nn.Conv2d):
    kernel = weights[f"{name}/kernel"].transpose(3, 2, 0, 1)
    arrays = {"weight": kernel, "bias": weights[f"{name}/bias"]}
  else:
    names = {
      "weight": "gamma", "bias": "beta",
      "running_mean": "moving_mean", "running_var": "moving_variance",
    }  # fmt: skip
    arrays = {ours: weights[f"{name}/{theirs}"] for ours, theirs in names.items()}
  tensors = {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}
  layer.load_state_dict(tensors, strict=False)  # a batch norm also has a batch counter


def make(spec):
  if spec["threads"]:
    torch.set_num_threads(spec["threads"])
  is_cpu = spec["provider"] == "cpu"
  if not is_cpu and not torch.cuda.is_available():
    raise latency.MissingError("PyTorch sees no GPU")
  # Full float32, as in the files.
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
  device = torch.device("cpu" if is_cpu else "cuda")
  with np.load(spec["model"]) as weights:
    network = encoder(dict(weights)).to(device)
  batches = latency.batches(spec["images"])
  resident = [torch.from_numpy(batch).to(device) for batch in batches]

  @torch.inference_mode()
  def label(images):
    # The memory layout stays channels last, which is faster here.
    floats = images.permute(0, 3, 1, 2).float() / 255.0
    size = images.shape[1:3]
    logits = functional.interpolate(network(floats), tuple(size), mode="bilinear")
    return logits.argmax(1).int()

  def on_host(i):
    return label(torch.from_numpy(batches[i]).to(device)).cpu().numpy()

  def stay(i):
    labels = label(resident[i])
    if not is_cpu:
      torch.cuda.synchronize()
    return labels

  about = {
    "versions": {"torch": torch.__version__}, "threads": torch.get_num_threads(),
  }  # fmt: skip
  ways = {
    "host": latency.Way(on_host),
    "resident": latency.Way(stay, lambda labels: labels.cpu().numpy()),
  }
  return latency.Candidate(about, ways, len(batches))


if __name__ == "__main__":
  latency.run(make)
