"""py_tests run by pytest: one for each slow file, one for the other files of a folder."""

def pytest_tests(srcs, deps, data = [], slow = []):
    """Declares :training/stages_test for a slow file, :data/quick_tests for the rest of data/.

    Every process imports TensorFlow, which takes longer than most files' tests.

    Args:
      srcs: test files, below this package.
      deps: what all of them import.
      data: what all of them read.
      slow: those of srcs that take minutes.
    """
    groups = {}
    for src in srcs:
        folder = src.rpartition("/")[0]
        quick = folder + "/quick_tests" if folder else "quick_tests"
        groups.setdefault(src[:-len(".py")] if src in slow else quick, []).append(src)
    for name, files in groups.items():
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
