"""The notebooks in examples/ run through, and show what they do."""

import json
import pathlib
import re

import pytest

from tfdam import runtime

_NOTEBOOKS = sorted((pathlib.Path(runtime.PROJECT) / "examples").glob("*.ipynb"))
assert _NOTEBOOKS


def code_cells(path):
  """[(number, code, outputs)] of a notebook."""
  cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
  return [
    (number, "".join(cell["source"]), cell["outputs"])
    for number, cell in enumerate(cells, start=1)
    if cell["cell_type"] == "code"
  ]


@pytest.fixture(autouse=True)
def as_in_a_terminal(monkeypatch):
  """Has commands that a notebook starts find this checkout, and stand where it says."""
  monkeypatch.setenv("PYTHONPATH", runtime.PROJECT)
  for variable in ("BUILD_WORKING_DIRECTORY", "BUILD_WORKSPACE_DIRECTORY", "TFDAM_STACK"):
    monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_through(path):
  """What it promises it asserts itself."""
  names = {"__name__": "__main__"}
  for number, code, _ in code_cells(path):
    exec(compile(code, f"{path.name}, cell {number}", "exec"), names)


@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_printed_is_kept_with_it(path):
  for number, code, outputs in code_cells(path):
    assert ("print(" in code) <= bool(outputs), f"cell {number} has no output"
    for output in outputs:
      # Warnings, errors and paths tell of the machine that it ran on.
      assert output["output_type"] != "error"
      assert output.get("name") != "stderr"
      shown = "".join(
        [*output.get("text", []), *output.get("data", {}).get("text/plain", [])]
      )
      assert not re.search(r"(?<![\w.])/\w+/", shown), f"cell {number} names a path"


@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_lead_somewhere(path):
  cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
  text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
  links = re.findall(r"\]\(([^)\s]+)\)", text)
  assert links
  for link in links:
    page, _, anchor = link.partition("#")
    page = path.parent / page
    assert page.exists(), link
    if anchor:
      headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
      slugs = {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings
      }
      assert anchor in slugs, link


def test_readme_and_guides_show_what_the_notebook_printed():
  project = pathlib.Path(runtime.PROJECT)
  readme, guide, layers = (
    (project / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/own-network.md", "docs/gap.md")
  )
  cells = code_cells(project / "examples" / "own_network.ipynb")
  printed = "".join("".join(o.get("text", "")) for _, _, outputs in cells for o in outputs)
  before, after = re.findall(r"Gap between .*?┘", printed, re.S)
  assert before in readme
  assert before in layers
  assert after in layers
  (scores,) = re.findall(r"target ([\d.]+) -> ([\d.]+) -> ([\d.]+)", printed)
  for score in scores:
    assert f"{100 * float(score):.1f} %" in readme
    assert f"{100 * float(score):.1f} %" in guide
