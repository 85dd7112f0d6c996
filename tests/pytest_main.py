"""Runs test files under Bazel and leaves the counts where Bazel looks for them."""

import os
import sys

import pytest

if __name__ == "__main__":
  # The plugin about unraisable exceptions collects garbage five times at the end: seconds.
  plugins = ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]
  arguments = ["-q", "-rs", *plugins, *sys.argv[1:]]
  if "XML_OUTPUT_FILE" in os.environ:
    arguments.append(f"--junitxml={os.environ['XML_OUTPUT_FILE']}")
  if "TEST_TMPDIR" in os.environ:
    arguments.append(f"--basetemp={os.path.join(os.environ['TEST_TMPDIR'], 'pytest')}")
  sys.exit(pytest.main(arguments))
