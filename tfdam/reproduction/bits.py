"""Checks whether today's code gives the same bits as older code has recorded.

One seed of each recipe is run again. If its losses and scores are the same to the last
digit, all records of the older code stay valid. TensorFlow is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import logging

from tfdam.reproduction import plan, schedule, worker
from tfdam.reproduction import store as store_lib


def to_check(jobs: Sequence[plan.Job], store: store_lib.Store) -> list[plan.Job]:
  """Returns the first seed's job of each run that only older code has recorded."""
  found: dict[str, plan.Job] = {}
  for job in jobs:
    if store.find(job, old_code=True) and not store.find(job):
      found.setdefault(job.key, job)
  return list(found.values())


def check(scheduler: schedule.Scheduler, slots: Sequence[worker.Slot]) -> None:
  """Runs the scheduler's jobs, and notes which code gives the same bits.

  Older code is accepted only if all of its records that were run again are the same.
  """
  store = scheduler.store
  before = {job: store.find(job, old_code=True) for job in scheduler.jobs}
  scheduler.run(slots, "checking bits")
  same: dict[str, list[str]] = {}
  different: dict[str, list[str]] = {}
  for job, records in before.items():
    now = list(store.find(job).values())
    if not now:
      continue
    for record in records.values():
      verdict = same if record.get("trace") == now[-1].get("trace") else different
      verdict.setdefault(record["code"], []).append(job.name)
  for code, names in different.items():
    logging.warning(
      "Code %s gave other bits in %s: its records are run again. Another kind of machine"
      " also rounds differently.",
      *(code, ", ".join(names)),
    )
  for code in same.keys() - different.keys():
    store.note_same_bits(code, same[code])
    logging.info("Code %s gave the same bits (%s).", code, ", ".join(same[code]))
