"""Describes a run and its result in three plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfdam import config as config_lib
from tfdam import files
from tfdam.reporting.report import scores as scores_lib
from tfdam.vocabulary import Stage

_NETWORKS = {
  "lenet": "LeNet",
  "lenet_bn": "LeNet with batch norms",
  "erfnet": "ERFNet",
  "fcn8s": "FCN8s",
  "lite0_pyramid": "EfficientNet-Lite0 with a head over four depths",
  "vgg16_pyramid": "VGG16 with a head over three depths",
}
# The most taps that a sentence names.
_MOST_TAPS = 6


def of_run(
  config: config_lib.Config, results: Mapping[str, Any], scores: scores_lib.Scores
) -> list[str]:
  """Returns three sentences; fewer if nothing was scored or adapted."""
  sentences = [_what(config, results)]
  if not scores.stages:
    return [*sentences, _unscored(config, results)]
  sentences.append(_headline(config, scores))
  if scores.first != scores.last:
    sentences.append(_classes(scores))
  return sentences


def network_name(config: config_lib.Config) -> str:
  """Returns the network's name for people."""
  if config.model.is_file:
    return f"The network of {files.shown(config.model.path.rstrip('/').split('/')[-1])}"
  name = config.model.name
  return _NETWORKS.get(name, name.upper() if name.startswith("drn") else name)


def listed(names: Sequence[str]) -> str:
  """Joins names as in "one, two and three"."""
  if len(names) < 2:
    return "".join(names)
  return f"{', '.join(names[:-1])} and {names[-1]}"


def _what(config: config_lib.Config, results: Mapping[str, Any]) -> str:
  source, target = (files.shown(name) for name in (config.data.source, config.data.target))
  network = network_name(config)
  if config.source.steps or not config.model.is_file:
    network += f", trained on {source} with labels,"
  ways = []
  if Stage.GAUSSIAN in results.get("stages", {}):
    ways.append("matching the moments of every layer")
  if Stage.ADAPTED in results.get("stages", {}):
    ways.append(_adversarial(config))
  if not ways:
    return f"{network} was tried on {target}, and was not adapted to it."
  how = ways[0] if len(ways) == 1 else f"first {ways[0]}, then {ways[1]}"
  return f"{network} was adapted to {target} without any of its labels: {how}."


def _adversarial(config: config_lib.Config) -> str:
  taps = list(config.adapt.tap_weights)
  if config.adapt.is_joint:
    how = "matching joint distributions"
  elif not config.adapt.has_discriminators:
    how = "training on the source's labels and on estimated shares of classes"
  elif 0 < len(taps) <= _MOST_TAPS and config.adapt.taps != config_lib.AUTO:
    how = f"adversarial matching of {listed([files.shown(tap) for tap in taps])}"
  else:
    how = "adversarial matching"
  return f"{how} for {config.adapt.steps:,} steps"


def _headline(config: config_lib.Config, scores: scores_lib.Scores) -> str:
  first, last = scores.headline(scores.first), scores.headline(scores.last)
  target = files.shown(config.data.target)
  where = f"{target}'s {'test' if scores.split == 'test' else 'training'} images"
  title = scores_lib.stage_title(scores.last)
  number = scores_lib.number
  if scores.first == scores.last:
    return f"On {where} its {scores.name} is {number(first)} %."
  change = scores.change
  if first is None or last is None or change is None:
    return f"On {where} its {scores.name} could not be compared."
  if abs(change) < 0.05:
    said = f"stayed at {number(last)} %"
  else:
    verb, word = ("rose", "gained") if change > 0 else ("fell", "lost")
    points = f"{abs(change):.1f} points {word}"
    said = f"{verb} from {number(first)} to {number(last)} % ({points})"
  sentence = f"On {where} the {scores.name} {said}"
  between = [stage for stage in scores.stages if stage not in (scores.first, scores.last)]
  if between and title == "adapted":
    alone = number(scores.headline(between[-1]))
    sentence += f"; matching moments alone gave {alone} %"
  return f"{sentence}."


def _classes(scores: scores_lib.Scores) -> str:
  classes = [row for row in scores.classes() if row.change is not None]
  gained = sorted((row for row in classes if row.moved > 0), key=lambda row: -row.moved)
  lost = sorted((row for row in classes if row.moved < 0), key=lambda row: row.moved)
  if not gained and not lost:
    return f"None of {len(classes)} classes gained or lost."
  moved = ((gained, "gained"), (lost, "lost"))
  parts = [f"{len(rows) or 'none'} {word}" for rows, word in moved]
  most = [f"{_most(rows)} {word} most" for rows, word in moved if rows]
  points = f", in points of {scores.class_name}"
  return f"Of {len(classes)} classes {listed(parts)}: {' and '.join(most)}{points}."


def _most(rows: Sequence[scores_lib.ClassScore]) -> str:
  shown = [f"{_class(row.name)} ({scores_lib.signed(row.moved)})" for row in rows[:2]]
  return ", ".join(shown)


def _class(name: str) -> str:
  """Returns a class's name for a sentence, where a mere digit would look like a count."""
  return f"class {name}" if name.isdigit() else files.shown(name)


def _unscored(config: config_lib.Config, results: Mapping[str, Any]) -> str:
  target = files.shown(config.data.target)
  sentence = f"{target} has no labels here, so that nothing was scored"
  found = results.get("unlabelled", {})
  distances = {
    stage: scores_lib.percent(found[stage].get("marginal_distance"))
    for stage in scores_lib.ordered(found)
  }
  values = [value for value in distances.values() if value is not None]
  if len(values) > 1:
    said = f"{values[0]:.0f} % before and {values[-1]:.0f} % after"
    sentence += f"; predicted labels are {said} from the source's shares"
  return f"{sentence}."
