"""docs/fields.md is what tools/fields_page.py makes of today's config."""

import importlib.util
import pathlib

from tfdam import config as config_lib
from tfdam import runtime


def fields_page():
  path = pathlib.Path(runtime.PROJECT) / "tools" / "fields_page.py"
  spec = importlib.util.spec_from_file_location("fields_page", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_the_page_is_that_of_the_config():
  tool = fields_page()
  made, kept = tool.page().splitlines(), tool.PAGE.read_text().splitlines()
  assert kept == made, "Run: python tools/fields_page.py"


def test_every_field_is_described():
  text = fields_page().page()
  for name in config_lib.field_names():
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    assert row.count("|") >= 5
    meaning = row.rstrip("| ").rpartition(" | ")[2]
    assert meaning == "see above" or len(meaning) > 15, name
