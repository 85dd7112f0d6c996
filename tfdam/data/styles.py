"""A source image in a target image's look, without a network. Pure NumPy.

Both images are uint8 [..., H, W, C] of one shape, what stands before H being any number of
pairs; so is the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.fft

from tfdam import config as config_lib

# Below it a Fourier coefficient of 8-bit values is rounding, and has no phase.
_NO_AMPLITUDE = 1e-6
# Variance that rounding to 8 bits alone makes: of grey levels, and of Lab's lightness.
_GREY_ROUNDING = 1.0 / 12.0
_LAB_ROUNDING = (100.0 / 255.0) ** 2 / 12.0


def fourier(source: np.ndarray, target: np.ndarray, share: float) -> np.ndarray:
  """The source with the target's amplitudes at low frequencies, channel by channel.

  FDA (Yang and Soatto, CVPR 2020, Eq. 2 to 4): phases, which hold what is seen where, stay.

  Args:
    share: beta, half the side of the square of frequencies that is taken over, of the
      shorter side of the image. Of b = floor(share * min(H, W)) it is those of at most b
      cycles an image both ways; where b is 0, the mean alone.
  """
  height, width = source.shape[-3:-1]
  # Rounded, as 0.29 * 100 is 28.999999999999996.
  most = math.floor(round(share * min(height, width), 6))
  rows = np.abs(np.fft.fftfreq(height, 1.0 / height)) <= most
  columns = np.arange(width // 2 + 1) <= most
  low = (..., *np.ix_(rows, columns), slice(None))
  own, other = (
    scipy.fft.rfft2(image.astype(np.float64), axes=(-3, -2)) for image in (source, target)
  )
  kept = np.where(np.abs(own[low]) < _NO_AMPLITUDE, 0.0, own[low])
  own[low] = np.abs(other[low]) * np.exp(1j * np.angle(kept))
  return _as_bytes(scipy.fft.irfft2(own, s=(height, width), axes=(-3, -2)))


def lab(source: np.ndarray, target: np.ndarray) -> np.ndarray:
  """The source's colours mapped to the target's mean and covariance, in Lab.

  The mean's and deviations' part is Reinhard et al. (2001, "Color transfer between
  images"); the linear map of full covariances that moves colours the least is Pitie and
  Kokaram's (2007, "The linear Monge-Kantorovitch linear colour mapping"). Grey images get
  mean and variance of the target's grey values.
  """
  if source.shape[-1] == 1:
    grey, like = source.astype(np.float64), target.astype(np.float64)
    return _as_bytes(_matched(grey, like, _GREY_ROUNDING))
  # Late: it takes a third of a second to import.
  from skimage import color

  own, other = (
    color.rgb2lab(image.astype(np.float32) / np.float32(255.0))
    for image in (source, target)
  )
  matched = _matched(own, other, _LAB_ROUNDING)
  # Within what XYZ can be; scikit-image does the same and warns of it.
  lightness = np.clip(matched[..., 0], 0.0, 100.0)
  blue = np.minimum(matched[..., 2], 199.0 * (lightness + 16.0) / 116.0)
  matched = np.stack([lightness, matched[..., 1], blue], axis=-1)
  return _as_bytes(255.0 * color.lab2rgb(matched.astype(np.float32)))


# {data.source_style: (source image, target image, options) -> the image in that look}.
Style = Callable[[np.ndarray, np.ndarray, config_lib.Data], np.ndarray]
STYLES: dict[str, Style] = {
  "fourier": lambda source, target, options: fourier(source, target, options.fourier_share),
  "lab": lambda source, target, options: lab(source, target),
}


def _matched(source: np.ndarray, target: np.ndarray, rounding: float) -> np.ndarray:
  """The source's pixels with the target's mean and covariance over an image.

  Args:
    source: float [..., H, W, C].
    target: the same.
    rounding: variance up to which the source's pixels count as all the same; what does not
      vary is not stretched.
  """
  own, other = (
    image.reshape(*image.shape[:-3], -1, image.shape[-1]) for image in (source, target)
  )
  (own_mean, own_cov), (mean, cov) = _moments(own), _moments(other)
  moved = (own - own_mean) @ _transport(own_cov, cov, rounding) + mean
  return moved.reshape(source.shape)


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Mean [..., 1, C] and covariance [..., C, C] of pixels [..., N, C]."""
  mean = pixels.mean(axis=-2, keepdims=True, dtype=np.float64)
  centred = pixels - mean
  # No matrix product: threads of a library would add up in another order.
  products = np.einsum("...ni,...nj->...ij", centred, centred)
  return mean, products / pixels.shape[-2]


def _transport(own: np.ndarray, other: np.ndarray, rounding: float) -> np.ndarray:
  """The symmetric map between two centred Gaussians, by their covariances [..., C, C].

  own^-1/2 (own^1/2 other own^1/2)^1/2 own^-1/2; 1 in directions in which `own` has no more
  than `rounding`, so that the map of equal covariances is 1 whatever they are.
  """
  variances, axes = np.linalg.eigh(own)
  varies = variances > rounding
  roots = np.sqrt(np.where(varies, variances, 0.0))
  inverses = np.where(varies, 1.0 / np.where(varies, roots, 1.0), 0.0)
  root, inverse = _of(axes, roots), _of(axes, inverses)
  between, between_axes = np.linalg.eigh(root @ other @ root)
  middle = _of(between_axes, np.sqrt(np.maximum(between, 0.0)))
  return inverse @ middle @ inverse + _of(axes, 1.0 - varies)


def _of(axes: np.ndarray, values: np.ndarray) -> np.ndarray:
  """The symmetric matrices of these eigenvectors and eigenvalues."""
  return (axes * values[..., np.newaxis, :]) @ np.swapaxes(axes, -1, -2)


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
  """Rounded to what 8 bits hold."""
  return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
