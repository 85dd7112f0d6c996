"""docs/fields.md is what tools/fields_page.py makes of today's config."""

from tests import project_tools
from tfdam import config as config_lib


def test_the_page_is_that_of_the_config():
  tool = project_tools.load("fields_page")
  made, kept = tool.page().splitlines(), tool.PAGE.read_text().splitlines()
  assert kept == made, "Run: python tools/fields_page.py"


def test_every_field_is_described():
  text = project_tools.load("fields_page").page()
  for name in config_lib.field_names():
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    assert row.count("|") >= 5
    meaning = row.rstrip("| ").rpartition(" | ")[2]
    assert meaning == "see above" or len(meaning) > 15, name
