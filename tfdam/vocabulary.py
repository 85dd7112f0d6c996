"""Names of the stages of a run and the tasks of networks, in files, flags and tables."""

from __future__ import annotations

import enum


class _Name(str, enum.Enum):
  """An enum whose members are their values as text: in keys, paths, JSON and f-strings."""

  def __str__(self) -> str:
    return self.value


class Stage(_Name):
  """The stages of a run in order; each one gives a network."""

  SOURCE_ONLY = "source_only"
  GAUSSIAN = "gaussian"
  ADAPTED = "adapted"

  @property
  def shown(self) -> str:
    """Its name for people."""
    return "Gaussian" if self is Stage.GAUSSIAN else self.value.replace("_", " ")


# The stage of a translation run, which gives no network that labels images.
TRANSLATION = "translation"


class Task(_Name):
  """What a network labels: whole images, or their pixels."""

  CLASSIFICATION = "classification"
  SEGMENTATION = "segmentation"

  @property
  def headline(self) -> str:
    """The score shown in log lines and curves."""
    return "miou" if self is Task.SEGMENTATION else "accuracy"
