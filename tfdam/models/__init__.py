"""Networks by name. A new one: a module with its class, and a line here."""

from tfdam.models import lenet

MODELS = {
  "lenet": lenet.LeNet,
}
