"""Scores the networks of a run folder again, stage by stage.

./bazelw run //tfdam:evaluate -- --workdir=runs/m2u
./bazelw run //tfdam:evaluate -- --workdir=runs/m2u --target=mnist
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from absl import flags, logging

from tfdam import config as config_lib
from tfdam import data, files, progress, runtime
from tfdam.data import scenes
from tfdam.reporting import tables
from tfdam.runs import run_folder
from tfdam.vocabulary import Stage

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a training.")
_STAGE = flags.DEFINE_enum("stage", "all", ["all", *Stage], "Stage whose network to score.")
_TARGET = flags.DEFINE_string(
  "target",
  None,
  "Data set whose test split is scored instead of the run's target, named as in"
  " --config.data.target. Its scores are shown, not written. If the run has batch norms for"
  " each target, it must be one of these targets.",
)
_DATA_ROOT = flags.DEFINE_string(
  "data_root", "", "Folder of data sets, if not the run's data.root, $TFDAM_DATA or data/."
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv)
  if not _WORKDIR.value:
    raise config_lib.UserError(
      "Which run? Set --workdir to a run folder, such as runs/m2u."
    )
  folder = run_folder.RunFolder(runtime.resolve_path(_WORKDIR.value))
  of_run = folder.read_config(_DATA_ROOT.value)
  with progress.waiting("reading the data"):
    config, scored = _to_score(of_run, folder)
  try:
    run_folder.check_writable(folder.path)
  except config_lib.UserError as error:  # The table can still be shown.
    logging.warning("%s The scores will be shown and not kept.", error)

  # Imported here, as in train.py: TensorFlow takes seconds to start.
  with progress.waiting("starting TensorFlow"):
    from tfdam.data import feeds
    from tfdam.reporting import evaluation
    from tfdam.runs import loading
    from tfdam.runs import run as run_lib

  alone = config_lib.Runtime("none", num_replicas=1, precision=config.runtime.precision)
  runtime.start(alone, config.seed)
  found = {}
  with progress.waiting():
    for stage in Stage if _STAGE.value == "all" else (_STAGE.value,):
      loaded = loading.load_network(of_run, folder, stage, _TARGET.value or "")
      if loaded is None:
        continue
      if loaded.unfinished:
        logging.warning("%s stands at %s.", stage, loaded.unfinished)
      with feeds.failures_explained():
        found[stage] = evaluation.score_splits(loaded.network, scored, config)
  if not found:
    raise config_lib.UserError(
      f"{files.shown(folder.path)} holds no checkpoint of stage {_STAGE.value}."
    )
  domains = f"{config.data.source} to {config.data.target}"
  if _TARGET.value:
    domains = f"tested on {_TARGET.value}"
  tables.print_stages(found, f"{domains}: {folder.path}", task=config.task)
  if scored["test"]:
    names = run_lib.class_names(config, scored["test"])
    tables.print_classes(found, "test", names, config.task)
  if _TARGET.value:
    return
  try:
    folder.write_json("evaluation.json", {"task": config.task, "stages": found})
  except OSError as error:
    raise config_lib.UserError(
      f"The scores above were not written. {files.problem(error) or error}"
    ) from error


def _to_score(
  config: config_lib.Config, folder: run_folder.RunFolder
) -> tuple[config_lib.Config, Mapping[str, scenes.Split | None]]:
  """Returns (config, splits to score): the run's, or those of --target.

  Raises:
    config.UserError: there is no such data set, or nothing in it has labels.
  """
  if _TARGET.value:
    if config.adapt.per_target and _STAGE.value != Stage.SOURCE_ONLY:
      data.check_is_target(_TARGET.value, config.data)
    config = _aimed_at(_TARGET.value, config)
  root = runtime.data_root(config.data)
  data.check_files(config.data, root, scoring_only=True)
  scored = data.load_scored(config.data, root, config.seed)
  if _TARGET.value:
    scored = {"test": scored["test"]}  # The network was not adapted to its other images.
  else:
    folder.check_scored_data(scored)
  if not any(scored.values()):
    raise config_lib.UserError(
      f"{config.data.target} in {root} has no labels: there is nothing to score. Set"
      " --data_root to a folder where it has."
    )
  return config, scored


def _aimed_at(target: str, config: config_lib.Config) -> config_lib.Config:
  """The run's config with another target, all of it."""
  other = dataclasses.replace(
    config.data, target=target, target_skew="none", target_limit=0
  )
  return dataclasses.replace(config, data=other)


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
