"""Adds up Bazel's test results, and names what failed or was skipped."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def main(logs: str, *not_run: str) -> int:
  """Prints what failed or was skipped, and the sums; returns the exit status.

  Args:
    logs: folder with a folder of test.xml files for each run of tests.
    not_run: what could not run here; each counts as one skipped test.
  """
  passed = failed = skipped = 0
  for file in sorted(pathlib.Path(logs).resolve().rglob("test.xml")):
    part = file.relative_to(pathlib.Path(logs).resolve()).parts[0]
    for case in ElementTree.parse(file).iter("testcase"):
      name = f"{part}: {case.get('classname')}::{case.get('name')}"
      if case.find("failure") is not None or case.find("error") is not None:
        failed += 1
        print(f"FAILED {name}")
      elif (skip := case.find("skipped")) is not None:
        skipped += 1
        print(f"SKIPPED {name}: {skip.get('message')}")
      else:
        passed += 1
  for reason in not_run:
    skipped += 1
    print(f"SKIPPED {reason}")
  print(f"{passed} passed, {failed} failed, {skipped} skipped")
  return 0 if passed and not failed else 1


if __name__ == "__main__":
  sys.exit(main(*sys.argv[1:]))
