"""Makes rows about Python, the processor and packages from facts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from packaging import specifiers

from tfdam import commands, stack
from tfdam.diagnosis import facts as facts_lib
from tfdam.diagnosis import looks
from tfdam.diagnosis import rows as rows_lib

# {stack: {package: (versions that work, why no others do, what needs it)}}. Other
# differences from the pins are mentioned but are no fault.
LIMITS: Mapping[str, Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
  "tf215": {
    "tensorflow": ("==2.15.*", "tensorflow-addons supports no later", rows_lib.PROMISES),
    "keras": ("==2.15.*", "TensorFlow 2.15 needs this Keras", rows_lib.PROMISES),
    "tf2onnx": (">=1.17", "earlier ones need protobuf 3", (rows_lib.EXPORT,)),
    "onnx": (
      ">=1.17,<1.19",
      "1.19 breaks on TensorFlow 2.15's ml-dtypes, and pip check does not notice",
      (rows_lib.EXPORT,),
    ),
    "numpy": ("<2", "TensorFlow 2.15 was built for NumPy 1", rows_lib.PROMISES),
    "protobuf": ("<5", "TensorFlow 2.15 was made for protobuf 4", rows_lib.PROMISES),
  },
  "tf221": {
    "tensorflow": ("==2.21.*", "it must match tf-keras", rows_lib.PROMISES),
    "tf-keras": ("==2.21.*", "it must match TensorFlow", rows_lib.PROMISES),
    "tf2onnx": (">=1.17", "earlier ones need protobuf 3", (rows_lib.EXPORT,)),
  },
}
# Further packages that a stack has on every machine.
_ALWAYS: Mapping[str, tuple[str, ...]] = {
  "tf215": ("tensorflow-addons", "absl-py"),
  "tf221": ("keras", "onnx", "numpy", "protobuf", "absl-py"),
}
_NEEDED_FOR = {
  "onnx": (rows_lib.EXPORT,),
  "numpy": rows_lib.PROMISES,
  "protobuf": rows_lib.PROMISES,
  "tensorflow-addons": (rows_lib.TRAINING,),
  "absl-py": rows_lib.PROMISES,
  "onnxruntime": (rows_lib.EXPORT,),
  "onnxruntime-gpu": (rows_lib.EXPORT,),
}
# Two builds of the same module.
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
_ARCHITECTURES = ("x86_64", "AMD64", "aarch64", "arm64")
# Instructions that decide how fast networks are, on x86-64 and on Arm.
_INSTRUCTIONS = (
  "avx", "avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_tile",
  "asimd", "asimddp", "sve", "i8mm", "bf16",
)  # fmt: skip


def rows(facts: facts_lib.Facts) -> list[rows_lib.Row]:
  table = [_python(facts), _stack(facts), _processor(facts)]
  table += [_package(name, facts) for name in looks.PACKAGES if _counts(name, facts)]
  if all(name in facts.installed for name in _RUNTIMES):
    table.append(_both_runtimes(facts))
  return table


def _python(facts: facts_lib.Facts) -> rows_lib.Row:
  first, last = stack.PYTHONS[facts.stack]
  remedy = ""
  if not first <= facts.python[:2] <= last:
    remedy = (
      f"TensorFlow {stack.STACKS[facts.stack]} has wheels for Python 3.{first[1]} to"
      f" 3.{last[1]}: take one (TFDAM_PYTHON)."
    )
  elif facts.machine not in _ARCHITECTURES:
    remedy = "TensorFlow has wheels only for x86-64 and 64-bit Arm."
  state = rows_lib.BROKEN if remedy else rows_lib.OK
  found = f"{'.'.join(map(str, facts.python))} on {facts.machine}"
  return rows_lib.Row("Python", "version", state, found, remedy, rows_lib.PROMISES)


def _stack(facts: facts_lib.Facts) -> rows_lib.Row:
  """Returns the row on the stack, with whose versions packages are compared."""
  remedy = ""
  for other, (first, last) in stack.PYTHONS.items():
    if other != facts.stack and first <= facts.python[:2] <= last:
      how = f"TFDAM_STACK={other} ./bazelw takes"
      if commands.IS_INSTALLED:  # the wheel's requirements leave no choice
        how = f"An environment of requirements/{other}.lock, in a checkout, has"
      remedy = f"{how} TensorFlow {stack.STACKS[other]}."
  found = f"{facts.stack} (TensorFlow {stack.STACKS[facts.stack]})"
  return rows_lib.Row("Python", "stack", rows_lib.OK, found, remedy)


def _processor(facts: facts_lib.Facts) -> rows_lib.Row:
  known = [name for name in _INSTRUCTIONS if name in facts.instructions]
  memory = rows_lib.size(facts.memory) if facts.memory else ""
  found = "; ".join(filter(None, (f"{facts.cores} cores", memory, " ".join(known))))
  row = rows_lib.Row("Python", "processor", rows_lib.OK, found, "", rows_lib.PROMISES)
  if facts.machine == "x86_64" and facts.instructions and "avx" not in facts.instructions:
    remedy = "TensorFlow's wheels need AVX: take another machine."
    return dataclasses.replace(row, state=rows_lib.BROKEN, remedy=remedy)
  return row


def _counts(name: str, facts: facts_lib.Facts) -> bool:
  """Whether a package is installed, or should be on this Python and machine."""
  if name in facts.installed or name in facts.pins:
    return True
  expected = (*LIMITS[facts.stack], *_ALWAYS[facts.stack])
  return not facts.pins and name in expected


def _package(name: str, facts: facts_lib.Facts) -> rows_lib.Row:
  version, pin = facts.installed.get(name), facts.pins.get(name, "")
  unknown = ("", "", _NEEDED_FOR.get(name, ()))
  allowed, reason, needed_for = LIMITS[facts.stack].get(name, unknown)
  install = f"pip install '{name}{pin or allowed}'"
  row = rows_lib.Row(
    "packages", name, rows_lib.OK, version or "none", needed_for=needed_for
  )
  if version is None:
    return dataclasses.replace(row, state=rows_lib.MISSING, remedy=f"{install}.")
  if not within(version, allowed):
    remedy = f"Expected {allowed}: {reason}. {install}."
    return dataclasses.replace(row, state=rows_lib.BROKEN, remedy=remedy)
  if not within(version, pin):
    told = f"tfdam was tried with {pin}; this version should work too."
    return dataclasses.replace(row, remedy=told)
  return row


def within(version: str, allowed: str) -> bool:
  return specifiers.SpecifierSet(allowed).contains(version, prereleases=True)


def _both_runtimes(facts: facts_lib.Facts) -> rows_lib.Row:
  wanted = next((name for name in _RUNTIMES if name in facts.pins), _RUNTIMES[0])
  return rows_lib.Row(
    "packages",
    "onnxruntime, twice",
    rows_lib.BROKEN,
    "onnxruntime and onnxruntime-gpu, which overwrite each other's files",
    # Uninstalling only one would remove files of the other.
    f"pip uninstall -y {' '.join(_RUNTIMES)} && pip install"
    f" '{wanted}{facts.pins.get(wanted, '')}'.",
  )
