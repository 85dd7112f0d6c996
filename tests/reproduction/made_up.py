"""An experiment of two methods, and what its runs would leave."""

import json
import os

from tfdam import experiment as experiment_lib
from tfdam.reproduction import plan, worker

CONFIG = "configs/digits/mnist_to_usps.py"


def experiment(**fields):
  """GAM's three stages and ADDA, which start from one source network a seed."""
  gam, adda = (
    experiment_lib.Run(f"{CONFIG}:release,{name}", fields) for name in ("gam", "adda")
  )
  rows = (
    experiment_lib.Row("none", "No adaptation", _cells(gam, "source_only", "77.8")),
    experiment_lib.Row("adda", "ADDA", _cells(adda, "adapted", "90.2 ± 0.9")),
    experiment_lib.Row("gam", "GAM", _cells(gam, "adapted", "95.7 ± 0.5")),
  )
  table = experiment_lib.Table(
    "digits", "Digits", ("test", "paper"), rows, about="Made up."
  )
  return experiment_lib.Experiment("made_up", "Made up", "", (table,), seeds=2)


def _cells(run, stage, published):
  return {"test": experiment_lib.score(run, stage), "paper": published}


def jobs(seeds=(0, 1), rows=(), **fields):
  return plan.Planner().jobs(experiment(**fields), seeds, rows)


def results(source_score, adapted_score=0.9):
  """Of a run whose source network has this score."""
  return {
    "task": "classification",
    "classes": [str(i) for i in range(10)],
    "stages": {
      "source_only": {"test": {"accuracy": source_score}},
      "adapted": {"test": {"accuracy": adapted_score}},
    },
    "timing": {"source_steps_per_s": 50.0, "adapt_steps_per_s": 25.0},
  }


class FakeWorker:
  """Ends at once: leaves what `outcomes` says of a job's name, or fails.

  `here` is the score of the source networks that are trained on this machine.
  """

  here = 0.7
  failing = ()
  started = ()

  def __init__(self, job, slot, places):
    self.job, self.slot, self.started = job, slot, 0.0
    self.method = job.config.method
    type(self).began.append((self.method, job.seed))
    if self.method not in self.failing:
      folder = places.run(job)
      os.makedirs(os.path.join(folder, "checkpoints"), exist_ok=True)
      with open(os.path.join(folder, "results.json"), "w") as file:
        # Of another target, so that its source network has other scores.
        score = 0.99 if self.method == "supervised" else self.here
        json.dump(results(score), file)
      os.makedirs(places.cache, exist_ok=True)

  def poll(self):
    return self.method not in self.failing

  def stop(self):
    pass

  def wait(self):
    pass

  def reason(self):
    return "it was meant to fail."


def fake_worker(here=0.7, failing=()):
  """A class of workers of its own, for one test."""
  return type("Fake", (FakeWorker,), {"here": here, "failing": failing, "began": []})


SLOTS = [worker.Slot((0,)), worker.Slot((0,))]
