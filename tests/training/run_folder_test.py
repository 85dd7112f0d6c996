"""Whose run folder it is, before anything is written."""

import json
import math
import os

import pytest
import tensorflow as tf

from tests import synthetic
from tfdam import config as config_lib
from tfdam import stack
from tfdam.training import records, run_folder


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
  with pytest.raises(config_lib.UserError, match="Set --workdir to a folder without"):
    run_folder.RunFolder(str(tmp_path / name / "run"))


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
  assert "not to the bit" in " ".join(text.split())
  assert (then, now) == (f"TensorFlow {tf.__version__}", "TensorFlow 2.99.0")
  versions = [s["packages"]["tensorflow"] for s in folder.read_json("run.json")["sessions"]]
  assert versions == [tf.__version__, tf.__version__, "2.99.0"]
  release(folder)


def test_what_json_has_no_number_for_is_null(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  record = records.Records(folder)
  scores = {"miou": 0.5, "iou_per_class": [0.5, None, math.nan, (math.inf, 2)]}
  folder.write_json("results.json", {"stages": {"gaussian": scores}})
  record.write("gaussian", 3, {"loss/a": math.nan, "loss/b": -math.inf, "loss/c": 1.0}, "p")

  def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")

  for name in ("results.json", "metrics.jsonl"):
    json.loads((tmp_path / name).read_text(), parse_constant=refuse)
  expected = {"miou": 0.5, "iou_per_class": [0.5, None, None, [None, 2]]}
  assert folder.read_json("results.json")["stages"]["gaussian"] == expected
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
  for content, said in (("{", "no JSON file"), ('{"data": 3}', "data is 3")):
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
