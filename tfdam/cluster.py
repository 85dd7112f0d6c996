"""The workers of a run, read from TF_CONFIG. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from tfdam import config as config_lib

_VARIABLE = "TF_CONFIG"
_JOBS = ("chief", "worker")
_EXAMPLE = (
  'TF_CONFIG=\'{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},'
  ' "task": {"type": "worker", "index": 0}}\''
)
_WANTED = (
  "'host:port', such as '10.0.0.1:2222' or '[fd00::1]:2222', with a port from 1 to 65535"
  " and no scheme"
)
_LABEL = r"\w[\w-]{0,62}"  # One label of a host's name.
_ADDRESS = re.compile(
  rf"(?:(?P<host>{_LABEL}(?:\.{_LABEL})*)|\[(?P<ipv6>[^\[\]]+)\]):(?P<port>[1-9]\d{{0,4}})",
  re.ASCII,
)


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The processes that train together.

  Attributes:
    tasks: "chief:0", "worker:0" and so on, in TensorFlow's order.
    addresses: "host:port" of each.
    index: this process's index in both.
  """

  tasks: tuple[str, ...]
  addresses: tuple[str, ...]
  index: int

  def __str__(self) -> str:
    """This process's task and address."""
    return self.describe(self.index)

  def describe(self, index: int) -> str:
    return f"{self.tasks[index]} ({self.addresses[index]})"

  @property
  def hosts(self) -> tuple[str, ...]:
    """The addresses without ports, and without the brackets of IPv6 addresses."""
    return tuple(address.rpartition(":")[0].strip("[]") for address in self.addresses)

  @property
  def is_chief(self) -> bool:
    """Whether this process writes the run folder: the chief, or worker 0 without one."""
    return self.index == 0


def find(options: config_lib.Runtime) -> Cluster | None:
  """The workers for runtime.strategy; None if this process trains alone.

  Raises:
    config.UserError: TF_CONFIG is malformed or missing.
  """
  if options.strategy not in ("auto", "multi_worker"):
    return None
  cluster = from_environment()
  if cluster and len(cluster.addresses) > 1:
    return cluster
  if options.strategy == "auto":
    return None
  found = "names one worker" if cluster else "is not set"
  raise config_lib.UserError(
    f"runtime.strategy is 'multi_worker', but {_VARIABLE} {found}; expected all the workers"
    f" and which of them this is, such as {_EXAMPLE}.",
    f"Set {_VARIABLE}, or runtime.strategy=auto.",
  )


def from_environment() -> Cluster | None:
  """Reads TF_CONFIG; None if it is not set.

  Raises:
    config.UserError: it is malformed; the message says where.
  """
  text = os.environ.get(_VARIABLE, "").strip()
  if not text:
    return None
  try:
    content = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise _refusal(f"is no JSON ({error})") from error
  jobs = _section(content, "cluster")
  if content.get("rpc_layer", "grpc") != "grpc":
    raise _refusal(f"has the rpc_layer {content['rpc_layer']!r}; expected 'grpc', or none")
  for job in jobs:
    if job not in _JOBS:
      raise _refusal(
        f"has {job!r} in 'cluster'; tfdam trains with chief and worker alone, every one of"
        " which computes"
      )
  chiefs, workers = _addresses(jobs, "chief"), _addresses(jobs, "worker")
  if not chiefs and not workers:
    raise _refusal("names no worker in cluster.worker")
  if len(chiefs) > 1:
    raise _refusal(f"names {len(chiefs)} chiefs in cluster.chief; expected one")
  addresses = (*chiefs, *workers)
  if len(set(map(_endpoint, addresses))) < len(addresses):
    raise _refusal(f"names an address twice ({', '.join(addresses)})")
  tasks = (*("chief:0" for _ in chiefs), *(f"worker:{i}" for i in range(len(workers))))
  return Cluster(tasks, addresses, _index(_section(content, "task"), chiefs, workers))


def _section(content: Any, name: str) -> Mapping[str, Any]:
  section = content.get(name) if isinstance(content, dict) else None
  if not isinstance(section, dict):
    raise _refusal(f"has no '{name}' in braces")
  return section


def _addresses(jobs: Mapping[str, Any], job: str) -> tuple[str, ...]:
  addresses = jobs.get(job, [])
  if not isinstance(addresses, list):
    raise _refusal(f"has {addresses!r} as cluster.{job}; expected a list of {_WANTED}")
  for address in addresses:
    if not _endpoint(address):
      raise _refusal(f"has {address!r} in cluster.{job}; expected {_WANTED}")
  return tuple(addresses)


def _endpoint(address: Any) -> tuple[str, int] | None:
  """Returns (host, port); None for addresses with which gRPC would abort or hang."""
  found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
  if not found or int(found["port"]) >= 2**16:
    return None
  host, port = found["host"] or found["ipv6"], int(found["port"])
  try:
    if found["ipv6"]:
      host = str(ipaddress.IPv6Address(host))
    elif host.rpartition(".")[2].isdecimal():  # No top-level domain is a number.
      ipaddress.IPv4Address(host)
  except ValueError:
    return None
  return host.lower(), port


def _index(task: Mapping[str, Any], chiefs: tuple, workers: tuple) -> int:
  """The index of this process among chief and workers."""
  job, index = task.get("type"), task.get("index")
  if job not in _JOBS:
    raise _refusal(f"has the task type {job!r}; expected 'worker' or 'chief'")
  present = chiefs if job == "chief" else workers
  if type(index) is not int or not 0 <= index < len(present):
    raise _refusal(
      f"has the task index {index!r}, but cluster.{job} names {len(present)}; expected a"
      f" whole number from 0 to {len(present) - 1}"
      if present
      else f"has the task type '{job}', but names none in cluster.{job}"
    )
  return index if job == "chief" else len(chiefs) + index


def _refusal(what: str) -> config_lib.UserError:
  return config_lib.UserError(
    f"{_VARIABLE} {what}. Set it, such as {_EXAMPLE}, or unset it to train on this machine"
    " alone."
  )
