"""README and docs/: figures are those of recorded runs, and what is named exists."""

import ast
import fnmatch
import glob
import os
import re

import pytest

from benchmarks import pages as benchmark_pages
from tfdam import config as config_lib
from tfdam import runtime
from tfdam.reproduction import plan, tables
from tfdam.reproduction import store as store_lib


def pages():
  """{path below the project: text} of README.md and everything below docs/."""
  found = glob.glob(os.path.join(runtime.PROJECT, "docs", "**", "*.md"), recursive=True)
  paths = [os.path.join(runtime.PROJECT, "README.md"), *sorted(found)]
  assert len(paths) > 10
  texts = {}
  for path in paths:
    with open(path) as file:
      texts[os.path.relpath(path, runtime.PROJECT)] = file.read()
  return texts


def readme():
  return "\n".join(pages().values())


MARKED = re.compile(r"<!-- ([a-z]\w*/\w+) -->\n(.*?)<!-- end -->", re.S)


def test_tables_of_results_are_those_of_their_files():
  """`python -m benchmarks.pages` writes them."""
  filled = benchmark_pages.tables()
  marked = set()
  for path, text in pages().items():
    assert tables.replaced(text, filled)[0] == text, path
    marked |= {name for name, _ in MARKED.findall(text)}
  assert set(filled) <= marked
  experiments = {name for name in marked - set(filled)}
  assert {name.partition("/")[0] for name in experiments} <= set(plan.available())


def results_pages():
  return {path: text for path, text in pages().items() if path.startswith("docs/results/")}


def test_no_table_of_results_is_made_by_hand():
  assert results_pages()
  for path, text in results_pages().items():
    assert "\n|" not in MARKED.sub("", text), path


# Figures behind these are versions.
PRODUCTS = "TensorFlow|PyTorch|Python|ONNX Runtime|OpenVINO|Debian|Ubuntu"


def test_figures_in_the_text_of_results_stand_in_their_tables():
  for path, text in results_pages().items():
    shown = [
      float(number.replace(",", ""))
      for _, found in MARKED.findall(text)
      for number in re.findall(r"\d[\d,]*\.?\d*", found)
    ]
    prose = re.sub(r"```.*?```|`[^`]*`", "", MARKED.sub("", text), flags=re.S)
    prose = re.sub(rf"({PRODUCTS})\s+[\d.]*\d", "", prose)
    for number in re.finditer(r"(?<![\w.])\d+\.(\d+)", prose):
      digits = len(number.group(1))
      rounded = {f"{value:.{digits}f}" for value in shown}
      assert number.group() in rounded, f"{path}: {number.group()} is in no table"


def sentences_of(text):
  """The sentences of a page's prose: no code, tables or headings."""
  text = re.sub(r"```.*?```|<!--.*?-->", "\n\n", text, flags=re.S)
  text = re.sub(r"^(\||#|    ).*$", "", text, flags=re.M)
  text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
  text = re.sub(r"`[^`]*`", "code", text)
  for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text):
    yield from re.split(r"(?<=[.!?:])\s+", " ".join(paragraph.split()))


@pytest.mark.parametrize("path", sorted(pages()))
def test_no_sentence_is_longer_than_35_words(path):
  """Generated pages say what docstrings and comments say."""
  for sentence in sentences_of(pages()[path]):
    assert len(sentence.split()) <= 35, sentence


def recorded_tables(name):
  """{"table1/mnist_to_usps": Markdown} of an experiment, from docs/results/."""
  experiment, planner = plan.load(name), plan.Planner()
  seeds = range(experiment.seeds)
  store = store_lib.Store(os.path.join(runtime.PROJECT, "docs", "results"))
  jobs = planner.jobs(experiment, seeds, [])
  filler = tables.Filler(jobs, store, planner, seeds)
  return {f"{name}/{one.name}": filler.fill(one).markdown() for one in experiment.tables}


@pytest.mark.parametrize("name", plan.available())
def test_tables_of_experiments_are_those_of_the_recorded_runs(name):
  """`tfdam.reproduce --report_only --results=docs/results --into=PAGE` writes them."""
  filled = recorded_tables(name)
  for path, text in pages().items():
    assert tables.replaced(text, filled)[0] == text, path


def sentences():
  """All text that programs of tfdam may print, a piece between two values each."""
  for top in ("tfdam", "export"):
    for path in glob.glob(os.path.join(runtime.PROJECT, top, "**", "*.py"), recursive=True):
      with open(path) as file:
        tree = ast.parse(file.read())
      yield from (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
      )


def test_messages_that_troubleshooting_explains_are_the_programs():
  page = pages()[os.path.join("docs", "troubleshooting.md")]
  explained = re.findall(r"^\| `([^`]+)` \|", page, re.M)
  assert len(explained) > 10
  every = list(sentences())
  for message in explained:
    assert any(message in sentence for sentence in every), message


def test_files_of_results_that_it_names_exist():
  """Those that stand in the run folder or the export's are named as well."""
  left_by_runs = {
    "config", "run", "results", "gaussian", "evaluation", "export", "gap", "source_or_not",
    "same_bits", "report", "translation",
  }  # fmt: skip
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


def anchors(text):
  """What links may point to in a page, as GitHub names its headings."""
  headings = re.findall(r"^#+ (.+)$", text, re.M)
  return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


def test_links_between_pages_lead_somewhere():
  texts = pages()
  with open(os.path.join(runtime.PROJECT, "CONTRIBUTING.md")) as file:
    texts["CONTRIBUTING.md"] = file.read()
  for page, text in texts.items():
    prose = re.sub(r"```.*?```", "", text, flags=re.S)  # calls in code look like links
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
      path, _, anchor = link.partition("#")
      place = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
      assert os.path.exists(os.path.join(runtime.PROJECT, place)), f"{page}: {link}"
      if anchor:
        assert anchor in anchors(texts[place]), f"{page}: {link}"


def test_readme_is_a_door():
  assert len(pages()["README.md"].splitlines()) <= 150
