"""A user's own street scenes, described by dataset.yaml."""

import os
import textwrap

import numpy as np
import pytest

from tests import street_folders
from tfdam import config as config_lib
from tfdam.data import scene_folder, scene_spec

OPTIONS = config_lib.Data(classes="road,sky,car", num_classes=0)
IMAGE = np.zeros((8, 8, 3), np.uint8)
IDS = np.array([[0, 1], [2, 255]], np.uint8).repeat(4, 0).repeat(4, 1)


def describe(folder, text):
  (folder / "dataset.yaml").write_text(textwrap.dedent(text))
  return str(folder)


def load(folder, split="train", labels=True, options=OPTIONS):
  return scene_folder.load(str(folder), split, labels, options)


def said_by(folder, split="train", labels=True, options=OPTIONS):
  with pytest.raises(config_lib.UserError) as caught:
    load(folder, split, labels, options)
  return str(caught.value)


def put(folder, *names):
  for name in names:
    street_folders.save(IMAGE, folder, name)


def test_a_set_as_the_documentation_describes_it(tmp_path):
  folder = street_folders.write_own(tmp_path)
  options = config_lib.Data(classes=",".join(street_folders.NAMES), num_classes=0)
  train, test = (load(folder, split, options=options) for split in ("train", "test"))
  assert (len(train), len(test)) == (6, 4)
  # Sorted by folder: north drew the even ones.
  for scenes, seeds in ((train, (0, 2, 4, 1, 3, 5)), (test, (6, 8, 7, 9))):
    for i, seed in enumerate(seeds):
      image, label = street_folders.scene(500 + seed)
      label[0, 0] = 255
      np.testing.assert_array_equal(scenes.read_image(i), image)
      np.testing.assert_array_equal(scenes.read_label(i), label)
  assert train.class_names == street_folders.NAMES
  assert not train.notes


def test_the_example_of_the_documentation_is_valid(tmp_path):
  lines = scene_spec.__doc__.split("\n\n")[2]
  spec = scene_spec.read(describe(tmp_path, lines))
  assert spec.ids == {0: "sky", 1: "building", 7: "road", 8: "road"}
  assert (spec.channel, spec.ignored) == (0, {11, 255})


def test_the_name_is_what_the_star_matched_and_the_folder_what_lies_below(tmp_path):
  put(tmp_path, "data/town/x/a_rgb.png", "data/b_rgb.png", "data/town/c_depth.png")
  for name in ("truth/town/x/a_ids.png", "truth/b_ids.png"):
    street_folders.save(IDS, tmp_path, name)
  describe(tmp_path, """
    images: data/**/*_rgb.png
    labels: truth/{folder}/{name}_ids.png
    splits: {train: lists/train.txt}
    ids: {0: road, 1: sky, 2: car}
    ignored: [255]
    """)  # fmt: skip
  (tmp_path / "lists").mkdir()
  (tmp_path / "lists" / "train.txt").write_text("data/b_rgb.png\n\n# by its name:\na\n")
  scenes = load(tmp_path)
  assert [os.path.relpath(n, tmp_path) for n in scenes.names] == [
    "data/b_rgb.png",
    "data/town/x/a_rgb.png",
  ]
  np.testing.assert_array_equal(scenes.read_label(1)[::4, ::4], [[0, 1], [2, 255]])


@pytest.mark.parametrize(
  ("pattern", "file", "label"),
  [
    ("{split}/*.*", "train/a.b.jpg", "a.b"),
    ("{split}/*", "train/a.b.jpg", "a.b"),
    ("{split}/*.b.jpg", "train/a.b.jpg", "a"),
    ("{split}/img_*.jpg", "train/img_7.jpg", "7"),
    ("{split}/*_*.jpg", "train/a_b.jpg", "a_b"),
  ],
)
def test_names_under_several_patterns(tmp_path, pattern, file, label):
  put(tmp_path, file)
  street_folders.save(IDS, tmp_path, "labels", f"{label}.png")
  describe(tmp_path, f"""
    images: "{pattern}"
    labels: labels/{{name}}.png
    ids: {{0: road, 1: sky, 2: car}}
    ignored: 255
    """)  # fmt: skip
  assert load(tmp_path).read_label(0)[0, 0] == 0


def test_colours_and_their_ignored_ones(tmp_path):
  put(tmp_path, "train/a.png")
  colours = np.array([(128, 64, 128), (70, 130, 180), (0, 0, 142), (0, 0, 0)], np.uint8)
  street_folders.save(colours[IDS % 252], tmp_path, "truth", "a.png")
  text = """
    images: "{split}/*.png"
    labels: truth/{name}.png
    colours: {"128,64,128": road, "#4682b4": sky, "0, 0, 142": car}
    """
  describe(tmp_path, f"{text.rstrip()}\n    ignored: '#000000'\n")
  label = load(tmp_path).read_label(0)
  np.testing.assert_array_equal(label[::4, ::4], [[0, 1], [2, 255]])
  # Without the ignored one:
  describe(tmp_path, text)
  with pytest.raises(config_lib.UserError) as caught:
    load(tmp_path).read_label(0)
  for part in (f"{tmp_path}/truth/a.png", "row 4, column 4", "colour 0,0,0",
               "'colours' or 'ignored'", f"{tmp_path}/dataset.yaml"):  # fmt: skip
    assert part in str(caught.value)


def test_a_channel_of_a_colour_file_and_an_id_outside_the_map(tmp_path):
  put(tmp_path, "train/a.png")
  stored = np.zeros((8, 8, 3), np.uint8)
  stored[..., 1] = IDS
  street_folders.save(stored, tmp_path, "truth", "a.png")
  describe(tmp_path, """
    images: "{split}/*.png"
    labels: truth/{name}.png
    channel: green
    ids: {0: road, 1: sky, 2: car}
    """)  # fmt: skip
  scenes = load(tmp_path)
  with pytest.raises(config_lib.UserError) as caught:
    scenes.read_label(0)
  for part in (f"{tmp_path}/truth/a.png", "row 4, column 4 has id 255", "0-2",
               "'ids' or 'ignored'", f"{tmp_path}/dataset.yaml"):  # fmt: skip
    assert part in str(caught.value)


def test_16_bit_ids_above_255(tmp_path):
  put(tmp_path, "train/a.png")
  stored = np.array([[7, 700], [26001, 65535]]).repeat(4, 0).repeat(4, 1)
  street_folders.write_png(stored, tmp_path, "truth", "a.png", depth=16)
  describe(tmp_path, """
    images: "{split}/*.png"
    labels: truth/{name}.png
    ids: {7: road, 700: sky, 26001: car}
    ignored: 65535
    """)  # fmt: skip
  label = load(tmp_path).read_label(0)
  np.testing.assert_array_equal(label[::4, ::4], [[0, 1], [2, 255]])


def test_a_target_needs_no_labels(tmp_path):
  put(tmp_path, "train/a.png", "train/b.png")
  describe(tmp_path, 'images: "{split}/*.png"\nsplits: {train: train}')
  scenes = load(tmp_path, labels=False)
  assert (len(scenes), scenes.read_label) == (2, None)
  assert scenes.class_names == ("road", "sky", "car")
  for split in ("train", "test"):
    assert not scene_folder.has_labels(str(tmp_path), split)
  assert "has no 'labels'" in said_by(tmp_path)
  assert "has no 'test' in 'splits'" in said_by(tmp_path, "test", labels=False)


def test_two_images_with_one_label_are_named(tmp_path):
  put(tmp_path, "train/front/1.png", "train/left/1.png", "labels/1.png")
  describe(
    tmp_path,
    'images: "{split}/*/*.png"\nlabels: "labels/{name}.png"\nsplits: {train: train}\n'
    "ids: {0: road, 1: sky, 2: car}",
  )
  assert "left/1.png have one label" in said_by(tmp_path)


def test_other_rules_are_other_data(tmp_path):
  folder = street_folders.write_own(tmp_path)
  options = config_lib.Data(classes="road,sidewalk", num_classes=0)
  unlabelled = load(folder, labels=False, options=options).digests
  before = load(folder, options=options).digests
  path = f"{folder}/dataset.yaml"
  with open(path) as file:
    text = file.read()
  with open(path, "w") as file:
    file.write(text.replace("0: road, 1: sidewalk", "1: road, 0: sidewalk"))
  assert load(folder, labels=False, options=options).digests == unlabelled
  assert load(folder, options=options).digests != before


def test_a_split_none_of_whose_labels_is_there_is_unlabelled(tmp_path):
  folder = street_folders.write_own(tmp_path)
  os.rename(f"{folder}/labels/train", f"{folder}/elsewhere")
  assert not scene_folder.has_labels(folder, "train")
  assert scene_folder.has_labels(folder, "test")
  assert len(load(folder, labels=False)) == 6


def test_one_missing_label_is_named(tmp_path):
  folder = street_folders.write_own(tmp_path)
  os.remove(f"{folder}/labels/train/north/002_label.png")
  assert scene_folder.has_labels(folder, "train")
  said = said_by(folder)
  assert f"{folder}/images/train/north/002.png has no label" in said
  assert "labels/train/north/002_label.png is not there" in said


def test_a_glob_that_matches_nothing_is_named(tmp_path):
  folder = street_folders.write_own(tmp_path)
  text = street_folders.DATASET_YAML.replace("images/{split}", "imges/{split}")
  describe(tmp_path / "own", text)
  said = said_by(folder)
  assert f"{folder} has no train images; expected imges/train/**/*.png" in said
  assert f"{folder}/dataset.yaml" in said


def test_wildcards_in_the_names_of_folders_are_letters(tmp_path):
  folder = street_folders.write_own(tmp_path, name="a[1]*")
  assert len(load(folder)) == 6


def test_classes_that_are_not_in_the_map_are_named(tmp_path):
  folder = street_folders.write_own(tmp_path)
  options = config_lib.Data(classes="road,skye", num_classes=0)
  said = said_by(folder, labels=False, options=options)
  for part in ("scenes:own has no class 'skye'", "Did you mean 'sky'", "data.classes"):
    assert part in said


VALID = {
  "images": "images/{split}/*.png",
  "labels": "labels/{split}/{name}.png",
  "splits": "{train: train, test: val}",
  "ids": "{0: sky, 1: road}",
  "ignored": "255",
}


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"imges": "a.png"}, "unknown key 'imges'.*Did you mean 'images'"),
    ({"images": None}, "has no 'images'"),
    ({"images": "[a, b]"}, "images: .*a, b.*expected a path"),
    ({"images": "/data/{split}/*.png"}, "below its own folder"),
    ({"images": "../{split}/*.png"}, "below its own folder"),
    ({"images": "images/{spilt}/*.png"}, "a path that may use {split}"),
    ({"images": "images/*.png"}, "no {split} and list files"),
    ({"splits": "{train: a.txt, test: b.txt}"}, "no {split} and list files"),
    ({"splits": "{train: train, test: b.txt}"}, "no {split} and list files"),
    ({"splits": "{train: train, test: train}"}, "one place for both splits"),
    ({"splits": "{train: train, val: val}"}, "splits: .*expected train and"),
    ({"splits": "{test: train}"}, "splits: .*expected train and"),
    ({"splits": "train"}, "splits: train; expected train and"),
    ({"splits": "{train: 2023}"}, "a number in quotes"),
    ({"labels": "labels/{split}/label.png"}, "a path with {name}"),
    ({"labels": "labels/**/{name}.png"}, "without \\*"),
    ({"labels": None}, "has ids; expected either 'labels' with one of"),
    ({"ids": None}, "has labels; expected either 'labels' with one of"),
    ({"colours": '{"0,0,0": sky}'}, "either 'labels' with one of"),
    ({"ids": "{0: sky, -1: road}"}, "has -1 in 'ids'; expected whole numbers"),
    ({"ids": "{0: sky, 70000: road}"}, "has 70000 in 'ids'; expected whole numbers"),
    ({"ids": "{0: sky, road: 1}"}, "has road in 'ids'; expected whole numbers"),
    ({"ids": "{0: sky, 1: no}"}, "'?1'?: false.*in quotes"),
    ({"ids": "{0: sky, 1: road+lane}"}, "without , \\+ ="),
    ({"ids": "{0: sky, 0: road}"}, "line 4: has 0 twice"),
    ({"ids": "[sky, road]"}, "expected entries such as 0: sky"),
    ({"ids": "{[1]: sky}"}, r"has the key \[1\]; expected text or a number"),
    ({"ids": "{010: sky}"}, "has 010, to YAML an octal"),
    ({"ids": "{0x10: sky}"}, "has 0x10, to YAML an octal, hexadecimal"),
    ({"ids": "{0b_: sky}"}, "has 0b_, to YAML"),
    ({"ids": "{1_0: sky}"}, "has 1_0, to YAML .* groups of digits"),
    ({"ids": "{1:30: sky}"}, "has 1:30, to YAML .* base-60"),
    ({"ids": "{08: sky}"}, "has 08 in 'ids'; expected whole numbers"),
    ({"ids": '{"1": sky}'}, "has '1' in 'ids'; expected whole numbers"),
    ({"ids": "{1.0: sky}"}, "has '1.0' in 'ids'; expected whole numbers"),
    ({"ids": f"{{0: sky, 1: {'9' * 500}}}"}, "at most 18 decimal digits"),
    ({"ids": "!!int abc"}, "line 4: has the tag !!int; expected none"),
    ({"splits": "!!timestamp x"}, "line 3: has the tag !!timestamp"),
    ({"ignored": "!!bool x"}, "line 5: has the tag !!bool"),
    ({"ignored": "!own {}"}, "line 5: has the tag !own"),
    ({"images": "{" * 200_000}, "line 1: has a text of 200,000 characters; .*most 512"),
    ({"splits": "&a {train: *a}"}, r"line 3: has the alias \*a"),
    ({"ids": "{<<: {1: road}}"}, "in 'ids'; expected whole numbers"),
    ({"ignored": "[" * 400 + "]" * 400}, "line 5: is nested more than 8 deep"),
    ({"splits": '{train: "a\\0b"}'}, r"line 3: has the text 'a\\x00b'; expected text on"),
    ({"splits": '{train: "a\\ud800"}'}, r"line 3: has the text 'a\\ud800'"),
    ({"splits": '{train: "a\\nb"}'}, r"line 3: has the text 'a\\nb'"),
    ({"ignored": "1"}, "has 1 in 'ignored' and as a class"),
    ({"ignored": "void"}, "has void in 'ignored'; expected whole numbers"),
    ({"channel": "alpha"}, "channel: alpha; expected one of red, green, blue"),
    ({"ids": None, "colours": "{0: sky}"}, "has 0 in 'colours'; expected colours as"),
    ({"ids": None, "colours": '{"0,0,256": sky}'}, "expected colours as"),
    ({"ids": None, "colours": '{"0,0,1": a, "#000001": b}'}, "twice in 'colours'"),
    ({"ids": None, "channel": "red", "colours": '{"0,0,1": a}', "ignored": None},
     "'channel' without 'ids'"),
  ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_the_file(tmp_path, changes, said):
  entries = {**VALID, **changes}
  quoted = {"images", "labels"}
  lines = [
    f'{k}: "{v}"' if k in quoted and v[0] != "[" else f"{k}: {v}"
    for k, v in entries.items()
    if v is not None
  ]
  describe(tmp_path, "\n".join(lines))
  with pytest.raises(config_lib.UserError, match=f"(?s){said}") as caught:
    scene_spec.read(str(tmp_path))
  assert f"{tmp_path}/dataset.yaml" in str(caught.value)
  assert "end that file" in str(caught.value)


def test_the_valid_one_is_valid(tmp_path):
  describe(tmp_path, "\n".join(f"{k}: {v}" for k, v in VALID.items()))
  assert scene_spec.read(str(tmp_path)).splits == {"train": "train", "test": "val"}


@pytest.mark.parametrize(
  ("content", "said"),
  [
    (b"", "holds null; expected entries"),
    (b"- a\n- b\n", "holds .*a, b"),
    (b"images: {split}/*.png", "is no YAML.*need quotes"),
    (b"\xff\xfe\x00", "is no YAML"),
    (b"images: a\0b\n", "is no YAML.*#x0000"),
    (b"a: b\n---\na: c\n", ", line 2: a second document"),
    (b"a: !!python/object/apply:os.getcwd []\n", ", line 1: has the tag !!python"),
    # Each value is twice the one before; to look at all of them takes for ever.
    (b"a: &x [0]\n" + b"b: &x [*x, *x]\n" * 100, ", line 2: has the alias"),
    (b"ids: [" + b"1, " * 100_000 + b"]", "has more than 256 KiB"),
  ],
)
def test_what_is_no_mapping_is_refused(tmp_path, content, said):
  (tmp_path / "dataset.yaml").write_bytes(content)
  with pytest.raises(config_lib.UserError, match=f"(?s)dataset.yaml ?{said}"):
    scene_spec.read(str(tmp_path))


def test_text_that_yaml_takes_for_a_date_stays_text(tmp_path):
  splits = "{train: 2001-01-01, test: 2001-99-99}"
  describe(tmp_path, f'images: "{{split}}/*.png"\nsplits: {splits}')
  assert scene_spec.read(str(tmp_path)).splits == {
    "train": "2001-01-01",
    "test": "2001-99-99",
  }


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_opened(tmp_path, make):
  make(tmp_path / "dataset.yaml")
  with pytest.raises(config_lib.UserError, match="dataset.yaml is a .*expected a file"):
    scene_spec.read(str(tmp_path))


def test_no_dataset_yaml(tmp_path):
  with pytest.raises(config_lib.UserError, match="dataset.yaml cannot be read.*Write it"):
    scene_spec.read(str(tmp_path))


@pytest.mark.parametrize(
  ("lines", "said"),
  [
    ("all/a.png\nall/b.pgn", "line 2: 'all/b.pgn' is none of the 3.*mean 'all/b.png'"),
    ("a\nall/a.png", "line 2: 'all/a.png' is there twice, first in line 1"),
    ("b", "line 1: 'b' is the name of 2 images"),
    ("", r"train\.txt names no image"),
    (None, r"train\.txt cannot be read"),
  ],
)
def test_a_list_that_is_wrong_is_named_with_its_line(tmp_path, lines, said):
  put(tmp_path, "all/a.png", "all/b.png", "all/x/b.png")
  describe(tmp_path, "images: all/**/*.png\nsplits: {train: train.txt}")
  if lines is not None:
    (tmp_path / "train.txt").write_text(lines)
  with pytest.raises(config_lib.UserError, match=f"(?s){said}"):
    load(tmp_path, labels=False)


def test_a_list_may_begin_with_a_mark_of_its_encoding(tmp_path):
  put(tmp_path, "all/a.png")
  describe(tmp_path, "images: all/*.png\nsplits: {train: train.txt}")
  (tmp_path / "train.txt").write_text("all/a.png\n", encoding="utf-8-sig")
  assert len(load(tmp_path, labels=False)) == 1


def test_wildcards_in_the_word_of_a_split_are_letters(tmp_path):
  put(tmp_path, "images/t[1]/north/a.png")
  street_folders.save(IDS, tmp_path, "labels/t[1]/north/a.png")
  describe(tmp_path, """
    images: images/{split}/**/*.png
    labels: labels/{split}/{folder}/{name}.png
    splits: {train: "t[1]"}
    ids: {0: road, 1: sky, 2: car}
    ignored: 255
    """)  # fmt: skip
  assert load(tmp_path).read_label(0)[0, 0] == 0


def test_images_that_links_repeat_are_counted_aloud(tmp_path):
  put(tmp_path, "train/run1/a.png", "train/run1/b.png")
  describe(tmp_path, 'images: "{split}/**/*.png"\nsplits: {train: train}')
  assert not load(tmp_path, labels=False).notes
  (tmp_path / "train" / "latest.png").symlink_to("run1/b.png")
  (note,) = load(tmp_path, labels=False).notes
  assert "1 of 3 train images are others by a link" in note


@pytest.mark.parametrize(
  "pattern",
  ["**/*.png", "**/**/*.png", "**", "*/**/*.png", "**/*/*.png", "./run*//*.png", "run?/**"],
)
def test_each_real_image_comes_once_whatever_leads_to_it(tmp_path, pattern, caplog):
  names = ["train/run1/a.png", "train/run2/b.png"]
  put(tmp_path, "test/c.png", *names)
  describe(tmp_path, f'images: "{{split}}/{pattern}"\nsplits: {{train: train}}')
  for link in ("train/run1/up", "train/run2/up", "train/run2/here"):
    (tmp_path / link).symlink_to("." if link.endswith("here") else "..")
  (tmp_path / "train" / "run0").symlink_to("run1")
  with caplog.at_level("INFO"):
    found = load(tmp_path, labels=False).names
  assert [os.path.relpath(name, tmp_path) for name in found] == names
  assert "run0" in caplog.text


def test_names_need_not_be_utf_8(tmp_path):
  put(tmp_path, "train/a.png")
  train = os.fsencode(tmp_path / "train")
  os.rename(train + b"/a.png", train + b"/stra\xdfe.png")
  describe(tmp_path, 'images: "{split}/*.png"\nsplits: {train: train}')
  assert len(load(tmp_path, labels=False).digests) == 1


def test_labels_that_are_described_and_nowhere_stop_a_target(tmp_path):
  put(tmp_path, "train/a.png", "test/b.png")
  text = """
    images: "{split}/*.png"
    labels: truth/{name}_ids.png
    ids: {0: road, 1: sky, 2: car}
    ignored: 255
    """
  describe(tmp_path, text)
  street_folders.save(IDS, tmp_path, "truth", "b_label.png")
  said = said_by(tmp_path, labels=False)
  for part in (f"{tmp_path}/truth/a_ids.png", f"{tmp_path}/train/a.png", "'labels'"):
    assert part in said
  # One split that has some is enough: training images may well have none.
  street_folders.save(IDS, tmp_path, "truth", "b_ids.png")
  assert len(load(tmp_path, labels=False)) == 1


@pytest.mark.parametrize(
  ("image", "reason"), [("test/b.png", "truth/b.png"), ("val/b.png", "no test images")]
)
def test_the_log_says_why_a_split_is_not_scored(tmp_path, caplog, image, reason):
  put(tmp_path, "train/a.png", image)
  street_folders.save(IDS, tmp_path, "truth", "a.png")
  describe(tmp_path, """
    images: "{split}/*.png"
    labels: truth/{name}.png
    ids: {0: road, 1: sky, 2: car}
    ignored: 255
    """)  # fmt: skip
  assert not scene_folder.has_labels(str(tmp_path), "test")
  assert reason in caplog.text


def test_images_deeper_than_the_glob_are_told_with_what_reads_them(tmp_path):
  put(tmp_path, "train/left/a.png", "train/front/b.png", "train/front/c.png")
  describe(tmp_path, 'images: "{split}/*.png"\nsplits: {train: train}')
  said = said_by(tmp_path, labels=False)
  assert "sub-folders have images (2 in train/front, 1 in train/left): '**/' in" in said
