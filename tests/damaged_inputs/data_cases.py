"""Damaged data sets: every reader, by the command that reads files and trains nothing."""

from __future__ import annotations

import os
import pathlib
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.damaged_inputs import cases, documents, materials, places, server

_DIGITS = "--config=configs/digits/mnist_to_usps.py"
_STREETS = "--config=configs/segmentation/gta5_to_cityscapes_erfnet.py"


def table(folder: pathlib.Path, outcome: server.Outcome) -> str:
  """What tfdam.oracle prints, wherever the data lies."""
  return outcome.stdout.replace(str(folder), "")


def _oracle(made: materials.Materials, name: str, source: str, target: str, *flags: str,
            **changes) -> cases.Subject:  # fmt: skip
  """Counts the labels of two sets, of which the case's folder has its own copies."""
  sets = {one.partition(":")[2] or one for one in (source, target)}
  inputs = {
    f"data/{one}": made.data / one for one in sets if not one.startswith("streets/")
  }
  defaults = {
    "module": "tfdam.oracle", "inputs": inputs, "result": table,
    "environment": {"TFDAM_DATA": "{case}/data"},
  }  # fmt: skip
  flags = flags or (_DIGITS,)
  return cases.Subject(
    name=name,
    arguments=(*flags, f"--config.data.source={source}", f"--config.data.target={target}"),
    **{**defaults, **changes},
  )


def all_cases(made: materials.Materials) -> Iterator[cases.Case]:
  yield from _digits(made)
  yield from _own_digits(made)
  yield from _pictures(made)
  yield from _scenes(made)
  yield from _own_scenes(made)
  yield from _names(made)


def _digits(made: materials.Materials) -> Iterator[cases.Case]:
  """MNIST, USPS and SVHN in all of their formats, as source and as target."""
  mnist = [f"data/mnist/{p}-{part}.gz" for p in ("train", "t10k")
           for part in ("images-idx3-ubyte", "labels-idx1-ubyte")]  # fmt: skip
  source = _oracle(made, "mnist-source", "mnist", "usps")
  target = _oracle(made, "mnist-target", "usps", "mnist")
  for subject, (images, labels) in ((source, mnist[:2]), (target, mnist[2:])):
    yield from cases.of_file(subject, images, swapped_with=labels)
    yield from cases.of_file(subject, labels, swapped_with=images)
    yield from _claims(subject, images)
    yield from cases.of_folder(subject, "data/mnist")
  yield from cases.of_file(source, "data/usps/zip.test.gz", swapped_with=mnist[0])
  yield from cases.of_file(target, "data/usps/zip.train.gz")
  yield from _bombs(source, mnist[0])
  yield from _bombs(target, "data/usps/zip.train.gz")
  plain = {
    "data/mnist": made.data / "plain" / "mnist",
    "data/usps": made.data / "plain" / "usps",
  }
  plain_sets = _oracle(made, "plain-digits", "mnist", "usps", inputs=plain)
  for file in (
    "mnist/train-images-idx3-ubyte",
    "mnist/train-labels-idx1-ubyte",
    "usps/zip.test",
  ):
    yield from cases.of_file(plain_sets, f"data/{file}", seeds=1)
  yield from _claims(plain_sets, "data/mnist/train-images-idx3-ubyte")
  h5 = {"data/mnist": made.data / "mnist", "data/usps": made.data / "h5" / "usps"}
  yield from cases.of_file(_oracle(made, "usps-h5", "mnist", "usps", inputs=h5),
                           "data/usps/usps.h5", seeds=5)  # fmt: skip
  svhn = _oracle(made, "svhn", "svhn", "mnist", "--config=configs/digits/svhn_to_mnist.py")
  yield from cases.of_file(svhn, "data/svhn/train_32x32.mat", seeds=4)


def _claims(subject: cases.Subject, place: str) -> Iterator[cases.Case]:
  """Headers of idx files that promise more than there is."""
  for number, shape in enumerate(
    ((2**32 - 1,) * 3, (2**31, 28, 28), (0, 28, 28), (40, 0, 28))
  ):

    def damage(folder: pathlib.Path, _: random.Random, shape=shape) -> None:
      content = struct.pack(">4I", 0x0803, *shape) + bytes(100)
      (folder / place).write_bytes(_gzip(content) if place.endswith(".gz") else content)

    yield subject.case(
      f"{place.replace('/', ':')}/claim/{number}", damage, cases.Expected.REFUSED
    )


def _bombs(subject: cases.Subject, place: str) -> Iterator[cases.Case]:
  """Small gzip files that unpack into more than the memory."""

  def zeros(folder: pathlib.Path, _: random.Random) -> None:
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 24)
    packed = b"".join(packer.compress(block) for _ in range(512)) + packer.flush()
    (folder / place).write_bytes(packed)

  yield subject.case(f"{place.replace('/', ':')}/bomb", zeros, cases.Expected.REFUSED)


def _gzip(content: bytes) -> bytes:
  packer = zlib.compressobj(9, wbits=31)
  return packer.compress(content) + packer.flush()


def _own_digits(made: materials.Materials) -> Iterator[cases.Case]:
  """NumPy archives."""
  npz = _oracle(made, "npz", "npz:arrays", "mnist")
  train = "data/arrays/train.npz"
  yield from cases.of_file(npz, train, seeds=4)
  yield from cases.of_folder(npz, "data/arrays")
  compressed = _oracle(made, "npz-compressed", "mnist", "npz:arrays")
  yield from cases.of_file(compressed, "data/arrays/test.npz", seeds=4, swapped_with=train)
  for name, arrays in _odd_arrays().items():

    def damage(folder: pathlib.Path, _: random.Random, arrays=arrays) -> None:
      np.savez(folder / train, **arrays)

    yield npz.case(f"arrays/{name}", damage, cases.Expected.REFUSED)


def _odd_arrays() -> dict[str, dict[str, np.ndarray]]:
  images, labels = np.zeros((30, 28, 28), np.uint8), np.arange(30) % 10
  return {
    "no_labels": {"images": images}, "no_images": {"labels": labels}, "none": {},
    "float_images": {"images": images / 1.0, "labels": labels},
    "float_labels": {"images": images, "labels": labels / 1.0},
    "bool_labels": {"images": images, "labels": labels > 3},
    "text_labels": {"images": images, "labels": labels.astype(str)},
    "complex_images": {"images": images.astype(complex), "labels": labels},
    "object_labels": {"images": images, "labels": labels.astype(object)},
    "structured": {"images": np.zeros(3, [("a", "i4")]), "labels": labels},
    "dates": {"images": images, "labels": np.zeros(30, "datetime64[s]")},
    "scalar_images": {"images": np.uint8(3), "labels": labels},
    "no_image": {"images": images[:0], "labels": labels[:0]},
    "no_pixel": {"images": images[:, :0], "labels": labels},
    "flat": {"images": images.reshape(30, -1), "labels": labels},
    "five_axes": {"images": images[..., None, None], "labels": labels},
    "two_channels": {"images": np.zeros((30, 28, 28, 2), np.uint8), "labels": labels},
    "labels_of_two_axes": {"images": images, "labels": labels[:, None]},
    "labels_too_few": {"images": images, "labels": labels[:5]},
    "labels_too_many": {"images": images, "labels": np.arange(40) % 10},
    "negative_label": {"images": images, "labels": labels - 1},
    "large_label": {"images": images, "labels": labels + 2**40},
    "unsigned_label": {"images": images,
    "labels": labels.astype(np.uint64) + np.uint64(2**63)},
  }  # fmt: skip


def _pictures(made: materials.Materials) -> Iterator[cases.Case]:
  """Class folders, with a picture for every decoder."""
  folder = _oracle(
    made, "folder", "folder:shapes", "folder:shapes", _DIGITS, "--config.data.num_classes=3"
  )
  first = f"data/shapes/train/{materials.CLASSES[0]}"
  for name in materials.FORMATS:
    yield from cases.of_file(folder, f"{first}/{name}", gone=cases.Expected.ANY, seeds=1)
  for place in ("data/shapes", "data/shapes/train", first, "data/shapes/test"):
    yield from cases.of_folder(folder, place)
  yield from chunks(folder, f"{first}/rgb.png")


def chunks(subject: cases.Subject, place: str) -> Iterator[cases.Case]:
  """PNGs whose pixels are whole and whose other chunks are not."""
  chunks = {
    "exif": (b"eXIf", b"no exif"), "empty_exif": (b"eXIf", b""), "profile": (b"iCCP",
    b"x\0\0no"),
    "text": (b"tEXt", b"key\0" + b"a" * 2_000_000), "packed_text": (b"zTXt", b"k\0\0no"),
    "packed_bomb": (b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000))),
    "international": (b"iTXt", b"\xff\xff"), "gamma": (b"gAMA", b"\0"), "time": (b"tIME",
    b""),
    "unknown": (b"abCd", b"anything"), "physical": (b"pHYs", b"\0\0"), "srgb": (b"sRGB",
    b""),
    "chromaticity": (b"cHRM", b"\0"), "animation": (b"acTL", b"\0" * 8),
    "xmp": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>"),
  }  # fmt: skip
  for name, (kind, content) in chunks.items():

    def damage(folder: pathlib.Path, _: random.Random, kind=kind, content=content) -> None:
      path = folder / place
      whole = path.read_bytes()
      checksum = struct.pack(">I", zlib.crc32(kind + content))
      chunk = struct.pack(">I", len(content)) + kind + content + checksum
      path.write_bytes(whole[:33] + chunk + whole[33:])

    yield subject.case(
      f"{place.replace('/', ':')}/chunk/{name}", damage, cases.Expected.SAME
    )


def _scenes(made: materials.Materials) -> Iterator[cases.Case]:
  """The official sets: one image and one label of each."""
  streets = {
    "gta5": ("gta5", "cityscapes", _STREETS, "gta5/images/*", "gta5/labels/*"),
    "cityscapes": (
      "gta5", "cityscapes", _STREETS, "cityscapes/leftImg8bit/val/*/*",
      "cityscapes/gtFine/val/*/*labelIds.png",
    ),
    "synthia": (
      "synthia", "cityscapes", "--config=configs/segmentation/synthia_to_cityscapes.py",
      "synthia/RGB/*", "synthia/GT/LABELS/*",
    ),
    "carla": (
      "carla", "camvid", "--config=configs/segmentation/carla_to_camvid.py",
      "carla/CameraRGB/*", "carla/CameraSeg/*",
    ),
    "camvid": (
      "carla", "camvid", "--config=configs/segmentation/carla_to_camvid.py",
      "camvid/test/*", "camvid/testannot/*",
    ),
  }  # fmt: skip
  for name, (source, target, config, *patterns) in streets.items():
    subject = _oracle(made, name, source, target, config)
    files = [materials.paths_of(made.data, ".", pattern)[0] for pattern in patterns]
    for file in files:
      yield from cases.of_file(subject, f"data/{file}", gone=cases.Expected.ANY, seeds=1)
    for folder in {str(pathlib.Path(file).parent) for file in files}:
      yield from cases.of_folder(subject, f"data/{folder}")
    yield from cases.of_folder(subject, f"data/{name}", ("unlistable", "fifo", "empty"))


def _own_scenes(made: materials.Materials) -> Iterator[cases.Case]:
  """Sets with a dataset.yaml."""
  own = _oracle(made, "scenes", "gta5", "scenes:own", _STREETS)
  listed = _oracle(made, "scenes-listed", "gta5", "scenes:listed", _STREETS)
  for subject, folder in ((own, "own"), (listed, "listed")):
    place = f"data/{folder}/dataset.yaml"
    yield from cases.of_file(subject, place)
    intact = (made.data / folder / "dataset.yaml").read_bytes()
    for name, (change, is_same) in documents.YAML_TEXTS.items():
      expected = cases.Expected.SAME if is_same else cases.Expected.ANY
      damage = cases.rewritten(place, lambda content, _, change=change: change(content))
      yield subject.case(f"dataset.yaml/{name}", damage, expected)
    for key in ("images", "labels", "splits", "ids", "colours", "channel", "ignored"):
      names = sorted(documents.YAML_VALUES)
      for name in random.Random(f"{folder} {key}").sample(names, len(names) // 2):
        content = documents.yaml_with(intact, key, documents.YAML_VALUES[name])
        yield subject.case(f"dataset.yaml/{key}/{name}", cases.written(place, content))
  list_file = "data/listed/lists/test.txt"
  yield from cases.of_file(listed, list_file, seeds=1)
  for name, line in places.NAMES.items():
    damage = cases.rewritten(
      list_file, lambda c, _, line=line: c + os.fsencode(line) + b"\n"
    )
    yield listed.case(f"list/{name}", damage)
  image = materials.paths_of(made.data, "own", "images/val/*/*")[0]
  label = materials.paths_of(made.data, "own", "labels/val/*/*")[0]
  for file, other in ((image, label), (label, image)):
    yield from cases.of_file(
      own, f"data/own/{file}", cases.Expected.ANY, swapped_with=f"data/own/{other}"
    )
  for folder in ("", "/images", "/images/val", "/labels", f"/{pathlib.Path(image).parent}"):
    yield from cases.of_folder(own, f"data/own{folder}")


def _names(made: materials.Materials) -> Iterator[cases.Case]:
  """Odd names of sets, classes and pictures, and an output that cannot spell them."""
  shapes = _oracle(
    made, "names", "folder:shapes", "folder:shapes", _DIGITS, "--config.data.num_classes=3"
  )
  train, test = (
    f"data/shapes/{split}/{materials.CLASSES[0]}" for split in ("train", "test")
  )
  for name, odd in places.NAMES.items():

    def damage(folder: pathlib.Path, rng: random.Random, odd=odd) -> None:
      for place in (train, test):
        cases.renamed(place, odd)(folder, rng)

    for encoding in ("utf-8", "ascii"):
      environment = {**shapes.environment, "OUTPUT_ENCODING": encoding}
      yield shapes.case(f"class/{name}/{encoding}", damage, environment=environment)
    yield shapes.case(
      f"picture/{name}", cases.renamed(f"{train}/rgb.png", f"{odd[:250]}.png")
    )
    flags = [f"--config.data.{role}=folder:{odd}" for role in ("source", "target")]
    yield shapes.case(
      f"set/{name}", cases.renamed("data/shapes", odd),
      arguments=(_DIGITS, "--config.data.num_classes=3", *flags),
    )  # fmt: skip
