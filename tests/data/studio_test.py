"""Scenes that other processes draw are those that this one would."""

import os
import select
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from tfdam import runtime
from tfdam.data import studio
from tfdam.streets import scene

_ORDERS = [scene.Order(i % 2 == 1, 10 + i, 20 + i, 48, 72) for i in range(8)]


@pytest.fixture
def two():
  made = studio.Studio(2, few=0)
  yield made
  made.close()


def same(drawn, order):
  return all(map(np.array_equal, drawn, scene.draw(order)))


def test_processes_draw_the_same_bytes_for_many_threads(two):
  wrong = []

  def ask(order):
    if not same(two.draw(order), order):
      wrong.append(order)

  threads = [threading.Thread(target=ask, args=[order]) for order in _ORDERS]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert not wrong
  assert 1 <= len(two._all) <= 2


def test_a_few_scenes_and_one_core_start_no_process():
  few, alone = studio.Studio(2, few=8), studio.Studio(1, few=0)
  for made in (few, alone):
    for order in _ORDERS:
      assert same(made.draw(order), order)
    assert not made._all


def test_a_process_that_ended_leaves_the_drawing_to_this_one(two):
  two.draw(_ORDERS[0])
  for process in two._all:
    process.kill()
    process.wait()
  for order in _ORDERS:
    assert same(two.draw(order), order)
  assert two.num_processes == 0


def test_an_interrupted_order_leaves_no_answer_for_the_next(two, monkeypatch):
  two.draw(_ORDERS[0])
  ask = studio._ask

  def interrupted(process, order):
    process.stdin.write(studio.artist.FORMAT.pack(*order))
    process.stdin.flush()
    raise KeyboardInterrupt

  monkeypatch.setattr(studio, "_ask", interrupted)
  for _ in range(3):  # more often than there are processes
    with pytest.raises(KeyboardInterrupt):
      two.draw(_ORDERS[1])
  monkeypatch.setattr(studio, "_ask", ask)
  assert same(two.draw(_ORDERS[2]), _ORDERS[2])


def test_processes_end_with_the_one_that_started_them():
  code = """
import sys, time
from tfdam.data import studio
from tfdam.streets import scene
made = studio.Studio(2, few=0)
made.draw(scene.Order(False, 1, 2, 48, 72))
print(made._all[0].pid, flush=True)
time.sleep(600)
"""
  with subprocess.Popen(
    [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=runtime.PROJECT, text=True
  ) as parent:
    artist = int(parent.stdout.readline())
    pidfd = os.pidfd_open(artist)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
  poll = select.poll()
  poll.register(pidfd)
  assert poll.poll(60_000), "the process that draws is still there"
  os.close(pidfd)
