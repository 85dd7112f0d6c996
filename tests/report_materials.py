"""Made-up runs, as a report finds them in their folders."""

import io

import numpy as np
from PIL import Image

from tests import synthetic
from tfdam.reporting.report import facts, run_page

HOSTILE = "</script><script>alert(1)</script><img src=http://x.example/y onerror=z>"
_STAGES = ("source_only", "gaussian", "adapted")
_PER_CLASS = {"classification": "per_class_accuracy", "segmentation": "iou_per_class"}


def material(config=None, results=None, lines=(), facts=None, run=None, path="/runs/one"):
  config = config or synthetic.small_config()
  return run_page.Material(
    path, config, results or {}, run if run is not None else session(), lines, facts or {}
  )


def session(*arguments):
  return {
    "data": {}, "notes": ["a note"],
    "sessions": [{
      "arguments": list(arguments), "devices": ["CPU:0"], "tfdam": "0.1.0",
      "packages": {"tensorflow": "2.15.1"}, "python": "3.11.7", "stack": "tf215",
      "machine": "Linux x86_64, 2 CPUs", "commit": None, "started": "2026-01-01",
    }],
  }  # fmt: skip


def results(classes, by_stage, task="classification"):
  """Scores of the test split.

  Args:
    by_stage: {stage: a fraction a class}.
  """
  headline = "miou" if task == "segmentation" else "accuracy"
  stages = {}
  for stage, values in by_stage.items():
    there = [value for value in values if value is not None]
    scores = {headline: sum(there) / len(there), _PER_CLASS[task]: values, "num_images": 9}
    stages[stage] = {"test": scores}
  return {
    "task": task, "classes": list(classes), "stages": stages, "alarms": [],
    "timing": {"source_steps_per_s": 30.5, "adapt_steps_per_s": None, "seconds": 61.0},
  }  # fmt: skip


def digits(**changes):
  """A classification that went through all stages: 9 gains, 4 loses, 2 stays."""
  classes = [str(i) for i in range(10)]
  before = [0.9, 0.8, 0.7, 0.6, 0.85, 0.5, 0.4, 0.6, 0.7, 0.01]
  after = [0.95, 0.85, 0.7, 0.7, 0.66, 0.6, 0.5, 0.7, 0.8, 0.77]
  by_stage = dict(zip(_STAGES, (before, before, after)))
  return material(**{
    "results": results(classes, by_stage), "lines": lines(), "facts": all_facts(10),
    **changes,
  })  # fmt: skip


def streets(**changes):
  classes = ["sky", "ground", "box"]
  by_stage = dict(zip(_STAGES, ([0.7, 0.5, None], [0.75, 0.4, 0.1], [0.8, 0.4, 0.2])))
  found = all_facts(3)
  found["panels"] = panels(classes)
  return material(**{
    "config": synthetic.scenes_config(), "lines": lines(), "facts": found,
    "results": results(classes, by_stage, "segmentation"), **changes,
  })  # fmt: skip


def unlabelled():
  """A target without labels: nothing is scored."""
  found = {stage: {} for stage in _STAGES}
  watched = {
    stage: {
      "marginal_distance": distance, "classes_predicted": 10, "dead_channels": 0,
      "source_dead_channels": 0, "channels": 100,
    }
    for stage, distance in zip(_STAGES, (0.3, 0.2, 0.1))
  }  # fmt: skip
  facts_found = all_facts(10)
  facts_found["confusion"] = {stage: {} for stage in _STAGES}
  return material(
    results={**results([str(i) for i in range(10)], {}), "stages": found,
             "unlabelled": watched},
    lines=lines(), facts=facts_found,
  )  # fmt: skip


def matching_only():
  config = synthetic.small_config(adapt__steps=0)
  made = digits(config=config)
  stages = dict(list(made.results["stages"].items())[:2])
  found = {**made.facts, "stages": list(stages)}
  found["drift"] = [row for row in found["drift"] if row["stage"] == "gaussian"]
  kept = [line for line in made.lines if line["stage"] != "adapted"]
  return made._replace(results={**made.results, "stages": stages}, facts=found, lines=kept)


def own_network(path="/models/city.keras"):
  """A run of a network from a file, which was not trained here."""
  config = synthetic.small_config(
    model__name="keras", model__path=path, source__steps=0, data__num_classes=10
  )
  made = digits(config=config)
  kept = [line for line in made.lines if line["stage"] != "source_only"]
  return made._replace(lines=kept)


def hostile():
  """Names that would run, load or break something where they are not escaped."""
  names = [HOSTILE, "{{ 7 * 7 }}", "a\"b'c", "@gain", "\u202eabc\ud800", "|x|"]
  values = [[0.5, 0.4, 0.3, 0.2, 0.1, 0.9], [0.6, 0.3, 0.5, 0.2, 0.4, 0.8]]
  by_stage = dict(zip(("source_only", "adapted"), values))
  found = {**all_facts(6), "stages": ["source_only", "adapted"]}
  found["taps"][0]["tap"] = HOSTILE
  found["drift"][0]["layer"] = HOSTILE
  found["panels"] = panels(names)
  made = results(names, by_stage)
  made["alarms"] = [{"step": 3, "what": HOSTILE}]
  return material(results=made, lines=lines(HOSTILE), facts=found, run=session(HOSTILE))


def lines(tap="fc3", count=12):
  """Losses, discriminators and a curve of scores."""
  found = []
  for i in range(1, count + 1):
    found.append(
      {
        "stage": "source_only",
        "phase": "source",
        "step": 10 * i,
        "loss/cross_entropy": 1 / i,
      }
    )
    found.append(
      {"stage": "adapted", "phase": "adapt", "step": 10 * i, "loss/target": 0.5,
       "loss/drift": None if i == 1 else 0.1 * i, f"discriminator/{tap}/accuracy": 0.6,
       "discriminator/fc4/accuracy": 0.5}
    )  # fmt: skip
    found.append(
      {
        "stage": "adapted",
        "phase": "curve",
        "step": 10 * i,
        "metric/test_accuracy": 0.05 * i,
      }
    )
  return found


def all_facts(num_classes):
  """What report.json holds at the end of a run, without panels."""
  rng = np.random.RandomState(0)
  counts = (
    rng.randint(0, 5, (num_classes, num_classes)) + 20 * np.eye(num_classes)
  ).astype(int)
  matrix = {"test": counts.tolist()}
  layers = [_layer(name, i, 0.1 + 0.1 * i) for i, name in enumerate(("conv1", "fc3"))]
  closed = [_layer(name, i, 0.05 + 0.2 * i) for i, name in enumerate(("conv1", "fc3"))]
  channel = {"channel": 3, "before": _histogram(0.4), "after": [_histogram(0.1)]}
  return {
    "version": facts.VERSION, "stages": list(_STAGES), "num_images": 60,
    "confusion": {stage: matrix for stage in _STAGES},
    "drift": [
      {"stage": stage, "layer": layer, "share": 0.1}
      for stage in _STAGES[1:]
      for layer in ("conv1", "fc3")
    ],
    "before": {"layers": layers}, "after": {"layers": closed},
    "taps": [{"tap": "fc3", "channels": [channel]}],
  }  # fmt: skip


def panels(classes):
  def file(colour, kind):
    data = io.BytesIO()
    Image.new("RGB", (48, 32), colour).save(data, kind)
    return facts.encoded(data.getvalue())

  scene = {
    "image": file("grey", "JPEG"), "truth": file("blue", "PNG"),
    "stages": {stage: file("red", "PNG") for stage in _STAGES},
  }  # fmt: skip
  return {
    "classes": list(classes), "colours": [[10, 20, 30]] * len(classes),
    "scenes": [scene] * 2,
  }  # fmt: skip


def _layer(name, depth, bits):
  return {
    "layer": name, "depth": depth, "shape": [8], "channels": 8, "divergence_bits": bits,
    "auc": 0.6, "best_channel": 1, "best_auc": 0.7,
  }  # fmt: skip


def _histogram(bits):
  return {
    "low": 0.0, "high": 2.0, "source": [0.5, 0.3, 0.2], "target": [0.2, 0.3, 0.5],
    "bits": bits,
  }  # fmt: skip
