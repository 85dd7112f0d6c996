"""From a run folder to files that others load without tfdam; see run.py."""

# Before any module here imports TensorFlow: it switches legacy Keras on. The clients do without
# where they are copied to.
import tfdam  # noqa: F401
