"""What each network of the registry is tried on: a size, and options that make it small."""

_DIGITS = {"data__height": 28, "data__width": 28, "data__channels": 1}
_STREETS = {"data__height": 64, "data__width": 96, "data__channels": 3}
_ERFNET = {**_STREETS, "model__width": 0.25, "model__depth": 0.4}
SMALL = {
  "lenet": _DIGITS,
  "lenet_bn": _DIGITS,
  "erfnet": _ERFNET,
  "erfnet with decoder": {**_ERFNET, "model__depth": 0.2, "model__decoder": True},
  "fcn8s": {**_STREETS, "model__width": 0.05},
  "drn26": {**_STREETS, "model__width": 0.1},
  "lite0_pyramid": {**_STREETS, "model__width": 0.1},
  "vgg16_pyramid": {**_STREETS, "model__width": 0.05},
}


def kind(name):
  """The registry's name of one of SMALL."""
  return name.split()[0]


def fields(name):
  """What makes one of SMALL, for `synthetic.small_config`."""
  return {"model__name": kind(name), **SMALL[name]}
