"""//tfdam:translate as a user starts it: trains, writes a data set, is stopped, refuses."""

import json
import os

from tests import programs, synthetic

_TINY = (
  "--config.translation.steps=4", "--config.translation.channels=2",
  "--config.translation.blocks=1", "--config.translation.discriminator_channels=2",
  "--config.translation.discriminator_layers=1", "--config.data.height=32",
  "--config.data.width=48", "--config.loop.log_every=1", "--config.loop.num_panels=2",
  "--config.data.source_limit=10", "--config.data.target_limit=10",
)  # fmt: skip


def translate(workdir, root, *flags):
  return programs.run(workdir, root, *_TINY, *flags, module="tfdam.translate")


def test_streets_are_translated_and_written_without_any_data(tmp_path):
  workdir, root = tmp_path / "run", tmp_path / "data"
  root.mkdir()
  code, output = translate(workdir, str(root))
  assert code == 0, output
  assert "streets/sim as streets/photo" in output
  assert "pictures/panels.png" in output
  assert "--write=DIR" in output
  summary = json.loads((workdir / "translation.json").read_text())
  assert summary["steps"] == 4
  assert summary["losses"]["loss/cycle"] > 0
  # A second call trains no more, and its config is the run's.
  (root / "taken").mkdir()
  (root / "taken" / "file").touch()
  command = {"module": "tfdam.translate"}
  output = programs.refused(workdir, str(root), f"--write={root}/taken", **command)
  assert "no translated data set" in output
  assert os.listdir(root / "taken") == ["file"]


def test_digits_become_a_data_set_that_a_run_is_scored_on(tmp_path):
  root = synthetic.write_all(str(tmp_path / "data"))
  config = "--config=configs/translation/mnist_to_usps.py"
  small = (config, "--config.data.height=28", "--config.data.width=28")
  written = os.path.join(root, "as_usps")
  code, output = translate(
    tmp_path / "run", root, *small, f"--write={written}", "--config.data.source_limit=0"
  )
  assert code == 0, output
  assert "Train on it with --config.data.source=folder:as_usps" in output
  trained = tmp_path / "trained"
  flags = (*programs.SMALL, "--config.adapt.steps=0", "--config.match.enabled=False")
  code, output = programs.run(trained, root, *flags)
  assert code == 0, output
  evaluate = {"module": "tfdam.evaluate"}
  for name in ("mnist", "folder:as_usps"):
    code, output = programs.run(trained, root, f"--target={name}", **evaluate)
    assert code == 0, output
    assert f"tested on {name}" in " ".join(output.split())
  assert not (trained / "evaluation.json").exists()
  output = programs.refused(trained, root, "--target=mnits", **evaluate)
  assert "Did you mean 'mnist'?" in output


def test_what_a_user_gets_wrong_is_said_before_anything_is_written(tmp_path):
  for flags, message in (
    (("--config.data.target=streets/sim",), "nothing to translate"),
    (("--config.translation.discriminator_layers=5",), "sides of 96 pixels"),
    (("--config.translation.blokcs=5",), "Did you mean 'translation.blocks'?"),
    (("--write=/proc/nowhere/set",), "Cannot write to /proc/nowhere/set"),
  ):
    output = programs.refused(
      tmp_path / "run", "", *_TINY, *flags, module="tfdam.translate"
    )
    assert message in output, output
  assert not (tmp_path / "run").exists()


def test_another_generator_is_refused_in_a_run_folder(tmp_path):
  code, output = translate(tmp_path / "run", "")
  assert code == 0, output
  output = programs.refused(
    tmp_path / "run", "", *_TINY, "--config.translation.blocks=2", module="tfdam.translate"
  )
  assert "translation.blocks: 1 there, 2 now" in output
