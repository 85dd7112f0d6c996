"""Small street-scene sets, drawn by the tests in the official layouts.

Every image shows each of Cityscapes' 19 classes, in a colour and at a place of its own, so
that a small network can learn them.
"""

import os
import struct
import zlib

import numpy as np
from PIL import Image

# The 19 classes that Cityscapes scores, in the order of their train ids, and their colours.
CLASSES = {
  "road": (128, 64, 128), "sidewalk": (244, 35, 232), "building": (70, 70, 70),
  "wall": (102, 102, 156), "fence": (190, 153, 153), "pole": (153, 153, 153),
  "traffic light": (250, 170, 30), "traffic sign": (220, 220, 0),
  "vegetation": (107, 142, 35), "terrain": (152, 251, 152), "sky": (70, 130, 180),
  "person": (220, 20, 60), "rider": (255, 0, 0), "car": (0, 0, 142), "truck": (0, 0, 70),
  "bus": (0, 60, 100), "train": (0, 80, 100), "motorcycle": (0, 0, 230),
  "bicycle": (119, 11, 32),
}  # fmt: skip
NAMES = tuple(CLASSES)

# Their ids in the sets, in the same order.
CITYSCAPES_IDS = (
  7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33
)  # fmt: skip
SYNTHIA_IDS = (3, 4, 2, 21, 5, 7, 15, 9, 6, 16, 1, 10, 17, 8, 18, 19, 20, 12, 11)
CAMVID_IDS = (3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10)
CARLA_IDS = (7, 8, 1, 11, 2, 5, 12, 12, 9, 9, 0, 4, 4, 10, 10, 10, 10, 10, 10)

# Top and bottom of the bands behind everything, as fractions of the height.
_BANDS = (
  ("sky", 0.0, 0.2), ("building", 0.2, 0.35), ("vegetation", 0.35, 0.45),
  ("wall", 0.45, 0.5), ("fence", 0.5, 0.55), ("terrain", 0.55, 0.65),
  ("sidewalk", 0.65, 0.75), ("road", 0.75, 1.0),
)  # fmt: skip
# Top and bottom of what stands before them, each in a column of its own.
_OBJECTS = (
  ("pole", 0.2, 0.7), ("traffic light", 0.15, 0.25), ("traffic sign", 0.25, 0.35),
  ("person", 0.5, 0.7), ("rider", 0.55, 0.75), ("car", 0.65, 0.78), ("truck", 0.5, 0.78),
  ("bus", 0.45, 0.78), ("train", 0.4, 0.65), ("motorcycle", 0.68, 0.79),
  ("bicycle", 0.66, 0.77),
)  # fmt: skip


def scene(seed, height=48, width=96, gain=1.0, offset=0.0, noise=8.0):
  """Draws one scene; `gain` and `offset` make domains differ.

  Returns:
    image: uint8 [height, width, 3]; label: uint8 [height, width], positions in NAMES.
  """
  rng = np.random.RandomState(seed)
  label = np.zeros((height, width), np.uint8)
  shift = rng.uniform(-0.02, 0.02)
  for name, top, bottom in _BANDS:
    rows = slice(max(0, round((top + shift) * height)), round((bottom + shift) * height))
    label[rows if bottom < 1 else slice(rows.start, None)] = NAMES.index(name)
  edges = np.linspace(0, width, len(_OBJECTS) + 1).astype(int)
  for i, which in enumerate(rng.permutation(len(_OBJECTS))):
    name, top, bottom = _OBJECTS[which]
    left = edges[i] + rng.randint(0, 3)
    right = min(edges[i + 1], left + (3 if name == "pole" else 6))
    label[round(top * height) : round(bottom * height), left:right] = NAMES.index(name)
  colours = np.array([*CLASSES.values()], np.float64)[label]
  image = offset + gain * colours + rng.normal(0.0, noise, colours.shape)
  return np.clip(image, 0, 255).round().astype(np.uint8), label


def native(label, ids):
  """Positions in NAMES as a set's own ids."""
  return np.array(ids, np.uint8)[label]


def save(array, *parts, palette=None):
  """Writes an image by its ending; uint8 [H, W] with a `palette` as a palette PNG."""
  path = os.path.join(*map(str, parts))
  os.makedirs(os.path.dirname(path), exist_ok=True)
  image = Image.fromarray(array)
  if palette is not None:
    image.putpalette(np.asarray(palette, np.uint8).ravel().tolist())
  image.save(path)
  return path


def png(array, depth=8, colour_type=None, filters=(0, 1, 2, 3, 4)):
  """The bytes of a PNG file, encoded by hand: Pillow writes no 16-bit colours.

  Args:
    array: unsigned integers [H, W] or [H, W, C].
    depth: bits a channel: 1, 2 and 4 (one channel), 8 or 16.
    colour_type: as in the PNG specification; None: by the number of channels.
    filters: filter types of the rows, in turn.
  """
  pixels = array[..., np.newaxis] if array.ndim == 2 else array
  height, width, channels = pixels.shape
  if colour_type is None:
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
  if depth < 8:
    bits = np.unpackbits(pixels[..., 0].astype(np.uint8)[..., np.newaxis], axis=-1)
    rows = np.packbits(bits[..., -depth:].reshape(height, -1), axis=-1)
  else:
    flat = pixels.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    rows = np.frombuffer(flat.tobytes(), np.uint8).reshape(height, -1)
  step = max(1, channels * depth // 8)
  above = np.zeros_like(rows[0])
  encoded = b""
  for i, row in enumerate(rows):
    kind = filters[i % len(filters)]
    encoded += bytes([kind]) + _filtered(row, above, step, kind).tobytes()
    above = row
  header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
  body = _chunk(b"IHDR", header)
  if colour_type == 3:
    body += _chunk(b"PLTE", bytes(range(3 * 2**depth)) if depth < 8 else bytes(768))
  body += _chunk(b"IDAT", zlib.compress(encoded)) + _chunk(b"IEND", b"")
  return b"\x89PNG\r\n\x1a\n" + body


def write_png(array, *parts, **encoding):
  path = os.path.join(*map(str, parts))
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with open(path, "wb") as file:
    file.write(png(array, **encoding))
  return path


def write_gta5(root, count=6, labels="palette", size=(48, 96), seed=0, **style):
  """`labels`: "palette" (as the release's), "ids" or "colours"."""
  palette = np.zeros((256, 3), np.uint8)
  palette[list(CITYSCAPES_IDS)] = list(CLASSES.values())
  for i in range(1, count + 1):
    image, label = scene(seed + i, *size, **style)
    save(image, root, "gta5", "images", f"{i:05d}.png")
    if labels == "colours":
      stored = np.array([*CLASSES.values()], np.uint8)[label]
    else:
      stored = native(label, CITYSCAPES_IDS)
    used = palette if labels == "palette" else None
    save(stored, root, "gta5", "labels", f"{i:05d}.png", palette=used)
  return os.path.join(root, "gta5")


def write_synthia(root, count=6, size=(48, 96), seed=100, **style):
  for i in range(count):
    image, label = scene(seed + i, *size, **style)
    save(image, root, "synthia", "RGB", f"{i:07d}.png")
    stored = np.zeros((*label.shape, 3), np.uint16)
    stored[..., 0] = native(label, SYNTHIA_IDS)
    stored[..., 1] = 1000 * i + label.astype(np.uint16)  # instances
    write_png(stored, root, "synthia", "GT", "LABELS", f"{i:07d}.png", depth=16)
  return os.path.join(root, "synthia")


def write_cityscapes(root, train=6, test=4, size=(48, 96), seed=200, **style):
  folder = os.path.join(root, "cityscapes")
  for i in range(train + test):
    image, label = scene(seed + i, *size, **style)
    split, city = ("train", ("aachen", "zurich")[i % 2]) if i < train else ("val", "lindau")
    stem = f"{city}_{i:06d}_000019"
    save(image, folder, "leftImg8bit", split, city, f"{stem}_leftImg8bit.png")
    base = os.path.join(folder, "gtFine", split, city, stem)
    save(native(label, CITYSCAPES_IDS), f"{base}_gtFine_labelIds.png")
    # The other files of the official folders, which are none of ours.
    save(label, f"{base}_gtFine_labelTrainIds.png")
    save(np.array([*CLASSES.values()], np.uint8)[label], f"{base}_gtFine_color.png")
  return folder


def write_camvid(root, train=6, test=4, size=(48, 64), seed=300, ending="png",
                 dusk=None, val=0, **style):  # fmt: skip
  """Writes CamVid.

  `dusk`: how many images of each split are at dusk, (train, test); None: all. `val`: how
  many images there are to choose by, none of them at dusk.
  """
  folder = os.path.join(root, "camvid")
  at_dusk = [*range(train + test)]
  if dusk is not None:
    at_dusk = [*range(dusk[0]), *range(train, train + dusk[1])]
  for i in range(train + test + val):
    image, label = scene(seed + i, *size, **style)
    split = "train" if i < train else "test" if i < train + test else "val"
    sequence = "0001TP" if i in at_dusk else "Seq05VD"
    save(image, folder, split, f"{sequence}_{i:06d}.{ending}")
    stored = native(label, CAMVID_IDS)
    stored[0, 0] = 11  # void
    save(stored, folder, f"{split}annot", f"{sequence}_{i:06d}.png")
  return folder


def write_carla(root, count=10, size=(60, 80), seed=400, **style):
  folder = os.path.join(root, "carla")
  for i in range(count):
    image, label = scene(seed + i, *size, **style)
    stored = np.zeros((*label.shape, 3), np.uint8)
    stored[..., 0] = native(label, CARLA_IDS)
    stored[-4:, :, 0] = 10  # the bonnet
    save(image, folder, "CameraRGB", f"02_00_{i:03d}.png")
    save(stored, folder, "CameraSeg", f"02_00_{i:03d}.png")
  return folder


DATASET_YAML = """\
images: images/{split}/**/*.png
labels: labels/{split}/{folder}/{name}_label.png
splits: {train: train, test: val}
ids: {0: road, 1: sidewalk, 2: building, 3: wall, 4: fence, 5: pole, 6: traffic light,
      7: traffic sign, 8: vegetation, 9: terrain, 10: sky, 11: person, 12: rider, 13: car,
      14: truck, 15: bus, 16: train, 17: motorcycle, 18: bicycle}
ignored: 255
"""


def write_own(root, name="own", train=6, test=4, size=(48, 96), seed=500, **style):
  """A user's own set, "scenes:own"."""
  folder = os.path.join(root, name)
  for i in range(train + test):
    image, label = scene(seed + i, *size, **style)
    label[0, 0] = 255
    split, town = ("train" if i < train else "val"), ("north", "south")[i % 2]
    save(image, folder, "images", split, town, f"{i:03d}.png")
    save(label, folder, "labels", split, town, f"{i:03d}_label.png")
  with open(os.path.join(folder, "dataset.yaml"), "w") as file:
    file.write(DATASET_YAML)
  return folder


def write_all(root):
  """All of them, in two styles: what is drawn is brighter than what is filmed."""
  for write in (write_gta5, write_synthia, write_carla):
    write(root, gain=0.8, offset=50.0)
  for write in (write_cityscapes, write_own):
    write(root)
  write_camvid(root, dusk=(3, 2), val=3)
  return str(root)


def _filtered(row, above, step, kind):
  """A row of bytes after one of PNG's five filters."""
  left = np.concatenate([np.zeros(step, np.uint8), row[:-step]])
  above_left = np.concatenate([np.zeros(step, np.uint8), above[:-step]])
  a, b, c = (part.astype(int) for part in (left, above, above_left))
  distances = np.stack([abs(b - c), abs(a - c), abs(a + b - 2 * c)])
  paeth = np.choose(distances.argmin(0), [a, b, c])  # argmin: the first of equals
  guess = (np.zeros_like(a), a, b, (a + b) // 2, paeth)[kind]
  return ((row.astype(int) - guess) % 256).astype(np.uint8)


def _chunk(name, data):
  checksum = struct.pack(">I", zlib.crc32(name + data))
  return struct.pack(">I", len(data)) + name + data + checksum
