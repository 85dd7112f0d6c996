"""Mistakes that a user can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
  """A mistake that the user can mend: says what came, what was expected, and what mends it.

  Attributes:
    exit_status: of a command that it ends.
    what: what came, and what was expected.
    remedy: what mends it, with fields by their names; empty where `what` says it.
  """

  # No ValueError: ml_collections would wrap one that a configuration file raises in a
  # traceback.

  exit_status = 2

  def __init__(self, what: str, remedy: str = ""):
    """Takes what is said of the mistake.

    Args:
      what: what came, and what was expected; it may end with what mends it.
      remedy: a sentence that names fields as `config.Config` does, such as "Set x.y.";
        `config.with_flags` turns it into the flags of a command line.
    """
    super().__init__(f"{what} {remedy}" if remedy else what)
    self.what, self.remedy = what, remedy


def nearest(name: str, names: Iterable[str]) -> str:
  """Returns " Did you mean 'x'?" for the closest of `names`, or nothing."""
  close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
  return f" Did you mean '{close[0]}'?" if close else ""
