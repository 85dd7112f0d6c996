"""One py_test a test file, run by pytest."""

def pytest_tests(srcs, deps, data = [], slow = []):
    """Declares a test for every file: "data/mnist_test.py" becomes :data/mnist_test.

    Args:
      srcs: test files, below this package.
      deps: what all of them import.
      data: what all of them read.
      slow: those of srcs that take minutes.
    """
    for src in srcs:
        native.py_test(
            name = src[:-len(".py")],
            size = "large" if src in slow else "medium",
            srcs = [src, "pytest_main.py"],
            args = ["$(rootpath {})".format(src)],
            data = [src] + data,
            main = "pytest_main.py",
            deps = deps,
        )
