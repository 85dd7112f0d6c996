import json
import os

import pytest

from tests.reproduction import made_up
from tfdam import config as config_lib
from tfdam.reproduction import keys
from tfdam.reproduction import store as store_lib


def record(job, source_score=0.7, folder=None, **changes):
  os.makedirs(folder, exist_ok=True)
  with open(os.path.join(folder, "results.json"), "w") as file:
    json.dump(made_up.results(source_score), file)
  return {**store_lib.make(job, folder, 0, "command", 1), **changes}


@pytest.fixture
def store(tmp_path):
  return store_lib.Store(str(tmp_path / "results"))


@pytest.fixture
def folder(tmp_path):
  return str(tmp_path / "run")


def test_what_was_added_is_there_in_another_process(store, folder):
  job = made_up.jobs()[0]
  made = record(job, folder=folder)
  store.add(made)
  again = store_lib.Store(store.path)
  assert again.records() == [json.loads(json.dumps(made))]
  assert list(again.find(job)) == [made["source_network"]]
  assert not again.find(made_up.jobs()[2])  # another seed


def test_records_of_other_code_do_not_count_until_bits_were_compared(store, folder):
  job = made_up.jobs()[0]
  store.add(record(job, folder=folder, code="0123456789ab"))
  assert not store.find(job)
  assert store.find(job, old_code=True)
  store.note_same_bits("0123456789ab", [job.name])
  assert store.find(job)
  assert store_lib.Store(store.path).find(job)


def test_same_bits_go_on_from_code_to_code(store, folder, monkeypatch):
  job = made_up.jobs()[0]
  store.add(record(job, folder=folder, code="first"))
  monkeypatch.setattr(keys, "of_code", lambda: "second")
  store.note_same_bits("first", ["a"])
  monkeypatch.setattr(keys, "of_code", lambda: "third")
  assert not store.find(job)
  store.note_same_bits("second", ["b"])
  assert store.find(job)


def test_a_network_is_known_whatever_a_later_version_adds_to_its_scores(folder):
  results = made_up.results(0.7)
  one = store_lib._network(results)
  for scores in results["stages"]["source_only"].values():
    scores["something_new"] = [1, 2]
  assert store_lib._network(results) == one
  results["stages"]["source_only"]["test"]["accuracy"] += 1e-9
  assert store_lib._network(results) != one


def test_rows_get_records_of_one_source_network(store, folder):
  gam, adda = made_up.jobs(seeds=[0])
  for job, score in ((gam, 0.7), (gam, 0.8), (adda, 0.8)):
    store.add(record(job, score, folder))
  chosen = store.choose([gam, adda])
  scores = [chosen[job]["stages"]["source_only"]["test"]["accuracy"] for job in (gam, adda)]
  assert scores == [0.8, 0.8]


@pytest.mark.parametrize(
  ("content", "words"),
  [
    ('{"version": 2}', "version 2; this tfdam reads version 1"),
    ("{}", "version None"),
    ("{", "is damaged"),
    ('{"version": 1, "name": 3}', "is damaged"),
  ],
)
def test_a_record_that_cannot_be_used_is_named(store, content, words):
  path = os.path.join(store.path, "runs", "x.json")
  os.makedirs(os.path.dirname(path))
  with open(path, "w") as file:
    file.write(content)
  with pytest.raises(config_lib.UserError, match=words) as raised:
    store_lib.Store(store.path)
  assert "x.json" in str(raised.value)


def test_a_folder_without_results_gives_no_record(tmp_path):
  with pytest.raises(config_lib.UserError, match="has not ended"):
    store_lib.make(made_up.jobs()[0], str(tmp_path), 0, "", 1)


def test_curves_and_bits_are_read_from_the_metrics(folder):
  job = made_up.jobs()[0]
  before = record(job, folder=folder)
  lines = [
    {"stage": "adapted", "phase": "together", "step": 5, "loss/drift": 0.5},
    {"stage": "adapted", "phase": "curve", "step": 5, "metric/test_accuracy": 0.9},
    {"stage": "adapted", "phase": "watch", "step": 5, "watch/fc3/dead_channels": 2},
  ]
  with open(os.path.join(folder, "metrics.jsonl"), "w") as file:
    file.write("".join(f"{json.dumps(line)}\n" for line in lines) + '{"stage": "ad')
  after = record(job, folder=folder)
  assert after["curves"] == {"test": [[5, 0.9]], "dead/fc3": [[5, 2]]}
  assert after["trace"] != before["trace"]
  assert store_lib.num_steps_done(folder, job.config) == job.config.source.steps + 5


def test_what_a_later_version_adds_to_scores_is_no_other_result(folder, monkeypatch):
  job = made_up.jobs()[0]
  before = record(job, folder=folder)
  plain = made_up.results

  def more(*scores):
    found = plain(*scores)
    found["stages"]["adapted"]["test"]["per_class_images"] = [3, 4]
    return found

  monkeypatch.setattr(made_up, "results", more)
  assert record(job, folder=folder)["trace"] == before["trace"]
  assert record(job, 0.71, folder)["trace"] != before["trace"]


def test_lists_of_numbers_stand_on_one_line(store, folder):
  made = record(made_up.jobs()[0], folder=folder)
  made["curves"] = {"test": [[1, 0.5], [2, 0.6]]}
  store.add(made)
  (name,) = os.listdir(os.path.join(store.path, "runs"))
  with open(os.path.join(store.path, "runs", name)) as file:
    assert "[ 1, 0.5 ]" in file.read()
