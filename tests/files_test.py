"""Files as users have them: special, unreadable, in circles, on full disks, oddly named."""

import errno
import os
import socket
import subprocess
import sys

import pytest
import tensorflow as tf

from tfdam import config as config_lib
from tfdam import files, runtime


def _pipe(path):
  os.mkfifo(path)


def _socket(path):
  with socket.socket(socket.AF_UNIX) as end:
    end.bind(path)


@pytest.mark.parametrize(
  ("make", "kind"),
  [
    (os.mkdir, "a folder"),
    (_pipe, "a named pipe"),
    (_socket, "a socket"),
    (lambda path: os.symlink("/dev/zero", path), "a character device"),
  ],
)
def test_what_is_no_file_is_refused_and_never_waited_for(make, kind, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)  # a socket's path is short
  make("x")
  for use in (files.check_regular, files.open_regular):
    with pytest.raises(config_lib.UserError, match=f"x is {kind}; expected a file"):
      use("x")


def test_a_pipe_that_takes_the_files_place_is_never_waited_for(tmp_path, monkeypatch):
  path = tmp_path / "x"
  path.write_bytes(b"whole")
  with files.open_regular(str(path)) as file:
    assert file.read() == b"whole"
  monkeypatch.setattr(files, "check_regular", lambda path: None)
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(config_lib.UserError, match="a named pipe"):
    files.open_regular(str(path))


def test_what_is_not_there_is_for_the_caller_to_say(tmp_path):
  files.check_regular(str(tmp_path / "x"))
  with pytest.raises(FileNotFoundError):
    files.open_regular(str(tmp_path / "x"))
  with pytest.raises(config_lib.UserError, match=r"'a\\x00b' cannot be a path"):
    files.open_regular("a\0b")


def test_every_real_folder_is_walked_once_under_its_own_path(tmp_path):
  for name in ("b/c", "d"):
    (tmp_path / name).mkdir(parents=True)
  (tmp_path / "b" / "c" / "1.png").touch()
  (tmp_path / "0.png").touch()
  (tmp_path / "a").symlink_to("b")  # before it in the order of names
  for name in ("b/up", "b/c/up", "d/up"):
    (tmp_path / name).symlink_to(tmp_path)
  elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
  elsewhere.mkdir()
  (elsewhere / "2.png").touch()
  (tmp_path / "d" / "out").symlink_to(elsewhere)
  walked = {
    os.path.relpath(folder, tmp_path): names for folder, names in files.walk(tmp_path)
  }
  assert walked == {".": ["0.png"], "b": [], "b/c": ["1.png"], "d": [], "d/out": ["2.png"]}


def test_no_link_leads_a_walk_out_to_what_it_lies_in_and_hidden_folders_stay_hidden(
  tmp_path,
):
  for name in ("train/.cache", "test"):
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "a.png").touch()
  (tmp_path / "train" / "up").symlink_to(tmp_path)
  assert [*files.walk(str(tmp_path / "train"))] == [(str(tmp_path / "train"), [])]


def test_whether_it_is_a_folder_may_not_be_known(tmp_path, monkeypatch):
  assert files.is_folder(str(tmp_path))
  (tmp_path / "loop").symlink_to("loop")
  for name in ("loop", "none", "no\0thing"):
    assert not files.is_folder(str(tmp_path / name))
  refused = PermissionError(errno.EACCES, "Permission denied")
  monkeypatch.setattr(os, "stat", lambda path: (_ for _ in ()).throw(refused))
  with pytest.raises(config_lib.UserError, match="a cannot be accessed: Permission denied"):
    files.is_folder("a")


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
  (tmp_path / "in").mkdir()
  listdir = os.listdir

  def refuse(path):
    if str(path).endswith("in"):
      raise PermissionError(errno.EACCES, "Permission denied", path)
    return listdir(path)

  monkeypatch.setattr(os, "listdir", refuse)  # root may list everything
  with pytest.raises(config_lib.UserError, match="in cannot be listed: Permission denied"):
    list(files.walk(str(tmp_path)))
  with pytest.raises(config_lib.UserError, match="cannot be listed: No such file"):
    files.list_folder(str(tmp_path / "none"))


def test_any_name_can_be_shown():
  assert files.shown("Straße 道.png") == "Straße 道.png"
  assert files.shown(os.fsdecode(b"a\xff\n\x1b[2J")) == r"a\xff\n\x1b[2J"
  assert files.shown("\ud800") == r"\ud800"
  files.shown(os.fsdecode(bytes(range(1, 256)))).encode()
  assert files.markup("[red]") == r"\[red]"


def _save_to_a_full_disk():
  # A device on which every write fails as on a full disk.
  tf.io.write_file("/dev/full", "x" * 1_000_000)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_tensorflows_word_of_a_full_disk_is_understood():
  with pytest.raises(tf.errors.OpError) as caught:
    _save_to_a_full_disk()
  said = files.problem(caught.value)
  assert "/dev/full: No space left on device. Make room" in str(said)


def test_problems_of_disks_and_rights_are_told_from_others():
  for error, said in (
    (
      OSError(errno.ENOSPC, "No space left", "/a"),
      "/a: No space left on device. Make room",
    ),
    (OSError(errno.EFBIG, "x", "/a"), "/a: File too large. Raise the limit"),
    (PermissionError(errno.EACCES, "x", b"/\xff"), r"/\xff: Permission denied. Give"),
    (OSError("128 requested and 0 written"), "No space left on device. Make room"),
    (OSError("(errno = 28, error message = 'No space left on device')"), "Make room"),
    (FileNotFoundError(errno.ENOENT, "x", "/a"), "/a: No such file or directory."),
  ):
    assert said in (files.problem(error) or "")
  for error in (ValueError("No space left on device"), OSError("odd"), KeyError("/a")):
    assert files.problem(error) is None
  assert files.problem(tf.errors.ResourceExhaustedError(None, None, "OOM on GPU")) is None


def test_tensorflows_devices_are_taken_for_no_path():
  said = (
    "{{function_node SaveV2_device_/job:localhost/replica:0/task:0/device:CPU:0}}"
    " /my runs/a/state; No space left on device [Op:SaveV2]"
  )
  problem = files.problem(tf.errors.ResourceExhaustedError(None, None, said))
  assert problem.startswith("/my runs/a/state: No space left on device. Make room")


_PROGRAM = """
import os, sys
sys.path.insert(0, {project!r})
from tfdam import runtime
def main(argv):
  {body}
runtime.run(main)
"""


def _run(body, **options):
  return subprocess.run(
    [sys.executable, "-c", _PROGRAM.format(project=runtime.PROJECT, body=body)],
    stderr=subprocess.PIPE, text=True, timeout=600, check=False, **options,
  )  # fmt: skip


@pytest.mark.parametrize(
  ("body", "said"),
  [
    ("open('/no/such/file')", "Error: /no/such/file: No such file or directory."),
    ("raise OSError(28, 'x', '/run/a')", "Error: /run/a: No space left on device. Make"),
    ("raise MemoryError('Unable to allocate 9 TiB')", "Memory ran out (Unable to alloc"),
  ],
)
def test_what_a_system_refuses_is_one_line_of_every_command(body, said):
  ended = _run(body)
  assert ended.returncode == 2
  assert said in ended.stderr
  assert ended.stderr.count("\n") == 1


def test_a_mistake_of_ours_keeps_its_traceback():
  ended = _run("raise ValueError('ours')")
  assert ended.returncode == 1
  assert "Traceback" in ended.stderr


def test_a_reader_that_leaves_ends_the_program_in_silence():
  for body in ("print('x' * 1_000_000)", "print('few')"):
    reading, writing = os.pipe()
    os.close(reading)
    ended = _run(body, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_names_are_printed_on_a_terminal_that_cannot_show_them():
  ended = _run(
    r"print(os.fsdecode(b'stra\xc3\x9fe \xff'))",
    stdout=subprocess.PIPE,
    env={**os.environ, "PYTHONIOENCODING": "ascii"},
  )
  assert (ended.returncode, ended.stdout) == (0, "stra\\xdfe \\udcff\n")
