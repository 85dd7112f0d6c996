"""Damaged configs: files, fields at and past their bounds, clusters."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.damaged_inputs import bounds, cases, data_cases, materials, places

# The more of these, the more work was asked for: what they may cost is the user's decision.
_WORK = (
  "data.height", "data.width", "model.depth", "model.width", "source.steps", "adapt.steps",
  "adapt.warmup_steps", "runtime.num_replicas", "data.num_classes",
  "source.global_batch_size", "adapt.global_batch_size",
)  # fmt: skip


def all_cases(made: materials.Materials) -> Iterator[cases.Case]:
  yield from _files(made)
  yield from _fields(made)
  yield from _trained(made)
  yield from _clusters(made)


def _files(made: materials.Materials) -> Iterator[cases.Case]:
  subject = cases.Subject(
    "config-file", "tfdam.oracle", ("--config={case}/mine.py",),
    inputs={"mine.py": made.configs / "digits.py"}, result=data_cases.table,
  )  # fmt: skip
  yield from cases.of_file(subject, "mine.py")
  returns = (
    "None", "7", "'text'", "[]", "config_lib.Config()", "config_lib", "lambda: 1",
    "{'data': 7}", "{'data': {'height': None}}", "{7: 8}", "{'adapt': {'taps': ['a']}}",
  )  # fmt: skip
  body = "from tfdam import config as config_lib\ndef get_config(options=None):\n  "
  programs = {
    **{f"returns {value}": f"{body}return {value}\n" for value in returns},
    "raises": f"{body}raise KeyError('mine')\n", "exits": f"{body}raise SystemExit(0)\n",
    "recurses": f"{body}return get_config(options)\n", "no_function": "x = 1\n",
    "no_import": "import nothing_of_that_name\n",
    "surrogate": f"{body}raise ValueError('\\ud800')\n", "syntax": "def\n", "nul": "\0",
    "tabs": "def f():\n\tx\n        y\n", "encoding": "# coding: nothing\n",
  }  # fmt: skip
  for name, text in programs.items():
    damage = cases.written("mine.py", text.encode(errors="surrogatepass"))
    yield subject.case(f"program/{name}", damage, cases.Expected.REFUSED)
  for name, odd in places.NAMES.items():
    yield subject.case(
      f"name/{name}", cases.renamed("mine.py", f"{odd[:200]}.py"),
      arguments=(f"--config={{case}}/{odd[:200]}.py",),
    )  # fmt: skip


def _fields(made: materials.Materials) -> Iterator[cases.Case]:
  """Flags of --config, by the command that checks them and trains nothing."""
  subject = cases.Subject("field", "tfdam.oracle", (f"--config={made.configs}/digits.py",))
  for field, found in _by_field().items():
    limits = [v for v in found if not v.name.startswith(("is_", "two_to"))]
    others = [v for v in found if v.name.startswith(("is_", "two_to"))]
    for value in (*limits, *random.Random(field).sample(others, min(2, len(others)))):
      expected = cases.Expected.ANY if value.allowed else cases.Expected.REFUSED
      yield subject.case(
        f"{field}/{value.name}", cases.no_damage, expected,
        arguments=(*subject.arguments, f"--config.{field}={value.text}"),
      )  # fmt: skip
  for name, text in places.NAMES.items():
    for field in (
      "name",
      "data.root",
      "data.source",
      "data.classes",
      "adapt.taps",
      "model.name",
    ):
      yield subject.case(
        f"{field}/{name}", cases.no_damage,
        arguments=(*subject.arguments, f"--config.{field}={text}"),
      )  # fmt: skip


def _by_field() -> dict[str, list[bounds.Value]]:
  found: dict[str, list[bounds.Value]] = {}
  for value in bounds.values():
    found.setdefault(value.field, []).append(value)
  return found


def training(made: materials.Materials, name: str, **changes) -> cases.Subject:
  """A whole run of the small digits."""
  return cases.Subject(
    name, "tfdam.train", (f"--config={made.configs}/digits.py", "--workdir={case}/run"),
    slow=True, **changes,
  )  # fmt: skip


def _trained(made: materials.Materials) -> Iterator[cases.Case]:
  """The numbers that the schema allows, through a run of four steps."""
  subject = training(made, "trained")
  for value in bounds.at_bounds():
    if value.field not in _WORK:
      yield subject.case(
        f"{value.field}/{value.name}", cases.no_damage,
        arguments=(*subject.arguments, f"--config.{value.field}={value.text}"),
      )  # fmt: skip


def _clusters(made: materials.Materials) -> Iterator[cases.Case]:
  subject = training(made, "cluster")
  worker = '{{"cluster": {{"worker": {0}}}, "task": {1}}}'
  first = '{"type": "worker", "index": 0}'
  addresses = (
    '["grpc://127.0.0.1:1", "127.0.0.1:2"]', '["http://a:1", "b:2"]', '["a:99999", "b:2"]',
    '["a:0", "b:2"]', '["a: 1", "b:2"]', '[" a:1", "b:2"]', '["a b:1", "b:2"]',
    '["a:-1", "b:2"]', '["a", "b"]', '[":1", ":2"]', '["a:1", "a:1"]',
    '["a:\\u0661", "b:2"]', '["a:1\\n", "b:2"]', '["a:1;b:2", "c:3"]', '["a,b:1", "c:3"]',
    '[7, 8]', "[null]", "[[]]", "{}", '"a:1"', "7", '["a:1", {"b": 2}]',
    '["[::1:1", "b:2"]', '["\\ud800:1", "b:2"]', '["a:1e3", "b:2"]',
  )  # fmt: skip
  tasks = (
    "{}", "7", "[]", '{"type": "worker"}', '{"type": "worker", "index": 2}',
    '{"type": "worker", "index": -1}', '{"type": "worker", "index": "0"}',
    '{"type": "worker", "index": true}', '{"type": "worker", "index": 0.0}',
    '{"type": "ps", "index": 0}', '{"type": [], "index": 0}',
    '{"type": "chief", "index": 0}',
  )  # fmt: skip
  texts = [
    "{", "[]", "7", "null", '"text"', "{}", "[" * 100_000, '{"cluster": 7}', "NaN",
    "\ud800",
  ]  # fmt: skip
  texts += [worker.format(one, first) for one in addresses]
  texts += [worker.format('["a:1", "b:2"]', one) for one in tasks]
  for number, text in enumerate(texts):
    yield subject.case(
      f"{number:02d}", cases.no_damage, cases.Expected.REFUSED,
      environment={"TF_CONFIG": text.encode("utf-8", "surrogatepass").decode("utf-8",
      "surrogateescape")},
    )  # fmt: skip
