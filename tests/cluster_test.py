"""TF_CONFIG: which workers there are, and what is wrong with it."""

import json

import pytest

from tfdam import cluster
from tfdam import config as config_lib

_TWO = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}


def variable(jobs, task_type="worker", index=0):
  return json.dumps({"cluster": jobs, "task": {"type": task_type, "index": index}})


@pytest.mark.parametrize(
  ("jobs", "task", "tasks", "index"),
  [
    (_TWO, ("worker", 1), ("worker:0", "worker:1"), 1),
    ({"chief": ["a:1"], "worker": ["b:1"]}, ("worker", 0), ("chief:0", "worker:0"), 1),
    ({"worker": ["b:1"], "chief": ["a:1"]}, ("chief", 0), ("chief:0", "worker:0"), 0),
  ],
)
def test_the_chief_comes_before_the_workers(monkeypatch, jobs, task, tasks, index):
  monkeypatch.setenv("TF_CONFIG", variable(jobs, *task))
  found = cluster.find(config_lib.Runtime())
  assert (found.tasks, found.index, found.is_chief) == (tasks, index, index == 0)
  assert str(found) == f"{tasks[index]} ({found.addresses[index]})"


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ("{", "TF_CONFIG is no JSON"),
    ("[]", "has no 'cluster'"),
    ("{}", "has no 'cluster'"),
    (json.dumps({"cluster": _TWO}), "has no 'task'"),
    (variable({}), "names no worker in cluster.worker"),
    (variable({"worker": []}), "names no worker in cluster.worker"),
    (variable({"worker": "a:1"}), "expected a list of 'host:port'"),
    (variable({"worker": ["a", "b:1"]}), "'a' in cluster.worker; expected 'host:port'"),
    (variable({"worker": [1, 2]}), "1 in cluster.worker; expected 'host:port'"),
    (variable({"worker": ["a:1", "a:1"]}), "names an address twice"),
    (variable({"worker": ["a:1", "A:1"]}), "names an address twice"),
    (variable({"worker": ["[::1]:1", "[0:0::1]:1"]}), "names an address twice"),
    ("[" * 100_000, "is no JSON"),
    (json.dumps({"cluster": _TWO, "rpc_layer": "x"}), "rpc_layer 'x'; expected 'grpc'"),
    (variable({"chief": ["a:1", "b:1"], **_TWO}), "names 2 chiefs"),
    (
      variable({"ps": ["a:1"], **_TWO}),
      "'ps' in 'cluster'; tfdam trains with chief and worker",
    ),
    (variable(_TWO, index=2), "task index 2, but cluster.worker names 2.*from 0 to 1"),
    (variable(_TWO, index=-1), "task index -1"),
    (variable(_TWO, index="0"), "task index '0'"),
    (variable(_TWO, index=True), "task index True"),
    (variable(_TWO, "evaluator"), "task type 'evaluator'; expected 'worker' or 'chief'"),
    (variable(_TWO, "chief"), "task type 'chief', but names none in cluster.chief"),
  ],
)
def test_what_is_wrong_with_tf_config_is_named(monkeypatch, text, said):
  monkeypatch.setenv("TF_CONFIG", text)
  with pytest.raises(config_lib.UserError, match=said) as caught:
    cluster.find(config_lib.Runtime())
  assert "such as TF_CONFIG='{" in str(caught.value)


@pytest.mark.parametrize(
  "address",
  [
    "grpc://a:1", "http://a:1", "a:0", "a:65536", "a:99999", "a:-1", "a:+1", "a:01",
    "a:1.5", "a:x", "a:", "a", ":1", "", " :1", "a b:1", " a:1", "a:1 ", "a: 1", "a:1\n",
    "a\t:1", "a/b:1", "a@b:1", "a:1:2", "a..b:1", ".a:1", "-a:1", "1.2.3:1", "1.2.3.256:1",
    "5:1", "::1", "::1:2222", "[::1]", "[::1]:", "[]:1", "[a]:1", "[::1:1", "::1]:1",
    "[[::1]]:1", "[1.2.3.4]:1", "\u0661.a:1", "a:\u0661", "b\u00fccher:1", "\ud800:1",
    "a\0:1", "*:1", None, 1, 1.5, True, [], ["a:1"], {},
  ],
)  # fmt: skip
def test_an_address_that_grpc_cannot_use_is_refused_in_a_line(monkeypatch, address):
  monkeypatch.setenv("TF_CONFIG", variable({"worker": ["b:1", address]}))
  with pytest.raises(config_lib.UserError, match="in cluster.worker; expected") as caught:
    cluster.find(config_lib.Runtime())
  assert repr(address) in str(caught.value)
  assert str(caught.value).isprintable()


@pytest.mark.parametrize(
  "address",
  ["a:1", "a-1.b_2.c:65535", "localhost:22", "10.0.0.1:22", "[::1]:1", "[fe80::1%eth0]:1"],
)  # fmt: skip
def test_names_and_both_kinds_of_numbers_are_addresses(monkeypatch, address):
  monkeypatch.setenv("TF_CONFIG", variable({"worker": ["b:1", address]}))
  assert cluster.find(config_lib.Runtime()).addresses == ("b:1", address)


def test_the_example_in_the_message_is_a_right_one(monkeypatch):
  example = cluster._EXAMPLE.partition("=")[2].strip("'")
  monkeypatch.setenv("TF_CONFIG", example)
  assert len(cluster.find(config_lib.Runtime()).addresses) == 2


@pytest.mark.parametrize("text", ["", variable({"worker": ["a:1"]})])
def test_alone_auto_needs_no_cluster_and_multi_worker_says_so(monkeypatch, text):
  monkeypatch.setenv("TF_CONFIG", text)
  assert cluster.find(config_lib.Runtime()) is None
  with pytest.raises(config_lib.UserError, match="runtime.strategy is 'multi_worker'"):
    cluster.find(config_lib.Runtime(strategy="multi_worker"))


@pytest.mark.parametrize("strategy", ["none", "mirrored"])
def test_other_strategies_leave_tf_config_alone(monkeypatch, strategy):
  monkeypatch.setenv("TF_CONFIG", "{")
  assert cluster.find(config_lib.Runtime(strategy=strategy)) is None
