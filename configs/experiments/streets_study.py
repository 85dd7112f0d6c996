"""Settings for street scenes, chosen on CamVid's validation images.

The protocol, written before the runs: one idea a row, three seeds, all rows of a seed from
one source network unless the idea is another source network. What helps goes into the
configs; only then is the test split scored, by Table 3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from configs.experiments import _scenes
from tfdam import experiment as experiment_lib

_STREETS = "configs/segmentation/streets_to_camvid.py"
_VALIDATION = {"data.target": "camvid/val"}
_ABOUT = (
  "Percent on 101 validation images by day, and on 31 training images at dusk, which are"
  " adapted to without their labels; mean and standard deviation over seeds. Images are"
  " 128x96 pixels where a row does not say otherwise."
)
_Ideas = Iterable[tuple[str, str, str, dict[str, Any]]]
_PHOTO = {"data.source": "streets/photo"}
# A row's name, its title, the config's options, and what else it sets.
_SOURCES: _Ideas = (
  ("erfnet", "small ERFNet, random weights, 2,000 steps", "gam", {}),
  ("lite0", "EfficientNet-Lite0 (`lite0`), 1,000 steps", "lite0,gam", {}),
  ("longer", "`lite0`, 2,000 steps: more than source and adaptation together",
   "lite0,source_only", {"source.steps": 2_000}),
  ("slow_trunk", "`lite0`, twice the step, of the trunk a tenth of it", "lite0,source_only",
   {"source.learning_rate": 1e-3, "model.pretrained_rate_scale": 0.1}),
  ("crops", "`lite0`, crops of 128x96 out of 192x144", "lite0,source_only",
   {"data.height": 144, "data.width": 192, "data.crop_height": 96, "data.crop_width": 128}),
  ("large", "`lite0`, whole images of 192x144", "lite0,source_only",
   {"data.height": 144, "data.width": 192}),
  ("photo", "`lite0`, streets as a camera sees them (`streets/photo`)", "lite0,gam",
   _PHOTO),
  ("supervised", "`lite0`, on CamVid's labels, also of these at dusk: an upper bound",
   "lite0,supervised", {}),
)  # fmt: skip
_LABELS = _scenes.NO_SELF_TRAINING
_LABELS_ALONE = {**_LABELS, "adapt.gan_weight": 0.0}
_ADAPTED: _Ideas = (
  ("gam", "GAM", "lite0,gam", {}),
  ("no_drift", "GAM without drift", "lite0,gam_no_drift", {}),
  ("by_image", "GAM, each image's own moments", "lite0,by_image,gam", {}),
  ("source_labels", "GAM with the source's labels", "lite0,with_labels,gam", _LABELS),
  ("labels_alone", "the source's labels alone", "lite0,with_labels,gam", _LABELS_ALONE),
  ("class_wise", "GAM with them, class-wise discriminators", "lite0,with_labels,gam",
   {**_LABELS, "adapt.objective": "gan_softmax", "adapt.class_wise": True}),
  ("entropy", "GAM with them, taps `joined` and `entropy`", "lite0,with_labels,gam",
   {**_LABELS, "adapt.taps": "joined,entropy"}),
  ("self_training", "the source's labels and self-training alone",
   "lite0,with_labels,gam", {"adapt.gan_weight": 0.0}),
  ("both", "GAM with the source's labels and self-training", "lite0,with_labels,gam", {}),
  ("norms", "GAM with the source's labels and norms", "lite0,with_labels,gam",
   {**_LABELS, **_scenes.SOURCE_NORMS}),
  ("norms_both", "GAM with them and self-training", "lite0,with_labels,gam",
   _scenes.SOURCE_NORMS),
)  # fmt: skip
# From the network of row "photo".
_FROM_PHOTO: _Ideas = (
  ("photo_gam", "GAM", "lite0,gam", _PHOTO),
  ("photo_labels_alone", "the source's labels alone", "lite0,with_labels,gam",
   {**_LABELS_ALONE, **_PHOTO}),
  ("photo_source_labels", "GAM with the source's labels", "lite0,with_labels,gam",
   {**_LABELS, **_PHOTO}),
  ("photo_both", "GAM with the source's labels and self-training",
   "lite0,with_labels,gam", _PHOTO),
  ("photo_norms", "GAM with the source's labels and norms", "lite0,with_labels,gam",
   {**_LABELS, **_scenes.SOURCE_NORMS, **_PHOTO}),
)  # fmt: skip


def get_experiment() -> experiment_lib.Experiment:
  sources = {idea[0]: _row(*idea, "source_only") for idea in _SOURCES}
  columns = (*_scenes.MEASURES, "by day", "at dusk")
  below = "As above. All rows start from the network of the first one."
  tables = [
    experiment_lib.Table("source", "The network without adaptation", columns,
                         tuple(sources.values()), "%", _ABOUT)
  ]  # fmt: skip
  for name, title, first, before, ideas in (
    ("adapted", "Adaptation of `lite0`", "lite0", "", _ADAPTED),
    ("from_photo", "The same, from `streets/photo`", "photo", "photo_", _FROM_PHOTO),
  ):
    fields = _PHOTO if before else {}
    rows = (
      dataclasses.replace(sources[first], name=f"{before}no_transfer", title="No transfer"),
      _row(f"{before}gaussian", "Gaussian matching", "lite0,gam", fields, "gaussian"),
      *(_row(*idea, "adapted") for idea in ideas),
    )
    tables.append(experiment_lib.Table(name, title, columns, rows, "%", below))
  return experiment_lib.Experiment(
    name="streets_study",
    title="Street scenes: what was tried",
    about="Streets to CamVid, on validation images.",
    tables=tuple(tables),
    seeds=3,
  )


def _row(
  name: str, title: str, options: str, fields: dict[str, Any], stage: str
) -> experiment_lib.Row:
  run = experiment_lib.Run(f"{_STREETS}:{options}", {**_VALIDATION, **fields})
  cells: dict[str, experiment_lib.Cell | str] = {
    column: experiment_lib.score(run, stage, "test", measure)
    for column, measure in _scenes.MEASURES.items()
  }
  for part, column in (("day", "by day"), ("dusk", "at dusk")):
    path = ("stages", stage, "test", "parts", f"camvid/{part}", "miou")
    cells[column] = experiment_lib.Cell(run, path)
  return experiment_lib.Row(name, title, cells)
