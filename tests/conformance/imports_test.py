"""Imports point downwards, and siblings never import one another."""

import ast
import os

import pytest

from tfdam import runtime

# What each part of the project may import of the project; a part may import itself.
_LIBRARY = {
  "tfdam", "tfdam.config", "tfdam.files", "tfdam.progress", "tfdam.runtime", "tfdam.addons",
  "tfdam.cluster", "tfdam.curriculum", "tfdam.data", "tfdam.keras_files", "tfdam.matching",
  "tfdam.metrics", "tfdam.models", "tfdam.network", "tfdam.stored", "tfdam.terminal",
}  # fmt: skip
_RUNS = _LIBRARY | {
  "tfdam.commands", "tfdam.stack", "tfdam.training", "tfdam.reporting"
}  # fmt: skip
_BELOW = {
  "tfdam/vocabulary.py": set(),
  "tfdam/config": set(),
  "tfdam/files.py": {"tfdam.config"},
  "tfdam/terminal.py": set(),
  "tfdam/progress.py": {"tfdam.files", "tfdam.terminal"},
  "tfdam/memory.py": {"tfdam.config"},
  "tfdam/claims.py": {"tfdam.config", "tfdam.files", "tfdam.memory"},
  "tfdam/hdf5.py": {"tfdam.claims", "tfdam.files"},
  "tfdam/torch_file.py": set(),
  "tfdam/code_digest.py": set(),
  "tfdam/stored.py": {"tfdam.config", "tfdam.files"},
  "tfdam/keras_files": {
    "tfdam.config", "tfdam.claims", "tfdam.files", "tfdam.hdf5", "tfdam.memory",
    "tfdam.stack", "tfdam.stored",
  },
  "tfdam/__init__.py": {"tfdam.stack"},
  "tfdam/sites.py": set(),
  "tfdam/protocol.py": {"tfdam.sites"},
  "tfdam/keras_models": {
    "tfdam.config", "tfdam.keras_files", "tfdam.matching", "tfdam.protocol", "tfdam.sites"
  },
  "tfdam/network.py": {"tfdam.config", "tfdam.keras_models", "tfdam.sites"},
  "tfdam/images.py": {"tfdam", "tfdam.config", "tfdam.runtime", "tfdam.data"},
  "tfdam/api.py": {
    "tfdam", "tfdam.config", "tfdam.progress", "tfdam.data", "tfdam.matching",
    "tfdam.metrics", "tfdam.training", "tfdam.images", "tfdam.keras_files",
    "tfdam.network", "tfdam.runtime",
  },
  "tfdam/stack.py": set(),
  "tfdam/cluster.py": {"tfdam.config"},
  "tfdam/runtime.py": {
    "tfdam.config", "tfdam.files", "tfdam.memory", "tfdam.cluster", "tfdam.stack",
    "tfdam.commands", "tfdam.usage",
  },
  "tfdam/commands.py": set(),
  "tfdam/usage.py": {"tfdam.commands"},
  "tfdam/__main__.py": {
    "tfdam", "tfdam.commands", "tfdam.config", "tfdam.files", "tfdam.usage"
  },
  "tfdam/addons.py": {"tfdam.config", "tfdam.stack"},
  "tfdam/streets": set(),
  "tfdam/curriculum": set(),
  "tfdam/data": {
    "tfdam.config", "tfdam.claims", "tfdam.files", "tfdam.hdf5", "tfdam.memory",
    "tfdam.streets",
  },
  "tfdam/models": {
    "tfdam.config", "tfdam.files", "tfdam.hdf5", "tfdam.keras_files", "tfdam.sites",
    "tfdam.torch_file",
  },
  "tfdam/matching": set(),
  # The walk over a network's sites; the others know tensors alone.
  "tfdam/matching/closed_form.py": {
    "tfdam.config", "tfdam.matching", "tfdam.progress", "tfdam.sites"
  },
  "tfdam/matching/site_walk.py": {"tfdam.matching", "tfdam.sites"},
  "tfdam/matching/waiting.py": {"tfdam.config", "tfdam.files", "tfdam.sites"},
  "tfdam/metrics": set(),
  # What a gap prints, writes and refuses.
  "tfdam/metrics/gap.py": {
    "tfdam.config", "tfdam.files", "tfdam.metrics", "tfdam.stored"
  },
  "tfdam/metrics/gap_table.py": {"tfdam.files", "tfdam.terminal"},
  "tfdam/training": _LIBRARY,
  "tfdam/reporting": _LIBRARY,
  # Renders what files say: no network, no data.
  "tfdam/reporting/report": {
    "tfdam.config", "tfdam.files", "tfdam.metrics", "tfdam.runtime", "tfdam.stored"
  },
  "tfdam/runs": _RUNS | {"tfdam.code_digest"},
  "tfdam/translation": _RUNS | {"tfdam.memory", "tfdam.runs"},
  "tfdam/translate.py": _RUNS | {"tfdam.runs", "tfdam.translation"},
  "tfdam/train.py": _RUNS | {"tfdam.memory", "tfdam.runs"},
  "tfdam/evaluate.py": _RUNS | {"tfdam.runs"},
  "tfdam/gap.py": _RUNS | {"tfdam.api", "tfdam.runs"},
  "tfdam/download.py": {"tfdam.config", "tfdam.runtime", "tfdam.data", "tfdam.progress"},
  "tfdam/oracle.py": _RUNS | {"tfdam.runs"},
  "tfdam/source_or_not.py": _RUNS | {"tfdam.runs"},
  "tfdam/report.py": _RUNS | {"tfdam.runs"},
  "tfdam/diagnosis": {
    "tfdam.config", "tfdam.files", "tfdam.cluster", "tfdam.runtime", "tfdam.stack",
    "tfdam.addons", "tfdam.commands", "tfdam.data",
  },
  "tfdam/experiment.py": set(),
  "tfdam/reproduction": {
    "tfdam.code_digest", "tfdam.config", "tfdam.experiment", "tfdam.files", "tfdam.metrics",
    "tfdam.progress", "tfdam.reporting", "tfdam.runs", "tfdam.runtime", "tfdam.stored",
  },
  "tfdam/reproduce.py": {
    "tfdam.config", "tfdam.data", "tfdam.experiment", "tfdam.files",
    "tfdam.reporting", "tfdam.reproduction", "tfdam.runs", "tfdam.runtime",
    "tfdam.terminal",
  },
  "tfdam/doctor.py": {
    "tfdam.config", "tfdam.runtime", "tfdam.diagnosis", "tfdam.progress",
    "tfdam.terminal",
  },
  "configs": {"tfdam.config"},
  "configs/experiments": {"configs", "tfdam.experiment"},
  # The car's side and a server's clients are copied elsewhere, alone.
  "export/client_onnx.py": set(),
  "export/client_serving.py": set(),
  "export": _RUNS | {"tfdam.runs"},
}  # fmt: skip
_COMPILING = (
  "tfdam/training/loop.py",
  "tfdam/reporting/evaluation.py",
  "tfdam/keras_models/stretches.py",
)
# What a user types: what is wrong with it is said before TensorFlow starts.
_COMMANDS = (
  *(f"tfdam.{n}" for n in ("train", "evaluate", "report", "download", "gap", "oracle")),
  "tfdam.translate",
  *(f"tfdam.{n}" for n in ("doctor", "reproduce", "reproduction.child", "source_or_not")),
  *(f"export.{n}" for n in ("run", "client_onnx", "client_serving")),
  "tfdam.__main__",
)
_SLOW = ("tensorflow", "skimage")


def sources():
  for top in ("tfdam", "configs", "export"):
    for folder, _, names in os.walk(os.path.join(runtime.PROJECT, top)):
      for name in sorted(names):
        if name.endswith(".py"):
          yield os.path.relpath(os.path.join(folder, name), runtime.PROJECT)


def imported(path, top_level_only=False):
  """Dotted names of what a file imports; "from a import b" counts as a.b."""
  with open(os.path.join(runtime.PROJECT, path)) as file:
    tree = ast.parse(file.read())
  for node in tree.body if top_level_only else ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      folders = os.path.dirname(path).split(os.sep)
      around = folders[: len(folders) + 1 - node.level] if node.level else []
      base = ".".join([*around, *filter(None, [node.module])])
      for alias in node.names:
        yield f"{base}.{alias.name}"


def part(name):
  """The layer that a dotted name belongs to: "tfdam.data.mnist" to "tfdam.data"."""
  return ".".join(name.split(".")[:2]) if name.startswith("tfdam") else name.split(".")[0]


@pytest.mark.parametrize("path", sources())
def test_imports_point_downwards(path):
  layer = path
  while layer not in _BELOW:  # the nearest rule above it
    layer = os.path.dirname(layer)
  own = os.path.splitext(layer)[0].replace(os.sep, ".")
  for name in imported(path):
    if name.split(".")[0] in ("tfdam", "configs", "export"):
      if part(name) in (own, "tfdam.vocabulary"):  # which anybody may use
        continue
      if f"{name}.".startswith(f"{own}."):
        continue
      assert part(name) in _BELOW[layer], f"{path} imports {name}"


def early(module, found=None):
  """Every module of the project that is imported with one, functions' imports left out."""
  found = {} if found is None else found
  parts = module.split(".")
  for end in range(1, len(parts) + 1):
    name = ".".join(parts[:end])
    path = next((p for p in paths(name) if is_source(p)), None)
    if path is None or name in found:
      continue
    found[name] = path
    for inner in imported(path, top_level_only=True):
      if inner.split(".")[0] in ("tfdam", "configs", "export"):
        early(inner, found)
  return found


def paths(name):
  base = os.path.join(*name.split("."))
  return f"{base}.py", os.path.join(base, "__init__.py")


def is_source(path):
  return os.path.isfile(os.path.join(runtime.PROJECT, path))


@pytest.mark.parametrize("command", ["tfdam", *_COMMANDS])
def test_a_command_starts_without_what_is_slow_to_import(command):
  modules = early(command)
  assert command in modules
  for path in modules.values():
    names = imported(path, top_level_only=True)
    assert not [n for n in names if n.split(".")[0] in _SLOW], path


def test_tfdam_never_imports_export():
  for path in sources():
    if path.startswith("tfdam"):
      assert not [n for n in imported(path) if n.split(".")[0] == "export"], path


def test_files_of_export_import_one_another_relatively():
  """In the wheel they are tfdam.export: setup.py."""
  for path in sources():
    if not path.startswith("export") or path == "export/__main__.py":
      continue
    with open(os.path.join(runtime.PROJECT, path)) as file:
      nodes = list(ast.walk(ast.parse(file.read())))
    absolute = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
    absolute += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    assert not [n for n in absolute if n.split(".")[0] == "export"], path


def test_only_the_loop_scoring_stretches_and_export_compile():
  for path in sources():
    with open(os.path.join(runtime.PROJECT, path)) as file:
      nodes = ast.walk(ast.parse(file.read()))
    uses = any(
      isinstance(n, ast.Attribute) and ast.unparse(n) == "tf.function" for n in nodes
    )
    if not path.startswith("export"):
      assert uses == (path in _COMPILING), path


def test_one_file_alone_imports_tensorflow_addons():
  importing = [
    path for path in sources() if any("tensorflow_addons" in n for n in imported(path))
  ]
  assert importing == ["tfdam/addons.py"]
