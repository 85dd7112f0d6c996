"""The report of one run; sections without data are left out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfdam import config as config_lib
from tfdam import runtime
from tfdam.metrics import gap
from tfdam.reporting.report import charts, curves, scores, sentences
from tfdam.reporting.report import facts as facts_lib
from tfdam.reporting.report import page as page_lib
from tfdam.vocabulary import Stage

# The most layers or classes in a chart.
_MOST_ROWS = 40


class Material(NamedTuple):
  """The content of a run folder.

  Attributes:
    path: of the folder.
    config: resolved.
    results: of results.json.
    run: of run.json.
    lines: of metrics.jsonl.
    facts: of report.json.
  """

  path: str
  config: config_lib.Config
  results: Mapping[str, Any]
  run: Mapping[str, Any]
  lines: Sequence[Mapping[str, Any]]
  facts: Mapping[str, Any]

  @property
  def title(self) -> str:
    data = self.config.data
    return f"{data.source} to {data.target}"

  @property
  def subtitle(self) -> str:
    config = self.config
    folder = os.path.basename(self.path)
    return f"{folder}: {config.recipe} {config.method}, seed {config.seed}"


def page(material: Material) -> page_lib.Page:
  """Makes the report of a run."""
  found = scores.Scores(material.results)
  made = page_lib.Page(material.title, material.subtitle)
  _add_summary(made, material, found)
  _add_classes(made, found)
  _add_confusion(made, material, found)
  _add_panels(made, material)
  curves.add(made, material.lines)
  _add_gap(made, material)
  _add_activations(made, material)
  _add_drift(made, material)
  _add_details(made, material)
  return made


def _add_summary(made: page_lib.Page, material: Material, found: scores.Scores) -> None:
  alarms = material.results.get("alarms", [])
  if alarms:
    count = f"{len(alarms)} alarm{'s' if len(alarms) > 1 else ''}"
    said = [f"{_when(alarm['step'])}: {alarm['what']}" for alarm in alarms]
    made.add_alarms(count, said)
  for sentence in sentences.of_run(material.config, material.results, found):
    made.add_lead(sentence)
  to_come = missing(material)
  if to_come:
    made.add_text(f"The run is not over: {sentences.listed(to_come)} will follow.")
  if found.stages:
    made.add_figures([
      page_lib.Figure(
        f"{found.name}, {scores.stage_title(stage)}",
        f"{scores.number(found.headline(stage))} %",
        page_lib.Cell("")
        if stage == found.first
        else scores.cell(
          scores.difference(found.headline(found.first), found.headline(stage))
        ),
      )
      for stage in found.stages
    ])  # fmt: skip
  for note in material.run.get("notes", []):
    made.add_text(f"Note: {note}")


def _when(step: int) -> str:
  return f"Step {step:,}" if step else "Before adaptation"


def missing(material: Material) -> list[str]:
  """Returns the stages that the config asks for and the run has not finished."""
  config = material.config
  wanted = [Stage.SOURCE_ONLY]
  wanted += [Stage.GAUSSIAN] if config.match.enabled else []
  wanted += [Stage.ADAPTED] if config.adapt.steps else []
  there = material.results.get("stages", {})
  return [stage.shown for stage in wanted if stage not in there]


def _add_classes(made: page_lib.Page, found: scores.Scores) -> None:
  classes = found.classes()
  if not classes or not found.stages:
    return
  made.add_section("Before and after, class by class")
  rows = [scores.as_change(row, found.first, found.last) for row in classes]
  there = sorted((r for r in rows if r is not None), key=lambda r: r.before - r.after)
  if found.first != found.last and there:
    made.add_text(
      f"Classes from the largest gain to the largest loss of {found.class_name}, in points;"
      f" {scores.UP} gained, {scores.DOWN} lost."
    )
    ends = [*there[: _MOST_ROWS // 2], *there[-_MOST_ROWS // 2 :]]
    names = (scores.stage_title(found.first), scores.stage_title(found.last))
    made.add_chart(
      charts.changes(
        there if len(there) <= _MOST_ROWS else ends,
        f"{found.class_name}, %",
        names,
        (0, 100),
      ),
      f"{found.class_name} of every class before and after; the table below has the"
      " numbers.",
    )
  folded = f"All {len(classes)} classes" if len(classes) > _MOST_ROWS else ""
  made.add_table(_class_table(found, classes), folded)


def _class_table(
  found: scores.Scores, classes: Sequence[scores.ClassScore]
) -> page_lib.Table:
  """Makes a table with a row per class, a column per stage, and mean scores at the end."""
  stages = list(found.stages)
  change = ["change"] if found.first != found.last else []
  rows: list[list[page_lib.Value]] = []
  for row in classes:
    values = [scores.number(row.by_stage[stage]) for stage in stages]
    rows.append([row.name, *values, *([scores.cell(row.change)] if change else [])])
  feet = {found.name: {stage: found.headline(stage) for stage in stages}}
  feet.update(found.others())
  feet.update({
    f"{found.name}, {part}": by_stage for part, by_stage in found.parts().items()
  })  # fmt: skip
  caption = f"{found.class_name} in percent, of the target's {found.split} images."
  if found.transductive:
    feet[f"{found.name}, training images"] = found.transductive
    caption += " Training images are those that it was adapted to."
  for name, by_stage in feet.items():
    every = [by_stage.get(stage) for stage in stages]
    moved = scores.cell(scores.difference(every[0], every[-1]))
    rows.append([name, *map(scores.number, every), *([moved] if change else [])])
  columns = ["class", *map(scores.stage_title, stages), *change]
  return page_lib.Table(columns, rows, caption[:1].upper() + caption[1:], len(feet))


def _add_confusion(made: page_lib.Page, material: Material, found: scores.Scores) -> None:
  confusion = material.facts.get("confusion", {})
  names = material.results.get("classes", [])
  shown = []
  for stage in dict.fromkeys((found.first, found.last)):
    counts = confusion.get(stage, {}).get(found.split)
    if counts and {len(counts), *map(len, counts)} == {len(names)}:
      title = scores.stage_title(stage)
      alt = f"Confusion matrix, {title}: of every label the share of each prediction."
      shown.append((charts.matrix(counts, names), alt, title))
  if shown:
    made.add_section("Confusion matrices")
    made.add_text(
      "Labels in rows, predictions in columns; a cell is the share of its row, in percent."
      " Right predictions lie on the diagonal."
    )
    made.add_charts(shown, wide=True)


def _add_panels(made: page_lib.Page, material: Material) -> None:
  panels = material.facts.get("panels")
  if not panels or not panels["scenes"]:
    return
  made.add_section("Scenes")
  made.add_text(
    "Move a slider with the mouse or the arrow keys. The label map before is on its left,"
    " the one after on its right."
  )
  named = zip(panels["classes"], panels["colours"])
  made.add_legend([(name, "#{:02x}{:02x}{:02x}".format(*rgb)) for name, rgb in named])
  for number, scene in enumerate(panels["scenes"], start=1):
    stages = scores.ordered(scene["stages"])
    maps = {
      stage: page_lib.Picture(
        facts_lib.decoded(scene["stages"][stage]),
        scores.stage_title(stage),
        f"Scene {number}, labels as predicted, {scores.stage_title(stage)}",
      )
      for stage in stages
    }
    made.add_heading(f"Scene {number}")
    if len(stages) > 1:
      made.add_slider(maps[stages[0]], maps[stages[-1]])
    image = page_lib.Picture(facts_lib.decoded(scene["image"]), "image", f"Scene {number}")
    others = [image]
    if scene["truth"]:
      data = facts_lib.decoded(scene["truth"])
      others.append(page_lib.Picture(data, "truth", f"Scene {number}, true labels"))
    others += [maps[stage] for stage in (stages[1:-1] if len(stages) > 1 else stages)]
    made.add_images(others)


def _add_gap(made: page_lib.Page, material: Material) -> None:
  facts = material.facts
  if not facts.get("before", {}).get("layers"):
    return
  before = gap.Gap.from_json(facts["before"])
  made.add_section("The gap between the domains, layer by layer")
  made.add_text(
    "How much the activations of a layer's channels differ between the two domains: mean"
    " Jensen-Shannon divergence, 0 bits for equal distributions, 1 for disjoint ones."
    f" Measured on {facts.get('num_images', 0):,} images of each domain."
  )
  if "after" not in facts:
    alone = [(row.layer, "", row.divergence_bits) for row in before.rows]
    made.add_chart(charts.bars(alone, "divergence, bits"), "The gap of every layer.")
    return
  closed = gap.Gap.from_json(facts["after"]).closed(before)
  last = scores.stage_title(_last_stage(material))
  rows = [
    charts.Change(
      row.layer, row.before_bits, row.after_bits, *_closing(row.before_bits, row.after_bits)
    )
    for row in closed.rows
    if row.before_bits == row.before_bits and row.after_bits == row.after_bits
  ]
  share = closed.share
  if share == share:
    word = "shrank" if share >= 0 else "grew"
    made.add_text(f"Over all layers the gap {word} by {abs(share):.0%}.")
  names = (scores.stage_title(Stage.SOURCE_ONLY), last)
  made.add_chart(
    charts.changes(rows, "divergence, bits", names),
    "The gap of every layer before and after; the table below has the numbers.",
  )
  table = page_lib.Table(
    ["layer", f"{names[0]}, bits", f"{names[1]}, bits", "closed, %"],
    [
      [
        row["layer"],
        scores.number(row["before_bits"], 3),
        scores.number(row["after_bits"], 3),
        scores.number(scores.percent(row["share"]), 0),
      ]
      for row in closed.table
    ],
    "Even equal domains have a few thousandths of a bit; layers with one location per image"
    " have more.",
  )
  made.add_table(table, "The numbers")


def _last_stage(material: Material) -> str:
  """Returns the stage whose network is "after" in gaps and histograms."""
  return material.facts.get("stages", [Stage.SOURCE_ONLY])[-1]


def _closing(before: float, after: float) -> tuple[str, str]:
  """Returns the text beside a layer, and its tone."""
  change = after - before
  if abs(change) < 5e-4:
    return "= the same", "faint"
  word, tone = ("closed", "gain") if change < 0 else ("grew", "loss")
  share = f" {abs(change) / before:.0%}" if before > 0 else ""
  return f"{word}{share}", tone


def _add_activations(made: page_lib.Page, material: Material) -> None:
  taps = [tap for tap in material.facts.get("taps", []) if tap["channels"]]
  if not taps:
    return
  last = scores.stage_title(_last_stage(material))
  made.add_section("Activations, source against target")
  made.add_text(
    "For each tap, the channels that told the domains apart best before adaptation. The"
    " closer the two outlines are, the less the domains differ. Heights are square roots of"
    " shares."
  )
  made.add_legend([("source", "var(--source)"), ("target", "var(--target)")])
  for tap in taps:
    made.add_heading(tap["tap"])
    shown = []
    for channel in tap["channels"]:
      number = channel["channel"]
      pairs = [(scores.stage_title(Stage.SOURCE_ONLY), channel["before"])]
      pairs += [(last, after) for after in channel["after"]]
      for title, found in pairs:
        bits = "-" if found["bits"] is None else f"{found['bits']:.2f} bit"
        domains = {name: found[name] for name in ("source", "target")}
        chart = charts.histogram(found["low"], found["high"], domains)
        alt = f"Histograms of channel {number} of {tap['tap']}, {title}: {bits} apart."
        shown.append((chart, alt, f"channel {number}, {title}: {bits}"))
    made.add_charts(shown, pairs=_last_stage(material) != Stage.SOURCE_ONLY)


def _add_drift(made: page_lib.Page, material: Material) -> None:
  rows = [row for row in material.facts.get("drift", []) if row["share"] is not None]
  if not rows:
    return
  made.add_section("How far the weights moved")
  made.add_text(
    "Distance of a layer's weights from those of the source network, in percent of the"
    " source weights' norm."
  )
  bars = [
    (row["layer"], scores.stage_title(row["stage"]), 100 * row["share"]) for row in rows
  ]
  layers = list(dict.fromkeys(name for name, _, _ in bars))
  kept = set(layers[:: -(-len(layers) // _MOST_ROWS)])
  made.add_chart(
    charts.bars([bar for bar in bars if bar[0] in kept], "distance, %"),
    "Relative distance of every layer's weights from the source network's.",
  )


def _add_details(made: page_lib.Page, material: Material) -> None:
  made.add_section("How it was made")
  made.add_text("To repeat this run in another folder:")
  made.add_code(repeating(material))
  given, defaults = _fields(material.config)
  made.add_table(
    page_lib.Table(
      ["field", "value", "default"], given, "Fields that differ from defaults."
    )
  )
  made.add_table(page_lib.Table(["field", "value"], defaults), "Fields left at defaults")
  timing = material.results.get("timing", {})
  rates = {
    "training on the source, steps a second": scores.number(
      timing.get("source_steps_per_s")
    ),
    "adaptation, steps a second": scores.number(timing.get("adapt_steps_per_s")),
    "the whole run, seconds": scores.number(timing.get("seconds"), 0),
  }
  made.add_table(
    page_lib.Table(["timing", ""], [[k, v] for k, v in rates.items() if v != "-"])
  )
  sessions = material.run.get("sessions", [])
  if sessions:
    made.add_table(page_lib.Table(["made with", ""], _versions(sessions[-1])))
  if len(sessions) > 1:
    made.add_text(f"It ran in {len(sessions)} sessions; this is the last one.")


def repeating(material: Material) -> str:
  """Returns the command that starts the same run in another folder, one argument a line."""
  sessions = material.run.get("sessions") or [{}]
  given = sessions[0].get("arguments", [])
  kept = _without_workdir(list(map(str, given)) if isinstance(given, list) else [])
  kept.append(f"--workdir={material.path}-again")
  return runtime.command("tfdam.train", " \\\n  ".join(map(shlex.quote, kept)))


def _without_workdir(arguments: Sequence[str]) -> list[str]:
  """Returns the arguments without --workdir=X or --workdir X."""
  kept, is_value = [], False
  for argument in arguments:
    name, equals, _ = argument.partition("=")
    is_flag = name in ("--workdir", "-workdir")
    if not is_flag and not is_value:
      kept.append(argument)
    is_value = is_flag and not equals
  return kept


def _fields(config: config_lib.Config) -> tuple[list[list[str]], list[list[str]]]:
  """Returns rows of the fields that differ from defaults, and of all others."""
  given, others = [], []
  for name, value, default in config_lib.with_defaults(config):
    if value != default:
      given.append([name, _shown(value), _shown(default)])
    else:
      others.append([name, _shown(value)])
  return given, others


def field_values(config: config_lib.Config) -> list[tuple[str, str]]:
  """Returns a config's fields as (name, value), in order."""
  return [(name, _shown(value)) for name, value, _ in config_lib.with_defaults(config)]


def _shown(value: Any) -> str:
  if isinstance(value, (tuple, list)):
    return ", ".join(map(str, value))
  return "(empty)" if value == "" else str(value)


def _versions(session: Mapping[str, Any]) -> list[list[str]]:
  """Returns rows of the versions and devices of a session."""
  rows: list[list[Any]] = [
    [name, session.get(name)]
    for name in ("tfdam", "commit", "started", "python", "stack", "machine")
  ]
  rows.append(["devices", ", ".join(session.get("devices", []))])
  rows += [[name, version] for name, version in session.get("packages", {}).items()]
  return [[name, str(value)] for name, value in rows if value]
