"""The wheel of this checkout: what it holds, and that its commands start."""

import configparser
import email
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import tfdam
from tests import programs
from tfdam import commands, runtime

_PROJECT = pathlib.Path(runtime.PROJECT)
_BUILD = (
  "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
)
# {folder of the checkout: where it lies in the wheel}.
_FOLDERS = {"tfdam": "tfdam", "configs": "tfdam/configs", "export": "tfdam/export"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  """The wheel, without a network: setuptools of this environment builds it."""
  checkout, made = (tmp_path_factory.mktemp(name) for name in ("checkout", "dist"))
  for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
    shutil.copy(_PROJECT / name, checkout)
  for name in _FOLDERS:
    ignored = shutil.ignore_patterns("__pycache__", "BUILD")
    shutil.copytree(_PROJECT / name, checkout / name, ignore=ignored)
  done = subprocess.run(
    [sys.executable, "-c", _BUILD, made], cwd=checkout, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  (path,) = made.glob("*.whl")
  return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
  """A folder of Python's path that holds the wheel alone."""
  folder = tmp_path_factory.mktemp("site")
  wheel.extractall(folder)
  return folder


def run(installed, cwd, *arguments):
  """Runs `python -m tfdam`, which knows this environment and no checkout."""
  variables = {**os.environ, "PYTHONPATH": str(installed)}
  variables.pop("BUILD_WORKSPACE_DIRECTORY", None)
  variables.pop("BUILD_WORKING_DIRECTORY", None)
  return subprocess.run(
    [sys.executable, "-m", "tfdam", *arguments], cwd=cwd, env=variables,
    capture_output=True, text=True, check=False, timeout=programs.TIMEOUT_S,
  )  # fmt: skip


def dist_info(wheel, name):
  (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
  return wheel.read(path).decode()


def test_a_wheel_adds_one_name_to_python(wheel):
  tops = {name.split("/")[0] for name in wheel.namelist()}
  assert {name for name in tops if not name.endswith(".dist-info")} == {"tfdam"}
  assert dist_info(wheel, "top_level.txt").split() == ["tfdam"]


def test_a_wheel_holds_every_file_of_code_and_what_code_reads(wheel):
  expected = {
    f"{place}/{path.relative_to(_PROJECT / folder).as_posix()}"
    for folder, place in _FOLDERS.items()
    for path in (_PROJECT / folder).rglob("*")
    # Bazel's programs have no ending.
    if path.suffix and path.is_file() and "__pycache__" not in path.parts
  }
  assert "tfdam/export/requirements-car.txt" in expected
  assert "tfdam/reporting/report/templates/page.html" in expected
  assert "tfdam/py.typed" in expected
  assert expected == {n for n in wheel.namelist() if ".dist-info/" not in n}


def test_the_version_stands_in_one_place(wheel):
  metadata = email.message_from_string(dist_info(wheel, "METADATA"))
  assert metadata["Version"] == tfdam.__version__
  newest = re.search(r"^## \[([\d.]+)\]", (_PROJECT / "CHANGELOG.md").read_text(), re.M)
  assert newest
  assert newest.group(1) == tfdam.__version__


def test_every_command_is_a_script(wheel):
  scripts = configparser.ConfigParser()
  scripts.read_string(dist_info(wheel, "entry_points.txt"))
  expected = {"tfdam": "tfdam.__main__:main"}
  for name, one in commands.COMMANDS.items():
    module = f"tfdam.{one.target}".replace("tfdam.tfdam.", "tfdam.")
    expected[f"tfdam-{name}"] = f"{module}:{one.entry}"
  assert dict(scripts["console_scripts"]) == expected


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_a_command_says_what_its_flags_are(installed, tmp_path, name):
  done = run(installed, tmp_path, name, "--help")
  assert done.returncode == 0, done.stderr
  assert "--" in done.stdout
  assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.fixture
def users_project(tmp_path):
  """One that has folders called as tfdam's are."""
  for name in ("configs", "export"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
  return tmp_path


def test_configs_of_tfdam_are_found_from_a_users_project(installed, users_project):
  done = run(
    installed, users_project, "train", "--config=configs/digits/mnist_to_usps.py:release",
    "--config.data.root=/no/such",
  )  # fmt: skip
  assert done.returncode == 2
  assert "Data sets are missing" in done.stderr
  done = run(installed, users_project, "reproduce", "--experiment=table1", "--dry_run")
  assert done.returncode == 0, done.stderr
  done = run(installed, users_project, "export", "--workdir=runs/none")
  assert done.returncode == 2
  assert done.stderr.startswith("Error: ")


def test_a_users_config_finds_recipes_and_what_lies_in_its_own_folder(installed, tmp_path):
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs" / "places.py").write_text("TARGET = 'npz:nowhere'")
  (tmp_path / "mine.py").write_text(
    "from configs import places\n"
    "from configs.digits import recipes\n"
    "def get_config(options=None):\n"
    "  return recipes.digits('mnist', places.TARGET, options)\n"
  )
  flags = ("--config=mine.py", "--config.data.root=/no/such")
  done = run(installed, tmp_path, "train", *flags)
  assert done.returncode == 2
  assert "Data sets are missing" in done.stderr
  assert "nowhere" in done.stderr
