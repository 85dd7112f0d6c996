"""Real images for an export, on which it is compared, calibrated and scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from absl import logging
from PIL import Image

from tfdam import config as config_lib
from tfdam import data
from tfdam.data import examples as examples_lib
from tfdam.data import scenes as scenes_lib
from tfdam.data import unions

from . import contract as contract_lib


@dataclasses.dataclass(frozen=True)
class Samples:
  """Images of one split of the target, as the exported network takes them.

  Attributes:
    count: number of images.
    read_image: index -> uint8 [H, W, C], of the contract's size and channels.
    read_label: index -> integers [H, W], or a number; None without labels.
  """

  count: int
  read_image: Callable[[int], np.ndarray]
  read_label: Callable[[int], np.ndarray] | None

  def spread(self, limit: int) -> list[int]:
    """Returns the indices of at most `limit` images, evenly spread; of all if it is 0."""
    count = min(limit, self.count) if limit else self.count
    return np.unique(np.linspace(0, self.count - 1, count).astype(int)).tolist()


def averages(target: str, is_segmentation: bool) -> bool:
  """Whether training averaged pixels when it shrank images.

  It did, except for the digit sets, which `transforms.to_network` samples as the release
  does.
  """
  names = unions.names(target, data.DATASETS)
  kinds = [data.DATASETS[name.partition(":")[0]] for name in names]
  return is_segmentation or any(kind.INFO.own for kind in kinds)


def load(
  config: config_lib.Config, root: str, contract: contract_lib.Contract, split: str
) -> Samples | None:
  """Reads a split of the target; None, with a warning, if it is not there.

  Args:
    config: of the run.
    root: folder of data sets.
    contract: decides the images' size and channels.
    split: "test", with its labels if there are any; a user's own set without test labels
      gives its training images. Or "train", without labels.

  Raises:
    config.UserError: a file is damaged.
  """
  options = dataclasses.replace(config.data, height=contract.height, width=contract.width)
  try:
    data.check_files(options, root, scoring_only=True)
  except config_lib.UserError as error:
    logging.warning(
      "No real images of %s/%s in %s (--data_root, or $TFDAM_DATA): %s",
      options.target, split, root, str(error).splitlines()[0],
    )  # fmt: skip
    return None
  try:
    found = _read(config, options, root, split)
  except config_lib.UserError as error:
    raise config_lib.UserError(_by_flags_of_export(str(error))) from error
  if isinstance(found, scenes_lib.Scenes):
    scenes = scenes_lib.at_size(found, options)

    def scene(i: int) -> np.ndarray:
      array = scenes.read_image(i)
      return _in_mode(Image.fromarray(array), "L") if contract.channels == 1 else array

    return Samples(len(scenes), scene, scenes.read_label)
  is_averaged = averages(options.target, contract.is_segmentation)
  return _of_examples(found, contract, is_averaged)


def _by_flags_of_export(message: str) -> str:
  """Replaces the config's names of the images' size in a message by export's flags."""
  for side in ("height", "width"):
    for name in (f"--config.data.{side}", f"data.{side}"):
      message = message.replace(name, f"--{side}")
  return message


def _read(
  config: config_lib.Config, options: config_lib.Data, root: str, split: str
) -> scenes_lib.Split:
  if split == "train":
    return data.load_training("target", False, options, root, config.seed)
  places = [data.locate(name, root) for name in data.targets(options)]
  has_labels = all(module.has_labels(folder, "test") for module, folder in places)
  if not has_labels and any(module.INFO.own for module, _ in places):
    # A user's own target may have no test split. Then nothing is scored, but comparisons
    # still use real images.
    logging.info("%s has no test labels: training images are used.", options.target)
    return data.load_training("target", False, options, root, config.seed)
  return data.load_targets("test", has_labels, options, root)


def _of_examples(
  found: examples_lib.Examples, contract: contract_lib.Contract, is_averaged: bool
) -> Samples:
  from tfdam.data import transforms  # imported here because it imports TensorFlow

  mode = "L" if contract.channels == 1 else "RGB"
  labels = found.labels

  def image(i: int) -> np.ndarray:
    stored = found.images[i]
    if not is_averaged:
      seen = (contract.height, contract.width, contract.channels)
      floats = transforms.to_network(stored[np.newaxis], *seen)
      return np.rint(255 * floats[0].numpy()).astype(np.uint8)
    picture = Image.fromarray(stored[..., 0] if stored.shape[-1] == 1 else stored)
    size = (contract.width, contract.height)
    if picture.size != size:
      picture = picture.resize(size, Image.Resampling.BILINEAR)
    return _in_mode(picture, mode)

  return Samples(len(found), image, None if labels is None else lambda i: labels[i])


def _in_mode(picture: Image.Image, mode: str) -> np.ndarray:
  """Returns uint8 [H, W, C] in grey ("L") or RGB."""
  array = np.asarray(picture.convert(mode))
  return array[..., np.newaxis] if mode == "L" else array
