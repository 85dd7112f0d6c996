"""Trains on the source domain, adapts to the target, and scores every stage.

./bazelw run //tfdam:train
./bazelw run //tfdam:train -- --config=configs/digits/mnist_to_usps.py:release
--workdir=runs/m2u
"""

from __future__ import annotations

from absl import flags, logging
from ml_collections import config_flags

from tfdam import addons, data, memory, progress, runtime
from tfdam import config as config_lib
from tfdam.reporting import tables
from tfdam.runs import beginning, network_file, run_report, signals

_CONFIG = config_flags.DEFINE_config_file(
  "config",
  help_string="Config file, with an argument after a colon; --config.FIELD=VALUE overrides"
  f" a field. Default: {runtime.DEFAULT_CONFIG}.",
)
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Run folder; started again, it resumes. Default: runs/<the config's name>.",
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv, "--config")
  config = config_lib.resolve(_CONFIG.value)
  given = config_flags.get_override_values(flags.FLAGS["config"])
  for sentence in config_lib.unused(config, given):
    logging.warning("%s", sentence)
  if config.adapt.spectral_norm:
    addons.check()
  team, folder = beginning.open_run(config, _WORKDIR.value)
  digests = network_file.run_digests(config, folder)
  root = runtime.data_root(config.data)
  labelled = config.needs_source_labels
  config_lib.check_task(config, data.task(config.data, root, labelled))
  data.check_files(config.data, root)
  if config.model.is_file and labelled:
    data.check_source_labels(config.data, root)
  # Loaded without labels, which adaptation must not see; scoring loads them separately.
  with progress.waiting("reading the data"):
    target = data.load_training("target", False, config.data, root, config.seed)
    source = data.load_training("source", labelled, config.data, root, config.seed, target)
    scored = data.load_scored(config.data, root, config.seed, target)
  read = {"source": source, "target": target, **scored}
  num_images = max(len(part) for part in read.values() if part)
  memory.check(config, num_images, len(team.addresses) if team else 1)
  digests |= {role: part.digests for role, part in read.items() if part}
  notes = data.check_class_names(source, scored, config.data)
  notes += sorted({note for part in read.values() if part for note in part.notes})

  # TensorFlow starts here, after all checks of flags, folder and files.
  with progress.waiting("starting TensorFlow"):
    from tfdam.runs import context, workers
    from tfdam.runs import run as run_lib
    from tfdam.training import distribution

  strategy = runtime.start(config.runtime, config.seed)
  domains = context.Domains(source, target, scored)
  with (
    progress.waiting(),
    signals.exit_at_once(),
    workers.loss_explained(strategy, folder),
    workers.own_folder(strategy, folder) as own,
  ):
    run = run_lib.Run(config, domains, own, strategy)
    run.prepare()
    own.claim(config, digests, notes, run_lib.devices(strategy))
    workers.check_shared(strategy, own)
    workers.check_same(strategy, own, config, digests)
    results = run.execute()
  if not distribution.is_chief(strategy):
    return
  notes = notes + tables.last_step_note(results) + tables.alarm_notes(results)
  tables.print_stages(results["stages"], _title(config), notes, results["task"])
  if not any(results["stages"].values()):
    tables.print_unlabelled(results)
  for picture in folder.pictures():
    print(f"Picture: {tables.shown_path(picture)}")
  report = run_report.written(folder)
  if report:
    print(f"Report: {tables.shown_path(report)}")
  network = network_file.written(folder)
  if network:
    print(f"Adapted network, in the form of your file: {tables.shown_path(network)}")
  following = "tfdam.evaluate" if any(scored.values()) else "export.run"
  print(f"Next: {tables.next_command(following, folder.path)}")


def _title(config: config_lib.Config) -> str:
  domains = f"{config.data.source} to {config.data.target}"
  return f"{domains}, {config.recipe} {config.method}, seed {config.seed}"


def run() -> None:
  runtime.run(main, runtime.DEFAULT_CONFIG)


if __name__ == "__main__":
  run()
