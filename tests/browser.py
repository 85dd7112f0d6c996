"""A headless Chromium, driven by WebDriver's plain HTTP; skips where there is none."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

# For a hang to end the test.
_TIMEOUT_S = 120
_FLAGS = (
  "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-dev-shm-usage",
)  # fmt: skip


class Browser:
  """One window.

  Attributes:
    requests: addresses that the last page asked for, itself among them.
    console: what it said on the console, errors and warnings.
  """

  def __init__(self, address, session):
    self._base = f"{address}/session/{session}"
    self.requests = []
    self.console = []

  def open(self, path, dark=False, width=1000, height=1200):
    """Opens a file as a user does who double-clicks it; waits for its charts."""
    self._chrome(
      "Emulation.setDeviceMetricsOverride",
      {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    self.set_dark(dark)
    self._read_logs()
    self.requests, self.console = [], []
    self._post("url", {"url": pathlib.Path(path).resolve().as_uri()})
    self.wait_for_charts()

  def wait_for_charts(self):
    deadline = time.monotonic() + _TIMEOUT_S
    while self.run("return document.documentElement.dataset.charts") != "drawn":
      assert time.monotonic() < deadline, "the charts were never drawn"
      time.sleep(0.1)
    self._read_logs()

  def set_dark(self, dark):
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    self._chrome("Emulation.setEmulatedMedia", {"features": features})

  def run(self, script, *arguments):
    """What a function body in JavaScript returns."""
    return self._post("execute/sync", {"script": script, "args": list(arguments)})

  def press(self, selector, key, times=1):
    """Moves the focus to an element and presses a key there."""
    found = self._post("element", {"using": "css selector", "value": selector})
    (element,) = found.values()
    self._post(f"element/{element}/value", {"text": key * times})

  def close(self):
    _send(self._base, None, "DELETE")

  def _read_logs(self):
    for entry in self._post("se/log", {"type": "browser"}):
      self.console.append(f"{entry['level']}: {entry['message']}")
    for entry in self._post("se/log", {"type": "performance"}):
      event = json.loads(entry["message"])["message"]
      if event["method"] == "Network.requestWillBeSent":
        self.requests.append(event["params"]["request"]["url"])

  def _chrome(self, command, parameters):
    self._post("goog/cdp/execute", {"cmd": command, "params": parameters})

  def _post(self, place, content):
    return _send(f"{self._base}/{place}", content, "POST")


@contextlib.contextmanager
def started():
  """A browser; the test that asks for it is skipped where none is installed."""
  driver = shutil.which("chromedriver")
  chromium = shutil.which("chromium") or shutil.which("chromium-browser")
  if not driver or not chromium:
    pytest.skip("no chromium and chromedriver here (apt-get install chromium-driver)")
  with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    log = os.path.join(folder, "log")
    with open(log, "wb") as output:
      process = subprocess.Popen(
        [driver, "--port=0"], stdout=output, stderr=output, start_new_session=True
      )
    try:
      address = f"http://127.0.0.1:{_port(process, log)}"
      browser = Browser(address, _session(address, chromium, folder))
      try:
        yield browser
      finally:
        browser.close()
    finally:
      # Its own group: chromedriver, and a browser that did not end.
      with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
      process.wait()


def _port(process, log):
  """The port that chromedriver chose, from what it says."""
  deadline = time.monotonic() + _TIMEOUT_S
  while True:
    said = pathlib.Path(log).read_text(errors="replace")
    words = said.replace(".", " ").split()
    if "successfully on port" in said:
      return int(words[words.index("port", words.index("successfully")) + 1])
    assert process.poll() is None, said
    assert time.monotonic() < deadline, said
    time.sleep(0.05)


def _session(address, chromium, folder):
  options = {
    "binary": chromium,
    "args": [*_FLAGS, f"--user-data-dir={os.path.join(folder, 'profile')}"],
  }
  wanted = {
    "browserName": "chrome",
    "goog:chromeOptions": options,
    "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
  }
  made = _send(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}}, "POST")
  return made["sessionId"]


def _send(address, content, method):
  # Without a proxy: it is on this machine.
  opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
  data = None if content is None else json.dumps(content).encode()
  request = urllib.request.Request(
    address, data, {"Content-Type": "application/json"}, method=method
  )
  try:
    with opener.open(request, timeout=_TIMEOUT_S) as response:
      return json.loads(response.read())["value"]
  except urllib.error.HTTPError as error:
    raise AssertionError(f"{address}: {error.read().decode()[:2000]}") from error
