"""Where a program stands: no home folder, a proxy, a reader that has left."""

import json
import os
import pwd
import subprocess
import sys

import pytest

from tests import programs
from tfdam import config as config_lib
from tfdam import runtime
from tfdam.diagnosis import looks
from tfdam.runs import source_cache

_NOBODY = """
import pwd
def of_nobody(number):
  raise KeyError(number)
pwd.getpwuid = of_nobody
"""


_COMMANDS = {
  # As Keras starts, it makes a folder at home.
  "runtime": """
from tfdam import runtime
def main(_):
  import tensorflow as tf
  tf.keras.backend.floatx()
runtime.run(main)
""",
  "client_serving": """
import sys
from export import client_serving
client_serving.main(["--grpc=localhost:1", "--name=a", "--image=../a.png", "--timeout_s=1"])
assert "tensorflow" in sys.modules
""",
}


@pytest.fixture
def homeless(monkeypatch):
  monkeypatch.delenv("HOME")
  monkeypatch.delenv("TFDAM_CACHE", raising=False)
  monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # KeyError


@pytest.mark.parametrize("name", _COMMANDS)
def test_without_a_home_no_folder_of_its_sign_is_made(tmp_path, name):
  (tmp_path / "site").mkdir()
  (tmp_path / "site" / "sitecustomize.py").write_text(_NOBODY)
  (tmp_path / "here").mkdir()
  (tmp_path / "a.png").touch()
  environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}:{runtime.PROJECT}"}
  del environment["HOME"]
  subprocess.run(
    [sys.executable, "-c", _COMMANDS[name]],
    cwd=tmp_path / "here",
    env=environment,
    check=True,
  )
  assert not list((tmp_path / "here").iterdir())


def test_a_reader_that_has_left_ends_a_table_as_any_output():
  program = """
from tfdam import runtime
from tfdam import terminal
def main(_):
  terminal.console().print("a table")
  print("and a line")
runtime.run(main)
"""
  read, write = os.pipe()
  os.close(read)
  done = subprocess.run(
    [sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, check=False,
    env={**os.environ, "PYTHONPATH": runtime.PROJECT},
  )  # fmt: skip
  os.close(write)
  assert (done.returncode, done.stderr) == (141, b"")


def test_workers_meet_past_a_proxy_that_is_not_there():
  program = """
from tfdam import config, runtime
strategy = runtime.start(config.Runtime(), 0)
print(strategy.num_replicas_in_sync)
"""
  workers = []
  for index, addresses in enumerate([programs.free_addresses(2)] * 2):
    task = {"type": "worker", "index": index}
    environment = {
      **os.environ, "PYTHONPATH": runtime.PROJECT,
      "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
      "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
    }  # fmt: skip
    environment.pop("no_proxy", None)
    workers.append(
      subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
      )
    )
  try:
    for worker in workers:
      assert worker.communicate(timeout=programs.TIMEOUT_S)[0] == "2\n"
  finally:
    for worker in workers:
      worker.kill()


def test_without_a_home_a_path_below_it_names_the_variable(homeless, monkeypatch):
  for path in ("~", "~/x"):
    with pytest.raises(config_lib.UserError, match="Set HOME, or give a path without ~"):
      runtime.resolve_path(path)
  assert runtime.resolve_path("/x/~") == "/x/~"
  monkeypatch.setenv("HOME", os.devnull)  # as set_environment leaves it
  with pytest.raises(config_lib.UserError, match="TFDAM_CACHE"):
    runtime.cache_root()


def test_without_a_home_a_run_shares_nothing_and_the_doctor_says_so(homeless, monkeypatch):
  assert source_cache.folder(config_lib.Source(steps=1)) is None
  assert not looks.cache()["writable"]
  monkeypatch.setenv("TFDAM_CACHE", "/x")
  assert source_cache.folder(config_lib.Source(steps=1)) == "/x/source"


def test_a_users_folder_named_configs_does_not_hide_ours(tmp_path):
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs" / "__init__.py").write_text("raise SystemExit('read')")
  done = subprocess.run(
    [sys.executable, "-m", "tfdam.train",
     "--config=configs/digits/mnist_to_usps.py:release", "--config.data.root=/no/such"],
    cwd=tmp_path, capture_output=True, text=True, check=False,
    env={**os.environ, "PYTHONPATH": runtime.PROJECT},
  )  # fmt: skip
  assert done.returncode == 2
  assert "Data sets are missing" in done.stderr


def test_a_users_own_config_file_imports_the_users_configs(tmp_path):
  (tmp_path / "configs").mkdir()
  (tmp_path / "configs" / "__init__.py").write_text("SEED = 'none'")
  (tmp_path / "mine.py").write_text(
    "import configs\ndef get_config(options=None): return {'seed': configs.SEED}"
  )
  done = subprocess.run(
    [sys.executable, "-m", "tfdam.train", "--config=mine.py"],
    cwd=tmp_path, capture_output=True, text=True, check=False,
    env={**os.environ, "PYTHONPATH": runtime.PROJECT},
  )  # fmt: skip
  assert done.returncode == 2
  assert "seed is 'none'" in done.stderr
