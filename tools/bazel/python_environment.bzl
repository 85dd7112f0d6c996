"""One virtual environment, made from the lock file, as Bazel's Python toolchain."""

_BUILD = """
load("{pair_bzl}", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "runtime",
    interpreter_path = "{interpreter}",
    python_version = "PY3",
    stub_shebang = "#!{interpreter}",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

# The range for which TensorFlow 2.15 has wheels.
_CHECK = "import sys; print('%d.%d' % sys.version_info[:2]); sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))"

def _python_environment_impl(ctx):
    wanted = ctx.os.environ.get("TFDAM_PYTHON", "python3")
    python = ctx.which(wanted) if "/" not in wanted else wanted
    if not python:
        fail("\n\nNo '{}' on PATH. Install Python 3.9, 3.10 or 3.11, or set TFDAM_PYTHON to one.\n".format(wanted))

    check = ctx.execute([python, "-c", _CHECK])
    if check.return_code != 0:
        version = check.stdout.strip()
        problem = "is Python " + version if version else "does not start ({})".format(check.stderr.strip())
        fail("\n\n'{}' {}. TensorFlow 2.15 has wheels for Python 3.9, 3.10 and 3.11 only: ".format(python, problem) +
             "set TFDAM_PYTHON to one of those, e.g. TFDAM_PYTHON=python3.11.\n")

    ctx.report_progress("making a virtual environment")
    made = ctx.execute([python, "-m", "venv", "venv"])
    if made.return_code != 0:
        fail("\n\n'{} -m venv' failed; on Debian: apt-get install python3-venv.\n{}{}".format(
            python,
            made.stdout,
            made.stderr,
        ))

    ctx.report_progress("pip-installing requirements.lock (about 600 MB the first time)")
    installed = ctx.execute(
        ["venv/bin/python", "-m", "pip", "install", "--require-hashes", "-r", ctx.path(ctx.attr.lock)],
        timeout = 3600,
        environment = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"},
    )
    if installed.return_code != 0:
        fail("\n\npip could not install requirements.lock:\n" + installed.stdout[-2000:] + installed.stderr[-4000:])

    ctx.file("BUILD", _BUILD.format(
        pair_bzl = "@bazel_tools//tools/python:toolchain.bzl",
        interpreter = ctx.path("venv/bin/python"),
    ))

python_environment = repository_rule(
    implementation = _python_environment_impl,
    attrs = {"lock": attr.label(allow_single_file = True, mandatory = True)},
    # PATH decides which python3 is found; pip reads the others.
    environ = ["TFDAM_PYTHON", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"],
    doc = "Makes a virtual environment from a hash-locked requirements file and a Python toolchain on it.",
)
