"""`bazel run //export` and `python -m export`: see run.py."""

# A main file that is started by its path, as Bazel does, has no package to import from.
if __package__:
  from . import run
else:
  from export import run

if __name__ == "__main__":
  run.run()
