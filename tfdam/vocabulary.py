"""The stages of a run and the tasks of networks, as files, flags and tables name them."""

from __future__ import annotations

import enum


class _Name(str, enum.Enum):
  """Its value wherever text is wanted: a key, a folder, JSON, an f-string."""

  def __str__(self) -> str:
    return self.value


class Stage(_Name):
  """A stage of a run, in their order; each leaves a network."""

  SOURCE_ONLY = "source_only"
  GAUSSIAN = "gaussian"
  ADAPTED = "adapted"

  @property
  def shown(self) -> str:
    """What people call it."""
    return "Gaussian" if self is Stage.GAUSSIAN else self.value.replace("_", " ")


# The stage of a translation's run, which leaves no network that labels.
TRANSLATION = "translation"


class Task(_Name):
  """What a network labels: whole images, or their pixels."""

  CLASSIFICATION = "classification"
  SEGMENTATION = "segmentation"

  @property
  def headline(self) -> str:
    """The score that a line of log and a curve show."""
    return "miou" if self is Task.SEGMENTATION else "accuracy"
