"""Rounds of the game: fair, repeatable, and what the machine makes of them."""

import numpy as np
import pytest

from tfdam.metrics import source_or_not_rounds as rounds_lib


def numbered(images, locations, channels=1, offset=0.0):
  """Every value tells its image: the image's number, plus a small one by location."""
  image = np.arange(images, dtype=np.float64)[:, None, None] + offset
  place = np.linspace(0.0, 0.5, locations)[None, :, None]
  return np.broadcast_to(image + place, (images, locations, channels))


def noise(seed, shift=0.0, images=20, locations=100, channels=3):
  values = np.random.RandomState(seed).normal(size=(images, locations, channels))
  return values + shift


def sides(round_):
  """{domain, image} of either side's values, where images were `numbered`."""
  return [{int(value) for value in side} for side in (round_.first, round_.second)]


@pytest.mark.parametrize(("locations", "num_images"), [(100, 1), (16, 4), (1, 10)])
def test_sides_show_different_images_of_the_domains_that_they_claim(locations, num_images):
  # 1 location would take 64 images a side; there are 20 of a domain, for both sides.
  taps = {"fc3": (numbered(20, locations), numbered(20, locations, offset=1000))}
  rounds = rounds_lib.deal(taps, 60, seed=1)
  for round_ in rounds:
    first, second = sides(round_)
    assert round_.num_images == len(first) == len(second) == num_images
    assert not first & second
    assert len(round_.first) == len(round_.second) == num_images * locations
    domains = [{image >= 1000 for image in side} for side in (first, second)]
    assert all(len(domain) == 1 for domain in domains)
    assert round_.is_same == (domains[0] == domains[1])
  # Either answer comes up, with each domain on each side.
  starts = {(min(sides(r)[0]) >= 1000, min(sides(r)[1]) >= 1000) for r in rounds}
  assert len(starts) == 4


def test_half_of_many_rounds_are_of_one_domain():
  rounds = rounds_lib.deal({"a": (noise(0), noise(1))}, 400)
  # Three standard deviations of 400 tosses: 30.
  assert abs(sum(round_.is_same for round_ in rounds) - 200) <= 30


def test_the_seed_decides_everything():
  taps = {"a": (noise(0), noise(1)), "b": (noise(2), noise(3))}

  def dealt(seed):
    return [
      (r.tap, r.unit, r.is_same, r.machine_says_same, r.first.tobytes())
      for r in rounds_lib.deal(taps, 8, seed)
    ]

  assert dealt(3) == dealt(3)
  assert dealt(3) != dealt(4)


def test_the_machine_is_always_right_of_domains_far_apart_and_guesses_of_equal_ones():
  apart = rounds_lib.deal({"a": (noise(0), noise(1, shift=10.0))}, 40)
  assert rounds_lib.machine_score(apart) == 40
  equal = rounds_lib.deal({"a": (noise(0), noise(1))}, 400)
  # Three standard deviations of 400 guesses: 30.
  assert abs(rounds_lib.machine_score(equal) - 200) <= 30


def test_dead_units_and_taps_are_not_asked_about():
  alive, dead = noise(0), np.full((20, 100, 3), 2.0)
  mixed = np.concatenate([dead[..., :2], alive[..., :1]], axis=-1)
  taps = {"dead": (dead, dead), "mixed": (mixed, mixed)}
  rounds = rounds_lib.deal(taps, 20)
  assert {(r.tap, r.unit) for r in rounds} == {("mixed", 2)}
  # Two constants that differ tell the domains, and are asked about.
  assert rounds_lib.deal({"a": (dead, dead + 1)}, 1)
  with pytest.raises(ValueError, match="no unit of any tap changes"):
    rounds_lib.deal({"dead": (dead, dead)}, 1)


def test_histograms_of_both_sides_share_their_bins():
  (round_,) = rounds_lib.deal({"a": (noise(0), noise(1))}, 1)
  found = rounds_lib.histograms(round_, 32)
  assert found.source.shape == found.target.shape == (1, 10)  # the root of 100
  assert rounds_lib.histograms(round_, 6).source.shape == (1, 6)
