"""Your own trained Keras network, from one folder of images to another.

./bazelw run //tfdam:train -- --config=configs/own_network.py --workdir=runs/city

Copy this file and change it to fit your network and folders, or set the fields by flags
(--config.model.path=...).
"""

from __future__ import annotations

from tfdam import config as config_lib


def get_config(options: str | None = None):
  config_lib.parse_options(options)  # Refuses any: this config has no options.
  config = config_lib.default()
  config.name = "own_network"
  config.recipe = "own"
  config.model.update(
    name="keras",
    path="city.keras",  # a model saved by Keras: .keras, .h5 or a SavedModel folder
    # The network's input is (pixels * scale - mean) / deviation, with pixels from 0 to 255.
    # Leave these empty if it begins with Rescaling or Normalization layers.
    scale="1/255",
    mean="0.485,0.456,0.406",
    deviation="0.229,0.224,0.225",
  )
  config.data.update(
    # Images without labels: data/render/train/*.png and data/camera/train/*.png. For
    # scores, put labelled images into data/camera/test/<class>/*.png; the class folders in
    # sorted order must match the network's outputs. For street scenes, use scenes:NAME and
    # set `classes`.
    source="folder:render",
    target="folder:camera",
    num_classes=10,  # as many as the network has outputs
    height=224,
    width=224,
    channels=3,
  )
  # The network is already trained. Above 0, training continues, which needs labels.
  config.source.steps = 0
  config.match.update(max_images=500, batch_size=16)
  config.adapt.update(
    steps=2_000,
    global_batch_size=16,
    init="matched",
    taps="auto",  # or layer names with weights: "block3_out:0.5,scores:1"
    objective="least_squares",
    gan_weight=0.1,
    target_learning_rate=2e-5,
    discriminator_units=(128, 128),
    discriminator_slope=0.2,
    discriminator_locations=1_024,
    cache_taps_mb=0,
  )
  config.loop.update(
    eval_batch_size=16, watch_images=100, watch_every=500, checkpoint_every=500
  )
  return config
