"""Makes the environment of tools/environment.py Bazel's Python toolchain."""

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

def _python_environment_impl(ctx):
    # A change in any of these files gives another environment.
    for lock in ctx.attr.locks:
        ctx.path(lock)
    environment = ctx.os.environ.get("TFDAM_ENVIRONMENT")
    if not environment:
        # Bazel was started without ./bazelw, which would have made it.
        script = ctx.path(ctx.attr.script)
        python = ctx.which("python3")
        if not python:
            fail("\n\nThere is no python3 on PATH: install Python 3.9 to 3.13.\n")
        ctx.report_progress("making a Python environment (minutes, the first time)")
        made = ctx.execute([python, script], timeout = 7200)
        if made.return_code != 0:
            fail("\n\n" + made.stderr.strip().split("\n")[-1] + "\n")
        environment = made.stdout.strip()
    ctx.symlink(environment, "venv")
    ctx.file("BUILD", _BUILD.format(
        pair_bzl = "@bazel_tools//tools/python:toolchain.bzl",
        interpreter = environment + "/bin/python",
    ))

python_environment = repository_rule(
    implementation = _python_environment_impl,
    attrs = {
        "locks": attr.label_list(allow_files = True, mandatory = True),
        "script": attr.label(allow_single_file = True, mandatory = True),
    },
    # ./bazelw sets the first. Without it the script reads the others, and pip the last two.
    environ = [
        "TFDAM_ENVIRONMENT",
        "TFDAM_STACK",
        "TFDAM_PYTHON",
        "TFDAM_CACHE",
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
    ],
    doc = "Declares a Python toolchain on the virtual environment of a hash-locked requirements file.",
)
