"""From a run folder to files that others load without tfdam; see run.py."""

# Before any module here imports TensorFlow: it switches legacy Keras on. Where the clients
# are copied to, they do without.
import tfdam  # noqa: F401
