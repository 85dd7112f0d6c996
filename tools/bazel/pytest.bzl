"""py_tests run by pytest: one for each group of slow files, one for all quick ones."""

def pytest_tests(srcs, deps, groups, data = []):
    """Declares a test for each group, and :quick_tests for the files that are in none.

    Every process imports TensorFlow, which takes longer than most files' tests. Groups
    should take about as long as each other: one core may have to wait for the last.

    Args:
      srcs: test files, below this package.
      deps: what all of them import.
      groups: {name: its files}, those of srcs that take long.
      data: what all of them read.
    """
    slow = [file for files in groups.values() for file in files]
    quick = [src for src in srcs if src not in slow]
    for name, files in groups.items() + [("quick_tests", quick)]:
        native.py_test(
            name = name,
            size = "large",
            # A slow machine that does something else as well took 15 minutes for one.
            timeout = "eternal",
            srcs = files + ["pytest_main.py"],
            args = ["$(rootpath {})".format(file) for file in files],
            data = files + data,
            main = "pytest_main.py",
            deps = deps,
        )
