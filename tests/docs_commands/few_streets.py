"""Runs commands as tests.damaged_inputs.server does, with few drawn streets to score on."""

from __future__ import annotations

from tests.damaged_inputs import server
from tfdam.data import streets

# 300 take ten seconds to draw, in each run that is scored on them.
_NUM_TEST = 12

if __name__ == "__main__":
  streets._SIZES["test"] = _NUM_TEST
  server.main()
