"""Networks and discriminators by name.

To add one, write a class in a module of this package and a line below.
"""

from tfdam.models import (
  discriminators,
  drn,
  erfnet,
  fcn8s,
  lenet,
  lenet_bn,
  lite0_pyramid,
  vgg16_pyramid,
)

MODELS = {
  "lenet": lenet.LeNet,
  "lenet_bn": lenet_bn.LeNetBN,
  "erfnet": erfnet.ERFNet,
  "fcn8s": fcn8s.FCN8s,
  "drn26": drn.DRN26,
  "lite0_pyramid": lite0_pyramid.Lite0Pyramid,
  "vgg16_pyramid": vgg16_pyramid.VGG16Pyramid,
}
DISCRIMINATORS = {
  "per_location": discriminators.PerLocation,
  "patch": discriminators.Patch,
}
