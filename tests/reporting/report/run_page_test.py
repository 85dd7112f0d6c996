"""The report of a run says what the run did, whatever kind of run it was."""

import re

import pytest

from tests import report_materials as made
from tests import synthetic
from tfdam.reporting.report import comparison_page, run_page, scores, sentences

KINDS = {
  "digits": made.digits,
  "streets": made.streets,
  "unlabelled": made.unlabelled,
  "matching only": made.matching_only,
  "own network": made.own_network,
  "hostile": made.hostile,
  "nothing yet": made.material,
}
SUMMARY = [
  "Before and after, class by class", "Confusion matrices", "Scenes",
  "The score over steps", "Losses", "Discriminators",
  "The gap between the domains, layer by layer", "Activations, source against target",
  "How far the weights moved", "How it was made",
]  # fmt: skip
# What a kind of run has nothing to say about.
LEFT_OUT = {
  "digits": {"Scenes"},
  "streets": set(),
  "unlabelled": {"Before and after, class by class", "Confusion matrices", "Scenes"},
  "matching only": {"Scenes", "The score over steps", "Discriminators"},
  "own network": {"Scenes"},
  "hostile": set(),
  "nothing yet": set(SUMMARY[:-1]),
}


def html(material):
  return run_page.page(material).html()


def markup(page):
  """A page without its scripts."""
  return re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.S)


def text(material):
  """What a reader sees outside charts."""
  return " ".join(re.sub(r"<[^>]+>", " ", markup(html(material))).split())


def headings(material):
  return re.findall(r"<h2>(.*?)</h2>", markup(html(material)))


def of_run(material):
  found = scores.Scores(material.results)
  return sentences.of_run(material.config, material.results, found)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_run_has_the_sections_that_it_has_something_for(kind):
  expected = [title for title in SUMMARY if title not in LEFT_OUT[kind]]
  assert headings(KINDS[kind]()) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_no_report_is_heavy(kind):
  assert len(html(KINDS[kind]()).encode()) < 5_000_000


def test_three_sentences_say_what_was_adapted_and_who_gained():
  what, headline, classes = of_run(made.digits())
  assert what == (
    "LeNet, trained on mnist with labels, was adapted to usps without any of its labels:"
    " first matching the moments of every layer, then adversarial matching of fc3 and fc4"
    " for 20 steps."
  )
  assert headline == (
    "On usps's test images the accuracy rose from 60.6 to 72.3 % (11.7 points gained);"
    " matching moments alone gave 60.6 %."
  )
  assert classes == (
    "Of 10 classes 8 gained and 1 lost: class 9 (+76.0), class 3 (+10.0) gained"
    " most and class 4 (\u221219.0) lost most, in points of accuracy."
  )


def test_a_class_without_a_score_neither_gains_nor_loses():
  assert of_run(made.streets())[2] == (
    "Of 2 classes 1 gained and 1 lost: sky (+10.0) gained most and ground (\u221210.0) lost"
    " most, in points of IoU."
  )


def test_gains_and_losses_are_said_in_words_and_signs():
  page = html(made.digits())
  assert (
    '<td class="number gain">\u25b2 +76.0<span class="said"> gained</span></td>' in page
  )
  assert (
    '<td class="number loss">\u25bc \u221219.0<span class="said"> lost</span></td>' in page
  )
  assert '<td class="number faint">= 0.0<span class="said"> unchanged</span></td>' in page


def test_without_labels_it_says_what_is_known():
  _, said = of_run(made.unlabelled())
  assert said == (
    "usps has no labels here, so that nothing was scored; predicted labels are 30 % before"
    " and 10 % after from the source's shares."
  )


def test_a_network_of_a_file_was_not_trained_here():
  assert of_run(made.own_network())[0].startswith("The network of city.keras was adapted")


def test_matching_alone_is_no_adversarial_matching():
  what, headline, _ = of_run(made.matching_only())
  assert what.endswith("labels: matching the moments of every layer.")
  assert "stayed at" in headline


def test_a_run_that_adapted_nothing_says_so():
  config = synthetic.small_config(adapt__steps=0, match__enabled=False)
  whole = made.digits(config=config)
  stages = {"source_only": whole.results["stages"]["source_only"]}
  facts = {**whole.facts, "stages": ["source_only"], "drift": []}
  facts.pop("after")
  alone = whole._replace(results={**whole.results, "stages": stages}, facts=facts)
  first, second = of_run(alone)
  assert first.endswith("was tried on usps, and was not adapted to it.")
  assert second == "On usps's test images its accuracy is 60.6 %."
  assert "not over" not in text(alone)
  assert "How far the weights moved" not in headings(alone)


def test_alarms_stand_above_all():
  whole = made.digits()
  alarms = [{"step": 1000 * i, "what": f"Alarm {i}."} for i in range(1, 8)]
  page = html(whole._replace(results={**whole.results, "alarms": alarms}))
  assert page.index("7 alarms") < page.index("LeNet, trained on")
  assert "<li>Step 7,000: Alarm 7.</li>" in page
  assert "<summary>3 more</summary>" in page


def test_a_run_that_goes_on_says_what_is_missing():
  whole = made.digits()
  stages = dict(list(whole.results["stages"].items())[:1])
  begun = whole._replace(results={**whole.results, "stages": stages}, facts={})
  assert "The run is not over: Gaussian and adapted will follow." in text(begun)


def test_unwatched_runs_have_no_activations():
  whole = made.digits()
  kept = {k: v for k, v in whole.facts.items() if k not in ("taps", "before", "after")}
  found = headings(whole._replace(facts=kept))
  assert "Activations, source against target" not in found
  assert "How far the weights moved" in found


@pytest.mark.parametrize(
  "given",
  [
    ("--config=a.py", "--workdir=runs/x", "--config.seed=3"),
    ("--config=a.py", "--workdir", "runs/x", "--config.seed=3"),
  ],
)
def test_the_command_repeats_the_run_elsewhere(given):
  material = made.digits(run=made.session(*given), path="/data/runs/x y")
  assert run_page.repeating(material) == (
    "python -m tfdam.train --config=a.py \\\n  --config.seed=3 \\\n"
    "  '--workdir=/data/runs/x y-again'"
  )


def test_fields_that_were_set_come_first():
  page = text(made.digits())
  assert page.index("adapt.discriminator_units 32, 32") < page.index("Fields left at")


def test_hostile_names_are_shown_as_they_are():
  page = html(made.hostile())
  assert "{{ 7 * 7 }}" in page  # no template
  assert "\\ud800" in page
  assert "<img src=http" not in markup(page)


def test_scenes_have_a_slider_from_the_first_stage_to_the_last():
  page = html(made.streets())
  assert page.count('<input type="range"') == 2
  assert 'aria-label="How much of source only is seen, in front of adapted"' in page


def test_runs_stand_side_by_side():
  other = made.matching_only()._replace(path="/runs/two")
  page = comparison_page.page([made.digits(), other]).html()
  assert re.findall(r"<h2>(.*?)</h2>", markup(page)) == [
    "Accuracy of every stage", "Class by class", "Curves", "Fields in which they differ"
  ]  # fmt: skip
  assert '<td class="number best">72.30</td>' in page
  assert page.count("</script>") == 3


def test_runs_of_other_tasks_and_names_stand_side_by_side():
  runs = [
    made.digits(path="/a/one"), made.streets(path="/b/one"), made.unlabelled(),
    made.hostile(), made.material(path="/c/empty"),
  ]  # fmt: skip
  page = comparison_page.page(runs).html()
  assert all(name in page for name in ("a/one", "b/one"))
  assert re.findall(r"<h1>(.*?)</h1>", page) == ["5 runs"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_can_stand_beside_itself(kind):
  run = KINDS[kind]()
  assert comparison_page.page([run, run._replace(path="/runs/two")]).html()
