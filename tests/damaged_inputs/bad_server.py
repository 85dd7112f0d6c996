"""An HTTP server whose answers are damaged: the first part of a path says how."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable

from tests import quiet_server
from tests.damaged_inputs import documents

# What TF Serving's REST port answers for a network that labels digits.
ANSWER = {"outputs": {"labels": [3]}}


def _json_answers() -> dict[str, bytes]:
  """{name: body} of answers whose values are of another type, or that are no JSON."""
  found = {}
  for path in documents.paths(ANSWER):
    for name, text in documents.OTHER_VALUES.items():
      found[f"{documents.shown(path)}.{name}"] = documents.changed(ANSWER, path, text)
  intact = json.dumps(ANSWER).encode()
  for name, (change, _) in documents.JSON_TEXTS.items():
    found[f"text.{name}"] = change(intact)
  return found


BODIES = {"good": json.dumps(ANSWER).encode(), **_json_answers()}


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self) -> None:
    length = int(self.headers.get("Content-Length", 0))
    self.rfile.read(length)
    kind = self.path.split("/")[1]
    if kind in BODIES:
      self._answer(200, BODIES[kind])
    elif kind.isdecimal():
      self._answer(int(kind), b"no")
    else:
      BEHAVIOURS[kind](self)

  do_POST = do_GET  # noqa: N815

  def _answer(self, status: int, body: bytes, length: str = "") -> None:
    self.send_response(status)
    self.send_header("Content-Length", length or str(len(body)))
    self.end_headers()
    self.wfile.write(body)

  def log_message(self, *args) -> None:
    """Says nothing."""


def _redirect(handler: _Handler, place: str) -> None:
  handler.send_response(302)
  handler.send_header("Location", place)
  handler.send_header("Content-Length", "0")
  handler.end_headers()


def _chunked(handler: _Handler) -> None:
  handler.wfile.write(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nabc"
  )


BEHAVIOURS: dict[str, Callable[[_Handler], None]] = {
  "cut": lambda h: h._answer(200, b"abc", "1000"),
  "claims": lambda h: h._answer(200, b"abc", str(10**15)),
  "negative": lambda h: h._answer(200, b"abc", "-5"),
  "no_length": lambda h: h._answer(200, b"abc", "many"),
  "closed": lambda h: h.wfile.close(),
  "garbage": lambda h: h.wfile.write(b"\x00\xff nothing of HTTP\r\n\r\n"),
  "bad_status": lambda h: h.wfile.write(b"HTTP/1.1 abc OK\r\n\r\n"),
  "long_line": lambda h: h.wfile.write(b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n\r\n"),
  "headers": lambda h: h.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 999 + b"\r\n"),
  "redirects": lambda h: _redirect(h, h.path),
  "redirected_to_file": lambda h: _redirect(h, "file:///etc/passwd"),
  "redirected_nowhere": lambda h: _redirect(h, "http://[::1"), "chunked": _chunked,
  "html": lambda h: h._answer(200, b"<html><body>Sign in</body></html>"),
  "empty": lambda h: h._answer(200, b""),
}  # fmt: skip


def start() -> str:
  """Starts the server in a thread that ends with the process; returns its URL."""
  server = quiet_server.QuietServer(("127.0.0.1", 0), _Handler)
  threading.Thread(target=server.serve_forever, daemon=True).start()
  return f"http://127.0.0.1:{server.server_port}"
