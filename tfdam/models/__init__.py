"""Networks and discriminators by name. A new one: a class, and a line here."""

from tfdam.models import discriminators, drn, erfnet, fcn8s, lenet, lenet_bn

MODELS = {
  "lenet": lenet.LeNet,
  "lenet_bn": lenet_bn.LeNetBN,
  "erfnet": erfnet.ERFNet,
  "fcn8s": fcn8s.FCN8s,
  "drn26": drn.DRN26,
}
DISCRIMINATORS = {
  "per_location": discriminators.PerLocation,
  "patch": discriminators.Patch,
}
