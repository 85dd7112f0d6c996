"""A run leaves its report, and what the report needs from the networks."""

import json
import os

import numpy as np
import pytest

from tests import in_process, synthetic
from tfdam import config as config_lib
from tfdam.runs import run_folder, run_report

WATCHED = {"loop__report": True, "loop__watch_every": 10, "loop__watch_images": 40}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  return synthetic.write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def reported(root, tmp_path_factory):
  """The folder of a whole run with a report."""
  path = tmp_path_factory.mktemp("runs") / "digits"
  in_process.execute(synthetic.small_config(**WATCHED), root, str(path))
  return path


def facts(path):
  return run_folder.RunFolder(str(path)).read_json("report.json")


def page(path):
  return (path / "report.html").read_text(encoding="utf-8")


def test_a_run_ends_with_a_report(reported):
  html = page(reported)
  assert len(html) < 5_000_000
  for title in (
    "Before and after, class by class", "Confusion matrices", "Losses",
    "Discriminators", "The gap between the domains, layer by layer",
    "Activations, source against target", "How far the weights moved", "How it was made",
  ):  # fmt: skip
    assert f"<h2>{title}</h2>" in html


def test_matrices_are_those_of_the_scores(reported):
  results = json.loads((reported / "results.json").read_text())
  confusion = facts(reported)["confusion"]
  for stage, scores in results["stages"].items():
    for split, found in scores.items():
      counts = np.array(confusion[stage][split])
      assert counts.sum() == found["num_images"]
      assert np.trace(counts) / counts.sum() == pytest.approx(found["accuracy"], abs=1e-12)


def test_facts_are_of_every_tap_and_site(reported):
  found = facts(reported)
  taps = ["conv1", "conv2", "fc3", "fc4"]
  assert found["stages"] == ["source_only", "gaussian", "adapted"]
  for gap in (found["before"], found["after"]):
    assert [row["layer"] for row in gap["layers"]] == taps
  assert [tap["tap"] for tap in found["taps"]] == ["fc3", "fc4"]
  for tap in found["taps"]:
    for channel in tap["channels"]:
      for histogram in (channel["before"], *channel["after"]):
        # Shares are kept to five digits.
        assert sum(histogram["source"]) == pytest.approx(1.0, abs=1e-3)
        assert sum(histogram["target"]) == pytest.approx(1.0, abs=1e-3)
  drift = {(row["stage"], row["layer"]): row["share"] for row in found["drift"]}
  assert set(drift) == {(s, tap) for s in ("gaussian", "adapted") for tap in taps}
  for stage in ("gaussian", "adapted"):
    before, after = (in_process.weights(str(reported), s) for s in ("source_only", stage))
    layer = [n for n in before if "/fc3/" in n and n.startswith("model/")]
    one, other = (np.concatenate([w[n].ravel() for n in layer]) for w in (before, after))
    expected = np.linalg.norm(other - one) / np.linalg.norm(one)
    # float32 weights against a sum in float64.
    assert drift[stage, "fc3"] == pytest.approx(expected, rel=1e-4)


def test_a_report_changes_no_weight(reported, root, tmp_path):
  config = synthetic.small_config(**{**WATCHED, "loop__report": False})
  in_process.execute(config, root, str(tmp_path / "plain"))
  assert not (tmp_path / "plain" / "report.html").exists()
  with_report = in_process.weights(str(reported))
  without = in_process.weights(str(tmp_path / "plain"))
  assert set(with_report) == set(without)
  for name, value in without.items():
    np.testing.assert_array_equal(with_report[name], value)


def test_a_run_started_again_computes_no_fact_again(reported, root):
  before = (reported / "report.json").stat().st_mtime_ns
  (reported / "report.html").unlink()
  in_process.execute(synthetic.small_config(**WATCHED), root, str(reported))
  assert (reported / "report.json").stat().st_mtime_ns == before
  assert "<h2>Losses</h2>" in page(reported)


def test_a_run_replaces_damaged_facts(root, tmp_path):
  config = synthetic.small_config(loop__report=True, adapt__steps=0)
  in_process.execute(config, root, str(tmp_path))
  whole = facts(tmp_path)
  (tmp_path / "report.json").write_text('{"version": 1, "drift": 3}')
  in_process.execute(config, root, str(tmp_path))
  assert facts(tmp_path) == whole
  # Unwatched, it has nothing to say of activations.
  assert "taps" not in whole


@pytest.mark.parametrize(
  ("content", "said"),
  [
    ("{", "damaged"),
    ('{"version": 1, "confusion": [1]}', "damaged .*Expected `object`, got `array`"),
    ('{"version": 2}', "is of version 2; expected 1"),
    ('{"version": 1, "panels": {"classes": [], "colours": [], "scenes": '
     '[{"image": "\\" onerror=x", "truth": "", "stages": {}}]}}',
     "damaged .*matching regex"),
  ],
)  # fmt: skip
def test_facts_that_are_none_are_told(reported, content, said):
  folder = run_folder.RunFolder(str(reported))
  kept = (reported / "report.json").read_bytes()
  (reported / "report.json").write_text(content)
  try:
    with pytest.raises(config_lib.UserError, match=f"report.json .*{said}.*Remove it"):
      run_report.material(folder)
  finally:
    (reported / "report.json").write_bytes(kept)


def test_scenes_are_kept_as_small_pictures(tmp_path):
  config = synthetic.scenes_config(loop__report=True, loop__num_panels=3)
  domains = in_process.scenes_domains(config)
  in_process.execute(config, domains, str(tmp_path))
  panels = facts(tmp_path)["panels"]
  assert panels["classes"] == ["sky", "ground", "box"]
  assert len(panels["scenes"]) == 3
  for scene in panels["scenes"]:
    assert list(scene["stages"]) == ["source_only", "gaussian", "adapted"]
    assert scene["truth"]
  html = page(tmp_path)
  assert html.count('<input type="range"') == 3


def test_a_target_without_labels_has_a_report(root, tmp_path):
  folder = tmp_path / "unlabelled"
  images, labels = synthetic.digits(60, 24)
  for name, arrays in (
    ("render", {"images": images, "labels": labels}),
    ("photo", {"images": images}),
  ):
    os.makedirs(os.path.join(root, name))
    np.savez(os.path.join(root, name, "train.npz"), **arrays)
  config = synthetic.small_config(
    data__source="npz:render", data__target="npz:photo", **WATCHED
  )
  in_process.execute(config, root, str(folder))
  html = page(folder)
  assert "has no labels here, so that nothing was scored; predicted labels are" in html
  assert "<h2>The gap between the domains, layer by layer</h2>" in html
  assert "<h2>Confusion matrices</h2>" not in html
