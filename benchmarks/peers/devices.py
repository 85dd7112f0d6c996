"""Where PyTorch computes in the step benchmarks: on the GPU if it sees one."""

import torch


def choose() -> dict[str, str]:
  """Makes the device the default of what follows; says which, for the report."""
  # Float32 in full, as ours.
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
  if not torch.cuda.is_available():
    return {"torch_device": "cpu"}
  torch.set_default_device("cuda")
  return {"torch_device": torch.cuda.get_device_name()}


def wait() -> None:
  """Returns when the device has done what it was given."""
  if torch.cuda.is_available():
    torch.cuda.synchronize()
