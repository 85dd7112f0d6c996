"""Set-up: which Python, which stack, and an environment whole or not at all."""

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys

import pytest
from packaging import requirements, version

from tests import project_tools
from tfdam import runtime, stack

try:
  import tomllib
except ModuleNotFoundError:  # before Python 3.11
  import tomli as tomllib

PROJECT = pathlib.Path(runtime.PROJECT)
# As a Python that environment.py asks, has make environments, and has install into them.
_PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
case "$2" in
  venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  pip) {pip} ;;
  *) echo '{facts}' ;;
esac
"""


environment = project_tools.load("environment")


class Machine:
  """A PATH and a cache of the test's own."""

  def __init__(self, folder, monkeypatch):
    self.bin, self.cache = folder / "bin", folder / "cache"
    self.log = folder / "log"
    self.bin.mkdir()
    self.log.touch()
    for name in [name for name in os.environ if name.startswith(("TFDAM_", "PIP_"))]:
      monkeypatch.delenv(name)
    # The system's own programs, but no Python. No links: tests write over some of them.
    for name in ("sh", "bash", "mkdir", "cp", "env", "id", "dirname", "cat", "sleep"):
      self.program(name, f'exec {shutil.which(name)} "$@"')
    monkeypatch.setenv("PATH", str(self.bin))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("LOG", str(self.log))
    monkeypatch.setenv("TFDAM_CACHE", str(self.cache))
    monkeypatch.setattr(environment, "free_gb", lambda folder: 100.0)
    self.set = monkeypatch.setenv

  def program(self, name, text):
    path = self.bin / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)

  def python(self, name, release, venv=True, pip="true", bits=True, folder=None):
    """A Python on PATH that says it is this release; `pip` is what its pip does."""
    path = (folder or self.bin) / name
    major, minor = release.split(".")[:2]
    facts = {"version": [int(major), int(minor)], "full": release, "bits": bits,
             "executable": str(path), "venv": venv}  # fmt: skip
    path.write_text(_PYTHON.format(pip=pip, facts=json.dumps(facts)))
    path.chmod(0o755)

  def calls(self):
    """What was asked of Pythons, but for what they are."""
    return [line for line in self.log.read_text().splitlines() if line.startswith("-m")]

  def refused(self):
    with pytest.raises(environment.SetupError) as raised:
      environment.environment()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def machine(tmp_path, monkeypatch):
  return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
  ("release", "expected"),
  [("3.9.2", "tf215"), ("3.10.13", "tf215"), ("3.11.7", "tf215"), ("3.12.3", "tf221"),
   ("3.13.5", "tf221")],
)  # fmt: skip
def test_each_python_has_a_default_stack(machine, release, expected):
  machine.python("python3", release)
  folder = environment.environment()
  assert os.path.basename(folder).startswith(f"{expected}-py")
  assert expected == stack.default(tuple(map(int, release.split(".")[:2])))
  install = next(call for call in machine.calls() if " pip " in f" {call} ")
  assert install.endswith(os.path.join("requirements", f"{expected}.lock"))
  assert "--require-hashes" in install


def test_a_stack_can_be_chosen_where_both_can_be_had(machine):
  machine.python("python3", "3.11.7")
  default = environment.environment()
  machine.set("TFDAM_STACK", "tf221")
  chosen = environment.environment()
  assert os.path.basename(chosen).startswith("tf221-py3.11-")
  # Beside one another: neither is made again.
  assert os.path.isdir(default)
  assert os.path.isdir(chosen)
  made = len(machine.calls())
  assert environment.environment() == chosen
  assert len(machine.calls()) == made


@pytest.mark.parametrize(
  ("pythons", "chosen", "taken"),
  [
    ({"python3": "3.14.0", "python3.13": "3.13.5"}, "", "py3.13"),
    ({"python3": "3.8.18", "python3.12": "3.12.1", "python3.10": "3.10.1"}, "", "py3.12"),
    ({"python3": "3.13.5", "python3.11": "3.11.2"}, "tf215", "py3.11"),
    ({"python3": "3.9.2", "python3.11": "3.11.2"}, "tf221", "py3.11"),
    ({"python3.10": "3.10.1"}, "", "py3.10"),
  ],
)
def test_the_first_python_that_fits_is_taken(machine, pythons, chosen, taken):
  for name, release in pythons.items():
    machine.python(name, release)
  machine.set("TFDAM_STACK", chosen)
  assert f"-{taken}-" in environment.environment()


def test_a_shim_that_starts_no_python_is_passed_over(machine):
  machine.program("python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
  machine.python("python3.12", "3.12.1")
  assert "-py3.12-" in environment.environment()


def test_pythons_that_uv_installs_are_found(machine, tmp_path):
  machine.python("python3", "3.14.0")
  (tmp_path / ".local" / "bin").mkdir(parents=True)
  machine.python("python3.13", "3.13.5", folder=tmp_path / ".local" / "bin")
  assert "-py3.13-" in environment.environment()


@pytest.mark.parametrize(
  ("release", "chosen", "said"),
  [
    ("3.8.18", "", "python3 is Python 3.8.18; expected Python 3.9 to 3.13."),
    ("3.14.0", "", "no release yet; expected Python 3.9 to 3.13. Install one beside it"
     " ('uv python install 3.13'"),
    ("3.13.5", "tf215", "expected Python 3.9 to 3.11 for TFDAM_STACK=tf215. Install one"
     " beside it ('uv python install 3.11'"),
    ("3.9.2", "tf221", "expected Python 3.10 to 3.13 for TFDAM_STACK=tf221."),
  ],
)  # fmt: skip
def test_a_python_that_fits_no_stack_is_told_with_its_remedy(
  machine, release, chosen, said
):
  machine.python("python3", release)
  machine.set("TFDAM_STACK", chosen)
  assert said in machine.refused()


def test_other_mistakes_are_told_with_their_remedies(machine):
  assert "There is no python3; expected Python 3.9 to 3.13." in machine.refused()
  machine.python("python3", "3.12.1", bits=False)
  assert "built for 32 bits" in machine.refused()
  machine.python("python3", "3.12.1")
  machine.set("TFDAM_STACK", "tf216")
  assert machine.refused().startswith("TFDAM_STACK is 'tf216'; expected tf215 or tf221.")
  machine.set("TFDAM_STACK", "")
  machine.set("TFDAM_PYTHON", "python3.99")
  assert machine.refused().startswith("TFDAM_PYTHON is 'python3.99', which is no Python")
  machine.python("python3.8", "3.8.18")
  machine.set("TFDAM_PYTHON", "python3.8")
  assert "python3.8 is Python 3.8.18" in machine.refused()
  machine.set("TFDAM_PYTHON", "")
  blocker = machine.bin.parent / "file"
  blocker.touch()
  machine.set("TFDAM_CACHE", str(blocker))
  assert "Set TFDAM_CACHE to a folder that can" in machine.refused()


@pytest.mark.parametrize(
  ("pip", "said"),
  [
    ("echo 'WARNING: Retrying ... NewConnectionError(...): Name or service not known' >&2;"
     " echo 'ERROR: No matching distribution found for absl-py==2.5.1' >&2; exit 1",
     "The package index https://pypi.org cannot be reached."),
    ("echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left"
     " on device' >&2; exit 1", "and an environment needs 4. Make room there"),
    ("echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.' >&2;"
     " echo '    six==1.17.0 from https://files.example/six.whl' >&2; exit 1",
     "other files than the lock file (six==1.17.0)"),
    ("echo 'ERROR: something else' >&2; exit 3",
     "python failed with exit status 3: ERROR: something else"),
  ],
)  # fmt: skip
def test_nothing_half_made_is_taken_for_whole(machine, pip, said):
  machine.python("python3", "3.13.5", pip=pip)
  assert said in machine.refused()
  assert not [p for p in (machine.cache / "environments").iterdir() if p.is_dir()]
  machine.python("python3", "3.13.5")  # mended
  folder = environment.environment()
  assert (pathlib.Path(folder) / "whole").exists()


def test_what_a_kill_left_behind_is_made_anew(machine):
  machine.python("python3", "3.13.5")
  folder = pathlib.Path(environment.environment())
  (folder / "whole").unlink()
  (folder / "half").touch()
  assert environment.environment() == str(folder)
  assert not (folder / "half").exists()
  # And one whose Python has gone.
  (folder / "bin" / "python").unlink()
  environment.environment()
  assert (folder / "bin" / "python").exists()


def test_a_disk_that_is_too_full_is_told_before_anything_is_fetched(machine, monkeypatch):
  machine.python("python3", "3.13.5")
  monkeypatch.setattr(environment, "free_gb", lambda folder: 1.25)
  assert "has 1.2 GB free, and an environment needs 4" in machine.refused()
  assert not machine.calls()


def test_debians_missing_venv_is_installed_by_apt(machine, monkeypatch):
  monkeypatch.setattr(environment.os, "geteuid", lambda: 0)
  machine.python("python3", "3.13.5", venv=False)
  machine.program("apt-get", 'echo "-m apt-get $@" >> "$LOG"')
  environment.environment()
  assert "-m apt-get -qq install -y python3.13-venv" in machine.calls()
  # A Python that has it comes first.
  machine.python("python3.12", "3.12.3")
  assert "-py3.12-" in environment.environment()


def test_without_sudo_and_without_root_it_says_what_to_install(machine, monkeypatch):
  monkeypatch.setattr(environment.os, "geteuid", lambda: 1000)
  machine.python("python3", "3.13.5", venv=False)
  machine.program("apt-get", "exit 1")
  wanted = "python3 has no venv module: install it (apt-get install python3.13-venv)"
  assert wanted in machine.refused()
  machine.program("sudo", 'exec "$@"')  # which fails
  assert "'sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq update' failed" in (
    machine.refused()
  )


def test_of_two_starts_at_once_one_makes_it(machine):
  machine.python("python3", "3.13.5", pip="sleep 1")
  script = [sys.executable, str(PROJECT / "tools" / "environment.py")]
  both = [subprocess.Popen(script, stdout=subprocess.PIPE, text=True) for _ in range(2)]
  folders = {process.communicate()[0].strip() for process in both}
  assert [process.returncode for process in both] == [0, 0]
  assert len(folders) == 1
  assert len([call for call in machine.calls() if call.startswith("-m venv")]) == 1


def bazelw(*arguments):
  return subprocess.run(
    [shutil.which("bash"), str(PROJECT / "bazelw"), *arguments],
    capture_output=True, text=True, check=False,
  )  # fmt: skip


def test_bazelw_hands_bazel_the_environment_and_every_argument(machine):
  machine.python("python3", "3.13.5")
  # Its own script needs a real one.
  machine.program("python3", f'exec {sys.executable} "$@"')
  machine.python("python3.13", "3.13.5")
  machine.set("TFDAM_PYTHON", "python3.13")
  machine.program("bazel", 'echo "$TFDAM_ENVIRONMENT|$@"')
  done = bazelw("run", "//tfdam:train", "--", "--workdir=a b")
  assert done.returncode == 0, done.stderr
  folder, _, rest = done.stdout.strip().partition("|")
  assert os.path.exists(os.path.join(folder, "whole"))
  assert rest == "run //tfdam:train -- --workdir=a b"
  # What needs no environment makes none.
  machine.set("TFDAM_STACK", "nonsense")
  assert bazelw("--batch", "info", "output_base").stdout == "|--batch info output_base\n"


def test_bazelw_takes_a_bazel_below_a_folder_with_a_space(machine):
  (machine.bin / "a b").mkdir()
  machine.program("a b/bazel", 'echo "it was handed $@"')
  machine.set("TFDAM_BAZEL", str(machine.bin / "a b" / "bazel"))
  assert bazelw("info").stdout == "it was handed info\n"


def test_without_a_home_it_says_which_variable_to_set(machine, monkeypatch):
  machine.python("python3", "3.13.5")
  monkeypatch.delenv("TFDAM_CACHE")
  monkeypatch.delenv("HOME")
  monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # KeyError, as of nobody
  monkeypatch.chdir(machine.bin)
  assert "Set HOME, or TFDAM_CACHE to a folder" in machine.refused()
  assert not (machine.bin / "~").exists()


def test_bazelw_stops_at_what_a_user_can_mend_in_one_line(machine):
  machine.program("id", "echo 1000")
  for said in (
    "There is no python3: install Python 3.9 to 3.13.",
    "There is no Bazel: install bazelisk",
  ):
    done = bazelw("test", "//...")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert said in line
    machine.program("python3", f'exec {sys.executable} "$@"')
    machine.python("python3.13", "3.13.5")
    machine.set("TFDAM_PYTHON", "python3.13")
  machine.set("TFDAM_STACK", "tf999")
  done = bazelw("run", "//tfdam:train")
  assert (done.returncode, done.stdout) == (2, "")
  assert done.stderr.startswith("Error: TFDAM_STACK is 'tf999'")
  assert done.stderr.count("\n") == 1


def test_set_up_and_package_know_the_same_stacks():
  assert set(environment.STACKS) == set(stack.STACKS)
  assert environment.STACKS == stack.PYTHONS
  assert max(last for _, last in stack.PYTHONS.values()) == environment.NEWEST


def locked(name):
  """{package: {versions}} of a lock file."""
  found = {}
  for line in (PROJECT / "requirements" / f"{name}.lock").read_text().splitlines():
    if line[:1].isalnum():
      one = requirements.Requirement(line.rstrip(" \\"))
      (pin,) = one.specifier
      assert pin.operator == "=="
      found.setdefault(one.name, set()).add(version.Version(pin.version))
  return found


@pytest.mark.parametrize("name", stack.STACKS)
def test_lock_files_hold_what_pyproject_asks_for(name):
  project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
  pins = locked(name)
  (tensorflow,) = pins["tensorflow"]
  assert str(tensorflow).startswith(f"{stack.STACKS[name]}.")
  for line in project_tools.load("lock").requirements(project, name):
    wanted = requirements.Requirement(line)
    assert wanted.name in pins, line
    # Where Pythons have versions of their own, each line allows at least one.
    assert any(wanted.specifier.contains(v) for v in pins[wanted.name]), line
  # Installed by default on the Pythons that have this stack by default.
  (marker,) = (m for m in project["dependencies"] if m.startswith(f"tfdam[{name}]"))
  for python in ((3, 9), (3, 11), (3, 12), (3, 13)):
    applies = requirements.Requirement(marker).marker.evaluate(
      {"python_version": ".".join(map(str, python))}
    )
    assert applies == (stack.default(python) == name)


def test_every_locked_file_has_a_hash():
  for name in stack.STACKS:
    text = (PROJECT / "requirements" / f"{name}.lock").read_text()
    blocks = re.split(r"\n(?=\w)", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)
