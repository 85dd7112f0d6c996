"""Flags of all programs: every number has bounds, as the schema's have (config_test)."""

import ast
import glob
import os

import pytest
from absl import flags

from tfdam import config as config_lib
from tfdam import runtime


def calls():
  """(file and line, call) of everything that is called in the programs' files."""
  for package in ("tfdam", "export", "benchmarks"):
    pattern = os.path.join(runtime.PROJECT, package, "**", "*.py")
    for path in glob.glob(pattern, recursive=True):
      with open(path) as file:
        tree = ast.parse(file.read())
      for node in ast.walk(tree):
        if isinstance(node, ast.Call):
          yield f"{os.path.relpath(path, runtime.PROJECT)}:{node.lineno}", node


def test_every_number_that_absl_parses_has_both_bounds():
  places = {}
  for place, call in calls():
    if isinstance(call.func, ast.Attribute) and call.func.attr in (
      "DEFINE_integer",
      "DEFINE_float",
    ):
      places[place] = {keyword.arg for keyword in call.keywords}
  assert len(places) > 10
  unbounded = [p for p, given in places.items() if {"lower_bound", "upper_bound"} - given]
  assert not unbounded


# A version's number and a time are checked where they are used (client_serving_test).
CHECKED = {"version", "timeout_s"}


def test_no_number_that_argparse_parses_goes_unchecked():
  unchecked = [
    (place, call.args[0].value)
    for place, call in calls()
    for keyword in call.keywords
    if keyword.arg == "type"
    and isinstance(keyword.value, ast.Name)
    and keyword.value.id in ("int", "float")
    and call.args
    and isinstance(call.args[0], ast.Constant)
  ]
  assert {name.lstrip("-") for _, name in unchecked} <= CHECKED, unchecked


def test_a_flag_that_is_no_number_is_refused(monkeypatch):
  values = flags.FlagValues()
  flags.DEFINE_float("share", 1.0, "", lower_bound=0.0, upper_bound=2.0, flag_values=values)
  flags.DEFINE_integer("verbosity", 0, "", flag_values=values)
  monkeypatch.setattr(flags, "FLAGS", values)
  monkeypatch.setattr("sys.argv", ["program"])
  runtime._parse_flags(["program", "--share=0.5"], "")
  for wrong in ("nan", "inf", "3", "1" * 5000):
    with pytest.raises(config_lib.UserError, match="share=.*--help lists the flags"):
      runtime._parse_flags(["program", f"--share={wrong}"], "")
