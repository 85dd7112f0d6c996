"""Scores the curriculum's simple models on a target with labels, for several penalties.

  python -m benchmarks.curriculum --workdir=RUN [--json=PATH]

The models learn from the source alone; the labels of the target's test split only score
them. Penalties are chosen with it, so that split must not be one that results are about:
take a run to `camvid/val`.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from benchmarks import timing
from tfdam import config as config_lib
from tfdam import data, progress, runtime, stored
from tfdam.curriculum import label_shares, superpixels
from tfdam.data import feeds, scenes
from tfdam.runs import lessons as lessons_lib
from tfdam.runs import loading, run_folder, target_guides
from tfdam.vocabulary import Stage

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of a run, whose source network it takes."
)
_L2 = flags.DEFINE_multi_float(
  "l2", [0.001, 0.01, 0.1, 1.0, 10.0, 100.0], "Penalties to score.", lower_bound=1e-6
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv)
  if not _WORKDIR.value:
    raise config_lib.UserError("--workdir is missing; expected the folder of a run.")
  folder = run_folder.RunFolder(runtime.resolve_path(_WORKDIR.value))
  config = folder.read_config()
  options, root = config.data, runtime.data_root(config.data)
  loaded = loading.load_network(config, folder, Stage.SOURCE_ONLY)
  if loaded is None:
    raise config_lib.UserError(f"{folder.path} has no source network.")
  test = data.load(options.target, "test", True, options, root)
  if not isinstance(test, scenes.Scenes):
    raise config_lib.UserError(f"{options.target} has no scenes; expected label maps.")
  test = scenes.at_size(test, options)
  source = data.load_training("source", True, options, root, config.seed)
  source = lessons_lib.some(source, config.seed)
  tap = target_guides.feature_tap(config, loaded.network)

  def seen(split: feeds.Split) -> Iterator[lessons_lib.Seen]:
    with progress.bar("images", 0, len(split), "images") as shown:
      for i, image in enumerate(
        lessons_lib.images(config, loaded.network, tap, split, labels=True)
      ):
        yield image
        shown.update(i + 1, {})

  lessons = lessons_lib.lessons(config, seen(source), len(source))
  target = _target(seen(test), config.data.num_classes)
  rows = scores(
    lessons, target, config.data.num_classes, config.adapt.curriculum_landmarks, _L2.value
  )
  for row in rows:
    print(", ".join(f"{name}: {value}" for name, value in row.items()))
  if timing.JSON.value:
    figures = {
      "target": options.target, "network": config.model.name, "tap": tap,
      "seed": config.seed, "images": len(target.shares), "rows": rows,
    }  # fmt: skip
    stored.write_text(timing.JSON.value, f"{json.dumps(figures, indent=1)}\n")


class Target(NamedTuple):
  """Target images: features, and what is to be estimated from them.

  Attributes:
    of_images: float32 [M, D], features of images.
    shares: float64 [M, K], the true shares of classes.
    of_superpixels: for each image, float32 [N, D'].
    classes: for each image, int64 [N], true classes; -1 for none.
  """

  of_images: np.ndarray
  shares: np.ndarray
  of_superpixels: list[np.ndarray]
  classes: list[np.ndarray]


def _target(seen: Iterator[lessons_lib.Seen], num_classes: int) -> Target:
  of_images, shares, of_superpixels, classes = [], [], [], []
  for image, counted, found in lessons_lib.labelled(seen, num_classes):
    of_images.append(image.of_image)
    shares.append(counted)
    of_superpixels.append(image.of_superpixels)
    classes.append(found)
  return Target(np.stack(of_images), np.stack(shares), of_superpixels, classes)


def scores(
  lessons: lessons_lib.Lessons,
  target: Target,
  num_classes: int,
  landmarks: float,
  penalties: list[float],
) -> list[Mapping[str, Any]]:
  """Scores both models for each penalty.

  Args:
    lessons: of the source.
    target: labelled images, all of them known.
    num_classes: K.
    landmarks: the part of an image's superpixels that become landmarks.
    penalties: of large weights.

  Returns:
    For each penalty the mean over images of the absolute error of shares, summed over
    classes (0 to 2), and the part of superpixels, and of landmarks, that have the right
    class. The first row, without a penalty, has the source's mean shares and its most
    frequent class instead of a model.
  """
  scale = lessons_lib.scale(target.of_superpixels)
  constant = np.tile(lessons.shares.mean(axis=0), (len(target.shares), 1))
  common = np.bincount(lessons.classes, minlength=num_classes) / len(lessons.classes)
  rows = [
    _row(None, constant, [np.tile(common, (len(c), 1)) for c in target.classes],
         target, landmarks)
  ]  # fmt: skip
  for l2 in penalties:
    shares = label_shares.estimated(
      "regression", lessons.of_images, lessons.shares, target.of_images, l2
    )
    classify = superpixels.classifier(
      lessons.of_superpixels, lessons.classes, num_classes, l2
    )
    chances = [classify(scale(found)) for found in target.of_superpixels]
    rows.append(_row(l2, shares, chances, target, landmarks))
  return rows


def _row(
  l2: float | None,
  shares: np.ndarray,
  chances: list[np.ndarray],
  target: Target,
  landmarks: float,
) -> Mapping[str, Any]:
  right, of_landmarks = [], []
  for found, true in zip(chances, target.classes):
    is_right = found.argmax(axis=1) == true
    surest = superpixels.surest(found, landmarks)
    right.append(is_right[true >= 0])
    of_landmarks.append(is_right[surest][true[surest] >= 0])
  whole, sure = (
    float(np.mean(list(itertools.chain.from_iterable(of)))) for of in (right, of_landmarks)
  )
  error = float(np.abs(shares - target.shares).sum(axis=1).mean())
  return {"l2": l2, "error_of_shares": error, "superpixels": whole, "landmarks": sure}


if __name__ == "__main__":
  sys.argv[0] = "curriculum"
  runtime.run(main)
