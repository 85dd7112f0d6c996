"""What report.json holds: what a report shows and no other file of a run says.

Imports no TensorFlow; tfdam/runs/report_facts.py computes it from the networks.
"""

# No `from __future__ import annotations`: Python 3.9 evaluates what stands here.
import base64
from typing import Annotated, TypedDict

import msgspec

from tfdam import stored
from tfdam.metrics import gap

VERSION = 1
# A matrix of more classes is no picture any more.
MOST_CLASSES = 64

# Of a file of a picture; with nothing in it that could leave an attribute of HTML.
_Base64 = Annotated[
  str,
  msgspec.Meta(
    pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z"
  ),
]
# As far as float32 goes.
_Activation = Annotated[float, msgspec.Meta(ge=-1e39, le=1e39)]
_Shares = Annotated[
  list[Annotated[float, msgspec.Meta(ge=0, le=1)]], msgspec.Meta(min_length=1)
]
_Colour = Annotated[
  list[Annotated[int, msgspec.Meta(ge=0, le=255)]],
  msgspec.Meta(min_length=3, max_length=3),
]


class Drift(TypedDict):
  """How far a layer's trained weights are from the source network's.

  Attributes:
    stage: whose weights.
    share: Euclidean distance, as a share of the source weights' norm.
  """

  stage: str
  layer: str
  share: stored.Number


class Histogram(TypedDict):
  """Of one channel on images of both domains, bins of equal width.

  Attributes:
    source: a share a bin, in the source network.
    target: the same on target images.
    bits: Jensen-Shannon divergence of the two.
  """

  low: _Activation
  high: _Activation
  source: _Shares
  target: _Shares
  bits: stored.Number


class Channel(TypedDict):
  """A channel before and after: `after` is empty where no stage follows the first."""

  channel: stored.Count
  before: Histogram
  after: list[Histogram]


class Tap(TypedDict):
  tap: str
  channels: list[Channel]


class Scene(TypedDict):
  """One scene as base64 of image files of one size.

  Attributes:
    truth: its painted labels; empty where there are none.
    stages: {stage: painted predictions}.
  """

  image: _Base64
  truth: _Base64
  stages: dict[str, _Base64]


class Panels(TypedDict):
  """Scenes, and what they are painted in: `colours` as [red, green, blue], 0 to 255."""

  classes: list[str]
  colours: list[_Colour]
  scenes: list[Scene]


class _Facts(TypedDict):
  version: int


class Facts(_Facts, total=False):
  """What report.json holds; a run adds to it stage by stage.

  Attributes:
    confusion: {stage: {split: counts, labels in rows}}, where there are not too many.
    stages: those that what follows was computed for, in order; once the run is over.
    num_images: of each domain, behind `before`, `after` and `taps`.
    before: gap between the domains in the source network.
    after: between source images there and target images in the last stage's network.
    taps: histograms of the channels that tell the domains apart best, before.
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
  """The bytes of an image file, as `Scene` has them."""
  return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
  """The reverse."""
  return base64.b64decode(text)
