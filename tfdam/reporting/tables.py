"""The tables that a run prints at its end."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

import rich.table

from tfdam import files, runtime, terminal
from tfdam.vocabulary import Stage, Task

_SPLITS = ("test", "transductive")
# {column: (split, score)} for segmentation.
_SEGMENTATION = {
  "mIoU": ("test", "miou"),
  "pixel accuracy": ("test", "pixel_accuracy"),
  "class accuracy": ("test", "class_accuracy"),
  "fwIoU": ("test", "fwiou"),
  "transductive mIoU": ("transductive", "miou"),
}


def print_stages(
  stages: Mapping,
  title: str,
  notes: Sequence[str] = (),
  task: str = Task.CLASSIFICATION,
) -> None:
  """Prints scores in percent, stages in rows.

  Columns are the accuracies of the splits. For segmentation they are the scores of the test
  split, and the mean IoU of the images that were adapted to.

  Args:
    stages: {stage: {split: scores}}, as in results.json.
    title: above the table.
    notes: lines below the table.
    task: a Task.
  """
  if task == Task.SEGMENTATION:
    corner, every = "%", _SEGMENTATION
  else:
    corner, every = "accuracy, %", {split: (split, "accuracy") for split in _SPLITS}
  columns = {
    name: (split, score)
    for name, (split, score) in every.items()
    if any(split in scores for scores in stages.values())
  }
  table = rich.table.Table(title=files.shown(title))
  table.add_column(corner, no_wrap=True)
  for name in columns:
    table.add_column(name, justify="right")
  for stage, scores in stages.items():
    values = [scores.get(split, {}).get(s) for split, s in columns.values()]
    table.add_row(_stage_title(stage), *(_percent(value, 2) for value in values))
    for part in _parts(scores):
      found = {split: of.get("parts", {}).get(part, {}) for split, of in scores.items()}
      values = [found.get(split, {}).get(s) for split, s in columns.values()]
      shown = f"  {files.shown(part)}"
      table.add_row(shown, *(_percent(value, 2) for value in values), style="dim")
  if columns:
    terminal.show(table)
  else:
    print(files.shown(title))
    terminal.say("The target has no labels: nothing was scored.")
  for note in notes:
    terminal.say(f"Note: {files.shown(note)}")


def _parts(scores: Mapping) -> list[str]:
  """Returns the targets or sequences that have scores of their own, in order."""
  return list(dict.fromkeys(part for of in scores.values() for part in of.get("parts", {})))


def print_unlabelled(results: Mapping) -> None:
  """Prints measures of each stage's network that need no labels, dimmed.

  Args:
    results: of results.json; "label_free" and "unlabelled" are used.
  """
  watched, free = (results.get(name, {}) for name in ("unlabelled", "label_free"))
  table = rich.table.Table(
    title="without labels, on target images: these do not measure accuracy",
    style="dim",
    row_styles=["dim"],
    header_style="dim",
  )
  table.add_column("", no_wrap=True)
  columns = []
  for stage in results["stages"]:
    table.add_column(_stage_title(stage), justify="right")
    look, scores = watched.get(stage), free.get(stage, {})
    distance = scores.get("marginal_distance", look and look["marginal_distance"])
    columns.append(
      {
        "labels' distance from the source's, %": _percent(distance, 1),
        "entropy, nats": _nats(scores.get("entropy")),
        "information, nats": _nats(scores.get("information")),
        "discriminators right, %": _percent(scores.get("discriminator_accuracy"), 1),
        "classes seen": str(look["classes_predicted"]) if look else "-",
        "dead channels": f"{look['dead_channels']} of {look['channels']}" if look else "-",
      }
    )
  for name in columns[0] if columns else ():
    table.add_row(name, *(column[name] for column in columns))
  terminal.show(table)


def alarm_notes(results: Mapping) -> list[str]:
  """Returns a line for each alarm, before adaptation (at step 0) and during it."""
  notes = []
  for alarm in results.get("alarms", []):
    step = alarm["step"]
    when = f"at step {step} of adaptation" if step else "before adaptation"
    notes.append(f"alarm {when}: {alarm['what']}")
  return notes


def last_step_note(results: Mapping) -> list[str]:
  """Returns the last step's own scores, if the adapted network is a moving average."""
  headline = Task(results["task"]).headline
  shown = ", ".join(
    f"{split} {_percent(scores.get(headline), 2)} %"
    for split, scores in results.get("last_step", {}).items()
  )
  if not shown:
    return []
  return [f"adapted is the moving average of the target; its last step: {shown}"]


def print_classes(
  stages: Mapping,
  split: str,
  class_names: Sequence[str],
  task: str = Task.CLASSIFICATION,
) -> None:
  """Prints each class's accuracy or IoU on one split, one row per class.

  Args:
    stages: {stage: {split: scores}}, each with this split.
    split: "test" or "transductive".
    class_names: in the order of their labels.
    task: a Task.
  """
  is_segmentation = task == Task.SEGMENTATION
  what, score = "accuracy", "per_class_accuracy"
  if is_segmentation:
    what, score = "IoU", "iou_per_class"
  # Stages are columns, because 10 or 19 class names side by side would not fit.
  table = rich.table.Table(title=f"{what} per class, {split}, %")
  table.add_column("", no_wrap=True)
  for stage in stages:
    table.add_column(_stage_title(stage), justify="right")
  every = [scores[split] for scores in stages.values()]
  for name, *values in zip(class_names, *(scores[score] for scores in every)):
    table.add_row(files.shown(name), *(_percent(value, 1) for value in values))
  if is_segmentation:
    table.add_section()
    table.add_row("mean", *(_percent(scores["miou"], 1) for scores in every))
  terminal.show(table)


def _stage_title(stage: str) -> str:
  """Returns a stage's name for people, or its own name if a later version added it."""
  known = stage in [known.value for known in Stage]
  return Stage(stage).shown if known else stage


def _nats(value: float | None) -> str:
  return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None, digits: int) -> str:
  return "-" if value is None else f"{100 * value:.{digits}f}"


def next_command(target: str, workdir: str) -> str:
  """Returns the command that runs `target` on a run folder, for the current folder."""
  return runtime.command(target, f"--workdir={shlex.quote(shown_path(workdir))}")


def shown_path(path: str) -> str:
  """Returns a path as the user would type it in the current folder."""
  here = runtime.resolve_path(".")
  return os.path.relpath(path, here) if path.startswith(here + os.sep) else path
