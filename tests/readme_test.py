"""README's figures come from the recorded runs, and its commands name what exists."""

import fnmatch
import glob
import json
import os
import re

import pytest

from benchmarks import table
from tfdam import config as config_lib
from tfdam import runtime


def readme():
  with open(os.path.join(runtime.PROJECT, "README.md")) as file:
    return file.read()


@pytest.mark.parametrize("folder", ["digits", "streets"])
def test_the_results_table_is_that_of_the_recorded_runs(folder):
  paths = glob.glob(
    os.path.join(runtime.PROJECT, "benchmarks", "results", folder, "*.json")
  )
  loaded = []
  for path in sorted(paths):
    with open(path) as file:
      loaded.append(json.load(file))
  assert loaded
  for lines in table.markdown(loaded).values():
    assert "\n".join(lines) in readme()


def test_files_of_results_that_it_names_exist():
  """Those that stand in the run folder or the export's are named as well."""
  left_by_runs = {"config", "run", "results", "gaussian", "evaluation", "export"}
  folder = os.path.join(runtime.PROJECT, "benchmarks", "results")
  kept = glob.glob(os.path.join(folder, "**", "*.json"), recursive=True)
  named = set(re.findall(r"`([^`\s]+)\.json`", readme()))
  named = {os.path.basename(name) for name in named} - left_by_runs
  assert named
  for name in named:
    assert fnmatch.filter(map(os.path.basename, kept), f"{name}.json"), name


def test_flags_and_configs_that_it_names_exist():
  text = readme()
  fields = set(re.findall(r"--config\.([a-z_0-9.]+[a-z0-9])", text))
  assert fields
  assert fields <= set(config_lib.field_names())
  configs = set(re.findall(r"configs/[a-z_0-9/]+\.py", text))
  assert configs
  for path in configs:
    assert os.path.exists(os.path.join(runtime.PROJECT, path)), path
