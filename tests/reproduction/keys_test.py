import dataclasses

from tests.reproduction import made_up
from tfdam import config as config_lib
from tfdam.reproduction import keys, plan


def config(options="release,gam", **fields):
  return plan.Planner().job(
    made_up.experiment_lib.Run(f"{made_up.CONFIG}:{options}", fields), 0
  )


def test_a_run_is_keyed_by_what_decides_its_result():
  key = config().key
  assert config(**{"adapt.steps": 9}).key != key
  assert config(**{"loop.log_every": 7}).key == key  # changes no result
  assert config(**{"data.root": "/elsewhere"}).key == key
  assert config(**{"adapt.steps": 10_000}).key == key  # what it is anyway


def test_what_a_run_leaves_beside_its_results_counts():
  assert config(**{"loop.score_every": 5}).key != config().key


def test_methods_of_one_source_network_share_its_key():
  keys_of = {options: config(options).source_key for options in (
    "release,gam", "release,adda", "release,jan", "release,supervised", "release,adabn",
    "best,gam",
  )}  # fmt: skip
  gam = keys_of["release,gam"]
  assert keys_of["release,adda"] == keys_of["release,jan"] == gam
  others = ("release,supervised", "release,adabn", "best,gam")
  assert gam not in [keys_of[name] for name in others]
  assert len({keys_of[name] for name in others}) == len(others)


def test_the_targets_skew_is_none_of_the_sources():
  skewed = config(**{"data.target_skew": "odd"})
  assert skewed.source_key == config().source_key
  assert skewed.key != config().key
  assert config(**{"data.source_skew": "odd"}).source_key != config().source_key


def test_a_source_in_the_targets_look_is_another_one_for_each_target():
  plain = config()
  fourier = config(**{"data.source_style": "fourier"})
  of_target = {"data.target": "svhn", "data.target_limit": 9, "data.target_skew": "odd"}
  keys_of = [plain.source_key, fourier.source_key]
  keys_of.append(config(**{"data.source_style": "lab"}).source_key)
  fields = {"data.fourier_share": 0.05, **of_target}
  for name, value in fields.items():
    changed = config(**{"data.source_style": "fourier", name: value})
    keys_of.append(changed.source_key)
  assert len(set(keys_of)) == len(keys_of)
  for name, value in of_target.items():
    assert config(**{name: value}).source_key == plain.source_key


def test_a_file_of_weights_counts_by_its_content(tmp_path):
  one, same, other = (tmp_path / name for name in ("one.h5", "same.h5", "other.h5"))
  one.write_bytes(b"weights")
  same.write_bytes(b"weights")
  other.write_bytes(b"others")
  jobs = [
    config(**{"model.name": "lite0_pyramid", "model.weights": str(path)})
    for path in (one, same, other)
  ]
  for keys_of in ([job.key for job in jobs], [job.source_key for job in jobs]):
    assert keys_of[0] == keys_of[1] != keys_of[2]


def test_every_field_of_source_training_is_in_its_key():
  """A field that is left out would let rows of unlike source networks be compared."""
  for field in dataclasses.fields(config_lib.Source):
    if field.name in ("cache", "init_checkpoint"):
      continue
    value = getattr(config_lib.Source(), field.name)
    if isinstance(value, (bool, int)):
      other = not value if isinstance(value, bool) else value + 1
    else:
      other = value / 2 or 1.25
    changed = config(**{f"source.{field.name}": other})
    assert changed.source_key != config().source_key, field.name


def test_the_code_has_a_digest_of_files_that_are_there():
  assert len(keys.of_code()) == 12
