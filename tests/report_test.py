"""`python -m tfdam.report` as a user runs it."""

import json
import shutil

import pytest

from tests import in_process, programs, synthetic

REPORT = "tfdam.report"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def runs(root, tmp_path_factory):
  """Two runs, as from before there were reports."""
  folder = tmp_path_factory.mktemp("runs")
  for name, seed in (("one", 0), ("two, with a comma", 1)):
    in_process.execute(synthetic.small_config(seed=seed), root, str(folder / name))
    (folder / name / "report.json").unlink()
  return folder


def test_a_run_without_facts_gets_them_from_its_networks(runs, root, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(runs / "one", run)
  code, output = programs.run(run, root, module=REPORT)
  assert code == 0, output
  assert f"Report: {run}/report.html" in output
  assert json.loads((run / "report.json").read_text())["drift"]
  html = (run / "report.html").read_text(encoding="utf-8")
  assert "<h2>Confusion matrices</h2>" in html
  # Now without data or TensorFlow: nothing is computed again.
  code, output = programs.run(run, "", f"--output={tmp_path}/b.html", module=REPORT)
  assert code == 0, output
  assert (tmp_path / "b.html").read_text(encoding="utf-8") == html


def test_without_data_it_shows_what_the_folder_says(runs, tmp_path):
  run = tmp_path / "run"
  shutil.copytree(runs / "one", run)
  code, output = programs.run(run, str(tmp_path / "none"), module=REPORT)
  assert code == 0, output
  assert "The report shows scores and losses alone." in output
  html = (run / "report.html").read_text(encoding="utf-8")
  assert "<h2>Before and after, class by class</h2>" in html
  assert "<h2>Confusion matrices</h2>" not in html


def test_several_runs_stand_on_one_page(runs, root, tmp_path):
  both = f"{runs / 'one'},{runs / 'one'}"
  flags = (f"--workdir={runs / 'two, with a comma'}",)
  code, output = programs.run(both, root, *flags, module=REPORT, cwd=tmp_path)
  assert code == 0, output
  html = (tmp_path / "report.html").read_text(encoding="utf-8")
  assert "<h1>2 runs</h1>" in html
  assert "two, with a comma" in html


def test_mistakes_are_told_in_a_line(runs, root, tmp_path):
  for flags, said in (
    ((), "Which run? Set --workdir"),
    ((f"--workdir={tmp_path}/none",), "is no run folder"),
    ((f"--workdir={runs}/one", "more"), "'more' is no flag"),
    ((f"--workdir={runs}/one", f"--output={tmp_path}"), "is a folder; expected a file"),
    ((f"--workdir={runs}/one", "--output=/proc/a/b.html"), "Set --output"),
    ((f"--workdir={runs}/one,{tmp_path}/none",), "is no run folder"),
  ):
    assert said in programs.refused("", root, *flags, module=REPORT)
