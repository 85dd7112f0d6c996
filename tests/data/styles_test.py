"""One image in another one's look: amplitudes of low frequencies, or colour statistics."""

import warnings

import numpy as np
import pytest
import scipy.linalg
from skimage import color

from tests import synthetic
from tfdam import config as config_lib
from tfdam.data import styles


def smooth(seed, height=32, width=48, gain=0.5, offset=60.0):
  """Drawn scenes without black and white: nothing is cut off."""
  image = synthetic.scenes(1, height, width, seed).read_image(0)
  return np.rint(offset + gain * image).astype(np.uint8)


def noise(seed, *shape):
  return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def image(rows):
  return np.array(rows, np.uint8)[..., np.newaxis]


def published(source, target, share):
  """FDA as its authors' code has it: the whole spectrum, shifted; before rounding."""
  height, width = source.shape[:2]
  ours, theirs = (np.fft.fft2(x.astype(float), axes=(0, 1)) for x in (source, target))
  amplitude = np.fft.fftshift(np.abs(ours), axes=(0, 1))
  other = np.fft.fftshift(np.abs(theirs), axes=(0, 1))
  half, y, x = int(np.floor(min(height, width) * share)), height // 2, width // 2
  low = np.s_[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
  amplitude[low] = other[low]
  amplitude = np.fft.ifftshift(amplitude, axes=(0, 1))
  mixed = np.fft.ifft2(amplitude * np.exp(1j * np.angle(ours)), axes=(0, 1))
  return np.clip(mixed.real, 0, 255)


@pytest.mark.parametrize("shape", [(32, 48, 3), (48, 32, 1), (15, 23, 3), (28, 28, 1)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.2, 0.5])
def test_fourier_is_the_published_procedure(shape, share):
  source, target = noise(0, *shape), noise(1, *shape)
  found = styles.fourier(source, target, share)
  assert found.dtype == np.uint8
  # Half of a grey value is rounding.
  assert np.abs(found - published(source, target, share)).max() < 0.5 + 1e-6


def test_two_by_two_pixels_by_hand():
  """Half a side of one pixel is every frequency, none the mean alone."""
  # Coefficients 100, -20 across, -40 down, 0 both: of the target 320, 160, 160, 0.
  source, target = image([[10, 20], [30, 40]]), image([[160, 80], [80, 0]])
  dark_first = image([[0, 80], [80, 160]])
  np.testing.assert_array_equal(styles.fourier(source, target, 0.5), dark_first)
  np.testing.assert_array_equal(
    styles.fourier(source, target, 0.49), image([[65, 75], [85, 95]])
  )


def test_a_share_of_a_whole_number_of_pixels_is_that_number():
  """0.29 * 100 is 28.999999999999996 to a computer."""
  rows, columns = np.mgrid[:100, :100]
  waves = 128 + 100 * np.cos(2 * np.pi * 29 * columns / 100)
  target = np.rint(waves).astype(np.uint8)[..., np.newaxis]
  grey = noise(0, 100, 100, 1) // 4 + 96
  taken = [
    np.abs(np.fft.fft2(styles.fourier(grey, target, share)[..., 0])[0, 29])
    for share in (0.28, 0.29)
  ]
  # Half of 100 * 100 pixels' amplitude of 100, cut off at black and white.
  assert taken[0] < 10_000 < 300_000 < taken[1]


def test_low_frequencies_get_the_targets_amplitudes_and_every_phase_stays():
  source, target = smooth(1), smooth(2, gain=0.3)
  before, like, after = (
    np.fft.fft2(x.astype(float), axes=(0, 1))
    for x in (source, target, styles.fourier(source, target, 0.1))
  )
  cycles = [np.abs(np.fft.fftfreq(n, 1 / n)) for n in (32, 48)]
  low = (cycles[0][:, None] <= 3) & (cycles[1] <= 3)
  # Rounding of 32 * 48 pixels: a deviation of 11, five of which are 57.
  np.testing.assert_allclose(np.abs(after[low]), np.abs(like[low]), atol=57)
  np.testing.assert_allclose(after[~low], before[~low], atol=57)
  tall = (np.abs(before) > 1_000) & (np.abs(after) > 1_000)
  assert (tall & low[..., None]).sum() > 50
  turned = np.angle(after[tall] / before[tall])
  assert np.abs(turned).max() < 57 / 1_000 + 1e-3


def mean_and_covariance(pixels):
  flat = pixels.reshape(-1, pixels.shape[-1]).astype(float)
  return flat.mean(0), np.cov(flat.T, bias=True)


def test_lab_gives_the_targets_mean_and_covariance():
  source, target = smooth(1), smooth(2, gain=0.3, offset=80.0)
  (mean, cov), (wanted_mean, wanted_cov) = (
    mean_and_covariance(color.rgb2lab(x)) for x in (styles.lab(source, target), target)
  )
  # A step of 8 bits is up to two units of a or b: rounding adds a variance of up to 4 / 12,
  # and moves the mean of 1,536 pixels by five deviations of that at most.
  np.testing.assert_allclose(mean, wanted_mean, atol=0.07)
  np.testing.assert_allclose(cov, wanted_cov, atol=0.34)
  assert np.abs(mean_and_covariance(color.rgb2lab(source))[1] - wanted_cov).max() > 10


def test_lab_is_the_symmetric_map_between_two_gaussians():
  """Pitie and Kokaram (2007): S^-1/2 (S^1/2 C S^1/2)^1/2 S^-1/2, by SciPy's roots."""
  source, target = smooth(1), smooth(2, gain=0.3, offset=80.0)
  ours, theirs = color.rgb2lab(source), color.rgb2lab(target)
  (mean, cov), (other_mean, other_cov) = map(mean_and_covariance, (ours, theirs))
  root = scipy.linalg.sqrtm(cov)
  inverse = np.linalg.inv(root)
  mapping = inverse @ scipy.linalg.sqrtm(root @ other_cov @ root) @ inverse
  wanted = 255 * color.lab2rgb((ours - mean) @ mapping + other_mean)
  # Half of a grey value is rounding; Lab is computed in float32.
  assert np.abs(styles.lab(source, target) - wanted).max() < 0.51


def test_grey_values_get_the_targets_mean_and_deviation_by_hand():
  source, target = image([[10, 20], [30, 40]]), image([[130, 110], [90, 70]])
  np.testing.assert_array_equal(styles.lab(source, target), image([[70, 90], [110, 130]]))


def flat(*colour):
  return np.broadcast_to(np.array(colour, np.uint8), (8, 8, len(colour)))


@pytest.mark.parametrize(
  ("source", "target", "wanted"),
  [
    # A source of one colour takes the mean: it varies nowhere that could be stretched.
    (flat(9, 80, 200), flat(90, 80, 70), flat(90, 80, 70)),
    (flat(0, 0, 0), flat(255, 255, 255), flat(255, 255, 255)),
    (flat(7), flat(200), flat(200)),
    # A target of one colour leaves nothing of what the source shows.
    (smooth(1), flat(90, 80, 70), None),
    (noise(0, 8, 8, 1), flat(200), flat(200)),
  ],
)
def test_images_of_one_colour_stay_finite(source, target, wanted):
  target = np.broadcast_to(target[:1, :1], source.shape)
  wanted = target if wanted is None else wanted
  with np.errstate(all="raise"):
    np.testing.assert_array_equal(styles.lab(source, target), wanted)


def test_a_grey_picture_keeps_one_colour_and_a_grey_target_takes_colours_away():
  grey = np.repeat(noise(0, 16, 16, 1) // 2 + 64, 3, axis=-1)
  coloured = smooth(1, 16, 16)
  with np.errstate(all="raise"):
    tinted, washed = styles.lab(grey, coloured), styles.lab(coloured, grey)
  # Not stretched: chroma of grey pixels is rounding.
  assert color.rgb2lab(tinted)[..., 1:].std(axis=(0, 1)).max() < 2.0
  assert np.ptp(washed.astype(int), axis=-1).max() <= 1


@pytest.mark.parametrize(
  "colours", [(0, 0, 255), (255, 255, 0), (0, 255, 0), (255, 0, 255)]
)
def test_colours_beyond_what_a_screen_shows_are_cut_off_without_a_warning(colours):
  source = noise(0, 16, 16, 3)
  target = np.where(noise(1, 16, 16, 1) > 200, np.array(colours, np.uint8), np.uint8(0))
  with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
    warnings.simplefilter("error")
    assert styles.lab(source, target).dtype == np.uint8


@pytest.mark.parametrize("name", list(styles.STYLES))
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_in_its_own_look_is_itself(name, channels):
  options = config_lib.Data(fourier_share=0.2)
  for own in (noise(0, 12, 20, channels), np.full((8, 8, channels), 77, np.uint8)):
    np.testing.assert_array_equal(styles.STYLES[name](own, own, options), own)


@pytest.mark.parametrize("name", list(styles.STYLES))
@pytest.mark.parametrize("channels", [1, 3])
def test_pairs_at_once_are_pairs_one_by_one(name, channels):
  options = config_lib.Data(fourier_share=0.2)
  source, target = noise(0, 5, 12, 20, channels), noise(1, 5, 12, 20, channels)
  before = source.copy(), target.copy()
  found = styles.STYLES[name](source, target, options)
  assert (found.shape, found.dtype) == (source.shape, np.uint8)
  one_by_one = [styles.STYLES[name](s, t, options) for s, t in zip(source, target)]
  np.testing.assert_array_equal(found, one_by_one)
  np.testing.assert_array_equal(found, styles.STYLES[name](source, target, options))
  np.testing.assert_array_equal((source, target), before)


def test_the_schema_knows_every_style():
  assert ["none", *styles.STYLES] == list(config_lib.SOURCE_STYLES)
