"""What other programs answer: mirrors, TF Serving; and the state of a machine."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator

from tests.damaged_inputs import bad_server, cases, materials, places

_STATUSES = ("301", "400", "401", "403", "404", "429", "500", "503")


def all_cases(made: materials.Materials, url: str) -> Iterator[cases.Case]:
  yield from _downloads(url)
  yield from _serving(made, url)
  yield from _doctor()


def _downloads(url: str) -> Iterator[cases.Case]:
  """No answer of this server is an official file: nothing may be kept."""
  subject = cases.Subject(
    "download",
    "tfdam.download",
    ("usps", "--data_root={case}/data", f"--mirror={url}/html"),
  )
  refused = cases.Expected.REFUSED
  for name in (*_STATUSES, *bad_server.BEHAVIOURS):
    arguments = (*subject.arguments[:2], f"--mirror={url}/{name}")
    yield subject.case(f"answer/{name}", cases.no_damage, refused, arguments=arguments)
  mirrors = (
    "ftp://a", "file:///etc", "http://", "http://[::1", "http://127.0.0.1:1", "text",
    "http://a:99999", "http://\u2603.invalid.", "http://a b", "https://127.0.0.1:1",
  )  # fmt: skip
  for number, mirror in enumerate(mirrors):
    arguments = (*subject.arguments[:2], f"--mirror={mirror}")
    yield subject.case(f"mirror/{number}", cases.no_damage, refused, arguments=arguments)
  for kind in places.FOLDERS:

    def folder_damage(folder: pathlib.Path, rng: random.Random, kind=kind) -> None:
      (folder / "data" / "usps").mkdir(parents=True)
      places.FOLDERS[kind](folder / "data" / "usps", rng)

    yield subject.case(f"folder/{kind}", folder_damage, refused)
  for kind in places.REPLACEMENTS:

    def file_damage(folder: pathlib.Path, rng: random.Random, kind=kind) -> None:
      (folder / "data" / "usps").mkdir(parents=True)
      (folder / "data" / "usps" / "zip.train.gz").touch()
      places.REPLACEMENTS[kind](folder / "data" / "usps" / "zip.train.gz", rng)

    yield subject.case(f"file/{kind}", file_damage, refused)
  for name, odd in places.NAMES.items():
    yield subject.case(
      f"set/{name}", cases.no_damage, cases.Expected.ANY if name == "flag" else refused,
      arguments=(f"--data_root={{case}}/{odd}", odd),
      statuses=(1,) if name == "flag" else (),
    )  # fmt: skip


def _serving(made: materials.Materials, url: str) -> Iterator[cases.Case]:
  subject = cases.Subject(
    "serving",
    "export.client_serving",
    (
      f"--url={url}/good", "--name=digits", "--image={case}/pictures/rgb.png",
      "--out={case}/out",
    ),
    inputs={"pictures": made.data / "pictures"},
  )  # fmt: skip
  for name in (*_STATUSES, *bad_server.BEHAVIOURS, *bad_server.BODIES):
    arguments = (f"--url={url}/{name}", *subject.arguments[1:])
    is_answer = name in bad_server.BODIES
    expected = cases.Expected.ANY if is_answer else cases.Expected.REFUSED
    yield subject.case(f"answer/{name}", cases.no_damage, expected, arguments=arguments)
  for name in ("rgb.png", "rgb.jpg"):
    arguments = (
      *subject.arguments[:2],
      f"--image={{case}}/pictures/{name}",
      subject.arguments[3],
    )
    for kind in places.REPLACEMENTS:
      damage = cases.put(f"pictures/{name}", places.REPLACEMENTS[kind])
      # What a file holds, the server says.
      is_file = kind in ("of_another_type", "empty")
      expected = cases.Expected.ANY if is_file else cases.Expected.REFUSED
      yield subject.case(f"picture/{name}/{kind}", damage, expected, arguments=arguments)
  folder = (*subject.arguments[:2], "--image={case}/pictures", subject.arguments[3])
  for kind in places.FOLDERS:
    yield subject.case(
      f"folder/{kind}", cases.put("pictures", places.FOLDERS[kind]), arguments=folder
    )
  for name, odd in places.NAMES.items():
    yield subject.case(
      f"name/{name}",
      cases.renamed("pictures/rgb.png", f"{odd[:250]}.png"),
      arguments=folder,
    )
    arguments = (subject.arguments[0], f"--name={odd}", *subject.arguments[2:])
    yield subject.case(f"model/{name}", cases.no_damage, arguments=arguments)
  flags = (
    "--timeout_s=nan", "--timeout_s=0", "--timeout_s=-1", "--timeout_s=1e300",
    "--timeout_s=x", "--version=-1", "--version=99999999999999999999", "--version=1.5",
    "--url=http://[::1", "--url=", "--url=text", "--url=file:///etc/passwd",
    "--url=http://127.0.0.1:1", "--url=http://a..b", "--url=http://127.0.0.1:99999",
    "--url=http://127.0.0.1:x",
  )  # fmt: skip
  for number, flag in enumerate(flags):
    yield subject.case(
      f"flag/{number:02d}", cases.no_damage, cases.Expected.REFUSED,
      arguments=(*subject.arguments, flag),
    )  # fmt: skip


def _doctor() -> Iterator[cases.Case]:
  subject = cases.Subject(
    "doctor", "tfdam.doctor", ("--report={case}/report.json",), statuses=(1,), slow=True,
  )  # fmt: skip
  for kind in ("directory", "unix_socket", "link_to_itself"):
    damage = cases.put("report.json", places.REPLACEMENTS[kind])
    yield subject.case(f"report/{kind}", damage, cases.Expected.REFUSED)
  for name, value in {"HOME": "", "PATH": "/nowhere", "TFDAM_STACK": "tf3"}.items():
    yield subject.case(f"environment/{name}", cases.no_damage, environment={name: value})
