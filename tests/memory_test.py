"""Sizes that no machine has are refused before the first step."""

import os
import re

import pytest

from tfdam import config as config_lib
from tfdam import memory, runtime


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
  monkeypatch.setattr(memory, "available", lambda: 2**30)


def config(**changes):
  values = config_lib.default()
  values.update_from_flattened_dict(changes)
  return config_lib.resolve(values)


# A GiB holds 341 of them.
LARGE = {"data.height": 512, "data.width": 512, "data.channels": 3}
LITTLE = {
  "source.global_batch_size": 8, "adapt.global_batch_size": 8, "match.batch_size": 8,
  "loop.eval_batch_size": 8,
}  # fmt: skip


def test_the_defaults_and_what_just_fits_are_accepted():
  memory.check(config(), 70_000)
  memory.check(config(**LARGE, **{**LITTLE, "loop.eval_batch_size": 341}), 1_000)


@pytest.mark.parametrize("field", LITTLE)
def test_a_batch_beyond_memory_names_its_flag_and_both_sizes(field):
  with pytest.raises(config_lib.UserError) as caught:
    memory.check(config(**LARGE, **{**LITTLE, field: 342}), 1_000)
  for part in ("342 images of 512 x 512 x 3", field, "take 1.0 GiB", "has 1.0 GiB",
               f"Set {field}, data.height or"):  # fmt: skip
    assert part in str(caught.value)


@pytest.mark.parametrize("field", ["match.batch_size", "loop.eval_batch_size"])
def test_no_batch_has_more_images_than_there_are(field):
  memory.check(config(**LARGE, **{**LITTLE, field: 65_536}), 341)


def test_workers_share_training_batches():
  large = config(**LARGE, **{**LITTLE, "source.global_batch_size": 342})
  memory.check(large, 10, num_workers=2)


def test_stages_that_are_left_out_take_nothing():
  sizes = {**LITTLE, "match.batch_size": 342, "adapt.global_batch_size": 342}
  left_out = {"match.enabled": False, "adapt.steps": 0}
  memory.check(config(**LARGE, **sizes, **left_out), 1_000)


def test_discriminators_beyond_memory_name_their_flag():
  memory.check(config(**{"adapt.discriminator_units": (4096, 8192)}), 10)
  with pytest.raises(config_lib.UserError, match="2 taps, each with 134,217,728 .*_units"):
    memory.check(config(**{"adapt.discriminator_units": (16384, 8192)}), 10)


def test_this_machine_says_how_much_it_has(monkeypatch):
  monkeypatch.undo()
  whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  assert 2**28 < memory.available() <= whole


class ResourceExhaustedError(Exception):
  """Named as TensorFlow's, which is not imported for it."""


@pytest.mark.parametrize(
  ("error", "said"),
  [
    (MemoryError(), "Memory ran out. Set batch sizes lower"),
    (MemoryError("Unable to allocate 9 TiB"), r"Memory ran out \(Unable to allocate 9 TiB"),
    (
      ResourceExhaustedError(
        "Graph execution error:\n\nOOM when allocating tensor with shape[4194304,1048576]"
        " and type float on /job:localhost by allocator mklcpu\n\t [[{{node a}}]]"
      ),
      r"\(OOM when allocating tensor with shape\[4194304,1048576\] and type float\)\.",
    ),
    (ResourceExhaustedError("failed to allocate memory [Op:Fill]"), "Memory ran out. Set"),
  ],
)
def test_memory_that_runs_out_is_one_line(error, said, monkeypatch, capsys):
  def greedy(*arguments, **options):
    raise error

  monkeypatch.setattr(runtime.app, "run", greedy)
  with pytest.raises(SystemExit) as caught:
    runtime.run(print)
  assert caught.value.code == 2
  assert re.match(f"Error: .*{said}", capsys.readouterr().err)


def test_other_errors_are_no_shortage():
  assert memory.shortage(ResourceExhaustedError("/run/x; No space left on device")) is None
  assert memory.shortage(ValueError("OOM when allocating")) is None
