"""TensorFlow's C API by ctypes: how TF Serving loads a model and runs it."""

import ctypes
import glob
import os

import numpy as np
import tensorflow as tf

_INT32, _STRING = 3, 7
_SIZE_OF_TSTRING = 24
_pointer = ctypes.c_void_p


class _Output(ctypes.Structure):
  _fields_ = [("operation", _pointer), ("index", ctypes.c_int)]


class CApi:
  """The functions that are used here, with their types."""

  def __init__(self):
    place = os.path.dirname(tf.__file__)
    paths = [
      glob.glob(os.path.join(place, f"lib{name}.so*"))[0]
      for name in ("tensorflow_framework", "tensorflow_cc")
    ]
    self._libraries = [ctypes.CDLL(path, ctypes.RTLD_GLOBAL) for path in paths]
    self.status = self.call("TF_NewStatus", _pointer)

  def call(self, name, result, *arguments):
    """Calls a function of either library."""
    for library in self._libraries:
      if hasattr(library, name):
        function = getattr(library, name)
        function.restype = result
        return function(*arguments)
    raise AttributeError(name)

  def check(self):
    if self.call("TF_GetCode", ctypes.c_int, _pointer(self.status)):
      message = self.call("TF_Message", ctypes.c_char_p, _pointer(self.status))
      raise RuntimeError(message.decode())

  def load(self, folder):
    """Loads a SavedModel as a session."""
    graph = self.call("TF_NewGraph", _pointer)
    options = self.call("TF_NewSessionOptions", _pointer)
    tags = (ctypes.c_char_p * 1)(b"serve")
    session = self.call(
      "TF_LoadSessionFromSavedModel", _pointer, _pointer(options), None, folder.encode(),
      tags, 1, _pointer(graph), None, _pointer(self.status),
    )  # fmt: skip
    self.check()
    return Loaded(self, graph, session, folder)

  def strings(self, values):
    """A tensor of strings: TF_Tensor*."""
    dims = (ctypes.c_int64 * 1)(len(values))
    size = _SIZE_OF_TSTRING * len(values)
    tensor = self.call(
      "TF_AllocateTensor", _pointer, _STRING, dims, 1, ctypes.c_size_t(size)
    )
    data = self.call("TF_TensorData", _pointer, _pointer(tensor))
    for i, value in enumerate(values):
      place = _pointer(data + i * _SIZE_OF_TSTRING)
      self.call("TF_StringInit", None, place)
      self.call("TF_StringCopy", None, place, value, ctypes.c_size_t(len(value)))
    return tensor


class Loaded:
  """A session, and the graph's names of its signatures."""

  def __init__(self, api, graph, session, folder):
    self._api, self._graph, self._session = api, graph, session
    with tf.Graph().as_default(), tf.compat.v1.Session() as reader:
      found = tf.compat.v1.saved_model.load(reader, ["serve"], folder)
    self.signatures = found.signature_def

  def run(self, signature, name, tensor, output, shape):
    """Feeds one tensor and fetches int32 values of `shape`."""
    api, definition = self._api, self.signatures[signature]
    fed = self._at(definition.inputs[name].name)
    fetched = self._at(definition.outputs[output].name)
    answer = (_pointer * 1)()
    api.call(
      "TF_SessionRun", None, _pointer(self._session), None,
      ctypes.byref(fed), (_pointer * 1)(tensor), 1,
      ctypes.byref(fetched), answer, 1, None, 0, None, _pointer(api.status),
    )  # fmt: skip
    api.check()
    kind = api.call("TF_TensorType", ctypes.c_int, _pointer(answer[0]))
    assert kind == _INT32
    data = api.call("TF_TensorData", _pointer, _pointer(answer[0]))
    values = (ctypes.c_int32 * int(np.prod(shape))).from_address(data)
    return np.array(values).reshape(shape)

  def _at(self, name):
    operation, _, index = name.partition(":")
    found = self._api.call(
      "TF_GraphOperationByName", _pointer, _pointer(self._graph), operation.encode()
    )
    assert found, name
    return _Output(found, int(index))
