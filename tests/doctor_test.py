"""The doctor: facts of machines that are not this one, then this one."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import onnx
import pytest
from markupsafe import _speedups  # a small library without dependencies of its own

from tests import synthetic
from tfdam import config as config_lib
from tfdam import doctor, runtime, stack
from tfdam.diagnosis import facts as facts_lib
from tfdam.diagnosis import looks, packages, probes
from tfdam.diagnosis import rows as rows_lib

_CPU, _CUDA, _TENSORRT = facts_lib.PROVIDERS
_VERSIONS = {
  "tensorflow": "2.15.1", "keras": "2.15.0", "tensorflow-addons": "0.23.0",
  "tf2onnx": "1.17.0", "onnx": "1.18.0", "onnxruntime-gpu": "1.31.1", "numpy": "1.26.4",
  "protobuf": "4.25.9", "absl-py": "2.3.1",
}  # fmt: skip
# The same machine with the other stack.
_VERSIONS_221 = {
  "tensorflow": "2.21.0", "keras": "3.15.1", "tf-keras": "2.21.0", "tf2onnx": "1.17.0",
  "onnx": "1.23.2", "onnxruntime-gpu": "1.26.0", "numpy": "2.5.5", "protobuf": "7.36.2",
  "absl-py": "2.5.1",
}  # fmt: skip
_TENSORFLOW = {
  "version": "2.15.1", "seconds": 4.0, "gpus": [], "cuda": "12.2", "cudnn": "8",
  "onednn": True,
}  # fmt: skip
_ABSENT = {"error": "Fail: fallback is disabled", "cause": "libcublas.so.13: no such file"}
_CRASHED = {"error": "was ended by SIGSEGV", "crashed": True}
_PROBES = {
  "tensorflow": _TENSORFLOW,
  "addons": {},
  "conversion": {"opset": 17},
  "onnxruntime": {"version": "1.31.1", "cuda": "13.0"},
  _CPU: {"first": _CPU},
  _CUDA: _ABSENT,
  _TENSORRT: _ABSENT,
}
_GPU = "NVIDIA H100, 535.104, 81559 MiB"


def facts(**changes):
  """A machine without a GPU on which everything works, changed; `probes` by step."""
  changed_probes = {**_PROBES, **changes.pop("probes", {})}
  healthy = facts_lib.Facts(
    python=(3, 11, 7),
    stack="tf215",
    machine="x86_64",
    cores=2,
    memory=16 * 10**9,
    instructions=frozenset({"avx", "avx2", "sse"}),
    installed=_VERSIONS,
    pins={name: f"=={version}" for name, version in _VERSIONS.items()},
    probes=changed_probes,
    libraries={},
    gpus=(),
    gpu_error="",
    bazel={
      "program": "/bin/bazel",
      "version": "7.4.1",
      "error": "",
      "named": "",
      "can_install": True,
    },
    data_root="/somewhere/data",
    data_sets={},
    data_error="",
    folders={
      "runs": {"path": "/somewhere/runs", "writable": True, "free": 10**12},
      "cache": {"path": "/somewhere/cache", "writable": True, "free": 0, "size": 5 * 10**6},
    },
    cluster="",
    cluster_error="",
  )
  return dataclasses.replace(healthy, **changes)


def newer(**changes):
  """The same of the stack tf221."""
  pins = {name: f"=={version}" for name, version in _VERSIONS_221.items()}
  versions = {**_VERSIONS_221, **{k.replace("_", "-"): v for k, v in changes.items()}}
  return facts(
    python=(3, 13, 5),
    stack="tf221",
    installed={name: v for name, v in versions.items() if v},
    pins=pins,
  )


def machine_with_gpu(**changes):
  found = facts_lib.tensorflow_libraries(_PROBES)
  found += (*facts_lib.onnxruntime_libraries(_PROBES), facts_lib.DRIVER_LIBRARY)
  seen = {"tensorflow": {**_TENSORFLOW, "gpus": ["NVIDIA H100"]}, _CUDA: {"first": _CUDA}}
  seen.update(changes.pop("probes", {}))
  libraries = {name: "wheel" for name in found}
  return facts(**{"gpus": (_GPU,), "libraries": libraries, "probes": seen, **changes})


def installed(**changes):
  versions = {**_VERSIONS, **{k.replace("_", "-"): v for k, v in changes.items()}}
  return facts(installed={name: v for name, v in versions.items() if v})


def one(rows, section, subject):
  (found,) = [r for r in rows if (r.section, r.subject) == (section, subject)]
  return found


def row(section, subject, on):
  return one(doctor.diagnose(on), section, subject)


def blocked(on):
  return [promise for promise, kept in doctor.can(doctor.diagnose(on)).items() if not kept]


def test_a_machine_on_which_all_works_has_nothing_to_mend():
  rows = doctor.diagnose(facts())
  assert {r.state for r in rows} == {rows_lib.OK, rows_lib.OFF}
  assert doctor.can(rows) == {rows_lib.TRAINING: True, rows_lib.EXPORT: True}
  assert doctor.verdict(rows) == "On this machine training works and export to ONNX works."


def test_no_gpu_is_no_error():
  for section, subject in (("TensorFlow", "GPUs"), ("NVIDIA", "driver")):
    found = row(section, subject, facts())
    assert found.state == rows_lib.OFF
    assert found.found == "none: training and inference use the CPU"


def test_both_onnxruntimes_are_both_taken_away_and_one_is_put_back():
  both = installed(onnxruntime="1.31.1")
  found = row("packages", "onnxruntime, twice", both)
  assert found.state == rows_lib.BROKEN
  assert "pip uninstall -y onnxruntime-gpu onnxruntime &&" in found.remedy
  assert "pip install 'onnxruntime-gpu==1.31.1'" in found.remedy
  assert not blocked(both)  # whether its CPU provider starts is another row


@pytest.mark.parametrize(
  ("package", "version", "reason", "stops"),
  [
    ("onnx", "1.19.0", "pip check does not notice", [rows_lib.EXPORT]),
    ("onnx", "1.20.0rc1", "ml-dtypes", [rows_lib.EXPORT]),
    ("numpy", "2.0.2", "NumPy 1", [*rows_lib.PROMISES]),
    ("protobuf", "5.29.1", "protobuf 4", [*rows_lib.PROMISES]),
    ("keras", "3.4.0", "needs this Keras", [*rows_lib.PROMISES]),
    ("tensorflow", "2.16.1", "tensorflow-addons", [*rows_lib.PROMISES]),
  ],
)
def test_a_version_that_is_known_to_break_is_named_with_its_reason(
  package, version, reason, stops
):
  machine = installed(**{package: version})
  found = row("packages", package, machine)
  assert (found.state, found.found) == (rows_lib.BROKEN, version)
  assert reason in found.remedy
  assert f"pip install '{package}=={_VERSIONS[package]}'" in found.remedy
  assert blocked(machine) == stops


def test_either_stack_is_measured_against_its_own_versions():
  rows = doctor.diagnose(newer())
  assert {r.state for r in rows} == {rows_lib.OK, rows_lib.OFF}
  assert "tensorflow-addons" not in {r.subject for r in rows}
  assert one(rows, "Python", "stack").found == "tf221 (TensorFlow 2.21)"
  assert not one(rows, "Python", "stack").remedy  # Python 3.13 has no other
  assert "TFDAM_STACK=tf221" in row("Python", "stack", facts()).remedy
  assert "tf-keras" not in {r.subject for r in doctor.diagnose(facts())}


@pytest.mark.parametrize(
  ("changes", "package"),
  [({"tf_keras": None}, "tf-keras"), ({"tf_keras": "2.20.1"}, "tf-keras"),
   ({"tensorflow": "2.22.0rc0"}, "tensorflow")],
)  # fmt: skip
def test_tensorflow_and_its_keras_2_go_together(changes, package):
  found = row("packages", package, newer(**changes))
  assert found.state in (rows_lib.MISSING, rows_lib.BROKEN)
  assert f"pip install '{package}=={_VERSIONS_221[package]}'" in found.remedy
  assert blocked(newer(**changes)) == [*rows_lib.PROMISES]


def test_a_version_that_is_only_another_is_told_and_stops_nothing():
  machine = installed(absl_py="2.4.0")
  found = row("packages", "absl-py", machine)
  assert found.state == rows_lib.OK
  assert "tried with ==2.3.1" in found.remedy
  assert not blocked(machine)


def test_a_missing_package_is_missing_with_the_version_to_install():
  machine = installed(tensorflow_addons=None)
  found = row("packages", "tensorflow-addons", machine)
  assert found.state == rows_lib.MISSING
  assert found.remedy == "pip install 'tensorflow-addons==0.23.0'."
  assert blocked(machine) == [rows_lib.TRAINING]


def test_a_package_that_this_python_does_without_is_no_row():
  """On Python 3.9 the lock has no tf2onnx; without any pins the rest is still expected."""
  versions = {name: v for name, v in _VERSIONS.items() if name != "tf2onnx"}
  machine = facts(installed=versions, pins={name: "" for name in versions})
  assert "tf2onnx" not in {r.subject for r in doctor.diagnose(machine)}
  unpinned = row("packages", "tf2onnx", dataclasses.replace(machine, pins={}))
  assert unpinned.state == rows_lib.MISSING
  assert unpinned.remedy == "pip install 'tf2onnx>=1.17'."


@pytest.mark.parametrize("name", stack.STACKS)
def test_known_limits_allow_what_the_lock_has(name):
  pins = looks.pins(name)
  limits = packages.LIMITS[name]
  if sys.version_info >= (3, 10):  # tf215 has no tf2onnx on Python 3.9
    assert set(limits) <= set(pins)
  for package in set(limits) & set(pins):
    allowed = limits[package][0]
    assert packages.within(pins[package].removeprefix("=="), allowed), package


def test_without_a_lock_the_ranges_of_the_installed_tfdam_count(tmp_path, monkeypatch):
  wanted = ["onnx<1.19,>=1.17", "keras==2.15.0; python_version < '3'",
            'tensorflow[and-cuda]==2.15.1; extra == "gpu"', "rich"]  # fmt: skip
  monkeypatch.setattr(runtime, "PROJECT", str(tmp_path))
  monkeypatch.setattr(looks.importlib.metadata, "requires", lambda name: wanted)
  assert looks.pins("tf215") == {"onnx": "<1.19,>=1.17"}


def test_metadata_names_the_stacks_as_extras(tmp_path, monkeypatch):
  wanted = ["onnx<1.19; extra == 'tf215'", "onnx>=1.19; extra == 'tf221'", "rich"]
  monkeypatch.setattr(runtime, "PROJECT", str(tmp_path))
  monkeypatch.setattr(looks.importlib.metadata, "requires", lambda name: wanted)
  assert looks.pins("tf215") == {"onnx": "<1.19"}
  assert looks.pins("tf221") == {"onnx": ">=1.19"}


@pytest.mark.parametrize(
  ("changes", "remedy"),
  [
    ({"python": (3, 12, 1)}, "Python 3.9 to 3.11"),
    ({"python": (3, 14, 0), "stack": "tf221"}, "Python 3.10 to 3.13"),
    ({"python": (3, 8, 18)}, "TFDAM_PYTHON"),
    ({"machine": "riscv64"}, "x86-64 and 64-bit Arm"),
  ],
)
def test_a_python_without_wheels_stops_everything(changes, remedy):
  found = row("Python", "version", facts(**changes))
  assert found.state == rows_lib.BROKEN
  assert remedy in found.remedy
  assert blocked(facts(**changes)) == [*rows_lib.PROMISES]


def test_a_processor_without_avx_is_told():
  old = facts(instructions=frozenset({"sse"}))
  assert "AVX" in row("Python", "processor", old).remedy
  assert blocked(old) == [*rows_lib.PROMISES]
  for other in (facts(instructions=frozenset()), facts(machine="aarch64")):
    assert row("Python", "processor", other).state == rows_lib.OK


def test_a_tensorflow_that_crashes_is_a_row_and_nothing_more_is_said_of_it():
  died = facts(probes=dict.fromkeys(("tensorflow", "addons", "conversion"), _CRASHED))
  found = [r for r in doctor.diagnose(died) if r.section == "TensorFlow"]
  assert [(r.subject, r.state) for r in found] == [("starts", rows_lib.BROKEN)]
  assert found[0].found == "was ended by SIGSEGV"
  assert "requirements/tf215.lock" in found[0].remedy
  assert row("ONNX", "CPU provider", died).state == rows_lib.OK
  assert blocked(died) == [*rows_lib.PROMISES]


def test_a_conversion_that_fails_stops_export_alone():
  error = "AttributeError: module 'ml_dtypes' has no attribute 'float4_e2m1fn'"
  machine = facts(probes={"conversion": {"error": error}})
  assert row("ONNX", "conversion", machine).found == error
  assert blocked(machine) == [rows_lib.EXPORT]
  old = dataclasses.replace(machine, python=(3, 9, 2))
  assert "Python 3.10 or later" in row("ONNX", "conversion", old).remedy


def test_a_spectral_norm_that_fails_stops_training():
  machine = facts(probes={"addons": {"error": "ModuleNotFoundError: no module"}})
  assert blocked(machine) == [rows_lib.TRAINING]


def test_a_cpu_provider_that_crashes_stops_export_and_a_cuda_one_does_not():
  machine = facts(probes={_CPU: _CRASHED, _CUDA: _CRASHED})
  assert row("ONNX", "CPU provider", machine).found == "was ended by SIGSEGV"
  assert blocked(machine) == [rows_lib.EXPORT]
  cuda = row("ONNX", "CUDA provider", machine)
  assert (cuda.state, cuda.found) == (
    rows_lib.BROKEN,
    "does not start: was ended by SIGSEGV",
  )
  assert not blocked(facts(probes={_CUDA: _CRASHED}))


def test_a_cuda_provider_is_off_without_a_gpu_and_broken_beside_one():
  found = row("ONNX", "CUDA provider", facts())
  assert (found.state, found.found) == (rows_lib.OFF, f"does not start: {_ABSENT['cause']}")
  machine = machine_with_gpu(probes={_CUDA: _ABSENT})
  assert row("ONNX", "CUDA provider", machine).state == rows_lib.BROKEN
  no_build = {"error": "this build of ONNX Runtime has none", "absent": True}
  machine = machine_with_gpu(probes={_CUDA: no_build})
  assert "pip install onnxruntime-gpu" in row("ONNX", "CUDA provider", machine).remedy


def test_everything_of_a_gpu_that_works_is_ok():
  rows = doctor.diagnose(machine_with_gpu())
  for section, subject in (
    ("TensorFlow", "GPUs"), ("TensorFlow", "CUDA libraries"), ("ONNX", "CUDA provider"),
    ("ONNX", "CUDA libraries"), ("NVIDIA", "driver"),
  ):  # fmt: skip
    assert one(rows, section, subject).state == rows_lib.OK, subject
  # TensorRT is an extra.
  assert one(rows, "ONNX", "TensorRT provider").state == rows_lib.OFF


def test_missing_cuda_libraries_are_named_and_matter_beside_a_gpu_alone():
  """The numbers are those that the builds say: CUDA 12 and cuDNN 8, CUDA 13 and cuDNN 9."""
  some = {"libcudart.so.12": "wheel", "libcudart.so.13": "system"}
  machine = machine_with_gpu(libraries=some)
  found = row("TensorFlow", "CUDA libraries", machine)
  assert found.state == rows_lib.MISSING
  assert "found libcudart.so.12; missing libcublas.so.12" in found.found
  assert found.found.endswith("libcudnn.so.8")
  assert ".[gpu]" in found.remedy
  found = row("ONNX", "CUDA libraries", machine)
  assert "CUDA 13.0 and cuDNN 9; found libcudart.so.13; missing libcublas" in found.found
  assert found.found.endswith("libcudnn.so.9")
  assert not blocked(machine)
  assert row("TensorFlow", "CUDA libraries", facts()).state == rows_lib.OFF
  cpu = facts(probes={"tensorflow": {**_TENSORFLOW, "cuda": ""}})
  assert row("TensorFlow", "CUDA libraries", cpu).found == "this build takes no GPU"
  died = row("ONNX", "CUDA libraries", facts(libraries=_CRASHED))
  assert (died.state, "SIGSEGV" in died.found) == (rows_lib.BROKEN, True)


def test_gpus_that_tensorflow_does_not_see_are_told():
  machine = machine_with_gpu(probes={"tensorflow": _TENSORFLOW})
  found = row("TensorFlow", "GPUs", machine)
  assert found.state == rows_lib.BROKEN
  assert "the driver lists 1" in found.found
  assert not blocked(machine)


def test_a_driver_that_fails_is_told():
  machine = facts(gpu_error="Driver/library version mismatch")
  assert "mismatch" in row("NVIDIA", "driver", machine).found
  machine = machine_with_gpu(libraries={})
  assert "libcuda.so.1 cannot be loaded" in row("NVIDIA", "driver", machine).found


@pytest.mark.parametrize(
  ("says", "state"),
  [(True, rows_lib.OK), (False, rows_lib.OFF), (None, rows_lib.OK)],
)
def test_onednn_is_told_as_tensorflow_has_it(says, state):
  machine = facts(probes={"tensorflow": {**_TENSORFLOW, "onednn": says}})
  found = row("TensorFlow", "oneDNN", machine)
  assert found.state == state
  assert ("TF_ENABLE_ONEDNN_OPTS" in found.remedy) == (state == rows_lib.OFF)


@pytest.mark.parametrize(
  ("changes", "state", "found"),
  [
    ({}, rows_lib.OK, "bazel, version 7.4.1"),
    ({"version": "4.2.3+ds-11"}, rows_lib.OK, "bazel, version 4.2.3"),
    ({"version": ""}, rows_lib.OK, "version not known"),
    ({"version": "3.7.2"}, rows_lib.BROKEN, "version 3.7.2"),
    ({"version": "8.0.0rc1"}, rows_lib.BROKEN, "version 8.0.0rc1"),
    ({"version": "9.0.0"}, rows_lib.BROKEN, "version 9.0.0"),
    ({"version": "", "error": "exit status 36"}, rows_lib.BROKEN, "does not start: exit"),
    ({"program": ""}, rows_lib.OFF, "installs Debian's"),
    ({"program": "", "can_install": False}, rows_lib.MISSING, "none"),
    ({"program": "", "named": "nowhere"}, rows_lib.BROKEN, "TFDAM_BAZEL=nowhere"),
  ],
)
def test_bazel_is_what_bazelw_would_take(changes, state, found):
  told = row("Bazel", "./bazelw takes", facts(bazel={**facts().bazel, **changes}))
  assert told.state == state
  assert found in told.found


@pytest.fixture
def programs(tmp_path, monkeypatch):
  """A PATH of these programs alone: {name: what each prints}."""

  def make(**printed):
    for name, text in printed.items():
      path = tmp_path / name.replace("_", "-")
      path.write_text(f"#!/bin/sh\n{text}\n")
      path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path

  monkeypatch.delenv("TFDAM_BAZEL", raising=False)
  return make


def test_bazel_is_looked_for_in_bazelws_order_and_bazelisk_is_not_started(programs):
  folder = programs(bazel="echo bazel 6.5.0")
  assert looks.bazel()["version"] == "6.5.0"
  programs(bazelisk=f"echo started > {folder}/started")
  found = looks.bazel()
  assert os.path.basename(found["program"]) == "bazelisk"
  assert ".bazeliskrc" in found["version"]
  assert not (folder / "started").exists()


def test_bazel_comes_from_tfdam_bazel_if_set(programs, monkeypatch):
  folder = programs(bazel="echo bazel 6.5.0", mine="echo bazel 5.0.0")
  monkeypatch.setenv("TFDAM_BAZEL", "mine")
  assert looks.bazel()["version"] == "5.0.0"
  (folder / "a b").mkdir()
  (folder / "mine").rename(folder / "a b" / "mine")
  monkeypatch.setenv("BUILD_WORKING_DIRECTORY", str(folder))
  for named in ("a b/mine", str(folder / "a b" / "mine")):
    monkeypatch.setenv("TFDAM_BAZEL", named)
    assert looks.bazel()["version"] == "5.0.0"
  monkeypatch.setenv("TFDAM_BAZEL", "nowhere")
  assert (looks.bazel()["program"], looks.bazel()["named"]) == ("", "nowhere")


@pytest.mark.parametrize(
  ("does", "error"),
  [
    ("exit 36", "exit status 36"),
    ("echo 'FATAL: no home' >&2; exit 36", "FATAL: no home"),
    ("kill -9 $$", "exit status -9"),
  ],
)
def test_a_bazel_that_does_not_start_has_no_version(programs, does, error):
  programs(bazel=does)
  found = looks.bazel()
  assert (found["version"], found["error"]) == ("", error)


def test_debians_bazel_is_asked_for_in_its_package(programs):
  programs(bazel="echo bazel no_version", dpkg_query="printf 4.2.3+ds-9")
  assert looks.bazel()["version"] == "4.2.3+ds-9"


def test_nvidia_smi_is_read_or_its_complaint_is(programs):
  programs()
  assert looks.gpus() == ((), "")
  programs(nvidia_smi=f"echo '{_GPU}'; echo '{_GPU}'")
  assert looks.gpus() == ((_GPU, _GPU), "")
  programs(nvidia_smi="echo 'Failed to initialize NVML'; exit 18")
  assert looks.gpus() == ((), "Failed to initialize NVML")


def test_no_folder_of_data_sets_is_no_error():
  found = row("data", "root", facts(data_sets=None))
  assert found.state == rows_lib.OFF
  assert "TFDAM_DATA" in found.remedy


def test_data_sets_are_looked_at_by_their_files_names(tmp_path):
  root = synthetic.write_all(tmp_path / "data")
  os.remove(os.path.join(root, "usps", "zip.test.gz"))
  os.remove(os.path.join(root, "mnist", "train-labels-idx1-ubyte.gz"))
  for part in ("train", "test"):
    os.makedirs(os.path.join(root, "camvid", part))
    os.makedirs(os.path.join(root, "camvid", f"{part}annot"))
  sets, error = looks.data_sets(root)
  assert not error
  missing = {name: found for name, (found, _) in sets.items()}
  assert missing == {"mnist": "train labels", "usps": "images", "svhn": "", "camvid": ""}
  table = doctor.diagnose(facts(data_root=root, data_sets=sets))
  assert one(table, "data", "svhn").state == rows_lib.OK
  usps = one(table, "data", "usps")
  assert usps.state == rows_lib.MISSING
  assert "tfdam.download usps" in usps.remedy
  assert "zip.test.gz" in usps.remedy
  assert "train-labels-idx1-ubyte" in one(table, "data", "mnist").remedy
  assert looks.data_sets(str(tmp_path / "nowhere")) == (None, "")


def test_data_sets_that_cannot_be_imported_are_a_row():
  machine = facts(data_error="ImportError: numpy.core.multiarray")
  assert row("data", "sets", machine).state == rows_lib.BROKEN


def test_runs_need_a_folder_that_can_be_written_and_the_cache_does_not():
  folders = facts().folders
  closed = {name: {**folder, "writable": False} for name, folder in folders.items()}
  assert blocked(facts(folders=closed)) == [rows_lib.TRAINING]
  assert "TFDAM_CACHE" in row("runs", "shared cache", facts(folders=closed)).remedy
  assert not blocked(facts(folders={**closed, "runs": folders["runs"]}))
  full = {**folders, "runs": {**folders["runs"], "free": 10**9}}
  assert "another disk" in row("runs", "folder", facts(folders=full)).remedy


def test_a_folder_is_judged_by_what_is_there_of_it_and_is_not_made(tmp_path):
  place = looks.folder(str(tmp_path / "runs" / "deep"))
  assert place["writable"]
  assert place["free"] > 0
  assert not (tmp_path / "runs").exists()
  (tmp_path / "cache").mkdir()
  (tmp_path / "cache" / "weights").write_bytes(b"12345")
  assert looks.size(str(tmp_path)) == 5


def test_tf_config_is_told_without_addresses_and_stops_training_if_malformed(monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)
  assert looks.cluster() == ("", "")
  workers = {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
             "task": {"type": "worker", "index": 1}}  # fmt: skip
  monkeypatch.setenv("TF_CONFIG", json.dumps(workers))
  assert looks.cluster() == ("2 workers, of which this is worker:1", "")
  monkeypatch.setenv("TF_CONFIG", "{")
  _, error = looks.cluster()
  assert "is no JSON" in error
  assert blocked(facts(cluster_error=error)) == [rows_lib.TRAINING]


def test_the_verdict_names_what_is_in_the_way():
  rows = doctor.diagnose(installed(onnx="1.19.0"))
  said = "training works and export to ONNX cannot work (packages: onnx)"
  assert said in doctor.verdict(rows)


def test_neither_user_nor_home_folder_is_named(monkeypatch):
  monkeypatch.setenv("HOME", "/home/ada")
  monkeypatch.setattr(doctor.getpass, "getuser", lambda: "ada")
  told = doctor.without_names("/home/ada/a.so, /scratch/ada/b, /home/ada.m and /home/ada.")
  assert told == "~/a.so, /scratch/USER/b, /home/ada.m and ~."


def test_a_probe_that_dies_keeps_what_it_said_and_names_the_signal(tmp_path, monkeypatch):
  python = tmp_path / "python"
  python.write_text(
    '#!/bin/sh\necho a library talks\necho \'{"tensorflow": {"gpus": []}}\'\n'
    "echo 'E: Failed to load with error: libx.so: none' >&2\nkill -SEGV $$\n"
  )
  python.chmod(0o755)
  monkeypatch.setattr(sys, "executable", str(python))
  dead = {**_CRASHED, "cause": "libx.so: none"}
  found = probes.run("tensorflow", timeout_s=60.0)
  assert found == {"tensorflow": {"gpus": []}, "addons": dead, "conversion": dead}


def test_a_probe_that_gives_no_answer_is_ended(tmp_path, monkeypatch):
  python = tmp_path / "python"
  python.write_text("#!/bin/sh\nexec sleep 60\n")
  python.chmod(0o755)
  monkeypatch.setattr(sys, "executable", str(python))
  found = probes.run("libraries", timeout_s=0.2)
  assert found["libraries"] == {"error": "gave no answer within 0.2 s", "crashed": True}


def test_a_step_that_raises_is_told_in_a_line_and_the_next_is_tried(monkeypatch, capsys):
  def fail():
    raise RuntimeError("one\n  two " + 400 * "x")

  steps = {"first": fail, "second": lambda: {"fine": 1}}
  monkeypatch.setattr(probes, "PROBES", {"mine": steps})
  probes.main("mine")
  first, second = map(json.loads, capsys.readouterr().out.splitlines())
  assert first["first"]["error"].startswith("RuntimeError: one two x")
  assert len(first["first"]["error"]) < 320
  assert second == {"second": {"fine": 1}}


def test_the_providers_model_is_a_convolution_by_two():
  model = onnx.load_from_string(probes.CONVOLUTION)
  onnx.checker.check_model(model, full_check=True)
  (node,) = model.graph.node
  assert (node.op_type, model.opset_import[0].version) == ("Conv", 17)
  (weight,) = model.graph.initializer
  np.testing.assert_array_equal(
    onnx.numpy_helper.to_array(weight), np.full((1, 1, 1, 1), 2)
  )


def test_libraries_are_found_in_wheels_too_and_missing_ones_are(tmp_path, monkeypatch):
  """A copy of a library under another name stands for NVIDIA's wheels."""
  folder = tmp_path / "nvidia" / "cudart" / "lib"
  folder.mkdir(parents=True)
  (folder / "libmine.so.9").write_bytes(pathlib.Path(_speedups.__file__).read_bytes())
  monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
  found = probes.PROBES["libraries"]["libraries"]("libc.so.6", "libmine.so.9", "libno.so.1")
  assert found == {"libc.so.6": "system", "libmine.so.9": "wheel", "libno.so.1": ""}


@pytest.fixture
def main(monkeypatch):
  """Runs `main` on facts: the exit status."""

  def start(on, json_path=""):
    monkeypatch.setattr(facts_lib, "gather", lambda: on)
    monkeypatch.setattr(doctor, "_JSON", types.SimpleNamespace(value=str(json_path)))
    return doctor.main(["doctor"])

  return start


def test_the_table_is_printed_word_by_word_and_the_verdict_last(main, capsys):
  error = "Fail: [ONNXRuntimeError] : 1 : FAIL"
  assert main(facts(probes={_CPU: {"error": error}})) == 1
  output = capsys.readouterr().out
  assert "[ONNXRuntimeError]" in output  # rich would take it for a style
  assert output.splitlines()[-1].startswith("On this machine training works and export")


def test_json_has_the_rows_and_what_can_be_done(main, tmp_path):
  assert main(facts(), tmp_path / "out.json") == 0
  content = json.loads((tmp_path / "out.json").read_text())
  assert (content["training"], content["export to ONNX"]) == (True, True)
  assert content["rows"][0]["subject"] == "version"
  with pytest.raises(config_lib.UserError, match="cannot be written"):
    main(facts(), tmp_path / "nowhere" / "out.json")


def test_an_argument_is_refused():
  with pytest.raises(config_lib.UserError, match="is no flag"):
    doctor.main(["doctor", "now"])


@pytest.fixture(scope="module")
def here(tmp_path_factory):
  """What the doctor says of this machine: (exit status, output, JSON)."""
  home = tmp_path_factory.mktemp("home")
  synthetic.write_mnist(home / "data")
  environment = {**os.environ, "PYTHONPATH": runtime.PROJECT, "HOME": str(home),
                 "TFDAM_DATA": str(home / "data")}  # fmt: skip
  for name in ("BUILD_WORKING_DIRECTORY", "TFDAM_CACHE", "TF_CONFIG"):
    environment.pop(name, None)
  path = home / "doctor.json"
  done = subprocess.run(
    [sys.executable, "-m", "tfdam.doctor", f"--report={path}"], cwd=home,
    env=environment, capture_output=True, text=True, timeout=600,
  )  # fmt: skip
  assert "Traceback" not in done.stderr
  assert str(home) not in done.stdout + path.read_text()
  return done.returncode, done.stdout, json.loads(path.read_text())


def seen(here, section, subject):
  return one([rows_lib.Row(**values) for values in here[2]["rows"]], section, subject)


def test_on_this_machine_training_and_export_work(here):
  status, output, content = here
  assert status == 0, output
  assert content["training"]
  assert content["export to ONNX"]
  assert output.endswith("On this machine training works and export to ONNX works.\n")
  release = re.escape(stack.STACKS[stack.installed()])
  assert re.search(rf"│ +tensorflow +│ ok +│ {release}\.", output)
  for section, subject in (
    ("TensorFlow", "starts"), ("TensorFlow", "oneDNN"), ("ONNX", "conversion"),
    ("ONNX", "CPU provider"), ("data", "mnist"),
  ):  # fmt: skip
    assert seen(here, section, subject).state == rows_lib.OK, subject
  assert seen(here, "data", "root").found == "~/data"
  assert seen(here, "runs", "shared cache").found == "~/.cache/tfdam, 0 MB"


def test_without_a_gpu_cuda_does_not_start_whatever_onnxruntime_lists(here):
  if seen(here, "NVIDIA", "driver").state == rows_lib.OK:
    pytest.skip("this machine has a GPU, and CUDA may start")
  for subject in ("CUDA provider", "TensorRT provider"):
    found = seen(here, "ONNX", subject)
    assert found.state == rows_lib.OFF
    assert found.found.startswith("does not start: ")
