"""What an experiment writes: a page, Markdown and pictures."""

import dataclasses
import json
import os
import re

import pytest

from tests.reproduction import made_up
from tfdam import experiment as experiment_lib
from tfdam.reproduction import curves, label_free, pages, plan, tables
from tfdam.reproduction import store as store_lib


def record(job, folder, value):
  """Of a run with a curve, and with scores that need no label."""
  results = made_up.results(0.7, value)
  results["label_free"] = {
    stage: {"entropy": entropy, "information": 1 - entropy}
    for stage, entropy in (("source_only", 0.9), ("adapted", 1 - value))
  }
  os.makedirs(folder, exist_ok=True)
  with open(os.path.join(folder, "results.json"), "w") as file:
    json.dump(results, file)
  lines = [
    {"stage": "adapted", "phase": "curve", "step": step, "metric/test_accuracy": value}
    for step in (0, 100)
  ] + [
    {"stage": "adapted", "phase": "watch", "step": 100, "watch/fc3/dead_channels": 3,
     "watch/fc4/dead_channels": 1},
  ]  # fmt: skip
  with open(os.path.join(folder, "metrics.jsonl"), "w") as file:
    file.writelines(f"{json.dumps(line)}\n" for line in lines)
  return store_lib.make(job, folder, 0, "./bazelw run //tfdam:train", 1)


@pytest.fixture
def experiment():
  made = made_up.experiment()
  (table,) = made.tables
  rows = tuple(dataclasses.replace(row, x=10**i) for i, row in enumerate(table.rows))
  table = dataclasses.replace(table, rows=rows, chart=("rows", "accuracy, %"))
  gam = table.rows[2].cells["test"].run
  lines = tuple(
    experiment_lib.Curves(measure, measure.title(), {"GAM": gam}, measure, "y")
    for measure in ("test", "dead")
  )
  return dataclasses.replace(made, tables=(table,), curves=lines, about="With `release`.")


@pytest.fixture
def filler(tmp_path, experiment):
  store = store_lib.Store(str(tmp_path / "results"))
  planner = plan.Planner()
  jobs = planner.jobs(experiment, [0, 1], [])
  for i, job in enumerate(jobs):
    store.add(record(job, str(tmp_path / job.name), 0.8 + 0.05 * i))
  return tables.Filler(jobs, store, planner, [0, 1])


def test_lines_have_mean_and_spread_over_seeds(experiment, filler):
  test, dead = (curves.over_steps(lines, filler) for lines in experiment.curves)
  assert [one.x for one in test] == [0, 100]
  assert test[0] == pytest.approx((0, 80.0, 85.0, 90.0, "GAM")[:4] + ("GAM",))
  assert dead == [(100, 4, 4, 4, "GAM")]  # of both taps


def test_a_page_needs_nothing_beside_itself(experiment, filler, tmp_path):
  folder = str(tmp_path / "written")
  filled = [filler.fill(table) for table in experiment.tables]
  shown = pages.write(experiment, filled, filler, folder)
  assert [os.path.basename(path) for path in shown] == ["made_up.md", "made_up.html"]
  names = {"made_up.md", "made_up.html"} | {
    f"made_up-{figure}.svg" for figure in ("digits", "test", "dead")
  }
  assert set(os.listdir(folder)) == names
  with open(shown[1]) as file:
    html = file.read()
  assert not re.search(r"(src|href)=[\"']?(http|//)", html)
  assert "With release." in html
  assert "85.00 ± 7.07" in html
  assert "rank correlation" in html
  with open(shown[0]) as file:
    text = file.read()
  assert "| GAM | 85.00 ± 7.07 | 95.7 ± 0.5 |" in text
  assert "![Digits](made_up-digits.svg)" in text
  with open(os.path.join(folder, "made_up-test.svg")) as file:
    picture = file.read()
  assert picture.startswith("<svg")
  assert "@" not in picture  # names of the page's colours


def test_what_was_not_run_has_a_page_without_charts(experiment, tmp_path):
  planner = plan.Planner()
  jobs = planner.jobs(experiment, [0], [])
  empty = tables.Filler(jobs, store_lib.Store(str(tmp_path / "none")), planner, [0])
  filled = [empty.fill(table) for table in experiment.tables]
  pages.write(experiment, filled, empty, str(tmp_path / "written"))
  assert set(os.listdir(tmp_path / "written")) == {"made_up.md", "made_up.html"}


def test_scores_without_labels_are_ranked_against_those_with(filler):
  found = {r.title: r for r in label_free.rankings(filler.chosen.values())}
  # Four runs' source networks are alike, and all are less sure and worse than the adapted.
  assert found["entropy of predictions"].num_stages == 8
  assert found["entropy of predictions"].correlation == pytest.approx(-1.0)
  assert found["information"].correlation == pytest.approx(1.0)
  assert found["discriminators' accuracy"].correlation is None
