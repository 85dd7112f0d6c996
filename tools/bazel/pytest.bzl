"""py_tests that run pytest: one for each group of slow files, one for all quick files."""

def pytest_tests(srcs, deps, groups, data = []):
    """Declares a test for each group, and :quick_tests for all other files.

    Every process imports TensorFlow, which takes longer than most files' tests. Groups
    should take about equally long, because cores may have to wait for the last one.

    Args:
      srcs: test files, below this package.
      deps: what all of them import.
      groups: {name: its files}, the slow files of srcs.
      data: what all of them read.
    """
    slow = [file for files in groups.values() for file in files]
    quick = [src for src in srcs if src not in slow]
    for name, files in groups.items() + [("quick_tests", quick)]:
        native.py_test(
            name = name,
            size = "large",
            # One took 15 minutes on a slow and busy machine.
            timeout = "eternal",
            srcs = files + ["pytest_main.py"],
            args = ["$(rootpath {})".format(file) for file in files],
            data = files + data,
            main = "pytest_main.py",
            deps = deps,
        )
