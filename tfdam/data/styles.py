"""Gives source images the look of target images, without a network.

Both images and the result are uint8 [..., H, W, C] of one shape. The leading axes hold any
number of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.fft

from tfdam import config as config_lib

# A smaller Fourier coefficient of 8-bit values is a rounding error without a phase.
_NO_AMPLITUDE = 1e-6
# The variance due to rounding to 8 bits, of grey levels and of Lab's lightness.
_GREY_ROUNDING = 1.0 / 12.0
_LAB_ROUNDING = (100.0 / 255.0) ** 2 / 12.0


def fourier(source: np.ndarray, target: np.ndarray, share: float) -> np.ndarray:
  """Replaces the source's amplitudes at low frequencies by the target's, in each channel.

  FDA (Yang and Soatto, CVPR 2020, Eq. 2 to 4). Phases, which hold the image's structure, do
  not change.

  Args:
    source: uint8 [..., H, W, C].
    target: the same.
    share: beta, the half width of the square of replaced frequencies, as a share of the
      image's shorter side. With b = floor(share * min(H, W)), frequencies of at most b
      cycles per image in both directions are replaced; with b = 0, only the mean.
  """
  height, width = source.shape[-3:-1]
  # Rounded first, because 0.29 * 100 is 28.999999999999996.
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
  """Gives the source's colours the target's mean and covariance in Lab.

  Matching means and deviations in Lab is from Reinhard et al. (2001, "Color transfer
  between images"). The linear map for full covariances, which moves colours the least, is
  from Pitie and Kokaram (2007, "The linear Monge-Kantorovitch linear colour mapping"). Grey
  images get the mean and variance of the target's grey values.
  """
  if source.shape[-1] == 1:
    grey, like = source.astype(np.float64), target.astype(np.float64)
    return _as_bytes(_matched(grey, like, _GREY_ROUNDING))
  # Imported here because it takes a third of a second.
  from skimage import color

  own, other = (
    color.rgb2lab(image.astype(np.float32) / np.float32(255.0))
    for image in (source, target)
  )
  matched = _matched(own, other, _LAB_ROUNDING)
  # Clipped to valid XYZ; scikit-image would do the same with a warning.
  lightness = np.clip(matched[..., 0], 0.0, 100.0)
  blue = np.minimum(matched[..., 2], 199.0 * (lightness + 16.0) / 116.0)
  matched = np.stack([lightness, matched[..., 1], blue], axis=-1)
  return _as_bytes(255.0 * color.lab2rgb(matched.astype(np.float32)))


# (source images, target images, options) -> source images in the target's look.
Style = Callable[[np.ndarray, np.ndarray, config_lib.Data], np.ndarray]
STYLES: dict[str, Style] = {
  "fourier": lambda source, target, options: fourier(source, target, options.fourier_share),
  "lab": lambda source, target, options: lab(source, target),
}


def _matched(source: np.ndarray, target: np.ndarray, rounding: float) -> np.ndarray:
  """Gives each source image's pixels the mean and covariance of the target image's.

  Args:
    source: float [..., H, W, C].
    target: the same.
    rounding: a source variance up to this counts as none; such directions of colour are
      not stretched.
  """
  own, other = (
    image.reshape(*image.shape[:-3], -1, image.shape[-1]) for image in (source, target)
  )
  (own_mean, own_cov), (mean, cov) = _moments(own), _moments(other)
  moved = (own - own_mean) @ _transport(own_cov, cov, rounding) + mean
  return moved.reshape(source.shape)


def _moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns mean [..., 1, C] and covariance [..., C, C] of pixels [..., N, C]."""
  mean = pixels.mean(axis=-2, keepdims=True, dtype=np.float64)
  centred = pixels - mean
  # No matrix product: a library's threads would add in varying order.
  products = np.einsum("...ni,...nj->...ij", centred, centred)
  return mean, products / pixels.shape[-2]


def _transport(own: np.ndarray, other: np.ndarray, rounding: float) -> np.ndarray:
  """Returns the symmetric map between two centred Gaussians of covariances [..., C, C].

  own^-1/2 (own^1/2 other own^1/2)^1/2 own^-1/2. In directions in which the variance of
  `own` is at most `rounding`, the map is 1; so equal covariances always give the identity.
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
  """Returns the symmetric matrices with these eigenvectors and eigenvalues."""
  return (axes * values[..., np.newaxis, :]) @ np.swapaxes(axes, -1, -2)


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
  """Rounds and clips to uint8."""
  return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
