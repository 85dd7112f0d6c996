"""The registry of data sets, by name.

A data set is a module with `INFO`, `has_labels` and `load`, or an object with these members
where one module gives several sets. To add one, write the three and list it in DATASETS.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from absl import logging

from tfdam import config as config_lib
from tfdam.data import (
  bad_images,
  camvid,
  carla,
  cityscapes,
  examples,
  folder,
  gta5,
  mnist,
  npz,
  scene_files,
  scene_folder,
  scenes,
  streets,
  styled,
  sub_folders,
  subsets,
  svhn,
  synthia,
  unions,
  usps,
)
from tfdam.vocabulary import Task

# Values are modules, or objects with the same members.
DATASETS: dict[str, Any] = {
  "mnist": mnist,
  "usps": usps,
  "svhn": svhn,
  # Procedural street scenes, drawn when they are read: the same worlds in two renderings.
  "streets/sim": streets.SIM,
  "streets/photo": streets.PHOTO,
  # Your own: "folder:NAME" and "npz:NAME" read the folder NAME below data.root.
  "folder": folder,
  "npz": npz,
  "gta5": gta5,
  "synthia": synthia,
  "cityscapes": cityscapes,
  "camvid": camvid,
  # CamVid's images by day and those at dusk, from the same folder.
  "camvid/day": camvid.DAY,
  "camvid/dusk": camvid.DUSK,
  # Scored on the images that settings are chosen by.
  "camvid/val": camvid.VAL,
  "carla": carla,
  # Your own street scenes, described by a dataset.yaml in the folder NAME: "scenes:NAME".
  "scenes": scene_folder,
}


def locate(name: str, root: str):
  """Returns the module and the folder of a data set, such as "mnist" or "folder:NAME".

  Args:
    name: the data set's name; a user's own sets add the name of their folder.
    root: the folder of data sets, `data.root`.

  Raises:
    config.UserError: there is no such data set.
  """
  kind, _, own = name.partition(":")
  if kind not in DATASETS:
    raise config_lib.UserError(
      f"'{name}' is no data set"
      f" ({', '.join(DATASETS)}).{config_lib.nearest(kind, DATASETS)}",
      "Set data.source or data.target.",
    )
  is_own = DATASETS[kind].INFO.own
  if is_own != bool(own):
    raise config_lib.UserError(
      f"'{name}' is no data set: expected "
      + (f"'{kind}:NAME', NAME a folder below {root}." if is_own else f"'{kind}' alone."),
      "Set data.source or data.target.",
    )
  module = DATASETS[kind]
  return module, os.path.join(root, own or module.INFO.folder or kind)


def targets(options: config_lib.Data) -> tuple[str, ...]:
  """Returns the names that `options.target` joins with "+", in order; usually one.

  Raises:
    config.UserError: a target is named twice, or one of several is the source.
  """
  names = unions.names(options.target, DATASETS)
  twice = [name for i, name in enumerate(names) if name in names[:i]]
  if twice:
    raise config_lib.UserError(
      f"data.target names '{twice[0]}' twice; expected each target once.",
      "Set data.target.",
    )
  if len(names) > 1 and options.source in names:
    raise config_lib.UserError(
      f"data.target names the source, '{options.source}', among several; expected others.",
      "Set data.target.",
    )
  return names


def check_is_target(name: str, options: config_lib.Data) -> None:
  """Raises config.UserError unless `name` is one of the run's targets.

  For runs with `adapt.per_target`, which keep a network for each target.
  """
  names = targets(options)
  if name not in names:
    raise config_lib.UserError(
      f"The run has batch norms for each of its targets ({', '.join(names)}), and"
      f" {f'none for {name}' if name else 'no target is named'}."
      f"{config_lib.nearest(name, names)} Set --target."
    )


def _alone(role: str, options: config_lib.Data) -> dict[str, config_lib.Data]:
  """Returns {name: the options with that target alone}, or the source's, unchanged."""
  if role == "source":
    return {options.source: options}
  names = targets(options)
  return {name: dataclasses.replace(options, target=name) for name in names}


def task(options: config_lib.Data, root: str, source_labels: bool = True) -> str:
  """Returns a run's task: "classification" or "segmentation".

  A user's own images without labels suit either task.

  Args:
    source_labels: whether the run reads labels of the source.

  Raises:
    config.UserError: source and target are for different tasks, or one is no data set.
  """
  tasks = {}
  aims = targets(options)
  for name in (options.source, *aims):
    module, folder_path = locate(name, root)
    decides = not module.INFO.own or (
      source_labels or module.INFO.task == Task.SEGMENTATION
      if name == options.source
      else _has_any_labels(module, folder_path)
    )
    if decides:
      tasks[name] = module.INFO.task
  if len(set(tasks.values())) > 1:
    listing = ", ".join(f"{name} is for {of_set}" for name, of_set in tasks.items())
    raise config_lib.UserError(
      f"Source and target are not for the same task: {listing}.",
      "Set data.source or data.target.",
    )
  target_tasks = [locate(name, root)[0].INFO.task for name in aims]
  if tasks.get(options.source) == Task.CLASSIFICATION and Task.SEGMENTATION in target_tasks:
    raise config_lib.UserError(
      f"{options.target} reads street scenes, but {options.source} is for classification;"
      " expected images as 'folder:NAME' or 'npz:NAME'.",
      "Set data.target.",
    )
  # Nothing has labels. Only segmentation names its classes in the options.
  undecided = Task.SEGMENTATION if options.classes else Task.CLASSIFICATION
  return next(iter(tasks.values()), undecided)


def _has_any_labels(module, folder_path: str) -> bool:
  return os.path.isdir(folder_path) and any(
    module.has_labels(folder_path, split) for split in examples.SPLITS
  )


def check_source_labels(options: config_lib.Data, root: str) -> None:
  """Raises config.UserError if a network from a file could not train on the source."""
  module, folder_path = locate(options.source, root)
  if not module.has_labels(folder_path, "train"):
    raise config_lib.UserError(
      f"{options.source} in {folder_path} has no training labels, which source.steps above"
      " 0 and terms of adaptation (adapt.source_label_weight, centroid_weight,"
      " curriculum_weight, information_weight, 'joint_mmd') need.",
      "Set source.steps=0 and leave these terms out, which needs no labels; or give it"
      " some.",
    )


def check_class_names(
  source: scenes.Split, scored: Mapping[str, scenes.Split | None], options: config_lib.Data
) -> list[str]:
  """Compares the class names of source and target.

  Args:
    source: the source's split; without labels nothing is compared.
    scored: what `load_scored` returned.

  Returns:
    Notes for readers of the results: one if only one domain names its classes, else none.

  Raises:
    config.UserError: the names differ. A label is a name's position, so that the same
      label would mean different classes.
  """
  target = next((split for split in scored.values() if split), None)
  if target is None or not source.has_labels:
    return []
  ours, theirs = source.class_names, target.class_names
  if not (ours and theirs):
    ours, theirs = _names(ours), _names(theirs)
  if ours == theirs:
    return []
  if ours and theirs:
    raise config_lib.UserError(
      "The classes of source and target do not have the same names:"
      f" {_shown(ours)} in {options.source}, {_shown(theirs)} in"
      f" {options.target}. Names sort into labels: rename the class folders of one of them"
      " (if they are no classes but cameras, say, put the images into the split itself), or"
      " set --config.data.source or --config.data.target."
    )
  named, numbered = options.source, options.target
  if not ours:
    named, numbered = numbered, named
  names = _shown(ours or theirs)
  return [f"{named} names its classes ({names}), {numbered} numbers them: not compared"]


def _names(class_names: tuple[str, ...]) -> tuple[str, ...]:
  """Returns the names, or none if they are just the labels as text."""
  numbers = tuple(str(i) for i in range(len(class_names)))
  return () if class_names == numbers else class_names


def _shown(names: tuple[str, ...]) -> str:
  return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def check_files(options: config_lib.Data, root: str, scoring_only: bool = False) -> None:
  """Raises one config.UserError for all missing images of source and target.

  Labels may be missing. So may the test split of a user's own target, which is then not
  scored.
  """
  wanted = [
    (name, ("train",) if locate(name, root)[0].INFO.own else examples.SPLITS)
    for name in targets(options)
  ]
  if not scoring_only:
    wanted.insert(0, (options.source, ("train",)))
  missing: dict[str, str] = {}
  for name, splits in wanted:
    module, folder_path = locate(name, root)
    files_needed = [module.INFO.files[s] for s in splits if s in module.INFO.files]
    if not all(_is_there(files, folder_path) for files in files_needed):
      every = [*module.INFO.files.values(), *module.INFO.label_files.values()]
      missing[name] = (
        f"  {module.INFO.title}: expected in {folder_path}\n"
        + "".join(f"    {files}\n" for files in dict.fromkeys(every))
        + _found_deeper(name, root, files_needed)
        + f"    from {module.INFO.where}"
      )
  if missing:
    official = [name for name in missing if locate(name, root)[0].INFO.downloads]
    raise config_lib.UserError(
      "Data sets are missing.\n"
      + "\n".join(missing.values())
      + "\nPut them there"
      + (f" (tfdam.download {' '.join(official)} fetches them)" if official else "")
      + ", or name another folder with the environment variable TFDAM_DATA or"
      " --config.data.root (--data_root of evaluate and export)."
    )


def load(
  name: str, split: str, labels: bool, options: config_lib.Data, root: str
) -> scenes.Split:
  """Reads one whole split of the data set `name`; see its module's `load`.

  With data.on_bad_image=skip, scenes that cannot be decoded are left out.
  """
  module, folder_path = locate(name, root)
  loaded = module.load(folder_path, split, labels, options)
  if isinstance(loaded, scenes.Scenes) and options.on_bad_image == "skip":
    loaded = bad_images.left_out(loaded, f"{name}/{split}")
  for note in loaded.notes:
    logging.warning("%s.", note)
  return loaded


def load_targets(
  split: str, labels: bool, options: config_lib.Data, root: str
) -> scenes.Split:
  """Reads one whole split of all targets, each as `load` does."""
  return unions.united(
    {
      name: load(name, split, labels, alone, root)
      for name, alone in _alone("target", options).items()
    },
    options,
  )


def load_training(
  role: str,
  labels: bool,
  options: config_lib.Data,
  root: str,
  seed: int,
  target: scenes.Split | None = None,
) -> scenes.Split:
  """Reads a domain's training split as a run uses it: skewed, limited, scenes resized.

  With data.source_style, the source is given the target's look, at the network's size.

  A skew needs labels to choose the images, even those of a target. They are dropped
  afterwards unless `labels` is set. Without a skew they are not opened.

  Args:
    role: "source" or "target".
    labels: whether labels are wanted.
    seed: the run's seed; with the role, it decides which images are kept.
    target: the target's split as this function returned it. A source in the target's look
      takes the images from it instead of reading them again.

  Raises:
    config.UserError: as the module's `load`; or a skew without labels or of a segmentation
      set, a limit above the number of images, or labels that ignore every pixel.
  """
  split = unions.united({
    name: dataclasses.replace(_training_split(role, labels, alone, root, seed), parts=None)
    for name, alone in _alone(role, options).items()
  }, options)  # fmt: skip
  if role == "source" and options.source_style != "none":
    if target is None:
      target = load_training("target", False, options, root, seed)
    split = styled.training(split, target, options, seed)
  elif isinstance(split, scenes.Scenes):
    split = scenes.at_size(split, options)
  if not isinstance(split, scenes.Scenes):
    return split
  _check_any_counts(split, f"{getattr(options, role)}/train", options)
  return split


def _training_split(
  role: str, labels: bool, options: config_lib.Data, root: str, seed: int
) -> scenes.Split:
  name, skew, limit = (getattr(options, role + part) for part in ("", "_skew", "_limit"))
  _check_can_skew(role, options, root)
  loaded = load(name, "train", labels or skew != "none", options, root)
  what = f"{role} {name}/train"
  cut = loaded
  if skew != "none":
    assert isinstance(cut, examples.Examples)  # _check_can_skew
    cut = subsets.skewed(cut, skew, config_lib.derive_seed(seed, f"{role} skew"), what)
  if limit > len(cut):
    raise config_lib.UserError(
      f"data.{role}_limit is {limit}, but {what} has {len(cut)} images"
      f"{' after its skew' if skew != 'none' else ''}.",
      f"Set data.{role}_limit to at most that, or to 0 for all.",
    )
  cut = subsets.limited(cut, limit, config_lib.derive_seed(seed, f"{role} limit"), what)
  for note in cut.notes[len(loaded.notes) :]:
    logging.info("%s.", note)
  return cut if labels else cut.without_labels()


def load_scored(
  options: config_lib.Data, root: str, seed: int, target: scenes.Split | None = None
) -> dict[str, scenes.Split | None]:
  """Reads the target's labelled splits, which serve scoring alone.

  Args:
    seed: the run's seed, so that the training split is cut as it was for adaptation.
    target: the split to which the network adapts, if it is read already: scoring takes its
      images from there.

  Returns:
    {"test": the whole test split, "transductive": the training images to which the network
    adapts}; None for a split without labels.

  Raises:
    config.UserError: as the module's `load`, or labels that ignore every pixel.
  """
  scored: dict[str, scenes.Split | None] = {"test": None, "transductive": None}
  every = _alone("target", options)
  for name, split in (("test", "test"), ("transductive", "train")):
    found: dict[str, scenes.Split] = {}
    for one, alone in every.items():
      module, folder_path = locate(one, root)
      if not module.has_labels(folder_path, split):
        logging.warning("%s has no %s labels: that split is not scored.", one, split)
      elif name == "test":
        found[one] = load(one, split, True, alone, root)
      else:
        found[one] = _adapted_to(alone, root, seed, target)
    if not found:
      continue
    labelled = unions.united(found, options, tuple(every))
    if isinstance(labelled, scenes.Scenes):
      # Scores are computed at the labels' own size.
      labelled = scenes.at_size(labelled, options, labels_too=False)
      if isinstance(target, scenes.Scenes) and target.names == labelled.names:
        labelled = dataclasses.replace(labelled, read_image=target.read_image)
      for one in found:
        part = unions.part(labelled, one) if len(every) > 1 else labelled
        assert isinstance(part, scenes.Scenes)  # as all of them
        _check_any_counts(part, f"{one}/{split}", options)
    scored[name] = labelled
  return scored


def _check_any_counts(split: scenes.Scenes, what: str, options: config_lib.Data) -> None:
  """Raises config.UserError if all labels ignore every pixel.

  Such a split can be neither trained on nor scored, and a run would only fail after hours.
  The search ends at the first label with a class, which is usually the first of all.
  """
  read_label = split.read_label
  if read_label is None:
    return
  count = ((read_label(i) != scenes.IGNORED).any() for i in range(len(split)))
  looking = f"looking for labels of {what}"
  with scene_files.with_patience(count, looking, len(split)) as are_there:
    if any(are_there):
      return
  raise config_lib.UserError(
    f"All {len(split):,} labels of {what} ignore every pixel: none has one of data.classes"
    f" ({options.classes}). Are they placeholders, as those of Cityscapes' test set are, or"
    " do they hold classes that are not named, or in 'ignored'?",
    "Set data.classes to classes that they show, mend the labels, or take their files"
    " away: a target needs none.",
  )


def _adapted_to(
  options: config_lib.Data, root: str, seed: int, target: scenes.Split | None
) -> scenes.Split:
  """Returns, with labels, the target images to which the network adapts.

  A limit draws from all readable scenes. Where damaged labels are skipped, fewer scenes are
  readable with labels than without, so the draw is made without them.
  """
  may_lack_labels = options.on_bad_image == "skip" and options.target_limit > 0
  if not may_lack_labels or locate(options.target, root)[0].INFO.task != Task.SEGMENTATION:
    return _training_split("target", True, options, root, seed)
  drawn = target
  if drawn is None:
    drawn = _training_split("target", False, options, root, seed)
  assert isinstance(drawn, scenes.Scenes)
  labelled = load(options.target, "train", True, options, root)
  assert isinstance(labelled, scenes.Scenes)
  names = set(drawn.names)
  return labelled.take(np.flatnonzero([name in names for name in labelled.names]))


def _check_can_skew(role: str, options: config_lib.Data, root: str) -> None:
  name, skew = getattr(options, role), getattr(options, f"{role}_skew")
  if skew == "none":
    return
  module, folder_path = locate(name, root)
  if module.INFO.task == Task.SEGMENTATION:
    raise config_lib.UserError(
      f"data.{role}_skew is '{skew}', but {name} is a segmentation set, whose images"
      " have no odd or even label.",
      f"Set data.{role}_skew=none.",
    )
  if not module.has_labels(folder_path, "train"):
    raise config_lib.UserError(
      f"data.{role}_skew is '{skew}', but {name} in {folder_path} has no training labels:"
      f" which images are {skew} is not known.",
      f"Set data.{role}_skew=none.",
    )


def _found_deeper(name: str, root: str, files_needed: Iterable[str]) -> str:
  """Returns a line on sub-folders that hold the missing files, such as one per camera."""
  module, folder_path = locate(name, root)
  found = [
    inner
    for inner in sub_folders.names(folder_path)
    if all(_is_there(files, os.path.join(folder_path, inner)) for files in files_needed)
  ]
  if not found:
    return ""
  remedy = "move them up"
  if module.INFO.own:
    remedy = f"name one of them, {name}/{found[0]}"
  elif module.INFO.task == Task.SEGMENTATION:
    remedy += ", or describe them with a dataset.yaml as scenes:NAME (docs/data.md)"
  return f"    found in its sub-folders {_shown(tuple(found))}: {remedy}\n"


def _is_there(files: str, folder_path: str) -> bool:
  """Whether the folder holds one of the files, which " or " separates."""
  return any(
    os.path.exists(os.path.join(folder_path, name)) for name in files.split(" or ")
  )
