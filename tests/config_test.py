"""The schema: what it accepts, and what it says of the rest."""

import dataclasses
import json

import numpy as np
import pytest

from tfdam import config as config_lib


def resolve(**changes):
  # As config.json holds them: a ConfigDict would refuse some values before the schema does.
  values = config_lib.default().to_dict()
  for name, value in changes.items():
    section, _, field = name.rpartition(".")
    (values[section] if section else values)[field] = value
  return config_lib.resolve(values)


def test_defaults_are_valid_and_survive_json():
  config = resolve()
  again = config_lib.resolve(json.loads(config_lib.to_json(config)))
  assert again == config
  assert config_lib.differences(config, again) == {}


@pytest.mark.parametrize(
  ("field", "value", "said"),
  [
    ("adapt.gan_weight", -1.0, "at least 0.0"),
    ("adapt.gan_weight", float("nan"), "finite"),
    ("adapt.gan_weight", 10**400, "finite"),
    ("adapt.steps", 10**1000, "3322 bits; expected at most 1000000000"),
    ("adapt.discriminator_units", (2**31,), "2147483648; expected at most 65536"),
    ("adapt.discriminator_units", (8,) * 1000, "expected 1 to 16 whole numbers"),
    ("adapt.taps", "fc3:1e300", "at most 1,000,000"),
    ("adapt.objective", "gan" * 1000, "gangangan'; expected one of"),
    ("adapt.beta_1", 1.0, "at most 0.999999"),
    ("source.epsilon", 0.0, "at least 1e-30"),
    ("match.min_variance", 0.0, "at least 1e-30"),
    ("data.classes", "road", "one class; expected at least two"),
    ("adapt.objective", "lsgan", "gan, gan_softmax, least_squares"),
    ("adapt.schedule", "togehter", "Did you mean 'together'"),
    ("adapt.discriminator_units", (500, 0), "at least 1"),
    ("data.channels", 2, "one of 1, 3"),
    ("data.target_limit", -1, "at least 0"),
    ("data.source_skew", "evne", "Did you mean 'even'"),
    ("data.source_style", "furier", "Did you mean 'fourier'"),
    ("data.fourier_share", 0.1, "--config.data.source_style=fourier or"),
    ("source.global_batch_size", 0, "at least 1"),
    ("loop.watch_every", -1, "at least 0"),
    ("loop.score_every", -1, "at least 0"),
    ("loop.watch_images", 0, "at least 1"),
    ("loop.alarm_dead_share", 1.5, "at most 1.0"),
    ("loop.alarm_marginal", -0.1, "at least 0.0"),
    ("adapt.taps", "", "at least one tap"),
    ("adapt.taps", "fc3:0.1,fc3:1", "each tap once"),
    ("adapt.taps", "fc3:zero", "name:weight"),
    ("adapt.taps", "fc3:0", "above 0"),
    ("source.steps", 0, "source.init_checkpoint"),
    ("match.method", "adabm", "Did you mean 'adabn'"),
    ("adapt.gate_accuracy", 1.5, "at most 1.0"),
    ("adapt.ema_momentum", 1.0, "at most 0.999999"),
    ("adapt.information_weight", -0.5, "at least 0.0"),
    ("adapt.information_after", 5, "adapt.information_weight is 0"),
    ("adapt.source_label_weight", -0.5, "at least 0.0"),
    ("adapt.self_training_weight", -0.5, "at least 0.0"),
    ("adapt.self_training_weight", 1.0, "--config.adapt.ema_momentum=0.99"),
    ("adapt.self_training_confidence", 1.5, "at most 1.0"),
    ("adapt.self_training_confidence", 0.9, "--config.adapt.self_training_confidence=0.8"),
    ("adapt.self_training_mix", True, "--config.adapt.self_training_mix=False"),
    ("adapt.centroid_weight", -0.5, "at least 0.0"),
    ("adapt.centroid_momentum", 1.0, "at most 0.999999"),
    ("adapt.centroid_momentum", 0.5, "--config.adapt.centroid_momentum=0.7"),
    ("adapt.centroid_confidence", 0.9, "--config.adapt.centroid_confidence=0.0"),
    ("adapt.centroid_tap", "fc3", "--config.adapt.centroid_tap=''"),
    ("adapt.batch_norm", "frozen", "matched, train"),
    ("adapt.cache_taps_mb", -1, "at least 0"),
    ("augment.scale", 1.0, "at most 0.9"),
    ("augment.rotation", -10.0, "at least 0.0"),
    ("model.pretrained_rate_scale", 0.1, "model.weights is empty: no layer is pretrained"),
    ("model.pretrained_rate_scale", 1.5, "at most 1.0"),
    ("model.pretrained_rate_scale", -0.1, "at least 0.0"),
    ("source.class_weight_offset", 0.5, "more than 1"),
    ("source.class_weight_offset", 1.0, "more than 1"),
  ],
)
def test_a_value_out_of_bounds_names_its_flag(field, value, said):
  with pytest.raises(config_lib.UserError) as caught:
    resolve(**{field: value})
  assert said in config_lib.with_flags(caught.value)
  assert f"--config.{field}" in config_lib.with_flags(caught.value)


def numeric_fields():
  """(dotted name, type, low, high) of every number in the schema."""
  for section in dataclasses.fields(config_lib.Config):
    leaves = [section]
    if dataclasses.is_dataclass(section.default):
      leaves = dataclasses.fields(section.default)
    for leaf in leaves:
      value = leaf.default[0] if isinstance(leaf.default, tuple) else leaf.default
      bounds = leaf.metadata
      if type(value) in (int, float) and not bounds["choices"]:
        name = leaf.name if leaf is section else f"{section.name}.{leaf.name}"
        yield name, type(leaf.default), bounds["low"], bounds["high"]


# What one field's bound needs of the others.
AT_BOUND = {
  ("adapt.steps", 0): {"adapt.information_after": 0},
  ("source.steps", 0): {"source.init_checkpoint": "runs/x"},
  ("data.num_classes", 0): {"data.classes": "a,b"},
  "model.pretrained_rate_scale": {"model.weights": "imagenet"},
  "adapt.information_after": {"adapt.steps": 10**9, "adapt.information_weight": 1.0},
  "adapt.self_training_weight": {"adapt.ema_momentum": 0.9},
  "adapt.self_training_confidence": {
    "adapt.self_training_weight": 1.0, "adapt.ema_momentum": 0.9,
  },
  "adapt.class_temperature": {"adapt.class_wise": True},
  "adapt.class_confidence": {"adapt.class_wise": True},
  "adapt.centroid_momentum": {"adapt.centroid_weight": 1.0},
  "adapt.centroid_confidence": {"adapt.centroid_weight": 1.0},
  "adapt.curriculum_local_weight": {"adapt.curriculum_weight": 1.0},
  "adapt.curriculum_superpixels": {"adapt.curriculum_weight": 1.0},
  "adapt.curriculum_landmarks": {"adapt.curriculum_weight": 1.0},
  ("translation.semantic_weight", 1e6): {"translation.semantic_run": "runs/x"},
  "data.fourier_share": {"data.source_style": "fourier"},
  "data.crop_height": {"data.height": 8192},
  "data.crop_width": {"data.width": 8192},
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "low", "high"), list(numeric_fields()))
def test_every_number_has_bounds_that_hold(name, kind, low, high):
  assert low is not None
  assert high is not None
  for bound, beyond in ((low, -1), (high, 1)):
    assert abs(bound) <= 2**31  # what TensorFlow's sizes and steps are counted in
    others = AT_BOUND.get(name, {}) | AT_BOUND.get((name, bound), {})
    resolve(**{name: kind((bound,)) if kind is tuple else kind(bound), **others})
    past = np.nextafter(bound, beyond * np.inf) if kind is float else bound + beyond
    past = kind((past,)) if kind is tuple else kind(past)
    with pytest.raises(
      config_lib.UserError, match=rf"{name} is .*expected at (least|most)"
    ):
      resolve(**{name: past, **others})
  for huge in (2**31, 2**63, 10**400, -(2**31) - 1):
    with pytest.raises(config_lib.UserError, match=f"{name} is .*expected"):
      resolve(**{name: (huge,) if kind is tuple else kind(huge) if huge < 2**64 else huge})


def test_a_name_in_two_classes_is_found_among_many():
  names = [f"c{i}" for i in range(50_000)]
  assert len(config_lib.parse_classes(",".join(names))) == len(names)
  with pytest.raises(config_lib.UserError, match="no name in two classes"):
    config_lib.parse_classes("a=x+y,b=z+x")


def test_an_unknown_field_names_the_nearest():
  values = config_lib.default().to_dict()
  values["adapt"]["gan_wieght"] = 0.3
  with pytest.raises(config_lib.UserError, match="'adapt.gan_wieght'.*'adapt.gan_weight'"):
    config_lib.resolve(values)


def test_a_config_file_cannot_add_a_field():
  with pytest.raises(AttributeError, match="drift_weight"):
    config_lib.default().adapt.drift_wieght = 1.0


def test_an_integer_stands_for_a_float_but_not_the_reverse():
  values = config_lib.default().to_dict()
  values["adapt"]["gan_weight"] = 1
  assert config_lib.resolve(values).adapt.gan_weight == 1.0
  values["adapt"]["steps"] = 1.0
  with pytest.raises(config_lib.UserError, match="expected int"):
    config_lib.resolve(values)


@pytest.mark.parametrize(
  ("field", "value"),
  [("match.enabled", False), ("match.method", "adabn"), ("adapt.batch_norm", "train")],
)
def test_moments_of_images_need_moving_ones_to_mix_with(field, value):
  with pytest.raises(config_lib.UserError, match=f"image_moments is 0.5, but {field} is"):
    resolve(**{"match.image_moments": 0.5, field: value})


@pytest.mark.parametrize("side", ["height", "width"])
def test_a_crop_larger_than_the_image_names_both_flags(side):
  assert resolve(**{f"data.crop_{side}": 28})
  with pytest.raises(config_lib.UserError) as caught:
    resolve(**{f"data.crop_{side}": 29})
  assert f"--config.data.crop_{side} to at most 28" in config_lib.with_flags(caught.value)
  assert f"--config.data.{side} to at least 29" in config_lib.with_flags(caught.value)


@pytest.mark.parametrize("style", ["none", "lab"])
def test_a_share_of_frequencies_is_of_the_fourier_style_alone(style):
  with pytest.raises(config_lib.UserError, match=r"fourier_share is 0.1, .* no use for it"):
    resolve(**{"data.source_style": style, "data.fourier_share": 0.1})
  assert resolve(**{"data.source_style": style}).data.source_style == style


@pytest.mark.parametrize("style", ["fourier", "lab"])
def test_one_domain_has_no_other_look(style):
  with pytest.raises(config_lib.UserError) as caught:
    resolve(**{"data.source_style": style, "data.source": "usps"})
  assert "source and target are both 'usps'" in caught.value.what
  assert "--config.data.source_style=none" in config_lib.with_flags(caught.value)


@pytest.mark.parametrize("field", ["adapt.init", "adapt.drift_anchor"])
def test_a_matched_start_needs_matching(field):
  with pytest.raises(config_lib.UserError, match="match.enabled"):
    resolve(**{field: "matched", "match.enabled": False})


@pytest.mark.parametrize(
  ("field", "value"),
  [("warmup_steps", 5), ("gate_accuracy", 0.6), ("spectral_norm", True),
   ("schedule", "one_at_a_time"), ("information_weight", 0.5), ("batch_norm", "train"),
   ("discriminator", "patch"), ("discriminator_units", (32,)),
   ("discriminator_slope", 0.2), ("source_label_weight", 1.0),
    ("self_training_weight", 1.0), ("centroid_weight", 1.0), ("curriculum_weight", 1.0),
    ("per_target", True)],
)  # fmt: skip
def test_what_needs_discriminators_is_refused_without(field, value):
  fields = {"adapt.objective": "joint_mmd", f"adapt.{field}": value}
  with pytest.raises(config_lib.UserError, match=f"adapt.{field} is .*no use for it"):
    resolve(**fields)


def test_joint_mmd_takes_no_tap_weights():
  with pytest.raises(config_lib.UserError, match="names without weights"):
    resolve(**{"adapt.objective": "joint_mmd"})
  resolve(**{"adapt.objective": "joint_mmd", "adapt.taps": "fc3,fc4"})


@pytest.mark.parametrize("field", ["source_label_weight", "self_training_weight"])
def test_labels_need_norms_that_fit_both_domains(field):
  fields = {f"adapt.{field}": 1.0, "adapt.ema_momentum": 0.9}
  assert resolve(**fields)
  with pytest.raises(config_lib.UserError, match=rf"adapt.{field} is 1.0, but .*'train'"):
    resolve(**fields, **{"adapt.batch_norm": "train"})


def test_no_targets_norms_are_those_of_source_images():
  own = {"adapt.per_target": True}
  assert resolve(**own).adapt.per_target
  mix = {
    "adapt.self_training_weight": 1.0, "adapt.ema_momentum": 0.9,
    "adapt.self_training_mix": True,
  }  # fmt: skip
  for fields, name in (
    ({"adapt.source_label_weight": 1.0}, "source_label_weight is 1.0"),
    (mix, "self_training_mix is True"),
  ):
    with pytest.raises(config_lib.UserError, match=f"adapt.{name}, but adapt.per_target"):
      resolve(**own, **fields)
  of_source = {"adapt.source_label_weight": 1.0, "adapt.source_norms": True}
  assert resolve(**own, **of_source, **mix).adapt.source_norms
  with pytest.raises(config_lib.UserError, match="source_norms is True, but adapt.source"):
    resolve(**{"adapt.source_norms": True})
  with pytest.raises(
    config_lib.UserError, match="source_norms is True, but .* from a file"
  ):
    resolve(**of_source, **{"model.name": "keras", "model.path": "a.keras"})
  with pytest.raises(config_lib.UserError, match="per_target is True, but .* from a file"):
    resolve(**own, **{"model.name": "keras", "model.path": "a.keras"})


def test_centroids_are_those_of_a_tap_that_is_matched():
  fields = {"adapt.centroid_weight": 1.0, "adapt.taps": "conv2,fc3:0.1"}
  assert resolve(**fields, **{"adapt.centroid_tap": "conv2"}).needs_source_labels
  with pytest.raises(config_lib.UserError, match="one of adapt.taps .*'fc3'") as caught:
    resolve(**fields, **{"adapt.centroid_tap": "fc4"})
  assert "Set --config.adapt.centroid_tap, or" in config_lib.with_flags(caught.value)


def test_centroids_are_those_of_images_with_one_label_each():
  scenes = {"data.classes": "sky,road", "data.num_classes": 0}
  with pytest.raises(
    config_lib.UserError, match="centroid_weight is 1.0, but data.classes"
  ):
    resolve(**scenes, **{"adapt.centroid_weight": 1.0})


@pytest.mark.parametrize(
  ("field", "value"),
  [("local_weight", 0.5), ("shares", "neighbours"), ("superpixels", 50),
   ("landmarks", 0.5)],
)  # fmt: skip
def test_details_of_a_curriculum_need_one(field, value):
  fields = {f"adapt.curriculum_{field}": value}
  assert resolve(**fields, **{"adapt.curriculum_weight": 1.0})
  with pytest.raises(config_lib.UserError, match=f"curriculum_{field} is .*weight is 0"):
    resolve(**fields)


def test_estimated_shares_alone_train_no_network():
  fields = {"adapt.curriculum_weight": 1.0, "adapt.gan_weight": 0.0}
  with pytest.raises(config_lib.UserError, match="estimated shares alone") as caught:
    resolve(**fields)
  assert "Set --config.adapt.source_label_weight=1, or" in config_lib.with_flags(
    caught.value
  )
  config = resolve(**fields, **{"adapt.source_label_weight": 1.0})
  assert config.needs_source_labels
  assert not config.adapt.has_discriminators
  matching = resolve(**{"adapt.curriculum_weight": 1.0})
  assert matching.needs_source_labels
  assert matching.adapt.has_discriminators
  # A weight of 0 alone leaves discriminators that watch.
  assert resolve(**{"adapt.gan_weight": 0.0}).adapt.has_discriminators


@pytest.mark.parametrize(
  ("field", "value"),
  [("warmup_steps", 5), ("gate_accuracy", 0.6), ("schedule", "one_at_a_time")],
)
def test_a_curriculum_without_discriminators_waits_for_none(field, value):
  fields = {
    "adapt.curriculum_weight": 1.0, "adapt.source_label_weight": 1.0,
    f"adapt.{field}": value,
  }  # fmt: skip
  assert resolve(**fields)
  with pytest.raises(config_lib.UserError, match=f"{field} is .*no discriminators"):
    resolve(**fields, **{"adapt.gan_weight": 0.0})


def test_a_curriculum_is_for_scenes():
  config = resolve(**{"adapt.curriculum_weight": 1.0})
  with pytest.raises(config_lib.UserError, match="curriculum_weight is 1.0, but mnist is"):
    config_lib.check_task(config, "classification")


@pytest.mark.parametrize("switch", [
  {"source.augment": True}, {"adapt.augment": True}, {"adapt.source_label_weight": 1.0},
  {"adapt.self_training_weight": 1.0, "adapt.ema_momentum": 0.9},
])  # fmt: skip
def test_moves_of_images_that_none_makes_are_told(switch):
  fields = {"augment.rotation": 20.0}
  [said] = config_lib.unused(resolve(**fields), ["augment.rotation", "seed"])
  assert said.startswith("augment.rotation is 20.0, which changes nothing: neither")
  assert config_lib.unused(resolve(**fields, **switch), ["augment.rotation"]) == []
  # Configs of scenes set them for whoever turns them on.
  assert config_lib.unused(resolve(**fields), []) == []


def test_information_sets_in_within_the_steps():
  with pytest.raises(config_lib.UserError, match="more than adapt.steps"):
    resolve(**{"adapt.information_after": 20_000, "adapt.information_weight": 0.5})


@pytest.mark.parametrize(
  ("field", "value", "remedy"),
  [
    ("data.classes", "a,b", "''"), ("data.carla_version", "0.8", "'auto'"),
    ("data.crop_height", 20, "0"),
    ("data.flip", True, "False"), ("augment.brightness", 0.1, "0.0"),
    ("augment.saturation", 0.1, "0.0"), ("source.class_weight_offset", 1.1, "0.0"),
    ("adapt.self_training_mix", True, "False"),
  ],
)  # fmt: skip
def test_what_is_of_scenes_is_refused_for_digits(field, value, remedy):
  count = {"data.num_classes": 0} if field == "data.classes" else {}
  trained = {"adapt.self_training_weight": 1.0, "adapt.ema_momentum": 0.9}
  config = resolve(**{field: value, **count, **trained})
  config_lib.check_task(config, "segmentation")
  with pytest.raises(config_lib.UserError, match=rf"{field} is.*Set {field}={remedy}\."):
    config_lib.check_task(config, "classification")


def test_a_gate_needs_adam():
  with pytest.raises(config_lib.UserError, match="adapt.optimizer"):
    resolve(**{"adapt.gate_accuracy": 0.6, "adapt.optimizer": "sgd"})


def test_taps_keep_their_order_and_default_to_weight_one():
  assert list(config_lib.parse_taps("fc4, fc3:0.1").items()) == [("fc4", 1.0), ("fc3", 0.1)]


def test_options_in_any_order_with_defaults():
  groups = {"recipe": ("release", "paper"), "method": ("gam", "adda")}
  parse = config_lib.parse_options
  assert parse(None, **groups) == {"recipe": "release", "method": "gam"}
  assert parse("adda,paper", **groups) == {"recipe": "paper", "method": "adda"}
  with pytest.raises(config_lib.UserError, match="Did you mean 'paper'"):
    parse("papre", **groups)
  with pytest.raises(config_lib.UserError, match="a second method"):
    parse("gam,adda", **groups)


def test_only_fields_that_affect_the_result_differ():
  config = resolve()
  moved = dataclasses.replace(
    config, data=dataclasses.replace(config.data, root="/elsewhere")
  )
  other = dataclasses.replace(config, adapt=dataclasses.replace(config.adapt, steps=1))
  assert config_lib.differences(config, moved) == {}
  assert config_lib.differences(config, other) == {"adapt.steps": (10_000, 1)}


def test_derived_seeds_differ_by_purpose_and_by_seed():
  seeds = {config_lib.derive_seed(seed, name) for seed in range(100) for name in ("a", "b")}
  assert len(seeds) == 200
  assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_command_line_spells_a_remedys_fields_as_flags():
  said = config_lib.UserError(
    "adapt.taps is empty.", "Set adapt.taps=fc3:0.1 or adapt.steps=0; model.path stays."
  )
  assert str(said).startswith("adapt.taps is empty. Set adapt.taps=fc3")
  assert config_lib.with_flags(said) == (
    "adapt.taps is empty. Set --config.adapt.taps=fc3:0.1 or --config.adapt.steps=0;"
    " --config.model.path stays."
  )
  assert config_lib.with_flags(config_lib.UserError("No name.")) == "No name."
