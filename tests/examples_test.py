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
      # Warnings and errors tell of the machine that it ran on.
      assert output["output_type"] != "error"
      assert output.get("name") != "stderr"


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
