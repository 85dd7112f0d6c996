"""Source-or-Not (Sec. 5.1, Fig. 3): do a run's units tell its two domains apart?

./bazelw run //tfdam:source_or_not -- --workdir=runs/m2u

A round shows histograms of one unit's activations on two images. Are both images from the
same domain? Play on the terminal, draw the rounds with --picture, or read them with
--reveal. The machine plays as well, before and after adaptation.
"""

from __future__ import annotations

import os
import sys

from absl import flags, logging

from tfdam import config as config_lib
from tfdam import data, files, progress, runtime, terminal
from tfdam.reporting import tables
from tfdam.runs import run_folder
from tfdam.vocabulary import Stage

# Columns of what is printed where no terminal is.
_UNWATCHED = 120
_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a training.")
_STAGE = flags.DEFINE_enum(
  "stage", str(Stage.SOURCE_ONLY), [*Stage], "Stage whose network sees target images."
)
_ROUNDS = flags.DEFINE_integer(
  "rounds", 10, "Number of rounds to play.", lower_bound=1, upper_bound=100
)
_IMAGES = flags.DEFINE_integer(
  "images", 64, "Images of each domain.", lower_bound=4, upper_bound=10_000
)
_SEED = flags.DEFINE_integer(
  "seed", 0, "Seed for the choice of images, taps, units and sides.",
  lower_bound=0, upper_bound=2**31 - 1,
)  # fmt: skip
_REVEAL = flags.DEFINE_bool("reveal", False, "Print the rounds with their answers.")
_PICTURE = flags.DEFINE_string(
  "picture", None, "PNG file to draw the rounds into, with answers at the bottom."
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
  picture = _picture_path()
  if not (_REVEAL.value or picture or (sys.stdin and sys.stdin.isatty())):
    raise config_lib.UserError(
      "The game asks questions, and standard input is no terminal that could answer. Set"
      " --reveal to print rounds with their answers, or --picture=FILE.png to draw them."
    )
  folder = run_folder.RunFolder(runtime.resolve_path(_WORKDIR.value))
  config = folder.read_config(_DATA_ROOT.value)
  root = runtime.data_root(config.data)
  data.check_files(config.data, root)
  with progress.waiting("reading the data"):
    of_target = data.load_training("target", False, config.data, root, config.seed)
    of_source = data.load_training(
      "source", False, config.data, root, config.seed, of_target
    )
  splits = {"source": of_source, "target": of_target}
  is_kept = _can_be_written(folder)

  # Imported here, as in train.py: TensorFlow takes seconds to start.
  with progress.waiting("starting TensorFlow"):
    from tfdam.metrics import source_or_not_rounds
    from tfdam.reporting import source_or_not_game, source_or_not_sheet
    from tfdam.runs import activations, machine_player

  alone = config_lib.Runtime("none", num_replicas=1, precision=config.runtime.precision)
  runtime.start(alone, config.seed)
  gaps, taps = {}, None
  seed = _SEED.value
  every = activations.by_stage(config, folder, splits, _IMAGES.value, seed)
  with progress.waiting():
    for stage, source, target in every:
      gaps[stage] = activations.gap(source, target, seed)
      if stage == _STAGE.value:
        taps = activations.pairs_of_taps(source, target)
  if taps is None:
    raise config_lib.UserError(
      f"{files.shown(folder.path)} holds no checkpoint of stage {_STAGE.value}. Set --stage"
      f" to one that it has ({', '.join(gaps)})."
    )
  try:
    rounds = source_or_not_rounds.deal(taps, _ROUNDS.value, seed)
  except ValueError as error:
    raise config_lib.UserError(
      f"There is nothing to guess: {error} in stage {_STAGE.value}. Set --stage."
    ) from error
  console = terminal.console(columns=terminal.width() or _UNWATCHED)
  if picture:
    title = f"{config.data.source} and {config.data.target}, {Stage(_STAGE.value).shown}"
    source_or_not_sheet.save(picture, rounds, title)
    print(f"Picture: {tables.shown_path(picture)}")
  if _REVEAL.value:
    source_or_not_game.reveal(rounds, console)
  elif not picture:
    source_or_not_game.play(rounds, console)
  # After the game: it says how well units tell.
  terminal.show(machine_player.table(gaps))
  if is_kept:
    machine_player.write(folder, gaps, _IMAGES.value, seed)


def _picture_path() -> str:
  """The absolute path of --picture; empty if it is not set.

  Raises:
    config.UserError: it cannot be written, or is not a PNG file.
  """
  if not _PICTURE.value:
    return ""
  path = runtime.resolve_path(_PICTURE.value)
  if not path.lower().endswith(".png") or os.path.isdir(path):
    raise config_lib.UserError(
      f"--picture is '{files.shown(_PICTURE.value)}'; expected a file's name that ends with"
      " .png."
    )
  run_folder.check_writable(os.path.dirname(path), "--picture")
  return path


def _can_be_written(folder: run_folder.RunFolder) -> bool:
  try:
    run_folder.check_writable(folder.path)
  except config_lib.UserError as error:  # The game can still be played.
    logging.warning("%s The machine's scores will be shown and not kept.", error)
    return False
  return True


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
