"""The content of report.json: what a report shows and no other file of a run holds.

tfdam/runs/report_facts.py computes it from the networks. This module does not import
TensorFlow.
"""

# No `from __future__ import annotations`: msgspec on Python 3.9 evaluates annotations.
import base64
from typing import Annotated, TypedDict

import msgspec

from tfdam import stored
from tfdam.metrics import gap

VERSION = 1
# A matrix of more classes cannot be shown.
MOST_CLASSES = 64

# An image file. No character could end an attribute of HTML.
_Base64 = Annotated[
  str,
  msgspec.Meta(
    pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z"
  ),
]
# The range of float32.
_Activation = Annotated[float, msgspec.Meta(ge=-1e39, le=1e39)]
_Shares = Annotated[
  list[Annotated[float, msgspec.Meta(ge=0, le=1)]], msgspec.Meta(min_length=1)
]
_Colour = Annotated[
  list[Annotated[int, msgspec.Meta(ge=0, le=255)]],
  msgspec.Meta(min_length=3, max_length=3),
]


class Drift(TypedDict):
  """The distance of a layer's trained weights from the source network's.

  Attributes:
    stage: the stage whose weights these are.
    layer: its name.
    share: Euclidean distance, as a share of the source weights' norm.
  """

  stage: str
  layer: str
  share: stored.Number


class Histogram(TypedDict):
  """Histograms of one channel on images of both domains, with bins of equal width.

  Attributes:
    low: where the first bin begins.
    high: where the last bin ends.
    source: the share of each bin on source images, in the source network.
    target: the share of each bin on target images.
    bits: Jensen-Shannon divergence of the two.
  """

  low: _Activation
  high: _Activation
  source: _Shares
  target: _Shares
  bits: stored.Number


class Channel(TypedDict):
  """A channel before and after; `after` is empty if no stage follows the first."""

  channel: stored.Count
  before: Histogram
  after: list[Histogram]


class Tap(TypedDict):
  tap: str
  channels: list[Channel]


class Scene(TypedDict):
  """One scene, as image files of one size in base64.

  Attributes:
    image: the scene itself.
    truth: its painted labels; empty without labels.
    stages: {stage: painted predictions}.
  """

  image: _Base64
  truth: _Base64
  stages: dict[str, _Base64]


class Panels(TypedDict):
  """Scenes, and the `colours` of their classes as [red, green, blue], 0 to 255."""

  classes: list[str]
  colours: list[_Colour]
  scenes: list[Scene]


class _Facts(TypedDict):
  version: int


class Facts(_Facts, total=False):
  """The content of report.json. A run adds to it stage by stage, and the rest at its end.

  Attributes:
    confusion: {stage: {split: counts, labels in rows}}, for at most MOST_CLASSES classes.
    stages: the stages for which the following entries were computed, in order.
    drift: of each layer.
    num_images: number of images of each domain for `before`, `after` and `taps`.
    before: the gap between the domains in the source network.
    after: the gap between source images in the source network and target images in the last
      stage's network.
    taps: histograms of the channels that told the domains apart best in the source network.
    panels: scenes with their predictions.
  """

  confusion: dict[str, dict[str, list[list[stored.Count]]]]
  stages: Annotated[list[str], msgspec.Meta(min_length=1)]
  drift: list[Drift]
  num_images: stored.Count
  before: gap.File
  after: gap.File
  taps: list[Tap]
  panels: Panels


def encoded(data: bytes) -> str:
  """Encodes the bytes of an image file for a `Scene`."""
  return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
  """Decodes what `encoded` returned."""
  return base64.b64decode(text)
