"""Whose run folder it is, before anything is written."""

import json
import math
import os

import pytest
import tensorflow as tf

from tests import synthetic
from tfdam import config as config_lib
from tfdam import stack
from tfdam.runs import records, run_folder


def claim(path, config, digests=None):
  folder = run_folder.RunFolder(str(path))
  folder.check(config)
  folder.claim(config, digests or {"source": {"a": "1"}}, ["a note"], ["CPU:0"])
  return folder


def release(folder):
  folder._lock.close()


def test_checking_writes_nothing(tmp_path):
  run_folder.RunFolder(str(tmp_path / "new" / "run")).check(synthetic.small_config())
  assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["town[night]", "a]", "a\\b"])
def test_a_path_that_tensorflow_takes_for_a_pattern_is_refused(tmp_path, name):
  with pytest.raises(config_lib.UserError, match="Set --workdir to a path without"):
    run_folder.RunFolder(str(tmp_path / name / "run"))


@pytest.mark.parametrize(
  ("path", "said"),
  [
    ("/tmp/caf\udce9", r"caf\\xe9 has bytes that are not UTF-8"),
    ("/tmp/" + "n" * 256, "has a name of 256 bytes; expected 255 at most"),
    ("/tmp/" + "\u20ac" * 86, "has a name of 258 bytes"),
    ("/tmp" + "/a" * 1_500, "is 1502 levels deep; expected 200"),
    ("/tmp" + f"/{'n' * 250}" * 15, "has 3769 bytes; expected 3496"),
  ],
)
def test_a_path_that_cannot_hold_a_run_is_refused(path, said):
  with pytest.raises(config_lib.UserError, match=f"{said}.* Set --workdir") as raised:
    run_folder.RunFolder(path)
  assert len(str(raised.value)) < 250


@pytest.mark.parametrize("name", ["config.json", "run.json", "results.json", ".lock"])
def test_a_pipe_or_folder_in_a_files_place_is_told(tmp_path, name):
  config = synthetic.small_config()
  release(claim(tmp_path, config))
  for make, kind in ((os.mkfifo, "a named pipe"), (os.mkdir, "a folder")):
    os.path.lexists(tmp_path / name) and os.remove(tmp_path / name)
    make(tmp_path / name)
    with pytest.raises(config_lib.UserError, match=f"{name} is {kind}"):
      claim(tmp_path, config)


@pytest.mark.parametrize(
  ("name", "content", "said"),
  [
    ("run.json", {"data": {"source": {"a": "1"}}, "notes": []}, "field `sessions`"),
    ("run.json", {"data": [], "notes": [], "sessions": []}, "`object`, got `array`"),
    ("run.json", {"data": {}, "notes": [], "sessions": [{}]}, "field `devices`"),
    ("results.json", {}, "missing required field `task`"),
    ("results.json", [], "Expected `object`, got `array`"),
    ("results.json", {"task": "x", "classes": [], "stages": {}}, "Invalid enum value 'x'"),
    (
      "results.json",
      {"task": "segmentation", "classes": ["a"], "stages": {"adapted": {"test": 3}}},
      "Expected `object`, got `int`",
    ),
    (
      "results.json",
      {
        "task": "segmentation",
        "classes": ["a"],
        "stages": {},
        "label_free": {"adapted": {"entropy": "low"}},
      },
      "Expected `float | null`, got `str`",
    ),
  ],
)
def test_damaged_files_are_told_with_what_mends_them(tmp_path, name, content, said):
  config = synthetic.small_config()
  release(claim(tmp_path, config))
  (tmp_path / name).write_text(json.dumps(content))
  with pytest.raises(config_lib.UserError, match=f"{name} is damaged.*{said}.*[Rr]emove"):
    claim(tmp_path, config)


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
  config = synthetic.small_config()
  release(claim(tmp_path, config))
  session = {"devices": ["CPU:0"], "packages": {"keras": "2.15.0"}}
  run = {"data": {"source": {"a": "1"}}, "notes": [], "sessions": [session]}
  (tmp_path / "run.json").write_text(json.dumps(run))
  scores = '{"accuracy": NaN, "per_class_accuracy": [NaN, 0.5]}'
  (tmp_path / "results.json").write_text(
    '{"task": "classification", "classes": ["0", "1"],'
    f' "stages": {{"source_only": {{"test": {scores}}}}}}}'
  )
  folder = claim(tmp_path, config)
  read = folder.read_json("results.json")["stages"]["source_only"]["test"]
  assert read == {"accuracy": None, "per_class_accuracy": [None, 0.5]}
  release(folder)


def test_claiming_writes_what_the_run_is(tmp_path):
  config = synthetic.small_config()
  folder = claim(tmp_path / "run", config)
  assert folder.read_config() == config
  run = folder.read_json("run.json")
  assert run["notes"] == ["a note"]
  (session,) = run["sessions"]
  assert session["packages"]["tensorflow"] == stack.tensorflow_version()
  assert session["stack"] == stack.installed()
  release(folder)


def test_going_on_with_another_tensorflow_warns_that_bits_may_differ(tmp_path, monkeypatch):
  config = synthetic.small_config()
  release(claim(tmp_path / "run", config))
  said = []
  monkeypatch.setattr(run_folder.logging, "warning", lambda *args: said.append(args))
  release(claim(tmp_path / "run", config))
  assert not said
  monkeypatch.setattr(stack, "tensorflow_version", lambda: "2.99.0")
  folder = claim(tmp_path / "run", config)
  ((text, then, now),) = said
  assert "not bit for bit" in " ".join(text.split())
  assert (then, now) == (f"TensorFlow {tf.__version__}", "TensorFlow 2.99.0")
  versions = [s["packages"]["tensorflow"] for s in folder.read_json("run.json")["sessions"]]
  assert versions == [tf.__version__, tf.__version__, "2.99.0"]
  release(folder)


def test_what_json_has_no_number_for_is_null(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  record = records.Records(folder)
  scores = {"miou": 0.5, "iou_per_class": [0.5, None, math.nan], "new": (math.inf, 2)}
  task = {"task": "segmentation", "classes": ["car", "road"]}
  folder.write_json("results.json", {**task, "stages": {"gaussian": {"test": scores}}})
  record.write("gaussian", 3, {"loss/a": math.nan, "loss/b": -math.inf, "loss/c": 1.0}, "p")

  def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")

  for name in ("results.json", "metrics.jsonl"):
    json.loads((tmp_path / name).read_text(), parse_constant=refuse)
  expected = {"miou": 0.5, "iou_per_class": [0.5, None, None], "new": [None, 2]}
  assert folder.read_json("results.json")["stages"]["gaussian"]["test"] == expected
  [line] = record.read("gaussian", "p")
  assert (line["loss/a"], line["loss/b"], line["loss/c"]) == (None, None, 1.0)


def test_what_a_killed_session_saw_past_its_checkpoint_is_forgotten(tmp_path):
  def steps(name):
    paths = sorted((tmp_path / "summaries" / name).glob("*tfevents*"))
    every = [e for p in paths for e in tf.compat.v1.train.summary_iterator(str(p))]
    assert all(e.file_version for e in every if not e.HasField("summary"))
    return [e.step for e in every if e.HasField("summary")]

  killed = records.Records(run_folder.RunFolder(str(tmp_path)))
  for step in (5, 10, 15):
    killed.write("adapted", step, {"loss/a": 1.0}, "p")
    killed.write_histograms("adapted_target", step, {"fc3": tf.zeros([3])})
    killed.write("adaptation", step, {"loss/a": 1.0}, "p")  # another stage
  # The kill came while an event was written.
  [path] = (tmp_path / "summaries" / "adapted").glob("*tfevents*")
  path.write_bytes(path.read_bytes()[:-3])
  resumed = records.Records(run_folder.RunFolder(str(tmp_path)))
  resumed.forget_after("adapted", 5)
  for step in (10, 15):
    resumed.write("adapted", step, {"loss/a": 2.0}, "p")
  assert steps("adapted") == [5, 10, 15]
  assert steps("adapted_target") == [5]
  assert steps("adaptation") == [5, 10, 15]
  resumed.forget_after("adapted", 10)  # what it has open itself
  resumed.write("adapted", 15, {"loss/a": 2.0}, "p")
  assert sorted(steps("adapted")) == [5, 10, 15]
  resumed.forget_after("adapted", -1)
  assert steps("adapted") == steps("adapted_target") == []


def test_a_second_session_is_added(tmp_path):
  config = synthetic.small_config()
  release(claim(tmp_path, config))
  folder = claim(tmp_path, config)
  assert len(folder.read_json("run.json")["sessions"]) == 2
  release(folder)


def test_another_config_is_refused_with_the_fields(tmp_path):
  release(claim(tmp_path, synthetic.small_config()))
  before = (tmp_path / "config.json").read_text()
  with pytest.raises(config_lib.UserError, match="adapt.steps: 20 there, 21 now"):
    claim(tmp_path, synthetic.small_config(adapt__steps=21))
  assert (tmp_path / "config.json").read_text() == before


def test_fields_that_change_no_result_may_differ(tmp_path):
  release(claim(tmp_path, synthetic.small_config()))
  release(claim(tmp_path, synthetic.small_config(loop__log_every=3, data__root="/other")))


def test_other_data_is_refused(tmp_path):
  release(claim(tmp_path, synthetic.small_config()))
  with pytest.raises(config_lib.UserError, match="begun with other data"):
    claim(tmp_path, synthetic.small_config(), {"source": {"a": "2"}})


def test_labels_to_score_on_may_come_later(tmp_path):
  digests = {"source": {"a": "1"}, "target": {"b": "2"}}
  release(claim(tmp_path, synthetic.small_config(), digests))
  release(claim(tmp_path, synthetic.small_config(), {**digests, "test": {"c": "3"}}))


def test_a_folder_of_something_else_is_refused(tmp_path):
  (tmp_path / "thesis.tex").write_text("precious")
  with pytest.raises(config_lib.UserError, match="not empty and no run folder"):
    claim(tmp_path, synthetic.small_config())
  assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_in_the_way_cannot_be_written_to(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(config_lib.UserError, match="Cannot write to .*--workdir"):
    claim(tmp_path / "file" / "run", synthetic.small_config())


def test_an_unwritable_folder_is_named():
  # /proc takes no folders, not even from root.
  with pytest.raises(config_lib.UserError, match="Cannot write to /proc/run"):
    claim("/proc/run", synthetic.small_config())


def test_two_processes_cannot_share_a_folder(tmp_path):
  first = claim(tmp_path, synthetic.small_config())
  with pytest.raises(config_lib.UserError, match="Another process"):
    claim(tmp_path, synthetic.small_config())
  release(first)


def test_no_run_folder_and_broken_json_are_named(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  with pytest.raises(config_lib.UserError, match="no run folder"):
    folder.read_config()
  for content, said in (("{", "config.json is damaged"), ('{"data": 3}', "data is 3")):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(config_lib.UserError, match=said):
      folder.read_config()


def test_what_a_killed_start_leaves_behind_is_no_hindrance(tmp_path):
  for name in (".lock", "config.json.partial", ".tfdam-probe-1"):
    (tmp_path / name).write_text("")
  folder = claim(tmp_path, synthetic.small_config())
  assert folder.read_config() == synthetic.small_config()
  release(folder)


def test_text_is_replaced_whole(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  folder.write_json("a.json", {"x": 1})
  folder.write_json("a.json", {"x": 2})
  assert json.loads((tmp_path / "a.json").read_text()) == {"x": 2}
  assert os.listdir(tmp_path) == ["a.json"]


def test_what_a_network_says_of_the_config_names_the_file(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  with pytest.raises(config_lib.UserError, match=r"config\.json: model.width is 0.5"):
    with folder.config_explained():
      raise config_lib.UserError("model.width is 0.5, but lenet has no use for it.")
