"""Shows how far apart two domains are in each layer of a network, before any training.

./bazelw run //tfdam:gap -- --model=city.keras --source=game --target=street --scale=1/255
"""

from __future__ import annotations

import os

from absl import flags

from tfdam import config as config_lib
from tfdam import files, progress, runtime, terminal
from tfdam.reporting import gap_picture, tables
from tfdam.runs import run_folder

_MODEL = flags.DEFINE_string(
  "model", None, "Keras file (.keras, .h5) or SavedModel folder."
)
_SOURCE = flags.DEFINE_string(
  "source", None, "Folder of images, or a data set's name, of the domain it was trained on."
)
_TARGET = flags.DEFINE_string("target", None, "The same for the other domain.")
_OUTPUT = flags.DEFINE_string(
  "output", None, "Folder for gap.json and gap.png. Default: runs/gap-<the model's name>."
)
_LAYERS = flags.DEFINE_list("layers", None, "Layers to compare; default: the useful ones.")
_TAPS = flags.DEFINE_integer(
  "taps", 4, "How many taps to suggest.", lower_bound=1, upper_bound=1_000
)
_IMAGES = flags.DEFINE_integer(
  "images", 64, "Images of each domain.", lower_bound=2, upper_bound=config_lib.MAX_IMAGES
)
_SEED = flags.DEFINE_integer(
  "seed", 0, "Seed for the choice of images.", lower_bound=0, upper_bound=2**31 - 1
)
# How the network's images are prepared; none of it if Rescaling layers do that.
_SCALE = flags.DEFINE_string("scale", None, "Factor of pixels (0 to 255), such as 1/255.")
_MEAN = flags.DEFINE_string(
  "mean", None, "Subtracted from scaled pixels: one number, or one per channel."
)
_DEVIATION = flags.DEFINE_string(
  "deviation", None, "Divides the result: one number, or one per channel."
)
_ORDER = flags.DEFINE_enum(
  "channel_order", "rgb", ["rgb", "bgr"], "Order of channels in the network's input."
)


def main(argv: list[str]) -> None:
  runtime.refuse_words(argv)
  given = {flag.name: flag.value or "" for flag in (_MODEL, _SOURCE, _TARGET)}
  for name, value in given.items():
    if not value:
      raise config_lib.UserError(
        f"--{name} is missing; expected --model=FILE --source=FOLDER --target=FOLDER."
      )
  path = runtime.resolve_path(given["model"])
  name = os.path.splitext(os.path.basename(path.rstrip("/")))[0]
  output = runtime.resolve_path(_OUTPUT.value or os.path.join("runs", f"gap-{name}"))
  run_folder.check_writable(output, "--output")
  scale, mean, deviation = (
    _numbers(flag, default)
    for flag, default in ((_SCALE, "1"), (_MEAN, "0"), (_DEVIATION, "1"))
  )
  is_said = any(flag.present for flag in (_SCALE, _MEAN, _DEVIATION, _ORDER))

  # Imported here, as in train.py: TensorFlow takes seconds to start.
  with progress.waiting("starting TensorFlow"):
    from tfdam import api, keras_files, network

  expects = network.Expects(scale[0], mean, deviation, _ORDER.value) if is_said else None
  with progress.waiting(f"reading {os.path.basename(path)}"):
    read = keras_files.read(path)
  try:
    model = network.Network(read, expects=expects)
  except config_lib.UserError as error:
    raise config_lib.UserError(f"{files.shown(path)}: {error}") from error
  with progress.waiting():
    gap = api.measure_gap(
      model, _place(given["source"]), _place(given["target"]), _LAYERS.value, _IMAGES.value,
      _SEED.value,
    )  # fmt: skip
  print(gap.to_text(width=terminal.width()))
  print(f"Taps to adapt: {','.join(gap.suggest(min(_TAPS.value, len(gap.rows))))}")
  os.makedirs(output, exist_ok=True)
  gap.save(os.path.join(output, "gap.json"))
  picture = os.path.join(output, "gap.png")
  title = f"{name}: {given['source']} and {given['target']}"
  gap_picture.save(picture, gap, title=title)
  print(f"Picture: {tables.shown_path(picture)}")


def _place(given: str) -> str:
  """The absolute path if `given` is a folder; any other name as it is."""
  path = runtime.resolve_path(given)
  return path if os.path.isdir(path) else given


def _numbers(flag: flags.FlagHolder, default: str) -> tuple[float, ...]:
  """Parses a flag's numbers; Expects checks how many there are."""
  text = flag.value or default
  return config_lib.parse_numbers(text, flag.name, text.count(",") + 1, f"--{flag.name}")


def run() -> None:
  runtime.run(main)


if __name__ == "__main__":
  run()
