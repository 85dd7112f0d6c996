"""Whole arrays as a network sees them."""

import numpy as np
import pytest

from tfdam.data import array_transforms, transforms


@pytest.mark.parametrize("stored", [(16, 16), (28, 28), (32, 32), (19, 33)])
@pytest.mark.parametrize("channels", [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_arrays_are_what_the_network_sees_to_rounding(stored, channels):
  own, wanted = channels
  images = np.random.RandomState(0).randint(0, 256, (3, *stored, own)).astype(np.uint8)
  found = array_transforms.as_network_sees(images, 28, 28, wanted)
  assert (found.shape, found.dtype) == ((3, 28, 28, wanted), np.uint8)
  seen = 255 * transforms.to_network(images, 28, 28, wanted).numpy()
  # Half of a grey value is rounding to 8 bits, the rest float32's.
  assert np.abs(found - seen).max() < 0.501


def test_what_fits_is_left_alone():
  images = np.zeros((2, 8, 9, 3), np.uint8)
  assert array_transforms.as_network_sees(images, 8, 9, 3) is images
