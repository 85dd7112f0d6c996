"""docs/api.md is what tools/api_page.py makes of today's docstrings."""

import pytest

from tests import project_tools

pytest.importorskip("griffe", reason="griffelib, which needs Python 3.10, is not here")


def test_the_page_is_that_of_the_docstrings():
  tool = project_tools.load("api_page")
  made = tool.page().splitlines()
  kept = tool.PAGE.read_text().splitlines()
  assert kept == made, "Run: python tools/api_page.py"


def test_every_public_name_and_argument_is_described():
  text = project_tools.load("api_page").page()
  for name in ("tfdam.Network(", "tfdam.adapt(", "- `taps`: names of layers", "`steps`"):
    assert name in text
  # No alias, default or comment that only the sources explain.
  for unread in ("_lib.", "_field", "redefined", "Taps =", "None |"):
    assert unread not in text
