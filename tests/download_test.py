"""`tfdam.download` against a server in this process: no test needs the internet."""

import dataclasses
import http.server
import os
import re
import subprocess
import sys
import threading

import pytest

from tests import quiet_server, synthetic
from tfdam import config as config_lib
from tfdam import data, runtime
from tfdam.data import downloads


class Server:
  """Serves `files`, {"/set/file": content}; of those in `cut`, the first half alone."""

  def __init__(self):
    self.files, self.cut, self.says_length, self.asked = {}, set(), True, []
    served = self

    class Handler(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
        served.asked.append(self.path)
        content = served.files.get(self.path)
        if content is None:
          self.send_error(404)
          return
        self.send_response(200)
        if served.says_length:
          self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = self.path in served.cut
        self.wfile.write(content[: len(content) // 2] if half else content)

      def log_message(self, *_):
        pass

    self.http = quiet_server.QuietServer(("127.0.0.1", 0), Handler)
    self.url = f"http://127.0.0.1:{self.http.server_port}"
    threading.Thread(target=self.http.serve_forever, daemon=True).start()

  def offer(self, name, folder):
    for file in os.listdir(folder):
      with open(os.path.join(folder, file), "rb") as opened:
        self.files[f"/{name}/{file}"] = opened.read()

  def close(self):
    self.http.shutdown()
    self.http.server_close()


@pytest.fixture
def server(monkeypatch):
  monkeypatch.setenv("no_proxy", "*")
  started = Server()
  yield started
  started.close()


@pytest.fixture
def official(server, tmp_path, monkeypatch):
  """The server has small drawn sets, and the registry takes these for the official ones."""
  there = synthetic.write_all(tmp_path / "server")
  for name in ("mnist", "usps", "svhn"):
    folder = os.path.join(there, name)
    server.offer(name, folder)
    module = data.DATASETS[name]
    drawn = tuple(
      dataclasses.replace(one, md5=one.digest(os.path.join(folder, one.file)))
      for one in module.INFO.downloads
    )
    monkeypatch.setattr(module, "INFO", dataclasses.replace(module.INFO, downloads=drawn))
  return server


def fetch(name, root, server):
  return list(downloads.fetch(name, str(root), server.url))


def refused(name, root, server):
  """The message of a download that must fail and leave no file, hidden ones included."""
  with pytest.raises(config_lib.UserError) as caught:
    fetch(name, root, server)
  assert [path for path in root.rglob("*") if path.is_file()] == []
  assert not list((root / name).iterdir())
  return str(caught.value)


def start(*arguments):
  environment = {**os.environ, "PYTHONPATH": runtime.PROJECT}
  environment.pop("BUILD_WORKING_DIRECTORY", None)
  done = subprocess.run(
    [sys.executable, "-m", "tfdam.download", *map(str, arguments)],
    env=environment, capture_output=True, text=True, timeout=600,
  )  # fmt: skip
  return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["mnist", "usps", "svhn"])
def test_a_whole_set_arrives_byte_for_byte_and_loads(official, tmp_path, name):
  root = tmp_path / "data"
  lines = fetch(name, root, official)
  files = {path.name: path.read_bytes() for path in (root / name).iterdir()}
  assert files == {
    path.rpartition("/")[2]: content
    for path, content in official.files.items()
    if path.startswith(f"/{name}/")
  }
  assert len(lines) == len(files)
  assert all("downloaded, checksum right" in line for line in lines)
  for split in ("train", "test"):
    assert len(data.load(name, split, True, config_lib.Data(), str(root)))


def identity(path):
  """What changes when a file is written; its time of access changes when it is read."""
  status = path.stat()
  return status.st_ino, status.st_size, status.st_mtime_ns


def test_a_file_that_is_there_and_right_is_left_alone(official, tmp_path):
  root = tmp_path / "data"
  fetch("usps", root, official)
  (root / "usps" / "zip.test.gz").unlink()
  kept = identity(root / "usps" / "zip.train.gz")
  official.asked.clear()
  lines = fetch("usps", root, official)
  assert official.asked == ["/usps/zip.test.gz"]
  assert identity(root / "usps" / "zip.train.gz") == kept
  assert "zip.train.gz: already there and right, left alone" in lines[0]
  assert "zip.test.gz: downloaded" in lines[1]


def test_another_file_under_an_official_name_is_refused_untouched(official, tmp_path):
  path = tmp_path / "data" / "svhn" / "train_32x32.mat"
  path.parent.mkdir(parents=True)
  path.write_bytes(b"my own subset")
  with pytest.raises(config_lib.UserError, match="train_32x32.mat is there but is not"):
    fetch("svhn", tmp_path / "data", official)
  assert path.read_bytes() == b"my own subset"
  assert official.asked == []


@pytest.mark.parametrize("name", ["mnist", "usps", "svhn"])
def test_a_wrong_checksum_is_named_and_nothing_kept(server, tmp_path, name):
  """Drawn files are whole and readable, but not the official ones."""
  server.offer(name, os.path.join(synthetic.write_all(tmp_path / "server"), name))
  first = data.DATASETS[name].INFO.downloads[0]
  message = refused(name, tmp_path / "data", server)
  got = first.digest(str(tmp_path / "server" / name / first.file))
  for part in (
    f"{first.file} from {server.url}/{name}/{first.file} is cut off or not the official",
    f"expected MD5 {first.md5} of its {first.covers}, got {got}", "Nothing was kept",
    "--mirror", data.DATASETS[name].INFO.where,
  ):  # fmt: skip
    assert part in message


@pytest.mark.parametrize("says_length", [True, False])
@pytest.mark.parametrize("name", ["mnist", "usps", "svhn"])
def test_a_cut_off_download_leaves_nothing(official, tmp_path, name, says_length):
  first = data.DATASETS[name].INFO.downloads[0]
  official.cut, official.says_length = {f"/{name}/{first.file}"}, says_length
  message = refused(name, tmp_path / "data", official)
  assert f"{official.url}/{name}/{first.file}" in message
  assert "Nothing was kept" in message
  assert ".download-" not in message
  # Once the server is well again, so is the download.
  official.cut = set()
  assert "downloaded" in fetch(name, tmp_path / "data", official)[0]


def test_what_came_before_a_cut_off_file_stays_and_counts(official, tmp_path):
  official.cut = {"/usps/zip.test.gz"}
  with pytest.raises(config_lib.UserError, match="zip.test.gz"):
    fetch("usps", tmp_path / "data", official)
  assert os.listdir(tmp_path / "data" / "usps") == ["zip.train.gz"]
  official.cut = set()
  assert "already there" in fetch("usps", tmp_path / "data", official)[0]


def test_a_page_instead_of_a_file_is_refused(official, tmp_path):
  official.files["/mnist/train-images-idx3-ubyte.gz"] = b"<html>please log in</html>"
  assert "no gzip file" in refused("mnist", tmp_path / "data", official)


def test_a_file_that_the_server_does_not_have(official, tmp_path):
  official.files.clear()
  message = refused("usps", tmp_path / "data", official)
  assert f"could not be downloaded from {official.url}/usps/zip.train.gz" in message
  assert "404" in message
  assert "--mirror" in message


def test_a_refused_connection(server, tmp_path):
  server.close()
  assert "refused" in refused("usps", tmp_path / "data", server)


def test_a_folder_that_cannot_be_written(official, tmp_path):
  (tmp_path / "data").write_text("a file")
  with pytest.raises(config_lib.UserError, match="Cannot write to .*data_root"):
    fetch("usps", tmp_path / "data", official)


def test_without_a_mirror_the_official_places_are_asked(official, tmp_path, monkeypatch):
  module = data.DATASETS["usps"]
  moved = tuple(
    dataclasses.replace(one, url=f"{official.url}/elsewhere/{one.file}")
    for one in module.INFO.downloads
  )
  monkeypatch.setattr(module, "INFO", dataclasses.replace(module.INFO, downloads=moved))
  with pytest.raises(config_lib.UserError, match="404"):
    list(downloads.fetch("usps", str(tmp_path)))
  assert official.asked == ["/elsewhere/zip.train.gz"]


@pytest.mark.parametrize(("names", "said"), [
  ([], "mnist, usps, svhn"),
  (["mnits"], "Did you mean 'mnist'"),
  (["USPS"], "Did you mean 'usps'"),
  (["mnist", "imagenet"], "'imagenet' is no data set that can be downloaded"),
  (["folder"], "'folder' cannot be downloaded (your own"),
  (["npz:parts"], "'npz:parts' cannot be downloaded (your own"),
])  # fmt: skip
def test_a_name_that_cannot_be_downloaded_is_answered_with_those_that_can(names, said):
  with pytest.raises(config_lib.UserError, match="mnist, usps, svhn") as caught:
    downloads.check_names(names)
  assert said in str(caught.value)


@pytest.mark.parametrize(("arguments", "said"), [
  (["mnist", "ups"], "Error: 'ups' is no data set"),
  (["mnist", "--mirror=mirror.example"], "expected a URL that starts with http"),
  (["mnist", "--mirror=http://[::1/"], "expected a URL that starts with http"),
])  # fmt: skip
def test_the_command_ends_with_status_2_and_a_bare_message(tmp_path, arguments, said):
  code, output = start(*arguments, f"--data_root={tmp_path / 'data'}")
  assert code == 2, output
  assert said in output
  assert "Traceback" not in output
  assert not (tmp_path / "data").exists()


def test_the_command_refuses_what_is_not_the_official_file(server, tmp_path):
  server.offer("usps", synthetic.write_usps(tmp_path / "server"))
  code, output = start("usps", f"--mirror={server.url}/", f"--data_root={tmp_path}")
  assert code == 2, output
  assert re.search(r"^Error: zip.train.gz from \S+ is cut off or not the", output, re.M)
  assert "Traceback" not in output
  assert server.asked == ["/usps/zip.train.gz"]


def test_the_command_fetches_the_real_files_from_a_mirror(server, tmp_path):
  there = synthetic.real_data("mnist", "usps")
  for name in ("mnist", "usps"):
    server.offer(name, os.path.join(there, name))
  code, output = start("mnist", "usps", f"--mirror={server.url}", f"--data_root={tmp_path}")
  assert code == 0, output
  assert output.count("downloaded, checksum right") == 6
  assert not set(output) & set("\b\r\x1b")
  options = config_lib.Data(require_canonical=True)
  for name in ("mnist", "usps"):
    assert data.load(name, "train", True, options, str(tmp_path)).notes == ()
