"""All global state: flags, paths, log, devices, strategy, seeds.

TensorFlow is imported inside functions. Its import takes seconds, and users should see
their mistakes before that.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import app, flags, logging

from tfdam import cluster as cluster_lib
from tfdam import commands, files, memory, stack, usage
from tfdam import config as config_lib

# The config of commands with --config if it is not set.
DEFAULT_CONFIG = "configs/streets.py"
# Names hosts that gRPC contacts without a proxy; if it is not set, no_proxy does.
_NO_PROXY = "no_grpc_proxy"
PROJECT = commands.PROJECT
LIBRARY = commands.LIBRARY


def resolve_path(path: str) -> str:
  """Makes a user's path absolute, since `bazel run` starts programs in another folder.

  Raises:
    config.UserError: the path begins with ~, and there is no home folder.
  """
  if path.split(os.sep)[0] == "~" and not _has_home():
    raise config_lib.UserError(
      f"'{path}' is in the home folder, and there is none: HOME is not set, and the system"
      " has no entry of this user. Set HOME, or give a path without ~ (TFDAM_CACHE is the"
      " cache's)."
    )
  base = os.environ.get("BUILD_WORKING_DIRECTORY", os.getcwd())
  return os.path.normpath(os.path.join(base, os.path.expanduser(path)))


def _has_home() -> bool:
  return os.path.expanduser("~") not in ("~", os.devnull)


def data_root(options: config_lib.Data) -> str:
  """The folder of data sets: data.root, else $TFDAM_DATA, else data/ here."""
  return resolve_path(options.root or os.environ.get("TFDAM_DATA") or "data")


def cache_root(chosen: str = "") -> str:
  """The cache that runs share: `chosen`, else $TFDAM_CACHE, else ~/.cache/tfdam."""
  return resolve_path(chosen or os.environ.get("TFDAM_CACHE") or "~/.cache/tfdam")


def command(target: str, arguments: str) -> str:
  """The command line that runs another command in the same way as this one was run."""
  return commands.line(target, arguments)


def run(main: Callable[[list[str]], Any], default_config: str = "") -> None:
  """Runs a command; prints users' mistakes without traceback, and exits with their status.

  Args:
    main: takes the rest of the command line after flags.
    default_config: a config file below the project, for commands with --config.
  """
  set_environment()
  _print_every_name()
  try:
    try:
      check_stack()
      if usage.is_asked_for(sys.argv[1:]):
        print(usage.asked_for(sys.argv[1:], sys.modules[main.__module__]))
        return
      app.run(main, flags_parser=lambda argv: _parse_flags(argv, default_config))
    finally:
      if sys.stdout:
        sys.stdout.flush()  # Here, where BrokenPipeError is handled.
  except config_lib.UserError as error:
    _end(config_lib.with_flags(error), error.exit_status)
  except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)
  except BrokenPipeError:
    # The reader of the output has closed it, as `head` does; drop the rest.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)
  except Exception as error:
    said = memory.shortage(error) or files.problem(error)
    if said is None:
      raise
    _end(said, 2)


def refuse_words(argv: Sequence[str], flag: str = "") -> None:
  """Raises config.UserError for a word that is no flag.

  Args:
    argv: what is left of the command line, the program's name first.
    flag: the flag whose value the word may be; empty if that is not known.
  """
  if len(argv) > 1:
    hint = f"Did you mean {flag}={argv[1]}?" if flag else "--help lists the flags."
    raise config_lib.UserError(f"'{argv[1]}' is no flag. {hint}")


def _end(message: str, exit_status: int) -> None:
  """Prints an error and exits; --verbosity=1 shows where it was raised."""
  logging.debug("Raised here:", exc_info=True)
  # Text quoted from a command line or a file may contain control sequences.
  lines = map(files.shown, f"Error: {message}".split("\n"))
  print("\n".join(lines), file=sys.stderr)
  sys.exit(exit_status)


def _print_every_name() -> None:
  """Makes printing escape characters that the terminal's encoding lacks."""
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors="backslashreplace")


def check_stack() -> None:
  """Raises config.UserError if TFDAM_STACK names another stack than the installed one."""
  chosen, here = os.environ.get("TFDAM_STACK", ""), stack.installed()
  if chosen and chosen not in stack.STACKS:
    raise config_lib.UserError(
      f"TFDAM_STACK is '{chosen}'; expected {' or '.join(stack.STACKS)}."
      f"{config_lib.nearest(chosen, stack.STACKS)} Unset it for this Python's default."
    )
  if chosen and here and chosen != here:
    raise config_lib.UserError(
      f"TFDAM_STACK is '{chosen}', but {sys.prefix} has TensorFlow"
      f" {stack.tensorflow_version()} ({here}). Unset TFDAM_STACK, or make an environment"
      f" from requirements/{chosen}.lock."
    )


def set_environment() -> None:
  """Sets variables that TensorFlow and ONNX Runtime read when they are imported.

  Variables that the user has set are kept.
  """
  # TensorFlow's C++ log begins with three meaningless errors about CUDA factories; real
  # errors are also raised as exceptions.
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  # By default TensorFlow uses oneDNN only on CPUs with AVX-512 VNNI. On CPUs with AVX2,
  # LeNet trains 1.7 times as fast with oneDNN, and dilated convolutions need it for
  # gradients.
  os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
  # ONNX Runtime 1.31 would otherwise store a device id, and send telemetry.
  os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
  if not _has_home():
    # Keras would make a folder named ~ here. Below a device it cannot.
    os.environ["HOME"] = os.devnull


def start(options: config_lib.Runtime, seed: int):
  """Configures TensorFlow for this process.

  Returns:
    The `tf.distribute.Strategy` to build and train under.

  Raises:
    config.UserError: the devices or workers asked for are not there.
  """
  team = cluster_lib.find(options)
  import tensorflow as tf

  gpus = tf.config.list_physical_devices("GPU")
  num_replicas = options.num_replicas or max(1, len(gpus))
  if options.strategy == "none" and num_replicas > 1:
    raise config_lib.UserError(
      f"runtime.strategy is 'none' with {num_replicas} devices; expected one. Set"
      " --config.runtime.num_replicas=1 or --config.runtime.strategy=auto."
    )
  if gpus and num_replicas > len(gpus):
    raise config_lib.UserError(
      f"runtime.num_replicas is {num_replicas}, but there are {len(gpus)} GPUs. Set"
      " --config.runtime.num_replicas."
    )
  if team and not gpus and num_replicas > 1:
    raise config_lib.UserError(
      f"runtime.num_replicas is {num_replicas}, but each of several workers without a GPU"
      " computes on one device. Set --config.runtime.num_replicas=0 and start more workers."
    )
  for gpu in gpus:
    tf.config.experimental.set_memory_growth(gpu, True)
  if not gpus and num_replicas > 1:
    _split_cpu(tf, num_replicas)
  tf.keras.mixed_precision.set_global_policy(options.precision)
  tf.keras.utils.set_random_seed(seed)
  if options.deterministic:
    tf.config.experimental.enable_op_determinism()
  if team:
    tf.config.set_visible_devices(gpus[:num_replicas], "GPU")
    return _join(tf, team)
  if options.strategy == "mirrored" or num_replicas > 1:
    kind = "GPU" if gpus else "CPU"
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(num_replicas)])
  return tf.distribute.get_strategy()


def set_for_export() -> None:
  """Makes export and its comparisons run on the CPU, and silences savers and loaders.

  GPUs round float32 to TF32's 10 bits by default, and may be occupied by a training. Call
  this before TensorFlow looks for GPUs; it also applies to child processes.
  """
  os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
  import tensorflow as tf

  tf.get_logger().setLevel("ERROR")


def leave_talk_to_chief(team: cluster_lib.Cluster) -> None:
  """Has the other workers warn alone: what else there is to say, the chief says."""
  if not team.is_chief and logging.get_verbosity() == logging.INFO:
    logging.set_verbosity(logging.WARNING)


def _join(tf, team: cluster_lib.Cluster):
  """Meets the other workers; waits until all of them are there."""
  leave_talk_to_chief(team)
  tf.get_logger().setLevel("WARNING")  # one line for every collective operation it traces
  print(f"{team}: waiting for {', '.join(team.addresses)}", file=sys.stderr)
  # Else gRPC would contact the others through a proxy, and wait for ever.
  direct = os.environ.get(_NO_PROXY) or os.environ.get("no_proxy")
  os.environ[_NO_PROXY] = ",".join(filter(None, (direct, *team.hosts)))
  # TensorFlow waits in C++, where Python's signal handler would not run.
  before = signal.signal(signal.SIGINT, signal.SIG_DFL)
  try:
    return tf.distribute.MultiWorkerMirroredStrategy()
  except (tf.errors.OpError, RuntimeError) as error:
    raise config_lib.UserError(
      f"{team} cannot join the other workers: {str(error).splitlines()[0]}. Is every"
      " address in TF_CONFIG right, its port free, and no worker of an earlier start still"
      " there? End them all and start them again."
    ) from error
  finally:
    signal.signal(signal.SIGINT, before)


def check_batch(name: str, global_batch_size: int, num_replicas: int) -> None:
  """Raises config.UserError if a batch cannot be split evenly over the replicas."""
  if global_batch_size % num_replicas:
    down = global_batch_size - global_batch_size % num_replicas
    raise config_lib.UserError(
      f"{name} is {global_batch_size}, which {num_replicas} replicas cannot share evenly;"
      f" expected a multiple of {num_replicas}, such as {down or num_replicas}.",
      f"Set {name} or runtime.num_replicas.",
    )


def _split_cpu(tf, count: int) -> None:
  cpu = tf.config.list_physical_devices("CPU")[0]
  try:
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)
  except RuntimeError:
    # TensorFlow has already started, as in tests; an earlier split is enough.
    if len(tf.config.list_logical_devices("CPU")) < count:
      raise


def _parse_flags(argv: Sequence[str], default_config: str) -> list[str]:
  """Parses flags, after fixing or refusing what gives tracebacks in ml_collections.

  The path of --config becomes absolute, and overridden fields must exist. If a field is
  overridden twice, the last value counts, as with any other flag.
  """
  arguments, config_file = _mended(argv[1:], default_config)
  sys.argv[1:] = arguments  # ml_collections looks for overrides there.
  bring_own_configs(config_file)
  try:
    with no_bytecode():
      rest = flags.FLAGS([argv[0], *arguments])
      _check_numbers()
      if config_file:
        # ml_collections raises an OSError only when the config is first used.
        getattr(flags.FLAGS["config"].value, "items", None)
  except flags.Error as error:
    # ml_collections puts a whole traceback into the message; the last line matters.
    lines = str(error).strip().splitlines()
    said = lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}"
    raise config_lib.UserError(
      f"{said}. --help lists the flags, docs/fields.md the fields of --config."
    ) from error
  except config_lib.UserError:
    raise
  # A config file is a user's program, which may raise anything.
  except (Exception, SystemExit) as error:
    cause = error.__cause__ or error
    path = config_file.partition(":")[0]
    frames = [f for f in traceback.extract_tb(cause.__traceback__) if f.filename == path]
    if not config_file or (isinstance(error, SystemExit) and not frames):  # From --help.
      raise
    raise config_lib.UserError(
      f"The config file {path}{f', line {frames[-1].lineno},' if frames else ''}"
      f" raises {type(cause).__name__}: {cause}. Expected a Python file with"
      " get_config(options=None), which returns the config."
    ) from error
  if flags.FLAGS["verbosity"].using_default_value:
    logging.set_verbosity(logging.INFO)
  return rest


def bring_own_configs(config_file: str) -> None:
  """Makes `from configs import ...` in config files find tfdam's `configs`.

  tfdam's own files always get tfdam's package. A user's file gets the package `configs` of
  the user's project, if there is one. If that is only a folder, tfdam's files are found in
  addition to the folder's.
  """
  folder = os.path.join(PROJECT, "configs")
  known = getattr(sys.modules.get("configs"), "__path__", None)
  if known == [folder]:
    return
  theirs: list[str] = []
  if not config_file.startswith(folder + os.sep):
    found = importlib.util.find_spec("configs")
    if found and found.origin:
      return
    theirs = list(found.submodule_search_locations or ()) if found else []
  spec = importlib.util.spec_from_file_location(
    "configs",
    os.path.join(folder, "__init__.py"),
    submodule_search_locations=[*theirs, folder],
  )
  assert spec
  sys.modules["configs"] = importlib.util.module_from_spec(spec)


def _check_numbers() -> None:
  """Refuses nan in flags: absl's bounds do not, as nan is neither below nor above."""
  for name in flags.FLAGS:
    value = flags.FLAGS[name].value
    if isinstance(value, float) and math.isnan(value):
      raise flags.IllegalFlagValueError(f"flag --{name}=nan: expected a number")


@contextlib.contextmanager
def no_bytecode() -> Iterator[None]:
  """Within this context, `__pycache__` is not used, so config files are always current.

  Python takes bytecode for current if the size and the time of its source, in whole
  seconds, are the same. A quick edit by a script may keep both.
  """
  before = sys.dont_write_bytecode, sys.pycache_prefix
  # There are no files below a device, so no bytecode is found.
  sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
  try:
    yield
  finally:
    sys.dont_write_bytecode, sys.pycache_prefix = before


def _mended(arguments: Sequence[str], default_config: str) -> tuple[list[str], str]:
  """Returns (command line as ml_collections needs it, absolute path of the config file)."""
  others: list[str] = []
  overrides: dict[str, str] = {}
  config_file = workdir = ""
  for name, value, argument in _split(arguments):
    if name == "config":
      config_file = value or ""
      continue
    if name == "workdir":
      workdir = value or ""
    if not name.startswith("config."):
      others.append(argument)
      continue
    field = name[len("config.") :]
    _check_field(field, argument)
    if value and config_lib.field_type(field) is tuple:
      # ml_collections needs a comma even after one number, and no brackets.
      argument = f"--{name}={value.strip('[]() ').rstrip(',')},"
    overrides[name] = argument
  if default_config:
    config_file = config_file or _config_of_run(workdir) or default_config
  config_file = config_path(config_file) if config_file else ""
  chosen = [f"--config={config_file}"] if config_file else []
  return [*chosen, *overrides.values(), *others], config_file


def _split(arguments: Sequence[str]) -> Iterator[tuple[str, str | None, str]]:
  """Yields (flag's name or "", value, argument); joins "--config.X VALUE" by "="."""
  waiting, is_boolean = "", False
  for argument in arguments:
    if waiting:
      name, waiting = waiting, ""
      if not is_boolean or argument.lower() in ("true", "false"):
        yield name, argument, f"--{name}={argument}"
        continue
      yield name, None, f"--{name}"
    name, equals, value = argument.lstrip("-").partition("=")
    if not argument.startswith("-"):
      name = ""
    if (name == "workdir" or name.startswith("config")) and not equals:
      waiting = name
      is_boolean = config_lib.field_type(name[len("config.") :]) is bool
    else:
      yield name, value if equals else None, argument
  if waiting and not is_boolean:
    raise config_lib.UserError(f"--{waiting} has no value. Set --{waiting}=VALUE.")
  if waiting:
    yield waiting, None, f"--{waiting}"


def _config_of_run(workdir: str) -> str:
  """The config that resumes the run in a folder; "" if there is no run."""
  folder = resolve_path(workdir)
  there = workdir and os.path.isfile(os.path.join(folder, "config.json"))
  resume = os.path.join(LIBRARY, "tfdam", "runs", "resume.py")
  return f"{resume}:{folder}" if there else ""


def _check_field(field: str, argument: str) -> None:
  """Raises config.UserError if an override names no field of the schema."""
  known = config_lib.field_names()
  if field in known:
    return
  # Suggest the same name in another section, else the nearest spelling.
  leaf = [name for name in known if name.split(".")[-1] == field.split(".")[-1]]
  hint = f" Did you mean '{leaf[0]}'?" if leaf else config_lib.nearest(field, known)
  raise config_lib.UserError(f"Unknown config field '{field}' in '{argument}'.{hint}")


def config_path(value: str) -> str:
  """Finds a config file below the user's folder, else below the project.

  Raises:
    config.UserError: there is no such file.
  """
  path, colon, options = value.partition(":")
  bases = (
    resolve_path("."),
    os.environ.get("BUILD_WORKSPACE_DIRECTORY", PROJECT),
    PROJECT,
  )
  for base in bases:
    candidate = os.path.join(base, os.path.expanduser(path))
    if os.path.isfile(candidate):
      return candidate + colon + options
  available = sorted(
    os.path.relpath(os.path.join(folder, file), PROJECT)
    for folder, _, files in os.walk(os.path.join(PROJECT, "configs"))
    for file in files
    if file.endswith(".py") and file not in ("__init__.py", "recipes.py")
  )
  hint = config_lib.nearest(path, available)
  listing = "".join(f"\n  {name}" for name in available)
  raise config_lib.UserError(
    f"There is no config file '{path}' in {bases[0]}.{hint} tfdam has:{listing}"
  )
