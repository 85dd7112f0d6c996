"""Networks by name. A new one: a module with its class, and a line here."""

from tfdam.models import lenet, lenet_bn

MODELS = {
  "lenet": lenet.LeNet,
  "lenet_bn": lenet_bn.LeNetBN,
}
