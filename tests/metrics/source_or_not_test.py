"""The game by machine: against a player who looks at every pair, and known answers."""

import numpy as np
import pytest
import scipy.spatial.distance

from tfdam.metrics import divergence, source_or_not


def activations(seed, images=12, locations=25, channels=3, shift=0.0):
  rng = np.random.RandomState(seed)
  each = 0.5 * rng.normal(size=(images, 1, channels))
  return rng.normal(size=(images, locations, channels)) + each + np.array(shift)


def played_by_hand(source, target, num_bins):
  """The AUC of one unit: [images, locations] a domain, as many locations in both.

  From Sec. 5.1 and the definition of the area: every pair within against every one across.
  """
  both = np.concatenate([source.ravel(), target.ravel()])
  # What `divergence.histograms` leaves out at either end of each domain: 0.5 %.
  ends = [np.sort(x.ravel())[[int(0.005 * x.size), -1 - int(0.005 * x.size)]]
          for x in (source, target)]  # fmt: skip
  low, high = min(e[0] for e in ends), max(e[1] for e in ends)
  assert both.min() <= low < high <= both.max()
  span = (low, high)
  histograms = [
    np.histogram(np.clip(image, *span), num_bins, span)[0] / image.size
    for image in (*source, *target)
  ]
  within, across = [], []
  for i in range(len(histograms)):
    for j in range(i):
      bits = scipy.spatial.distance.jensenshannon(histograms[i], histograms[j], base=2) ** 2
      same = (i < len(source)) == (j < len(source))
      (within if same else across).append(bits)
  wins = 0.0
  for higher in across:
    for lower in within:
      # A square root and a square between them.
      wins += 0.5 if abs(higher - lower) < 1e-9 else float(higher > lower)
  return wins / (len(across) * len(within))


@pytest.mark.parametrize(
  ("images", "num_bins", "locations"), [((5, 5), 2, 1), ((4, 7), 2, 6), ((6, 3), 5, 25)]
)
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_is_the_share_of_pairs_that_a_patient_player_gets_right(
  images, num_bins, locations, shift
):
  source = activations(0, images[0], locations)
  target = activations(1, images[1], locations, shift=shift)
  found = source_or_not.compare(source, target)
  expected = [played_by_hand(source[..., c], target[..., c], num_bins) for c in range(3)]
  # Both count the same pairs: what is left is the rounding of a sum.
  np.testing.assert_allclose(found.aucs, expected, atol=1e-12)
  assert found.auc == pytest.approx(np.mean(expected))
  assert found.best_channel == np.argmax(expected)
  assert found.best_auc == pytest.approx(max(expected))


def test_divergence_is_that_of_all_images_together():
  source, target = activations(0), activations(1, 7, 30, shift=(0.0, 0.5, 3.0))
  pooled = divergence.histograms(source.reshape(-1, 3), target.reshape(-1, 3))
  bits = divergence.jensen_shannon(pooled.source, pooled.target)
  found = source_or_not.compare(source, target)
  np.testing.assert_array_equal(found.divergences, bits)
  assert found.divergence_bits == bits.mean()


def test_channels_measured_a_few_at_a_time_give_the_same(monkeypatch):
  source, target = activations(0, channels=7), activations(1, channels=7)
  whole = source_or_not.compare(source, target)
  monkeypatch.setattr(source_or_not, "_CHUNK", 12 * 25 * 2)
  for mine, expected in zip(source_or_not.compare(source, target), whole):
    np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("locations", [1, 4, 100])
def test_one_distribution_is_told_no_better_than_by_guessing(locations):
  source = activations(0, 64, locations, 64)
  target = activations(1, 64, locations, 64)
  # The mean over 64 units deviates by 0.0005 (20 seeds): ten times as much.
  assert source_or_not.compare(source, target).auc == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("locations", [1, 4, 100])
def test_distributions_apart_are_always_told(locations):
  source = activations(0, 9, locations)
  target = activations(1, 5, locations, shift=30.0)
  found = source_or_not.compare(source, target)
  np.testing.assert_array_equal(found.aucs, 1.0)
  # Shares of a histogram sum to 1 but for rounding.
  np.testing.assert_allclose(found.divergences, 1.0, rtol=1e-12)


def test_a_dead_unit_tells_nothing_and_one_that_died_in_one_domain_everything():
  source, target = np.zeros((2, 4, 9, 2))
  target[..., 1] = 2.0
  found = source_or_not.compare(source, target)
  np.testing.assert_array_equal(found.aucs, [0.5, 1.0])
  np.testing.assert_array_equal(found.divergences, [0.0, 1.0])
  assert (found.best_channel, found.best_auc) == (1, 1.0)


def test_equal_scores_are_ties_whatever_bins_they_come_from():
  """The target's images are the source's with the bins changed about: sums round unlike."""
  counts = np.array([[5, 3, 6, 2], [2, 7, 3, 4]])
  source, target = (
    np.array([np.repeat(np.arange(4.0), image) for image in images])
    for images in (counts, counts[:, [0, 2, 3, 1]])
  )
  found = source_or_not.compare(source[..., None], target[..., None])
  # Without the tie it is 0.1875.
  assert found.auc == 0.125 == played_by_hand(source, target, 4)


def test_numbers_of_images_and_locations_tell_nothing():
  """Histograms of few values are rougher: without the same number they would be known."""
  source, target = activations(0, 40, 400, 32), activations(1, 20, 16, 32)
  # Over 32 units: 0.01, the deviation of the domains' own images.
  assert source_or_not.compare(source, target).auc == pytest.approx(0.5, abs=0.03)


def test_of_many_channels_64_are_played_and_all_measured():
  source, target = activations(0, 3, 4, 200), activations(1, 3, 4, 200)
  found = source_or_not.compare(source, target)
  assert found.divergences.shape == (200,)
  assert found.aucs.shape == found.units.shape == (64,)
  assert (np.diff(found.units) > 0).all()
  assert found.best_channel == found.units[found.aucs.argmax()]


def test_what_is_drawn_depends_on_the_seed_and_on_no_global_generator():
  source, target = activations(0, 70, 9, 80), activations(1, 70, 16, 80)
  np.random.seed(3)
  state = np.random.get_state()[1].copy()
  first, again, other = (source_or_not.compare(source, target, s) for s in (0, 0, 1))
  np.testing.assert_array_equal(np.random.get_state()[1], state)
  np.testing.assert_array_equal(first.units, again.units)
  np.testing.assert_array_equal(first.aucs, again.aucs)
  assert (first.units != other.units).any()


def test_half_precision_is_measured_in_full():
  """Sums of 16-bit floats would stop at 2,048, and 60,000 is near their largest number."""
  source = activations(0).astype(np.float16)
  target = (activations(1) + 2).astype(np.float16)
  mine = source_or_not.compare(source, target)
  full = source_or_not.compare(source.astype(np.float64), target.astype(np.float64))
  np.testing.assert_array_equal(mine.aucs, full.aucs)
  far = np.full((2, 4, 1), 60_000, np.float16)
  assert source_or_not.compare(-far, far).auc == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value):
  source, target = activations(0), activations(1)
  target[3, 2, 1] = value
  with pytest.raises(ValueError, match="target has activations that are not finite"):
    source_or_not.compare(source, target)
  with pytest.raises(ValueError, match="source has activations that are not finite"):
    source_or_not.compare(target, source)


@pytest.mark.parametrize(
  ("source", "target", "what"),
  [
    ((1, 4, 2), (3, 4, 2), "1 image of the source; expected two or more"),
    ((3, 4, 2), (0, 4, 2), "0 images of the target; expected two or more"),
    ((3, 4, 2), (3, 4, 1), "of as many channels"),
    ((3, 4), (3, 4, 1), r"\(3, 4\) .*; expected \[images, locations, channels\]"),
    ((3, 0, 2), (3, 4, 2), "expected one location and one channel or more"),
    ((3, 4, 0), (3, 4, 0), "expected one location and one channel or more"),
  ],
)
def test_what_cannot_be_compared_is_refused(source, target, what):
  with pytest.raises(ValueError, match=what):
    source_or_not.compare(np.zeros(source), np.zeros(target))
