"""Table 4: street scenes, SYNTHIA to Cityscapes; and the same rows on CARLA to CamVid."""

from __future__ import annotations

from configs.experiments import _scenes
from tfdam import experiment as experiment_lib

# Pixel accuracy, class accuracy, mIoU, as printed (tfdam/PAPER.md, departure 24).
_PUBLISHED = {
  "source_only": ("77.30", "59.21", "45.19"),
  "gam": ("92.67", "74.32", "62.26"),
}
# Its mIoU of Curriculum DA and of GAM from its network, and what the start was.
_CURRICULUM = (
  "29.0", "30.7", "Published: of VGG16-FCN8s, and from a network with 17.4."
)  # fmt: skip
_CARLA = "configs/segmentation/carla_to_camvid.py"


def get_experiment() -> experiment_lib.Experiment:
  full = (
    "Percent on Cityscapes' validation split; mean and standard deviation over seeds, of"
    " the network at the last step."
  )
  synthia = "configs/segmentation/synthia_to_cityscapes.py"
  return experiment_lib.Experiment(
    name="table4",
    title="Table 4: street scenes",
    about="A network trained on rendered streets, adapted to real ones.",
    tables=(
      _scenes.table("carla_to_camvid", "CARLA (50 frames) to CamVid, eight classes",
                    _CARLA, {}),
      _scenes.from_weights("carla_to_camvid_lite0",
                           "CARLA (50 frames) to CamVid, eight classes", _CARLA),
      _scenes.table("synthia_to_cityscapes", "SYNTHIA to Cityscapes, 16 classes",
                    synthia, _PUBLISHED, full,
                    _scenes.curriculum("synthia_to_cityscapes", synthia, *_CURRICULUM)),
    ),
    seeds=3,
  )  # fmt: skip
