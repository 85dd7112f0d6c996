"""What is damaged: data sets, run folders and exports, all of them small, made once."""

from __future__ import annotations

import gzip
import os
import pathlib
import shutil
from collections.abc import Sequence
from concurrent import futures

import h5py
import numpy as np
from PIL import Image, ImageCms

from tests import street_folders, synthetic
from tests.damaged_inputs import server

_CONFIG = """\
from tfdam import config as config_lib


def get_config(options=None):
  values = config_lib.default()
  values.update_from_flattened_dict({changes!r})
  return values
"""
_RUNS = ("scenes", "digits", "keras")
_SHORT = {
  "source.steps": 4, "adapt.steps": 4, "source.global_batch_size": 4,
  "adapt.global_batch_size": 4, "adapt.discriminator_units": (4, 4), "match.batch_size": 8,
  "loop.log_every": 2, "loop.checkpoint_every": 2, "loop.watch_every": 0,
  "loop.num_panels": 0, "loop.eval_batch_size": 8, "loop.report": False,
  "source.cache": "off",
}  # fmt: skip
DIGITS = {**_SHORT, "name": "digits", "source.cache": ""}
# A label set's names are the 19 of Cityscapes in both sets below.
SCENES = {
  **_SHORT, "name": "scenes", "data.source": "scenes:drawn", "data.target": "scenes:own",
  "data.classes": "road,sky,building", "data.num_classes": 0, "data.channels": 3,
  "data.height": 32, "data.width": 64, "model.name": "erfnet", "model.width": 0.25,
  "model.depth": 0.1, "adapt.taps": "block03,block05", "adapt.objective": "least_squares",
  "source.global_batch_size": 2, "adapt.global_batch_size": 2, "match.batch_size": 2,
  "loop.eval_batch_size": 2,
}  # fmt: skip
# A user's network, whose file is named when the config is written.
KERAS = {
  **DIGITS, "name": "own", "model.name": "keras", "model.scale": "1/255",
  "source.steps": 0, "source.cache": "off", "adapt.taps": "auto",
  "adapt.objective": "least_squares",
}  # fmt: skip
CLASSES = ("circle", "square", "star")
# Of pictures, by the decoder that reads them.
FORMATS = (
  "rgb.png", "grey.png", "grey16.png", "rgb16.png", "palette.png", "alpha.png",
  "turned.png", "rgb.jpg", "progressive.jpg", "turned.jpg", "grey.jpg", "rgb.webp",
  "rgb.bmp", "rgb.tif", "packed.tif", "still.gif", "moving.gif",
)  # fmt: skip


class Materials:
  """Folders below `root`: data sets, runs, and the source network that runs share."""

  def __init__(self, root: pathlib.Path):
    self.root = root
    self.data = root / "data"
    self.runs = root / "runs"
    self.configs = root / "configs"
    self.cache = root / "cache"
    self.networks = root / "networks"

  def make(self, servers: Sequence[server.Server]) -> None:
    """Draws the data sets; trains and exports a network of each kind, at once."""
    for folder in (self.data, self.runs, self.configs):
      folder.mkdir(parents=True)
    write_sets(self.data)
    self._command(servers[0], "tests.damaged_inputs.networks", str(self.networks))
    own = {**KERAS, "model.path": str(self.networks / "digits.keras")}
    for name, changes in (("digits", DIGITS), ("scenes", SCENES), ("keras", own)):
      (self.configs / f"{name}.py").write_text(_CONFIG.format(changes=changes))
    with futures.ThreadPoolExecutor(len(servers)) as pool:
      made = [
        pool.submit(self._make_run, name, servers[i % len(servers)])
        for i, name in enumerate(_RUNS)
      ]
      for one in made:
        one.result()
    self._command(servers[0], "tfdam.report", f"--workdir={self.runs / 'digits'}")
    for name in _RUNS:
      self._make_begun(name)

  def _make_run(self, name: str, runner: server.Server) -> None:
    run = str(self.runs / name)
    self._command(
      runner, "tfdam.train", f"--config={self.configs / name}.py", f"--workdir={run}"
    )
    self._command(
      runner, "export.run", f"--workdir={run}", "--formats=onnx", "--metric_images=4"
    )

  def _make_begun(self, name: str) -> None:
    """The run as it was before its last two steps."""
    begun = self.runs / f"{name}_begun"
    shutil.copytree(self.runs / name, begun)
    shutil.rmtree(begun / "export")
    shutil.rmtree(newest(begun, "adapted"))
    (begun / "adapted.keras").unlink(missing_ok=True)

  def _command(self, runner: server.Server, module: str, *arguments: str) -> None:
    folder = self.root / "making" / module / arguments[-1].replace("/", "_")[-20:]
    for name in ("home", "tmp"):
      (folder / name).mkdir(parents=True, exist_ok=True)
    environment = server.environment(
      str(folder), TFDAM_DATA=str(self.data), TFDAM_CACHE=str(self.cache)
    )
    done = runner.run(server.Job(module, arguments, str(folder), environment))
    if done.status:
      raise RuntimeError(
        f"{module} {' '.join(arguments)} on intact inputs ends with {done.status}"
        f" {done.broken}:\n{done.stdout}\n{done.stderr}"
      )


def newest(run: pathlib.Path, stage: str) -> pathlib.Path:
  """The newest checkpoint's folder of a stage."""
  return max((run / "checkpoints" / stage).iterdir())


def write_sets(root: pathlib.Path) -> None:
  """Every data set that there is a reader for."""
  synthetic.write_mnist(root, train=40, test=20)
  synthetic.write_usps(root, train=40, test=20, gain=0.6)
  synthetic.write_svhn(root, train=20, test=20)
  _write_plain(root)
  street_folders.write_gta5(root, count=2)
  street_folders.write_synthia(root, count=2)
  street_folders.write_carla(root, count=10)
  street_folders.write_cityscapes(root, train=2, test=2)
  street_folders.write_camvid(root, train=2, test=2)
  street_folders.write_own(root, train=4, test=2)
  street_folders.write_own(root, "drawn", train=4, test=2, gain=0.8, offset=50.0)
  _write_listed(root / "listed", root / "own")
  _write_classes(root / "shapes")
  _write_arrays(root / "arrays")
  write_pictures(root / "pictures")


def _write_plain(root: pathlib.Path) -> None:
  """USPS's other formats, each in a root of its own: `plain` and `h5`."""
  for split in ("train", "test"):
    content = gzip.decompress((root / "usps" / f"zip.{split}.gz").read_bytes())
    for other in ("plain", "h5"):
      (root / other / "usps").mkdir(parents=True, exist_ok=True)
    (root / "plain" / "usps" / f"zip.{split}").write_bytes(content)
    values = np.loadtxt(content.decode().splitlines(), ndmin=2)
    with h5py.File(root / "h5" / "usps" / "usps.h5", "a") as file:
      file[f"{split}/data"] = (values[:, 1:].astype(np.float32) + 1) / 2
      file[f"{split}/target"] = values[:, 0].astype(np.int64)
  for name in ("train", "t10k"):
    for part in ("images-idx3-ubyte", "labels-idx1-ubyte"):
      content = gzip.decompress((root / "mnist" / f"{name}-{part}.gz").read_bytes())
      (root / "plain" / "mnist").mkdir(exist_ok=True)
      (root / "plain" / "mnist" / f"{name}-{part}").write_bytes(content)


def _write_listed(folder: pathlib.Path, own: pathlib.Path) -> None:
  """A set whose splits are list files, and whose labels are colours."""
  (folder / "lists").mkdir(parents=True)
  colours = np.array([*street_folders.CLASSES.values()], np.uint8)
  for split, word in (("train", "train"), ("test", "val")):
    names = []
    for image in sorted((own / "images" / word).rglob("*.png")):
      names.append(f"{split}{image.stem}")
      place = folder / "all" / f"{names[-1]}.png"
      place.parent.mkdir(exist_ok=True)
      shutil.copy(image, place)
      label = own / "labels" / word / image.parent.name / f"{image.stem}_label.png"
      ids = np.array(Image.open(label))
      ids[ids == 255] = 0
      street_folders.save(colours[ids], folder, "labels", f"{names[-1]}.png")
    (folder / "lists" / f"{split}.txt").write_text("\n".join(names) + "\n")
  entries = "".join(
    f'  "{r},{g},{b}": {name}\n' for name, (r, g, b) in street_folders.CLASSES.items()
  )
  (folder / "dataset.yaml").write_text(
    "images: all/*.png\nlabels: labels/{name}.png\n"
    "splits: {train: lists/train.txt, test: lists/test.txt}\n"
    f"colours:\n{entries}"
  )


def _write_classes(folder: pathlib.Path) -> None:
  """A folder a class, with a picture of each format in the first."""
  for split in ("train", "test"):
    for i, name in enumerate(CLASSES):
      write_pictures(folder / split / name, FORMATS if i == 0 else FORMATS[:2], seed=i)


def _write_arrays(folder: pathlib.Path) -> None:
  folder.mkdir()
  for seed, (split, write) in enumerate(
    (("train", np.savez), ("test", np.savez_compressed))
  ):
    images, labels = synthetic.digits(30, 28, seed)
    write(folder / f"{split}.npz", images=images, labels=labels)


def write_pictures(
  folder: pathlib.Path, names: Sequence[str] = FORMATS, seed: int = 0
) -> None:
  """A picture of 24x20 pixels in each format."""
  folder.mkdir(parents=True)
  pixels = np.random.RandomState(seed).randint(0, 256, (20, 24, 3), np.uint8)
  rgb = Image.fromarray(pixels)
  exif = Image.Exif()
  exif[0x0112] = 6
  profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
  frames = [rgb.quantize(16), rgb.rotate(90).resize(rgb.size).quantize(16)]
  write = {
    "rgb.png": lambda p: rgb.save(p, icc_profile=profile),
    "grey.png": lambda p: rgb.convert("L").save(p),
    "grey16.png": lambda p: p.write_bytes(
      street_folders.png(pixels[..., 0].astype(int) * 257, 16)
    ),
    "rgb16.png": lambda p: p.write_bytes(street_folders.png(pixels.astype(int) * 257, 16)),
    "palette.png": lambda p: rgb.quantize(16).save(p),
    "alpha.png": lambda p: rgb.convert("RGBA").save(p),
    "turned.png": lambda p: rgb.save(p, exif=exif),
    "rgb.jpg": lambda p: rgb.save(p, icc_profile=profile),
    "progressive.jpg": lambda p: rgb.save(p, progressive=True),
    "turned.jpg": lambda p: rgb.save(p, exif=exif),
    "grey.jpg": lambda p: rgb.convert("L").save(p),
    "rgb.webp": lambda p: rgb.save(p, lossless=True),
    "rgb.bmp": lambda p: rgb.save(p),
    "rgb.tif": lambda p: rgb.save(p),
    "packed.tif": lambda p: rgb.save(p, compression="tiff_lzw"),
    "still.gif": lambda p: frames[0].save(p),
    "moving.gif": lambda p: frames[0].save(p, save_all=True, append_images=frames[1:]),
  }
  for name in names:
    write[name](folder / name)


def paths_of(root: pathlib.Path, folder: str, *patterns: str) -> list[str]:
  """Files below a folder of `root` by patterns, relative to that folder, sorted."""
  base = root / folder
  found = {path for pattern in patterns for path in base.glob(pattern) if path.is_file()}
  return sorted(os.path.relpath(path, base) for path in found)
