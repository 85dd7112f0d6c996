"""`bazel run //export` and `python -m export`: see run.py."""

# Bazel starts a main file by its path, and it then has no package for relative imports.
if __package__:
  from . import run
else:
  from export import run

if __name__ == "__main__":
  run.run()
