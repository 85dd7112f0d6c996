"""The TF Serving clients against doubles in this process; no TF Serving was run.

The doubles speak the documented REST API and the real protos.
"""

import ast
import base64
import concurrent.futures
import http.client
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import (
  get_model_status_pb2,
  model_service_pb2_grpc,
  predict_pb2,
  prediction_service_pb2_grpc,
)

from export import client_serving
from tests import quiet_server
from tests.damaged_inputs import bad_server

NOT_FOUND = "Servable not found for request: Latest(other)"


def image(seed=0):
  return np.random.RandomState(seed).randint(0, 256, (6, 9, 3), np.uint8)


def encoded(array, kind="PNG"):
  buffer = io.BytesIO()
  Image.fromarray(array).save(buffer, kind)
  return buffer.getvalue()


def decoded(content):
  with Image.open(io.BytesIO(content)) as opened:
    return np.asarray(opened)


def labels(images):
  """What the doubles compute: the strongest channel of each pixel."""
  return np.asarray(images).argmax(axis=-1).astype(np.int32)


def shares(images):
  """A second output of models that have one, of numbers that float32 holds exactly."""
  return np.asarray(images).astype(np.float32) / 256


class RestServingDouble:
  """Stands in for TF Serving's REST port; model "toy" gives labels, "two" also shares."""

  def __init__(self):
    self.requests, self.delay_s, self.answer = [], 0.0, None
    double = self

    class Handler(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
        self.reply(*double.status(self.path))

      def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        double.requests.append((self.path, json.loads(body)))
        time.sleep(double.delay_s)
        self.reply(*double.predict(*double.requests[-1]))

      def reply(self, status, content):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

      def log_message(self, *_):
        pass

    self.http = quiet_server.QuietServer(("127.0.0.1", 0), Handler)
    self.url = f"http://127.0.0.1:{self.http.server_port}"
    serve = self.http.serve_forever
    threading.Thread(target=serve, args=(0.02,), daemon=True).start()

  def status(self, path):
    if not path.startswith("/v1/models/toy"):
      return 404, {"error": NOT_FOUND}
    state = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK"}}
    return 200, {"model_version_status": [state]}

  def predict(self, path, request):
    if self.answer is not None:
      return 200, self.answer
    model = path.split("/")[3].split(":")[0]
    if model not in ("toy", "two") or not path.endswith(":predict"):
      return 404, {"error": NOT_FOUND}
    ((name, values),) = request["inputs"].items()
    if request["signature_name"] == "predict_bytes":
      assert name == "image_bytes"
      images = [decoded(base64.b64decode(one["b64"], validate=True)) for one in values]
    else:
      assert (request["signature_name"], name) == ("serving_default", "image")
      images = values
    if np.shape(images)[-1] != 3:
      return 400, {"error": "Expected image.shape[3] == 3"}
    found = labels(images).tolist()
    if model == "toy":  # one output comes without its name
      return 200, {"outputs": found}
    return 200, {"outputs": {"labels": found, "shares": shares(images).tolist()}}

  def close(self):
    self.http.shutdown()
    self.http.server_close()


class GrpcServingDouble(
  prediction_service_pb2_grpc.PredictionServiceServicer,
  model_service_pb2_grpc.ModelServiceServicer,
):
  """Stands in for TF Serving's gRPC port; see RestServingDouble."""

  def __init__(self):
    self.requests, self.delay_s = [], 0.0
    self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self.server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, self.server)
    self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
    self.server.start()

  def Predict(self, request, context):
    self.requests.append(request)
    time.sleep(self.delay_s)
    if request.model_spec.name not in ("toy", "two"):
      context.abort(grpc.StatusCode.NOT_FOUND, NOT_FOUND)
    if request.model_spec.signature_name == "predict_bytes":
      images = [decoded(one) for one in tf.make_ndarray(request.inputs["image_bytes"])]
    else:
      assert request.model_spec.signature_name == "serving_default"
      images = tf.make_ndarray(request.inputs["image"])
    if np.shape(images)[-1] != 3:
      context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Expected image.shape[3] == 3")
    answer = predict_pb2.PredictResponse()
    answer.outputs["labels"].CopyFrom(tf.make_tensor_proto(labels(images)))
    if request.model_spec.name == "two":
      answer.outputs["shares"].CopyFrom(tf.make_tensor_proto(shares(images)))
    return answer

  def GetModelStatus(self, request, context):
    if request.model_spec.name != "toy":
      context.abort(grpc.StatusCode.NOT_FOUND, NOT_FOUND)
    answer = get_model_status_pb2.GetModelStatusResponse()
    answer.model_version_status.add(version=3, state="AVAILABLE")
    return answer

  def close(self):
    self.server.stop(None)


@pytest.fixture(autouse=True)
def _proxy(monkeypatch):
  """A proxy stands in the environment, and knows nothing of servers on this machine."""
  for variable in ("no_proxy", "NO_PROXY", "no_grpc_proxy", "grpc_proxy"):
    monkeypatch.delenv(variable, raising=False)
  for variable in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")


@pytest.fixture
def rest():
  double = RestServingDouble()
  yield double
  double.close()


@pytest.fixture
def rpc():
  double = GrpcServingDouble()
  yield double
  double.close()


@pytest.fixture(params=["rest", "grpc"])
def double(request):
  started = RestServingDouble() if request.param == "rest" else GrpcServingDouble()
  yield started
  started.close()


def client(double, name="toy", **options):
  if isinstance(double, RestServingDouble):
    return client_serving.RestClient(double.url, name, **options)
  return client_serving.GrpcClient(double.address, name, **options)


def place(double):
  if isinstance(double, RestServingDouble):
    return f"--url={double.url}"
  return f"--grpc={double.address}"


def refused(call, *arguments):
  with pytest.raises(client_serving.ServingError) as caught:
    call(*arguments)
  return str(caught.value)


def test_an_array_comes_back_as_labels(double):
  found = client(double).predict(image())
  assert list(found) == ["labels"]
  assert found["labels"].dtype == np.int32
  np.testing.assert_array_equal(found["labels"], labels(image()))


def test_a_batch_of_arrays_keeps_its_axis(double):
  batch = np.stack([image(0), image(1)])
  np.testing.assert_array_equal(client(double).predict(batch)["labels"], labels(batch))


def test_an_encoded_file_comes_back_as_labels(double):
  found = client(double).predict(encoded(image()))
  np.testing.assert_array_equal(found["labels"], labels(image()))


def test_several_encoded_files_keep_their_axis(double):
  files = [encoded(image(0)), encoded(image(1), "BMP")]
  expected = labels([image(0), image(1)])
  np.testing.assert_array_equal(client(double).predict(files)["labels"], expected)


def test_every_output_of_a_model_with_several_comes_back(double):
  found = client(double, "two").predict(image())
  assert {name: array.dtype for name, array in found.items()} == {
    "labels": np.int32, "shares": np.float32
  }  # fmt: skip
  np.testing.assert_array_equal(found["labels"], labels(image()))
  np.testing.assert_array_equal(found["shares"], shares(image()))


def test_the_status_names_versions_and_their_states(double):
  assert client(double).status() == {3: "AVAILABLE"}


def test_a_version_is_asked_for_over_rest(rest):
  client(rest, version=3).predict(image())
  client(rest).predict(image())
  paths = [path for path, _ in rest.requests]
  assert paths == ["/v1/models/toy/versions/3:predict", "/v1/models/toy:predict"]


def test_a_version_is_asked_for_over_grpc(rpc):
  client(rpc, version=3).predict(image())
  client(rpc).predict(image())
  specs = [request.model_spec for request in rpc.requests]
  assert specs[0].version.value == 3
  assert not specs[1].HasField("version")


def test_label_maps_beyond_four_mebibytes_pass(rpc):
  """Which is gRPC's limit where none is set; the double receives without one as well."""
  rpc.close()
  big = np.zeros((1, 1200, 1000, 3), np.uint8)

  class Unlimited(GrpcServingDouble):
    def Predict(self, request, context):
      answer = predict_pb2.PredictResponse()
      answer.outputs["labels"].CopyFrom(tf.make_tensor_proto(labels(big)))
      return answer

  double = Unlimited()
  try:
    found = client(double).predict(encoded(image()))["labels"]
  finally:
    double.close()
  assert found.nbytes > 4 << 20


@pytest.mark.parametrize("wrong", [
  image().astype(np.float32), image()[..., 0], np.zeros((0, 6, 9, 3), np.uint8), [],
  "a.png", [b"a", None],
])  # fmt: skip
def test_what_is_no_image_is_refused_before_it_travels(double, wrong):
  message = refused(client(double).predict, wrong)
  assert "expected uint8 [H, W, C] or [B, H, W, C], or the bytes of JPEG or PNG" in message
  assert double.requests == []


def test_what_the_server_refuses_is_quoted(double):
  message = refused(client(double, "other").predict, image())
  assert NOT_FOUND in message
  assert "404" in message or "NOT_FOUND" in message
  assert "--name" in message
  assert NOT_FOUND in refused(client(double, "other").status)
  message = refused(client(double).predict, image()[..., :2])
  assert "Expected image.shape[3] == 3" in message
  assert "400" in message or "INVALID_ARGUMENT" in message


def test_a_server_that_is_not_there_is_named(double):
  double.close()
  message = refused(client(double, timeout_s=5).predict, image())
  assert "No server can be reached at" in message
  assert "127.0.0.1" in message
  assert "tensorflow_model_server" in message


def test_a_server_that_takes_too_long_is_named(double):
  double.delay_s = 2.0
  message = refused(client(double, timeout_s=0.2).predict, image())
  assert "does not answer within 0.2 s" in message
  assert "--timeout_s" in message


@pytest.mark.parametrize(("answer", "said"), [
  (b"<html>hello</html>", "no JSON object"),
  ([1, 2], "no JSON object"),
  ({"predictions": []}, "answers without 'outputs'"),
])  # fmt: skip
def test_another_kind_of_server_is_told_from_tf_serving(rest, answer, said):
  rest.answer = answer
  assert said in refused(client(rest).predict, image())


@pytest.mark.parametrize("outputs", [
  [], {"labels": []}, "road", ["road"], [[0, 1], [2]], 7, [None], [1 << 70],
  {"labels": {"a": 1}}, [True], [1 << 40], [0.5], [1, 2],
])  # fmt: skip
def test_answers_that_are_no_labels_are_refused(rest, outputs):
  rest.answer = {"outputs": outputs}
  assert "are no labels" in refused(client(rest).predict, image())


@pytest.mark.parametrize("outputs", [
  ["road"], [True], [0.5], [1j], np.int64([1 << 40]), np.int32([1, 2]), np.int32(1),
])  # fmt: skip
def test_answers_over_grpc_that_are_no_labels_are_refused(rpc, outputs, monkeypatch):
  answer = predict_pb2.PredictResponse()
  answer.outputs["labels"].CopyFrom(tf.make_tensor_proto(outputs))
  asked = client(rpc)
  monkeypatch.setattr(asked, "_ask", lambda method, request: answer)
  message = refused(asked.predict, image())
  assert "are no labels" in message
  assert "\n" not in message


def test_a_refusal_that_is_cut_off_is_told_by_its_status(rest, monkeypatch):
  def cut_off(error, *_):
    raise http.client.IncompleteRead(b"")

  monkeypatch.setattr(urllib.error.HTTPError, "read", cut_off, raising=False)
  assert "HTTP status 404 and says: nothing" in refused(client(rest, "other").status)


@pytest.mark.parametrize("images", [
  [image(), image()[:3]], [b"a", image()], [image(), b"a"],
])  # fmt: skip
def test_images_that_are_not_alike_are_refused_before_they_travel(double, images):
  assert "expected alike ones" in refused(client(double).predict, images)
  assert double.requests == []


def test_a_status_that_is_none_is_refused(rest, monkeypatch):
  for versions in ([{}], [3], 3, [{"version": "new", "state": "AVAILABLE"}]):
    answer = (200, {"model_version_status": versions})
    monkeypatch.setattr(rest, "status", lambda path, answer=answer: answer)
    assert "are no labels" in refused(client(rest).status)


@pytest.mark.parametrize("options", [
  {"timeout_s": 1e10}, {"timeout_s": float("nan")}, {"timeout_s": 0}, {"version": -1},
  {"version": 1 << 63},
])  # fmt: skip
def test_times_and_versions_that_nothing_takes_are_refused(double, options):
  (flag,) = options
  assert f"--{flag} is" in refused(lambda: client(double, **options))


def test_a_host_name_with_an_empty_part_is_named():
  unknown = client_serving.RestClient("http://a..b:1", "toy")
  assert "http://a..b:1" in refused(unknown.predict, image())


@pytest.mark.parametrize("kind", ["redirected_nowhere", "chunked"])
def test_answers_that_python_cannot_read_are_told(kind):
  """A redirection to half an address; a part that claims 2^48 bytes."""
  url = f"{bad_server.start()}/{kind}"
  assert url in refused(client_serving.RestClient(url, "toy").predict, image())


def test_the_grpc_port_under_url_is_answered_with_the_ports(rpc):
  rest_client = client_serving.RestClient(f"http://{rpc.address}", "toy", timeout_s=5)
  assert "8501" in refused(rest_client.predict, image())


@pytest.mark.parametrize("url", ["localhost:8501", "ftp://localhost"])
def test_what_is_no_url_is_refused(url):
  assert "http://localhost:8501" in refused(client_serving.RestClient, url, "toy")


@pytest.mark.parametrize("address", ["http://localhost:8500", "localhost"])
def test_what_is_no_address_is_refused(address):
  assert "such as localhost:8500" in refused(client_serving.GrpcClient, address, "toy")


def test_without_the_protos_grpc_says_what_to_install(monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
  message = refused(client_serving.GrpcClient, "localhost:8500", "toy")
  assert "pip install 'tfdam[serving]'" in message


def test_the_command_writes_label_pictures_of_a_folder(double, tmp_path, capsys):
  (tmp_path / "frames").mkdir()
  for seed, name in enumerate(("a.png", "b.PNG")):
    (tmp_path / "frames" / name).write_bytes(encoded(image(seed)))
  (tmp_path / "frames" / "notes.txt").write_text("no image")
  out = tmp_path / "out"
  flags = [f"--image={tmp_path / 'frames'}", f"--out={out}"]
  assert client_serving.main([place(double), "--name=toy", *flags]) == 0
  assert sorted(os.listdir(out)) == ["a-labels.png", "b-labels.png"]
  for seed, name in enumerate("ab"):
    with Image.open(out / f"{name}-labels.png") as opened:
      np.testing.assert_array_equal(np.asarray(opened), labels(image(seed)))
  assert f"2 label pictures: {out}" in capsys.readouterr().out


def test_a_server_elsewhere_is_asked_for_through_the_proxy():
  message = refused(client_serving.RestClient("http://192.0.2.1:1", "toy").status)
  assert "Connection refused" in message  # by the proxy: nobody answers from there


@pytest.mark.parametrize(
  ("host", "here"),
  [("localhost", True), ("LOCALHOST.", True), ("a.localhost", True), ("127.1.2.3", True),
   ("::1", True), ("10.0.0.1", False), ("notlocalhost", False), ("", False)],
)  # fmt: skip
def test_this_machine_has_several_names(host, here):
  assert client_serving._is_here(host) is here


def test_a_reader_that_has_left_ends_the_command_quietly(rest, tmp_path):
  for name in "abc":
    (tmp_path / f"{name}.png").write_bytes(encoded(image()))
  rest.answer = {"outputs": [7]}
  read, write = os.pipe()
  os.close(read)
  done = subprocess.run(
    [sys.executable, client_serving.__file__, place(rest), "--name=toy",
     f"--image={tmp_path}"],
    stdout=write, stderr=subprocess.PIPE, timeout=600, check=False,
  )  # fmt: skip
  os.close(write)
  assert (done.returncode, done.stderr) == (141, b"")


def test_every_name_is_printed_wherever_it_goes(rest, tmp_path):
  name = os.fsencode(tmp_path) + b"/caf\xe9\n\xc3\xa9.png"
  with open(name, "wb") as file:
    file.write(encoded(image()))
  rest.answer = {"outputs": [7]}
  done = subprocess.run(
    [sys.executable, client_serving.__file__, place(rest), "--name=toy",
     f"--image={tmp_path}"],
    env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=600,
    check=False,
  )  # fmt: skip
  assert (done.returncode, done.stderr) == (0, b"")
  assert done.stdout == b"caf\\xe9\\n\\xe9.png: 7\n"


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_no_file_is_not_waited_for(rest, tmp_path, capsys, whole):
  pipe = tmp_path / "a.png"
  os.mkfifo(pipe)
  chosen = tmp_path if whole else pipe
  assert client_serving.main([place(rest), "--name=toy", f"--image={chosen}"]) == 2
  assert f"Error: {pipe} is a folder, a pipe" in capsys.readouterr().err


def test_a_path_below_no_home_is_refused(rest, monkeypatch, capsys):
  monkeypatch.setattr(os.path, "expanduser", lambda path: path)
  assert client_serving.main([place(rest), "--name=toy", "--image=~/a.png"]) == 2
  assert "there is no home folder (HOME)" in capsys.readouterr().err


def test_an_interrupted_command_ends_without_a_traceback(rest, monkeypatch):
  def interrupted(options):
    raise KeyboardInterrupt

  monkeypatch.setattr(client_serving, "_label", interrupted)
  assert client_serving.main([place(rest), "--name=toy", "--image=frames"]) == 130


def test_label_pictures_have_names_and_sizes_of_their_pictures(rest, tmp_path, capsys):
  rest.answer = {"outputs": [[[1, 2, 3, 4]]]}
  for name, size in (("a.png", (8, 2)), ("a.jpg", (4, 1))):
    Image.new("RGB", size).save(tmp_path / name)
  out = tmp_path / "out"
  flags = ["--name=toy", f"--image={tmp_path}"]
  assert client_serving.main([place(rest), *flags, f"--out={out}"]) == 0
  assert sorted(os.listdir(out)) == ["a.jpg-labels.png", "a.png-labels.png"]
  with Image.open(out / "a.png-labels.png") as opened:
    np.testing.assert_array_equal(opened, [[1, 1, 2, 2, 3, 3, 4, 4]] * 2)
  assert client_serving.main([place(rest), *flags, f"--out={tmp_path}"]) == 2
  assert "--out is the folder of the images" in capsys.readouterr().err


def test_labels_of_a_turned_picture_have_the_size_that_is_seen(rest, tmp_path):
  """The SavedModel turns it."""
  rest.answer = {"outputs": [[[1, 2, 3, 4]]]}
  exif = Image.Exif()
  exif[0x0112] = 6
  for name in ("a.png", "b.jpg"):
    Image.new("RGB", (2, 8)).save(tmp_path / name, exif=exif)
  out = tmp_path / "out"
  flags = ["--name=toy", f"--image={tmp_path}", f"--out={out}"]
  assert client_serving.main([place(rest), *flags]) == 0
  for name in ("a", "b"):
    with Image.open(out / f"{name}-labels.png") as opened:
      assert opened.size == (8, 2)


@pytest.mark.parametrize(
  ("flag", "said"),
  [
    ("--timeout_s=-1", "--timeout_s is -1"),
    ("--url=http://[::1", "no URL"),
    ("--url=", "'' is no URL"),
    ("--name=caf\udce9", r"'caf\udce9' is no text in UTF-8"),
  ],
)
def test_what_is_no_server_and_no_time_is_refused(tmp_path, capsys, flag, said):
  (tmp_path / "a.png").write_bytes(encoded(image()))
  flags = ["--url=http://localhost:1", "--name=toy", f"--image={tmp_path}", flag]
  flags += [f"--out={tmp_path / 'out'}"]
  assert client_serving.main(flags) == 2
  assert said in capsys.readouterr().err


def test_the_command_prints_the_label_of_a_classification(rest, tmp_path, capsys):
  (tmp_path / "seven.png").write_bytes(encoded(image()))
  rest.answer = {"outputs": [7]}
  flags = ["--name=toy", f"--image={tmp_path / 'seven.png'}"]
  assert client_serving.main([place(rest), *flags]) == 0
  assert capsys.readouterr().out == "seven.png: 7\n"


def test_progress_shows_on_a_terminal_after_five_seconds(monkeypatch, capsys):
  clock = iter([0.0, 4.0, 6.0, 6.1, 7.0])
  monkeypatch.setattr(client_serving.time, "monotonic", lambda: next(clock))
  monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
  progress = client_serving._Progress()
  for count in (1, 3, 4, 5):
    progress.show(count, 9)
  progress.end()
  assert capsys.readouterr().err == "3 of 9 images \r5 of 9 images \r\n"


@pytest.mark.parametrize(("name", "files", "said"), [
  ("other", ["a.png"], NOT_FOUND),
  ("toy", [], "is a folder without images"),
])  # fmt: skip
def test_the_command_ends_with_status_2_and_a_bare_message(
  double, tmp_path, capsys, name, files, said
):
  for file in files:
    (tmp_path / file).write_bytes(encoded(image()))
  flags = [f"--name={name}", f"--image={tmp_path}", f"--out={tmp_path / 'out'}"]
  assert client_serving.main([place(double), *flags]) == 2
  error = capsys.readouterr().err
  assert error.startswith("Error: ")
  assert said in error


def test_a_model_without_labels_is_named(rest, tmp_path, capsys):
  (tmp_path / "a.png").write_bytes(encoded(image()))
  rest.answer = {"outputs": {"scores": [[0.5]], "boxes": [[1]]}}
  flags = ["--name=toy", f"--image={tmp_path / 'a.png'}"]
  assert client_serving.main([place(rest), *flags]) == 2
  assert "gives scores, boxes; expected 'labels'" in capsys.readouterr().err


def test_rest_needs_no_more_than_numpy(rest, tmp_path):
  """In a process of its own, started where neither tfdam nor TensorFlow is imported."""
  (tmp_path / "image.png").write_bytes(encoded(image()))
  program = (
    "import sys; sys.path.insert(0, sys.argv[1]); import client_serving as c;"
    "found = c.RestClient(sys.argv[2], 'toy').predict(open(sys.argv[3], 'rb').read());"
    "print(found['labels'].sum(), sorted({'PIL', 'grpc', 'tensorflow', 'tfdam'} &"
    " set(sys.modules)))"
  )
  folder = os.path.dirname(client_serving.__file__)
  done = subprocess.run(
    [sys.executable, "-c", program, folder, rest.url, str(tmp_path / "image.png")],
    cwd=tmp_path, capture_output=True, text=True, timeout=600,
  )  # fmt: skip
  assert done.stdout == f"{labels(image()).sum()} []\n", done.stderr


@pytest.mark.skipif(
  sys.version_info < (3, 10), reason="Python 3.9 does not list its library"
)
def test_it_imports_the_standard_library_and_numpy_at_the_top():
  with open(client_serving.__file__) as file:
    tree = ast.parse(file.read())
  found = set()
  for node in tree.body:
    if isinstance(node, ast.Import):
      found |= {name.name.split(".")[0] for name in node.names}
    elif isinstance(node, ast.ImportFrom):
      found.add(node.module.split(".")[0])
  assert found - set(sys.stdlib_module_names) == {"numpy"}
