"""Trains a translation of images between the looks of two domains, and applies it.

./bazelw run //tfdam:translate
./bazelw run //tfdam:translate -- --config=configs/translation/streets_to_camvid.py
--workdir=runs/translation --write=data/streets_as_camvid

This is CycleGAN, with CyCADA's semantic consistency if configured. With --write, the
source's labelled images are translated and written as a data set.
"""

from __future__ import annotations

import rich.table
from absl import flags
from ml_collections import config_flags

from tfdam import addons, data, progress, runtime, terminal
from tfdam import config as config_lib
from tfdam.reporting import tables
from tfdam.runs import beginning, run_folder, signals

_DEFAULT = "configs/translation/streets.py"
_CONFIG = config_flags.DEFINE_config_file(
  "config",
  help_string="Config file; its sections data, translation, loop and runtime are used, and"
  f" --config.FIELD=VALUE overrides a field. Default: {_DEFAULT}.",
)
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Run folder; started again, it resumes. Default: runs/<the config's name>.",
)
_WRITE = flags.DEFINE_string(
  "write", None, "Folder for the translated data set; started again, it resumes."
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv, "--config")
  config = config_lib.resolve(_CONFIG.value)
  addons.check("translation")
  _check_domains(config)
  _, folder = beginning.open_run(config, _WORKDIR.value)
  root = runtime.data_root(config.data)
  config_lib.check_task(config, data.task(config.data, root))
  data.check_files(config.data, root)
  output = runtime.resolve_path(_WRITE.value) if _WRITE.value else ""
  if output:
    run_folder.check_writable(output, "--write")
  with progress.waiting("reading the data"):
    domains = {
      role: data.load_training(role, False, config.data, root, config.seed)
      for role in ("source", "target")
    }

  # Imported here, as in train.py: TensorFlow takes seconds to start.
  with progress.waiting("starting TensorFlow"):
    from tfdam.runs import context, workers
    from tfdam.runs import run as run_lib
    from tfdam.training import distribution
    from tfdam.translation import translation_run, written_set

  to_write = written_set.load_splits(config, root) if output else {}
  strategy = runtime.start(config.runtime, config.seed)
  digests = {role: split.digests for role, split in domains.items()}
  with (
    progress.waiting(),
    signals.exit_at_once(),
    workers.loss_explained(strategy, folder),
    workers.own_folder(strategy, folder) as own,
  ):
    run = translation_run.TranslationRun(
      config, context.Domains(**domains, scored={}), own, strategy
    )
    run.prepare()
    if output:
      # Before hours of training, as the folder may hold another data set.
      written_set.check(output, written_set.origin(config, to_write))
    own.claim(config, digests, [], run_lib.devices(strategy))
    workers.check_shared(strategy, own)
    workers.check_same(strategy, own, config, digests)
    summary = run.execute()
    if not distribution.is_chief(strategy):
      return
    if output:
      run.write(output, to_write)
  _print(summary, f"{config.data.source} as {config.data.target}")
  for picture in folder.pictures():
    print(f"Picture: {tables.shown_path(picture)}")
  if not output:
    command = tables.next_command("tfdam.translate", folder.path)
    print(f"Next: {command} --write=DIR")
    return
  print(f"Data set: {tables.shown_path(output)}")
  print(_how_to_read(written_set.named(output, root, config), root))


def _check_domains(config: config_lib.Config) -> None:
  if config.data.source == config.data.target:
    raise config_lib.UserError(
      f"Source and target are both {config.data.source}: there is nothing to translate.",
      "Set data.source or data.target.",
    )


def _print(summary: dict, title: str) -> None:
  """Prints the last losses, and the speed."""
  table = rich.table.Table(title=title)
  table.add_column("loss")
  table.add_column("last", justify="right")
  for name, value in summary["losses"].items():
    shown = name.partition("/")[2].replace("_", " ")
    table.add_row(shown, "-" if value is None else f"{value:.3f}")
  terminal.show(table)
  rate = summary["steps_per_s"]
  if rate:
    print(f"{summary['steps']:,} steps, {rate:.2f} steps/s")


def _how_to_read(name: str, root: str) -> str:
  if name:
    return f"Train on it with --config.data.source={name}"
  return f"Move it below {tables.shown_path(root)} to train on it as a data set."


def run() -> None:
  runtime.run(main, _DEFAULT)


if __name__ == "__main__":
  run()
