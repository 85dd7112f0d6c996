"""Imports point downwards, and siblings never import one another."""

import ast
import os

import pytest

from tfdam import runtime

# What each part of the project may import of the project.
_BELOW = {
  "tfdam/config.py": set(),
  "tfdam/files.py": {"tfdam.config"},
  "tfdam/memory.py": {"tfdam.config"},
  "tfdam/claims.py": {"tfdam.config", "tfdam.files", "tfdam.memory"},
  "tfdam/hdf5.py": {"tfdam.claims", "tfdam.files"},
  "tfdam/stored.py": {"tfdam.config", "tfdam.files"},
  "tfdam/keras_errors.py": {
    "tfdam.config", "tfdam.files", "tfdam.memory", "tfdam.stack"
  },
  "tfdam/keras_order.py": set(),
  "tfdam/keras_configs.py": {
    "tfdam.config", "tfdam.files", "tfdam.keras_errors", "tfdam.keras_order"
  },
  "tfdam/keras_contents.py": {
    "tfdam.config", "tfdam.claims", "tfdam.files", "tfdam.hdf5", "tfdam.keras_errors",
    "tfdam.stored",
  },
  "tfdam/keras_files.py": {
    "tfdam.config", "tfdam.files", "tfdam.keras_configs", "tfdam.keras_contents",
    "tfdam.keras_errors", "tfdam.memory", "tfdam.stored",
  },
  "tfdam/__init__.py": {"tfdam.stack"},
  "tfdam/keras_graph": {
    "tfdam.config", "tfdam.keras_errors", "tfdam.keras_graph", "tfdam.matching",
    "tfdam.models"
  },
  "tfdam/tapped_trial.py": {
    "tfdam.config", "tfdam.keras_graph", "tfdam.matching", "tfdam.models"
  },
  "tfdam/tapped_model.py": {
    "tfdam.config", "tfdam.keras_graph", "tfdam.models", "tfdam.tapped_trial"
  },
  "tfdam/network.py": {
    "tfdam.config", "tfdam.keras_graph", "tfdam.models", "tfdam.tapped_model"
  },
  "tfdam/images.py": {"tfdam", "tfdam.config", "tfdam.runtime", "tfdam.data"},
  "tfdam/api.py": {
    "tfdam", "tfdam.config", "tfdam.data", "tfdam.metrics", "tfdam.training",
    "tfdam.images", "tfdam.keras_errors", "tfdam.network", "tfdam.runtime",
  },
  "tfdam/stack.py": set(),
  "tfdam/cluster.py": {"tfdam.config"},
  "tfdam/runtime.py": {
    "tfdam.config", "tfdam.files", "tfdam.memory", "tfdam.cluster", "tfdam.stack"
  },
  "tfdam/addons.py": {"tfdam.config", "tfdam.stack"},
  "tfdam/data": {
    "tfdam.config", "tfdam.claims", "tfdam.files", "tfdam.hdf5", "tfdam.memory",
    "tfdam.data",
  },
  "tfdam/models": {"tfdam.config", "tfdam.hdf5", "tfdam.models"},
  "tfdam/matching": {"tfdam.matching"},
  "tfdam/metrics": {"tfdam.metrics"},
  # What a gap prints, writes and refuses.
  "tfdam/metrics/gap.py": {
    "tfdam.config", "tfdam.files", "tfdam.stored", "tfdam.metrics"
  },
  "tfdam/metrics/gap_table.py": {"tfdam.files"},
  "tfdam/training": {
    "tfdam",
    *(f"tfdam.{name}" for name in (
      "config", "files", "stored", "cluster", "runtime", "stack", "addons", "data",
      "keras_files", "models", "matching", "metrics", "network", "training",
    )),
  },
  "tfdam/train.py": {
    "tfdam.config", "tfdam.memory", "tfdam.cluster", "tfdam.runtime", "tfdam.addons",
    "tfdam.data", "tfdam.training",
  },
  "tfdam/evaluate.py": {
    "tfdam.config", "tfdam.files", "tfdam.runtime", "tfdam.data", "tfdam.training"
  },
  "tfdam/gap.py": {
    "tfdam", "tfdam.api", "tfdam.config", "tfdam.files", "tfdam.keras_files",
    "tfdam.network", "tfdam.runtime", "tfdam.training",
  },
  "tfdam/download.py": {"tfdam.config", "tfdam.runtime", "tfdam.data"},
  "tfdam/oracle.py": {
    "tfdam.config", "tfdam.files", "tfdam.runtime", "tfdam.data", "tfdam.metrics",
    "tfdam.training",
  },
  "tfdam/diagnosis": {
    "tfdam.config", "tfdam.files", "tfdam.cluster", "tfdam.runtime", "tfdam.stack",
    "tfdam.addons", "tfdam.data", "tfdam.diagnosis",
  },
  "tfdam/doctor.py": {
    "tfdam.config", "tfdam.runtime", "tfdam.diagnosis", "tfdam.training"
  },
  "configs": {"tfdam.config", "configs"},
  # The car's side and a server's clients are copied elsewhere, alone.
  "export/client_onnx.py": set(),
  "export/client_serving.py": set(),
  "export": {
    "tfdam", "export",
    *(f"tfdam.{name}" for name in (
      "config", "files", "stored", "runtime", "data", "models", "metrics", "training",
    )),
  },
}  # fmt: skip
# Not imported at the top of these: what a user got wrong is said before TensorFlow
# starts.
_WITHOUT_TENSORFLOW = tuple(
  f"tfdam/{name}.py"
  for name in (
    "config", "files", "memory", "stored", "cluster", "runtime", "stack", "addons", "train",
    "evaluate", "download", "gap", "oracle", "doctor", "diagnosis/__init__",
    "diagnosis/facts", "keras_errors", "keras_configs", "keras_contents", "keras_files",
    "keras_order",
    "diagnosis/frameworks", "diagnosis/looks", "diagnosis/packages", "diagnosis/probes",
    "diagnosis/rows", "diagnosis/surroundings",
    "data/__init__",
    "data/examples", "data/downloads", "data/subsets", "data/mnist", "data/usps",
    "data/svhn", "data/npz", "data/folder", "data/scenes", "data/labels", "data/bad_images",
    "data/image_files", "data/metadata", "data/scene_files", "data/scene_spec",
    "data/scene_folder",
    "data/gta5", "data/synthia", "data/cityscapes", "data/camvid", "data/carla",
    *(f"data/streets/{name}" for name in (
      "__init__", "canvas", "car_shapes", "dice", "furniture", "ground", "houses", "paints",
      "people", "people_shapes", "photo", "plan", "plots", "shapes", "sign_shapes", "sim",
      "sketch", "textures", "traffic", "world",
    )),
    "metrics/__init__", "metrics/closed_gap", "metrics/confusion", "metrics/divergence",
    "metrics/gap", "metrics/gap_table", "metrics/oracle", "metrics/palette",
    "metrics/source_or_not",
    "training/__init__", "training/drawing", "training/panels", "training/run_folder",
    "training/network_file", "training/report", "training/source_or_not",
    "training/gap_picture",
  )
) + tuple(
  f"export/{name}.py"
  for name in (
    "run", "contract", "publish", "samples", "serving_files", "summary", "reduce",
    "client_onnx", "client_serving",
  )
)  # fmt: skip


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
      for alias in node.names:
        yield f"{node.module}.{alias.name}"


def part(name):
  """The layer that a dotted name belongs to: "tfdam.data.mnist" to "tfdam.data"."""
  return ".".join(name.split(".")[:2]) if name.startswith("tfdam") else name.split(".")[0]


@pytest.mark.parametrize("path", sources())
def test_imports_point_downwards(path):
  parts = path.split(os.sep)
  layer = path if path in _BELOW else os.path.join(*parts[:2])
  allowed = _BELOW[layer] if layer in _BELOW else _BELOW[parts[0]]
  for name in imported(path):
    if name.split(".")[0] in ("tfdam", "configs", "export"):
      assert part(name) in allowed, f"{path} imports {name}"


@pytest.mark.parametrize("path", _WITHOUT_TENSORFLOW)
def test_tensorflow_is_not_imported_early(path):
  assert not [
    n for n in imported(path, top_level_only=True) if n.split(".")[0] == "tensorflow"
  ]


def test_tfdam_never_imports_export():
  for path in sources():
    if path.startswith("tfdam"):
      assert not [n for n in imported(path) if n.split(".")[0] == "export"], path


def test_tf_function_stands_in_the_loop_in_stretches_and_in_export_alone():
  """Every part can be stepped eagerly, the stretches of matching's walk as well."""
  allowed = ("tfdam/training/loop.py", "tfdam/keras_graph/stretches.py")
  for path in sources():
    with open(os.path.join(runtime.PROJECT, path)) as file:
      nodes = ast.walk(ast.parse(file.read()))
    uses = any(
      isinstance(n, ast.Attribute) and ast.unparse(n) == "tf.function" for n in nodes
    )
    if not path.startswith("export"):
      assert uses == (path in allowed), path


def test_one_file_alone_imports_tensorflow_addons():
  importing = [
    path for path in sources() if any("tensorflow_addons" in n for n in imported(path))
  ]
  assert importing == ["tfdam/addons.py"]
