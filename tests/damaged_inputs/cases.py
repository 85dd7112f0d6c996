"""A case: one command, one damage to what it reads, and what may come of it."""

from __future__ import annotations

import dataclasses
import enum
import os
import pathlib
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.damaged_inputs import documents, mutations, places, server

# Done to a case's folder, which holds intact inputs.
Damage = Callable[[pathlib.Path, random.Random], None]
# (place below that folder, what befalls some bytes of it) -> damage.
Rewrite = Callable[[str, mutations.Mutation], Damage]


class Expected(enum.Enum):
  """What may come of a case, beside an error in one line where that is named."""

  REFUSED = "an error"
  SAME = "the result of the intact input"
  REFUSED_OR_SAME = "an error or the result of the intact input"
  ANY = "an error or a result"


def nothing(folder: pathlib.Path, outcome: server.Outcome) -> Any:
  """Of commands without a result that could be compared."""
  return None


@dataclasses.dataclass(frozen=True)
class Subject:
  """A command on inputs that are intact: what it is run on, and what comes of it.

  Attributes:
    name: the first part of its cases' names.
    module: as in `python -m`.
    arguments: of the command; {case} is the case's folder, {data} that of the data sets.
    inputs: {place below the case's folder: folder or file that is copied there}.
    environment: changes to it, with {case} and {data}.
    writes: parts of paths below the case's folder that the command may change.
    result: of the command, from the case's folder and its outcome, to be compared.
    statuses: what its documentation allows beside 0 and 2.
    slow: whether it computes for seconds where an input turns out to be good.
  """

  name: str
  module: str
  arguments: tuple[str, ...]
  inputs: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)
  environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
  writes: tuple[str, ...] = ()
  result: Callable[[pathlib.Path, server.Outcome], Any] = nothing
  statuses: tuple[int, ...] = ()
  slow: bool = False

  def case(
    self,
    name: str,
    damage: Damage,
    expected: Expected = Expected.ANY,
    place: str = "",
    **changes: Any,
  ) -> Case:
    """A case of this subject; `changes` are to its attributes."""
    subject = dataclasses.replace(self, **changes)
    return Case(f"{self.name}/{name}", subject, damage, expected, self, place)


@dataclasses.dataclass(frozen=True)
class Case:
  """One damage.

  Attributes:
    name: also the seed of what is drawn at random for it.
    subject: with this case's changes.
    damage: done to the case's folder, which holds intact inputs.
    expected: what may come of it.
    intact: whose result counts as right.
    place: what is damaged, which an error has to name, or its folder.
  """

  name: str
  subject: Subject
  damage: Damage
  expected: Expected
  intact: Subject
  place: str = ""

  def build(self, folder: pathlib.Path) -> None:
    """Copies the intact inputs and damages them."""
    build(self.subject, folder)
    self.damage(folder, random.Random(self.name))


def build(subject: Subject, folder: pathlib.Path) -> None:
  """Makes a case's folder, with intact inputs."""
  for name in ("home", "tmp"):
    (folder / name).mkdir(parents=True)
  for place, source in subject.inputs.items():
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
      shutil.copytree(source, folder / place, symlinks=True)
    else:
      shutil.copy(source, folder / place)


def job(subject: Subject, folder: pathlib.Path, data: pathlib.Path) -> server.Job:
  """The subject's command in a case's folder."""

  def filled(text: str) -> str:
    return text.replace("{case}", str(folder)).replace("{data}", str(data))

  changes = {name: filled(value) for name, value in subject.environment.items()}
  encoding = changes.pop("OUTPUT_ENCODING", "utf-8")
  return server.Job(
    subject.module, tuple(map(filled, subject.arguments)), str(folder),
    server.environment(str(folder), **{"TFDAM_DATA": str(data), **changes}), encoding,
  )  # fmt: skip


# ---- Damage to one file, in all ways that suit any.


def of_file(
  subject: Subject,
  place: str,
  gone: Expected = Expected.REFUSED,
  changed: Expected = Expected.ANY,
  seeds: int = 2,
  kinds: tuple[str, ...] = tuple(mutations.MUTATIONS),
  swapped_with: str = "",
) -> Iterator[Case]:
  """Yields cases of one input file.

  Args:
    place: below the case's folder.
    gone: what may come of it where it is not there, or something else is.
    changed: what may come of it where some of its bytes are others.
    seeds: how often each mutation of bytes is drawn.
    kinds: of mutations of bytes.
    swapped_with: another input, whose content it gets.
  """
  short = place.replace("/", ":")
  for name, replace in places.REPLACEMENTS.items():
    yield subject.case(f"{short}/{name}", put(place, replace), gone, place)
  yield subject.case(f"{short}/a_link", put(place, places.a_link), Expected.SAME)
  for name in kinds:
    for seed in range(seeds):
      damage = rewritten(place, mutations.MUTATIONS[name])
      yield subject.case(f"{short}/{name}/{seed}", damage, changed, place)
  if swapped_with:
    yield subject.case(
      f"{short}/swapped", lambda f, _: copy(f / swapped_with, f / place), changed
    )


def of_folder(
  subject: Subject, place: str, kinds: tuple[str, ...] = tuple(places.FOLDERS)
) -> Iterator[Case]:
  """Yields cases of one folder among the inputs."""
  for name in kinds:
    is_harmless = name in ("with_hidden_files",)
    yield subject.case(
      f"{place.replace('/', ':')}:/{name}", put(place, places.FOLDERS[name]),
      Expected.SAME if is_harmless else Expected.ANY,
    )  # fmt: skip


def of_json(
  subject: Subject,
  place: str,
  document: Any,
  values: int = 2,
  texts: bool = True,
  part: str = "",
  rewrite: Rewrite | None = None,
) -> Iterator[Case]:
  """Yields cases of values in a JSON file.

  Args:
    document: what it holds.
    values: how many other values each of its values is replaced by, drawn by its path.
    texts: whether to damage it as a whole as well.
    part: of the file, where that is more than this JSON.
    rewrite: changes that part.
  """
  short = ":".join([*place.split("/"), *([part] if part else [])])
  rewrite = rewrite or rewritten

  def replaced(content: bytes) -> Damage:
    return rewrite(place, lambda _, rng: content)

  for path in documents.paths(document):
    shown = documents.shown(path)
    drawn = random.Random(f"{subject.name} {place} {shown}").sample(
      sorted(documents.OTHER_VALUES), values
    )
    for name in drawn:
      content = documents.changed(document, path, documents.OTHER_VALUES[name])
      yield subject.case(f"{short}/{shown}/{name}", replaced(content), place=place)
    content = documents.without(document, path)
    yield subject.case(f"{short}/{shown}/gone", replaced(content), place=place)
  if texts:
    for name, (change, is_same) in documents.JSON_TEXTS.items():
      expected = Expected.SAME if is_same else Expected.ANY
      damage = rewrite(place, lambda content, _, change=change: change(content))
      yield subject.case(f"{short}/{name}", damage, expected, place)
    damage = rewrite(place, documents.twice_the_same_key)
    yield subject.case(f"{short}/key_twice", damage, place=place)


def put(place: str, replace: places.Replacement):
  return lambda folder, rng: replace(folder / place, rng)


def rewritten(place: str, mutate: mutations.Mutation) -> Damage:
  def damage(folder: pathlib.Path, rng: random.Random) -> None:
    path = folder / place
    path.write_bytes(mutate(path.read_bytes(), rng))

  return damage


def written(place: str, content: bytes):
  return lambda folder, _: (folder / place).write_bytes(content)


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
  shutil.copy(source, target)


def no_damage(folder: pathlib.Path, rng: random.Random) -> None:
  """Of cases whose command line or environment is odd."""


def renamed(place: str, name: str):
  """Damage: a file or folder has another name."""
  return lambda folder, _: os.rename(folder / place, (folder / place).parent / name)
