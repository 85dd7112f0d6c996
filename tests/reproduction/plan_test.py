import glob
import os

import pytest

from tests.reproduction import made_up
from tfdam import config as config_lib
from tfdam import experiment as experiment_lib
from tfdam import runtime
from tfdam.reproduction import plan


def test_a_run_of_several_rows_is_one_job_a_seed():
  found = [(job.config.method, job.seed) for job in made_up.jobs()]
  assert found == [("gam", 0), ("adda", 0), ("gam", 1), ("adda", 1)]


def test_rows_choose_runs():
  assert [job.config.method for job in made_up.jobs(rows=["adda"])] == ["adda", "adda"]


def test_an_unknown_row_is_refused_with_the_known_ones():
  with pytest.raises(config_lib.UserError, match=r"no row 'gan' .*Did you mean 'gam'"):
    made_up.jobs(rows=["gan"])


def test_a_quick_look_cuts_every_stage_short():
  planner = plan.Planner(limit_steps=3)
  run = experiment_lib.Run(f"{made_up.CONFIG}:best,gam")
  job = planner.job(run, 0)
  adapt = job.config.adapt
  assert (job.config.source.steps, adapt.steps, adapt.warmup_steps) == (3, 3, 3)
  assert job.key != plan.Planner().job(run, 0).key


def test_what_a_run_starts_from_comes_before_it():
  parent = experiment_lib.Run(f"{made_up.CONFIG}:release,gam")
  child = experiment_lib.Run(
    f"{made_up.CONFIG}:release,supervised", starts_from=parent, starts_stage="adapted"
  )
  other = experiment_lib.Run(child.config, starts_from=parent, starts_stage="source_only")
  cells = {
    "a": experiment_lib.score(child, "source_only"),
    "b": experiment_lib.score(other, "source_only"),
  }
  table = experiment_lib.Table("t", "", ("a", "b"), (experiment_lib.Row("r", "", cells),))
  jobs = plan.Planner().jobs(experiment_lib.Experiment("e", "", "", (table,)), [0], [])
  assert [job.config.method for job in jobs] == ["gam", "supervised", "supervised"]
  assert jobs[1].parent == jobs[2].parent == jobs[0]
  assert len({job.key for job in jobs}) == 3
  assert len({job.group for job in jobs}) == 1


def test_an_unknown_experiment_is_refused_with_the_known_ones():
  with pytest.raises(
    config_lib.UserError, match=r"'tabel1'.*table1.*Did you mean 'table1'"
  ):
    plan.load("tabel1")


def test_a_file_that_gives_no_experiment_is_refused(tmp_path):
  path = tmp_path / "own.py"
  path.write_text("def get_experiment():\n  return 3\n")
  with pytest.raises(config_lib.UserError, match=r"own.py gives int; expected"):
    plan.load(str(path))


# Every file of configs/experiments/, found by itself.
@pytest.mark.parametrize("name", plan.available())
def test_every_experiment_of_the_project_can_be_planned(name):
  experiment = plan.load(name)
  assert experiment.name == name
  jobs = plan.Planner().jobs(experiment, range(2), [])
  assert jobs
  names = [table.name for table in experiment.tables]
  assert len(set(names)) == len(names)
  rows = [row for table in experiment.tables for row in table.rows]
  assert len({row.name for row in rows}) == len(rows)
  for table in experiment.tables:
    for row in table.rows:
      assert set(row.cells) <= set(table.columns), row.name
      assert (row.x is not None) == (table.chart is not None), row.name


def test_experiments_are_found():
  pattern = os.path.join(runtime.PROJECT, "configs", "experiments", "table*.py")
  assert len(glob.glob(pattern)) >= 4
  assert {"table1", "table2", "table3", "table4"} <= set(plan.available())
