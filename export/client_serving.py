"""Requests labels from TF Serving over REST or gRPC.

  client = client_serving.RestClient("http://localhost:8501", "streets-gam")
  labels = client.predict(open("street.png", "rb").read())["labels"]

tfdam client-serving --url=http://localhost:8501 --name=streets-gam --image=street.png
tfdam client-serving --grpc=localhost:8500 --name=streets-gam --image=frames

A copy of this file works alone too: python client_serving.py --url=...

REST needs only numpy. gRPC also needs tensorflow-serving-api (pip install
'tfdam[serving]'), which brings TensorFlow, and the command line needs Pillow. It was tested
with stand-ins for a server, never with a real TF Serving.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import importlib.util
import io
import ipaddress
import json
import os
import socket
import stat
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Union

import numpy as np

if TYPE_CHECKING:
  from PIL import ImageFile

# What `predict` takes: images, uint8 [H, W, C] or [B, H, W, C]; or one or several encoded
# JPEG or PNG files.
Images = Union[np.ndarray, bytes, Sequence[bytes]]

_IMAGE, _BYTES, _LABELS = "image", "image_bytes", "labels"
_SIGNATURES = {_IMAGE: "serving_default", _BYTES: "predict_bytes"}
_ENDINGS = (".png", ".jpg", ".jpeg")
_MAX_TIMEOUT_S = 86_400
# Two different errors before Python 3.10.
_TIMEOUTS = (TimeoutError, socket.timeout)


class ServingError(Exception):
  """A request failed; the message says what was asked, what came back, and the remedy."""


class RestClient:
  """A client of a server's REST port (8501 by default).

  Encoded files are sent as base64. Arrays are sent as decimal numbers, which take four
  times as many bytes as the pixels and are slow to parse. Prefer files here, or gRPC.
  """

  def __init__(
    self, url: str, name: str, version: int | None = None, timeout_s: float = 10.0
  ):
    """Makes a client; nothing is sent yet.

    Args:
      url: http://host:port.
      name: of the model.
      version: of the model; None for the server's newest.
      timeout_s: how long an answer may take, in seconds.

    Raises:
      ServingError: an argument is not valid.
    """
    _check_asked(timeout_s, version, name)
    try:
      parts = urllib.parse.urlsplit(url)
      scheme, host = parts.scheme, parts.hostname or ""
    except ValueError:  # half an IPv6 address
      scheme = host = ""
    if scheme not in ("http", "https"):
      raise ServingError(
        f"'{url}' is no URL of a server; expected one such as http://localhost:8501."
      )
    self._asked = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(name)}"
    if version is not None:
      self._asked += f"/versions/{version}"
    self._timeout_s = timeout_s
    # None means the environment's proxies (http_proxy, no_proxy).
    proxies = urllib.request.ProxyHandler({} if _is_here(host) else None)
    self._opener = urllib.request.build_opener(proxies)

  def predict(self, images: Images) -> dict[str, np.ndarray]:
    """Labels images.

    Args:
      images: see Images.

    Returns:
      {output: array}: "labels", int32 [H, W] (segmentation) or [] (classification), and the
      other exported outputs, float32. H and W are the model's, as the server resizes files.
      For several images, each array has a batch axis first.

    Raises:
      ServingError: the server cannot be reached, or refuses the request.
    """
    name, batch, is_single = _prepare(images)
    values = (
      [{"b64": base64.b64encode(one).decode("ascii")} for one in batch]
      if name == _BYTES
      else np.asarray(batch).tolist()
    )
    request = {"signature_name": _SIGNATURES[name], "inputs": {name: values}}
    answer = self._ask(f"{self._asked}:predict", json.dumps(request).encode())
    outputs = answer.get("outputs")
    if outputs is None:
      raise ServingError(
        f"{self._asked} answers without 'outputs', which TF Serving's REST port sends. Is"
        " --url another server's?"
      )
    # If a signature has a single output, the answer does not name it.
    named = outputs if isinstance(outputs, dict) else {_LABELS: outputs}
    try:
      arrays = {name: np.asarray(value) for name, value in named.items()}
      return _checked(arrays, len(batch), is_single)
    except (TypeError, ValueError) as error:
      raise _no_labels(self._asked, json.dumps(outputs), error) from error

  def status(self) -> dict[int, str]:
    """Returns {version: state}, such as {1: "AVAILABLE"}.

    Raises:
      ServingError: the server cannot be reached, or has no such model.
    """
    answer = self._ask(self._asked)
    try:
      versions = answer.get("model_version_status", [])
      return {int(one["version"]): one["state"] for one in versions}
    except (KeyError, TypeError, ValueError) as error:
      raise _no_labels(self._asked, json.dumps(answer), error) from error

  def _ask(self, url: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
      with self._opener.open(request, timeout=self._timeout_s) as response:
        answer = response.read()
    except urllib.error.HTTPError as error:
      try:
        body = error.read()
      except (OSError, http.client.HTTPException):  # cut off; the status says enough
        body = b""
      raise _refused(url, f"HTTP status {error.code}", _said(body)) from error
    except _TIMEOUTS as error:
      raise _too_slow(url, self._timeout_s) from error
    # ValueError: a host name has an empty part, here or after a redirection. MemoryError: a
    # part of the answer claims more bytes than fit into memory.
    except (OSError, http.client.HTTPException, ValueError, MemoryError) as error:
      reason = getattr(error, "reason", error)
      if isinstance(reason, _TIMEOUTS):
        raise _too_slow(url, self._timeout_s) from error
      raise _unreachable(url, str(reason) or repr(reason), "REST", 8501) from error
    try:
      found = json.loads(answer)
      if isinstance(found, dict):
        return found
    except (ValueError, RecursionError):
      pass
    raise ServingError(
      f"{url} answers {answer[:60]!r}, which is no JSON object of TF Serving. Is --url the"
      " REST port (8501 by default, 8500 is gRPC's)?"
    )


class GrpcClient:
  """A client of a server's gRPC port (8500 by default); arrays are sent as raw bytes."""

  def __init__(
    self, address: str, name: str, version: int | None = None, timeout_s: float = 10.0
  ):
    """Opens a channel to a server's gRPC port.

    Args:
      address: host:port.
      name: of the model.
      version: of the model; None for the server's newest.
      timeout_s: how long an answer may take, in seconds.

    Raises:
      ServingError: tensorflow-serving-api is missing, or an argument is not valid.
    """
    _check_asked(timeout_s, version, name, address)
    if "://" in address or ":" not in address:
      raise ServingError(
        f"'{address}' is no address of a gRPC port; expected one such as localhost:8500."
      )
    try:
      import grpc
      from tensorflow_serving.apis import (
        model_service_pb2_grpc,
        prediction_service_pb2_grpc,
      )
    except ImportError as error:
      raise ServingError(
        f"gRPC needs tensorflow-serving-api, which cannot be imported ({error}). Do `pip"
        " install 'tfdam[serving]'`, or use REST: --url=http://localhost:8501."
      ) from error
    # Label maps of large batches exceed gRPC's limit of 4 MiB.
    options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    if _is_here(address.rpartition(":")[0].strip("[]")):
      options.append(("grpc.enable_http_proxy", 0))
    channel = grpc.insecure_channel(address, options=options)
    self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    self._models = model_service_pb2_grpc.ModelServiceStub(channel)
    self._channel = channel
    self._address, self._name, self._version = address, name, version
    self._timeout_s = timeout_s

  def predict(self, images: Images) -> dict[str, np.ndarray]:
    """Labels images; see RestClient.predict."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    name, batch, is_single = _prepare(images)
    request = predict_pb2.PredictRequest()
    self._specify(request.model_spec)
    request.model_spec.signature_name = _SIGNATURES[name]
    request.inputs[name].CopyFrom(tf.make_tensor_proto(batch))
    answer = self._ask(self._predictions.Predict, request)
    try:
      arrays = {key: tf.make_ndarray(value) for key, value in answer.outputs.items()}
      return _checked(arrays, len(batch), is_single)
    except (KeyError, TypeError, ValueError) as error:
      raise _no_labels(self._address, " ".join(str(answer).split()), error) from error

  def status(self) -> dict[int, str]:
    """Returns {version: state}; see RestClient.status."""
    from tensorflow_serving.apis import get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    self._specify(request.model_spec)
    answer = self._ask(self._models.GetModelStatus, request)
    states = get_model_status_pb2.ModelVersionStatus.State
    return {one.version: states.Name(one.state) for one in answer.model_version_status}

  def close(self) -> None:
    self._channel.close()

  def _specify(self, spec) -> None:
    spec.name = self._name
    if self._version is not None:
      spec.version.value = self._version

  def _ask(self, method, request):
    import grpc

    asked = f"{self._address}, model '{self._name}'"
    try:
      return method(request, timeout=self._timeout_s)
    except grpc.RpcError as error:
      code, details = error.code(), error.details() or "nothing"
      if code == grpc.StatusCode.UNAVAILABLE:
        raise _unreachable(asked, details, "gRPC", 8500) from error
      if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        raise _too_slow(asked, self._timeout_s) from error
      raise _refused(asked, f"gRPC status {code.name}", details) from error


def _is_here(host: str) -> bool:
  """Whether a host is this machine, whose servers are not reached through a proxy."""
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return f".{host.lower().rstrip('.')}".endswith(".localhost")


def _check_asked(timeout_s: float, version: int | None, *texts: str) -> None:
  for text in texts:
    if any("\ud800" <= character <= "\udfff" for character in text):
      raise ServingError(f"{text!a} is no text in UTF-8. Set --name and --grpc.")
  if not 0 < timeout_s <= _MAX_TIMEOUT_S:
    raise ServingError(
      f"--timeout_s is {timeout_s:g}; expected seconds to wait, such as 10, and at most a"
      " day."
    )
  if version is not None and not 0 <= version < 2**63:
    raise ServingError(
      f"--version is {version}; expected the number of a version, such as 1, or none for"
      " the newest."
    )


def _prepare(images: Images) -> tuple[str, Any, bool]:
  """Checks images before they are sent.

  Returns:
    The input's name, the batch, and whether it was a single image without a batch axis.
  """
  if isinstance(images, bytes):
    return _BYTES, [images], True
  is_list = isinstance(images, (list, tuple)) and len(images) > 0
  if is_list and all(isinstance(one, bytes) for one in images):
    return _BYTES, list(images), False
  try:
    array = np.asarray(images)
  except ValueError as error:
    raise ServingError(
      "The images have different sizes, or some are files and others arrays; expected"
      " alike ones. Ask for one at a time."
    ) from error
  if array.dtype != np.uint8 or array.ndim not in (3, 4) or not array.size:
    raise ServingError(
      f"The image is {array.dtype} {list(array.shape)}; expected uint8 [H, W, C] or"
      " [B, H, W, C], or the bytes of JPEG or PNG files."
    )
  return _IMAGE, array[np.newaxis] if array.ndim == 3 else array, array.ndim == 3


def _checked(
  arrays: dict[str, np.ndarray], count: int, is_single: bool
) -> dict[str, np.ndarray]:
  """Converts a server's outputs to the exported types, int32 and float32.

  Args:
    arrays: {output: array with a batch axis}.
    count: the number of images that were sent.
    is_single: whether to drop the batch axis.

  Raises:
    TypeError, ValueError: these are no outputs for `count` images, or the labels are no
      integers.
  """
  found = {}
  for name, array in arrays.items():
    if array.dtype.kind not in ("i" if name == _LABELS else "if"):
      raise TypeError(f"{name} of type {array.dtype}")
    if array.shape[:1] != (count,):
      raise ValueError(f"{name} of shape {list(array.shape)} for {count} images")
    narrow = array.astype(np.int32 if array.dtype.kind == "i" else np.float32)
    if array.dtype.kind == "i" and np.any(narrow != array):
      raise ValueError(f"{name} beyond 32 bits")
    found[name] = narrow[0] if is_single else narrow
  return found


def _said(body: bytes) -> str:
  """Returns the message in a server's refusal."""
  try:
    return str(json.loads(body)["error"])
  except (KeyError, TypeError, ValueError, RecursionError):
    return body[:200].decode(errors="replace").strip() or "nothing"


def _no_labels(asked: str, answer: str, error: Exception) -> ServingError:
  return ServingError(
    f"{asked} answers {answer[:60]}, which are no labels ({error}). Set --name to a model"
    " that tfdam exported, or --url or --grpc to its server."
  )


def _refused(asked: str, status: str, said: str) -> ServingError:
  return ServingError(
    f"{asked} refuses with {status} and says: {said.rstrip('.')}. Are --name and --version"
    " those of its models.config, and is the image of the exported size and channels?"
  )


def _too_slow(asked: str, timeout_s: float) -> ServingError:
  return ServingError(
    f"{asked} does not answer within {timeout_s:g} s. It may still load the model; set"
    " --timeout_s to wait longer."
  )


def _unreachable(asked: str, reason: str, kind: str, port: int) -> ServingError:
  flag = "--url" if kind == "REST" else "--grpc"
  return ServingError(
    f"No server can be reached at {asked}: {reason}. Does tensorflow_model_server run"
    f" there, with its {kind} port ({port} by default) open? Set {flag}."
  )


# ---- The command line.


def main(argv: Sequence[str] | None = None) -> int:
  """Labels pictures; returns the exit status."""
  options = _parse(argv)
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):  # it may be ASCII, and names may not
      stream.reconfigure(errors="backslashreplace")
  try:
    _label(options)
    sys.stdout.flush()
  except ServingError as error:
    print(f"Error: {_printable(str(error))}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    return 130  # the shells' convention: 128 plus the number of SIGINT
  except OSError as error:  # from standard output
    # Otherwise Python would write to it again as it ends.
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
      os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
      return 141  # the reader has gone: 128 plus the number of SIGPIPE
    print(f"Error: {_printable(str(error))}", file=sys.stderr)
    return 2
  return 0


def _printable(text: str) -> str:
  """Returns text on one line, with control characters and invalid UTF-8 escaped."""
  return "".join(
    character if character.isprintable()
    # First a byte of a name that is no UTF-8, as Python keeps it; then a control character.
    else f"\\x{ord(character) - 0xDC00:02x}" if "\udc80" <= character <= "\udcff"
    else character.encode("unicode_escape", "surrogatepass").decode()
    for character in text
  )  # fmt: skip


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  program = os.path.basename(sys.argv[0])
  parser = argparse.ArgumentParser(
    prog=program if program.startswith("tfdam") else "client_serving",
    description="Has a TF Serving label images.\n\nExample:\n"
    "  %(prog)s --url=http://localhost:8501 \\\n    --name=streets-gam --image=frames/",
    usage="%(prog)s --url URL --name NAME\n       --image IMAGE [FLAGS]",
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  flag = parser.add_argument
  server = parser.add_mutually_exclusive_group(required=True)
  server.add_argument("--url", help="REST port, such as http://localhost:8501; or")
  server.add_argument("--grpc", help="gRPC port, such as localhost:8500")
  flag("--name", required=True, help="name of the model")
  flag("--version", type=int, help="version of the model (default: its newest)")
  flag("--image", required=True, help="PNG or JPEG, or a folder of them")
  flag("--out", default="labels", help="folder for label pictures (default: labels)")
  flag("--timeout_s", type=float, default=10.0, help="seconds to wait for an answer")
  return parser.parse_args(argv)


def _label(options: argparse.Namespace) -> None:
  if importlib.util.find_spec("PIL") is None:
    raise ServingError("The command line needs Pillow: pip install pillow.")
  source, out = _resolve(options.image), _resolve(options.out)
  if source == out:
    raise ServingError(f"--out is the folder of the images, {out}. Set another.")
  files = _files(source)
  names = [os.path.basename(path) for path in files]
  stems = [os.path.splitext(name)[0] for name in names]
  client: RestClient | GrpcClient
  where = (options.name, options.version, options.timeout_s)
  if options.url is not None:
    client = RestClient(options.url, *where)
  else:
    # TensorFlow's C++ log would begin with three meaningless errors about CUDA factories.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.path.expanduser("~") == "~":
      # Without a home folder Keras would make a folder called ~ here. Below a device it
      # cannot.
      os.environ["HOME"] = os.devnull
    client = GrpcClient(options.grpc, *where)
  num_written = 0
  progress = _Progress()
  for path, name, stem in zip(files, names, stems):
    outputs = client.predict(_read(path))
    if _LABELS not in outputs:
      raise ServingError(
        f"Model '{options.name}' gives {', '.join(outputs)}; expected 'labels', as models"
        " exported by tfdam give. Set --name."
      )
    labels = outputs[_LABELS]
    if labels.ndim == 2:
      # A folder may hold both a.png and a.jpg.
      _write(labels, path, out, stem if stems.count(stem) == 1 else name)
      num_written += 1
      progress.show(num_written, len(files))
    else:
      print(f"{_printable(name)}: {labels}")
  progress.end()
  if num_written:
    print(f"{num_written} label pictures: {_printable(out)}")


class _Progress:
  """A line on the terminal that counts, once the work has taken five seconds."""

  def __init__(self):
    self._start = self._last = time.monotonic()
    self._shown = False

  def show(self, count: int, total: int) -> None:
    now = time.monotonic()
    if now - self._start < 5 or now - self._last < 0.2 or not sys.stderr.isatty():
      return
    self._last, self._shown = now, True
    print(f"{count} of {total} images \r", end="", file=sys.stderr, flush=True)

  def end(self) -> None:
    if self._shown:
      print(file=sys.stderr)


def _read(path: str) -> bytes:
  try:
    _check_regular(path)
    with open(path, "rb") as file:
      return file.read()
  except OSError as error:
    raise ServingError(f"{path} cannot be read: {error.strerror}. Set --image.") from error


def _check_regular(path: str) -> None:
  """Raises ServingError for anything but a file: reading a pipe or a device may hang."""
  if not stat.S_ISREG(os.stat(path).st_mode):
    raise ServingError(
      f"{path} is a folder, a pipe, a socket or a device; expected a file. Put a file in"
      " its place."
    )


def _write(labels: np.ndarray, path: str, out: str, stem: str) -> None:
  """Writes the ids to <stem>-labels.png, 8-bit grey, at the size of the image at `path`."""
  from PIL import Image

  ids = Image.fromarray(labels.astype(np.uint8))
  try:
    with open(path, "rb") as file:
      header, exif = without_metadata(file, header=True)
      with Image.open(header, formats=("PNG", "JPEG", "GIF", "BMP")) as picture:
        # Labels belong to the picture after its orientation is applied.
        size = picture.size[::-1] if orientation(picture, exif) > 4 else picture.size
  except Exception as error:  # Pillow raises many types
    raise ServingError(f"{path} has labels, but cannot be read here: {error}.") from error
  # Nearest neighbour: ids cannot be interpolated.
  ids = ids.resize(size, Image.Resampling.NEAREST)
  try:
    os.makedirs(out, exist_ok=True)
    ids.save(os.path.join(out, f"{stem}-labels.png"))
  except OSError as error:
    raise ServingError(f"Cannot write to {out}: {error}. Set --out.") from error


# ---- The size of images after their orientation is applied. These are copies of functions
# in tfdam/data/metadata.py; tests check that the source is the same.

# The largest content of a PNG or JPEG, twice what 8192 x 8192 pixels with four channels of
# 16 bits take. Larger files are broken or hostile.
_MAX_BYTES = 1 << 30
# A JPEG's Exif data is never longer, and the orientation lies near its start.
_MAX_EXIF = 1 << 16
_ORIENTATION = 0x0112  # its tag
# {orientation: the transposition, by Pillow's names, that turns the stored image upright}.
_TURNS = {
  2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
  6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip
_PNG = b"\x89PNG\r\n\x1a\n"
# The chunks that decide the pixels; tRNS and the last three are for animations only.
STILL = (b"IHDR", b"PLTE", b"IDAT")
ANIMATED = (*STILL, b"tRNS", b"acTL", b"fcTL", b"fdAT")
# {JPEG segment from which libjpeg learns the colours: its first bytes, its size}.
_COLOURS = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}


def without_metadata(
  file: IO[bytes], chunks: tuple[bytes, ...] = STILL, header: bool = False
) -> tuple[IO[bytes], bytes]:
  """Removes everything but the pixels from an image file.

  Args:
    file: a PNG or JPEG, at its start; other files are returned as they are.
    chunks: the chunks of a PNG to keep.
    header: whether the part before the pixels is enough.

  Returns:
    A file with the same pixels and no metadata, and the Exif data that the file had.

  Raises:
    SyntaxError, OSError: the file is visibly damaged.
  """
  start = file.read(len(_PNG))
  if start == _PNG:
    return _png(file, chunks, header)
  file.seek(2)
  if start.startswith(b"\xff\xd8"):
    return _jpeg(file, header)
  file.seek(0)
  return file, b""


def _png(
  file: IO[bytes], chunks: tuple[bytes, ...], header: bool
) -> tuple[IO[bytes], bytes]:
  kept, has_pixels = io.BytesIO(), False
  exif: bytes | None = None
  kept.write(_PNG)
  end = file.seek(0, os.SEEK_END)
  position = len(_PNG)
  while position + 8 <= end:
    file.seek(position)
    head = file.read(8)
    length, name = struct.unpack(">I4s", head)
    position += 12 + length
    if not name.isalpha() or name == b"IEND":
      break
    if name == b"eXIf" and exif is None and not has_pixels:
      exif = file.read(min(length, _MAX_EXIF))
    if name not in chunks:
      continue
    has_pixels = has_pixels or name == b"IDAT"
    if has_pixels and header:
      kept.write(head)
      break
    if position > end or kept.tell() + length > _MAX_BYTES:
      raise OSError(f"chunk {name.decode()} claims {length} bytes, more than there are")
    body = file.read(length + 4)
    if zlib.crc32(name + body[:-4]) == int.from_bytes(body[-4:], "big"):
      kept.write(head + body)
    elif name[:1].isupper():  # others are dropped, as libpng does
      raise SyntaxError(f"the checksum of chunk {name.decode()} is wrong")
  if not has_pixels:
    raise SyntaxError("it has no pixels")
  if not header:
    kept.write(b"\0\0\0\0IEND\xaeB`\x82")
  kept.seek(0)
  return kept, exif or b""


def _jpeg(file: IO[bytes], header: bool) -> tuple[IO[bytes], bytes]:
  kept, exif = io.BytesIO(), b""
  kept.write(b"\xff\xd8")
  while True:
    head = file.read(4)
    while head[:2] == b"\xff\xff":  # fill bytes
      head = head[1:] + file.read(1)
    code, length = (head[1], int.from_bytes(head[2:], "big")) if len(head) == 4 else (0, 0)
    # The pixels begin here, or something that is no segment, which libjpeg may skip.
    if head[:1] != b"\xff" or code < 0xC0 or 0xD0 <= code <= 0xDA or length < 2:
      break
    body = file.read(length - 2)
    if code == 0xE1 and body.startswith(b"Exif\0\0") and not exif:
      exif = body
    if 0xE0 <= code <= 0xEF or code == 0xFE:
      beginning, size = _COLOURS.get(code, (b"", _MAX_BYTES))
      if not body.startswith(beginning) or len(body) < size:
        continue
    kept.write(head + body)
  position = file.tell()
  if kept.tell() + file.seek(0, os.SEEK_END) - position > _MAX_BYTES:
    raise OSError(f"it is larger than {_MAX_BYTES:,} bytes")
  file.seek(position)
  kept.write(head + file.read(4096 if header else -1))
  kept.seek(0)
  return kept, exif


def orientation(image: ImageFile.ImageFile, exif: bytes) -> int:
  """Returns an image's orientation, 1 to 8; 1, as stored, if it has no valid one."""
  if image.format == "TIFF":
    found = image.tag_v2.get(_ORIENTATION, 1)  # type: ignore[attr-defined]
    return found if found in _TURNS else 1
  return _of_exif(image.info.get("exif", b"") if image.format == "WEBP" else exif)


def _of_exif(exif: bytes) -> int:
  tiff = exif[6:] if exif.startswith(b"Exif\0\0") else exif
  order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
  if not order:
    return 1
  try:
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
      tag, *kind, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
      if tag == _ORIENTATION:
        # One unsigned number of 16 bits.
        return value if kind == [3, 1] and 1 <= value <= 8 else 1
  except struct.error:  # the data end here
    pass
  return 1


def _files(path: str) -> list[str]:
  """Returns the image files that a path names, sorted by name."""
  try:
    if not os.path.isdir(path):
      _check_regular(path)
      return [path]
    # Hidden files, such as macOS' "._a.png", are no images.
    names = sorted(name for name in os.listdir(path) if not name.startswith("."))
  except FileNotFoundError as error:
    raise ServingError(f"There is no image or folder {path}. Set --image.") from error
  except (OSError, ValueError) as error:  # ValueError: the path holds a NUL
    reason = getattr(error, "strerror", None) or error
    raise ServingError(f"{path} cannot be read: {reason}. Set --image.") from error
  files = [os.path.join(path, name) for name in names if name.lower().endswith(_ENDINGS)]
  if not files:
    raise ServingError(
      f"{path} is a folder without images ({' '.join(_ENDINGS)}). Set --image."
    )
  for file in files:
    _check_regular(file)
  return files


def _resolve(path: str) -> str:
  """Makes a user's path absolute: `bazel run` starts the program in another folder."""
  base = os.environ.get("BUILD_WORKING_DIRECTORY") or os.getcwd()
  expanded = os.path.expanduser(path)
  if expanded.split(os.sep)[0] == "~":
    raise ServingError(f"{path}: there is no home folder (HOME). Give the path without ~.")
  return os.path.normpath(os.path.join(base, expanded))


if __name__ == "__main__":
  sys.exit(main())
