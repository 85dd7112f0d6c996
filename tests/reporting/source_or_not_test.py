"""Source-or-Not: distances of channels, and the picture of those that tell the most."""

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import synthetic
from tfdam.models import lenet
from tfdam.reporting import drawing, monitor, source_or_not

_BLUE, _ORANGE = source_or_not._COLOURS


def taps(shift=(0.0, 3.0, 1.0), samples=400):
  rng = np.random.RandomState(0)
  source, target = rng.normal(size=(2, samples, len(shift)))
  return {"block04": (source, target + np.array(shift))}


def written(*arguments, **options):
  """Every text that a picture shows, in order."""
  with mock.patch.object(
    drawing.Writing, "at", autospec=True, side_effect=drawing.Writing.at
  ) as at:
    source_or_not.draw(*arguments, **options)
  return [call.args[3] for call in at.call_args_list]


def count(sheet, colour):
  return int((sheet == colour).all(axis=-1).sum())


def test_channels_are_measured_one_by_one():
  found = source_or_not.distances(taps())["block04"]
  assert found.shape == (3,)
  assert found[0] < found[2] < found[1]
  # Sampling noise of 400 samples in 40 bins: 0.035 bits in the mean.
  assert found[0] < 0.07


def test_the_channels_that_differ_most_come_first():
  texts = written(taps(), num_channels=2)
  assert [t for t in texts if t.startswith("channel ")] == ["channel 1", "channel 2"]
  distances = source_or_not.distances(taps())["block04"]
  assert f"{distances[1]:.2f} bit" in texts
  assert f"mean {distances.mean():.3f} bit" in texts
  assert "over 3 channels" in texts


def test_a_channel_that_is_not_finite_comes_last_and_has_no_distance():
  broken = taps()
  broken["block04"][0][:, 1] = np.nan
  texts = written(broken)
  assert [t for t in texts if t.startswith("channel ")][-1] == "channel 1"
  assert "-" in texts


def test_every_tap_has_its_row_in_the_order_given():
  two = {"late": taps()["block04"], "early": taps((1.0,))["block04"]}
  texts = written(two, "a title")
  assert [t for t in texts if t in two] == ["late", "early"]
  assert "over 1 channel" in texts
  assert texts[:3] == ["target", "source", "a title"]
  one = source_or_not.draw({"late": two["late"]})
  both = source_or_not.draw(two)
  assert both.shape[1] == one.shape[1]
  assert both.shape[0] == one.shape[0] + source_or_not._CELL_HEIGHT


def test_distributions_apart_show_both_colours_and_equal_ones_hide_the_first():
  """Equal outlines lie on one another; what is left of blue is in the header."""
  far = source_or_not.draw(taps((9.0,)))
  samples = taps((0.0,))["block04"][0]
  same = source_or_not.draw({"block04": (samples, samples)})
  header = source_or_not._HEADER
  assert count(far[header:], _BLUE) > 300
  assert count(far[header:], _ORANGE) > 300
  assert count(same[header:], _BLUE) == 0
  assert count(same[header:], _ORANGE) > 300


def test_names_of_the_two_distributions_can_be_given():
  assert written(taps(), names=("image 1", "image 2"))[:2] == ["image 2", "image 1"]


def test_nothing_to_draw_is_refused():
  with pytest.raises(ValueError, match="no taps"):
    source_or_not.draw({})
  with pytest.raises(ValueError, match="expected"):
    source_or_not.draw({"fc3": (np.zeros((3, 2)), np.zeros((3, 1)))})


def test_draws_what_the_watch_samples_of_a_network(tmp_path):
  network = lenet.LeNet(10, seed=0)
  probes = []
  for gain in (1.0, 0.4):
    images, _ = synthetic.digits(40, 28, gain=gain)
    batch = tf.constant(images[..., None] / 255.0, tf.float32)
    probes.append(monitor.probe(network, [batch]).samples)
  path = str(tmp_path / "pictures" / "source_or_not.png")
  both = {tap: (probes[0][tap], probes[1][tap]) for tap in network.TAPS}
  source_or_not.activation_histograms(path, both, "digits")
  with Image.open(path) as found:
    height = found.size[1]
  cells = len(network.TAPS) * source_or_not._CELL_HEIGHT
  assert height == source_or_not._HEADER + cells + source_or_not._MARGIN
  # Dimmer digits move every tap more than the noise of their finite number.
  for tap, distances in source_or_not.distances(both).items():
    assert np.nanmax(distances) > 0.1, tap
