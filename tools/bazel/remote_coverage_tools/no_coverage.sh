#!/bin/sh
echo "bazel coverage is not set up here: use pytest with coverage.py" >&2
exit 1
