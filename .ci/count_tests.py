"""Adds up the test results that Bazel left, and names what failed or was skipped."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def main(logs: str) -> int:
  passed = failed = skipped = 0
  files = sorted(pathlib.Path(logs).resolve().rglob("test.xml"))
  for file in files:
    for case in ElementTree.parse(file).iter("testcase"):
      if case.find("failure") is not None or case.find("error") is not None:
        failed += 1
        print(f"FAILED {case.get('classname')}::{case.get('name')}")
      elif (skip := case.find("skipped")) is not None:
        skipped += 1
        print(f"SKIPPED {case.get('classname')}::{case.get('name')}: {skip.get('message')}")
      else:
        passed += 1
  print(f"{passed} passed, {failed} failed, {skipped} skipped")
  return 0 if passed and not failed else 1


if __name__ == "__main__":
  sys.exit(main(sys.argv[1]))
