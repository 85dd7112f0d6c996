"""What README and the other pages show a reader to type: commands, and blocks of Python."""

from __future__ import annotations

import glob
import os
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tfdam import runtime

_PATTERNS = (
  "README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "export/*requirements*.txt"
)  # fmt: skip
# Their commands have variables for parts of names, and their runs take hours.
_RESULTS = os.path.join("docs", "results", "")
# Their blocks are signatures, and tests compare them with the code.
_GENERATED = "<!-- Made by tools/"
_SHELL = ("", "sh", "bash", "shell", "console")
# Of blocks that say what is printed or what a file holds.
_NO_COMMANDS = ("text", "yaml", "json", "mermaid")
# How blocks of output begin whose fence has no language; a new one says ```text.
_OUTPUT = ("Gap between source and target", "['norm1',", "Model 'residual' (Residual) has")
# What begins a command in the middle of a sentence.
_INLINE = re.compile(
  r"\./bazelw (?:run|test|build) //|python3? (?:-m )?[\w./]+\b|pip install \S|pytest \S"
  r"|tfdam (?!-)\w"
)
_LOOPS = ("for", "while", "until", "if")


class Block(NamedTuple):
  """A block between fences.

  Attributes:
    line: of its first line, from 1.
    text: without the indent of its fence.
  """

  page: str
  line: int
  language: str
  text: str


class Command(NamedTuple):
  """One of them.

  Attributes:
    words: as a shell splits them.
    script: in place of words a whole block, one with a loop.
    in_sentence: whether it stands in a sentence, where parts may be left open.
  """

  page: str
  line: int
  words: tuple[str, ...]
  script: str = ""
  in_sentence: bool = False

  def __str__(self) -> str:
    return f"{self.page}:{self.line}: {shlex.join(self.words) or self.script}"


def texts() -> dict[str, str]:
  """{path below the project: what it says} of all pages but results and generated ones."""
  found = {}
  for pattern in _PATTERNS:
    full = os.path.join(runtime.PROJECT, pattern)
    for path in sorted(glob.glob(full, recursive=True)):
      name = os.path.relpath(path, runtime.PROJECT)
      with open(path, encoding="utf-8") as file:
        text = file.read()
      if not (name.startswith(_RESULTS) or text.startswith(_GENERATED)):
        found[name] = text
  return found


def blocks(page: str, text: str) -> Iterator[Block]:
  """Yields what stands between fences, also in lists."""
  opened: tuple[int, str, str] | None = None
  kept: list[str] = []
  for number, line in enumerate(text.splitlines(), 1):
    fence = re.match(r"( *)(`{3,})\s*([^`]*)$", line)
    if opened is None:
      if fence:
        opened, kept = (number + 1, fence[2], fence[3].strip()), []
    elif fence and fence[2] == opened[1] and not fence[3]:
      first, _, language = opened
      yield Block(page, first, language, textwrap.dedent("\n".join(kept)) + "\n")
      opened = None
    else:
      kept.append(line)
  if opened:
    raise ValueError(f"{page}:{opened[0] - 1}: a block begins and does not end.")


def python_blocks(page: str, text: str) -> list[Block]:
  return [block for block in blocks(page, text) if block.language == "python"]


def commands(page: str, text: str) -> Iterator[Command]:
  """Yields what a page shows to be typed into a shell, in its order.

  Raises:
    ValueError: a block is of a language that nobody knows here.
  """
  for block in blocks(page, text):
    if block.language in _SHELL:
      if not block.text.startswith(_OUTPUT):
        yield from of_shell(block)
    elif block.language not in ("python", *_NO_COMMANDS):
      raise ValueError(
        f"{page}:{block.line}: '{block.language}' is no language of a block; expected"
        f" python, sh, {', '.join(_NO_COMMANDS)} or none (tests/docs_commands/pages.py)."
      )
  yield from _in_sentences(page, text)


def of_shell(block: Block) -> Iterator[Command]:
  """Yields the commands of a block: its lines, joined where they go on."""
  lines = list(_whole_lines(block))
  if any(line.split()[0] in _LOOPS for _, line in lines):
    yield Command(block.page, block.line, (), block.text)
    return
  for number, line in lines:
    for words in _split(line):
      yield Command(block.page, number, words)


def _whole_lines(block: Block) -> Iterator[tuple[int, str]]:
  """Yields (number of its first line, line) without comments."""
  joined, first = "", block.line
  for number, line in enumerate(block.text.splitlines(), block.line):
    first = first if joined else number
    if line.endswith("\\"):
      joined += f"{line[:-1].strip()} "
      continue
    joined += line.strip()
    if joined and not joined.startswith("#"):
      yield first, joined
    joined = ""
  if joined:
    yield first, joined


def _split(line: str) -> Iterator[tuple[str, ...]]:
  """Yields the words of each command of a line."""
  lexer = shlex.shlex(line, posix=True, punctuation_chars="&;|")
  lexer.whitespace_split = True
  words: list[str] = []
  for word in [*lexer, ";"]:
    if word.strip("&;|"):
      words.append(word)
    elif words:
      yield tuple(words)
      words = []


def _in_sentences(page: str, text: str) -> Iterator[Command]:
  """Yields commands between backquotes, and those of a file's comments."""
  if not page.endswith(".md"):
    spans: Iterable[re.Match[str]] = re.finditer(r"(pip install [^:;\n]+)$", text, re.M)
  else:
    fenced = re.compile(r"^ *(`{3,}).*?^ *\1 *$", re.M | re.S)
    prose = fenced.sub(lambda block: "\n" * block[0].count("\n"), text)
    spans = re.finditer(r"(?<!`)`([^`]+)`(?!`)", prose)
    loose = re.search(r"^[ \t]+(\./bazelw|python3? -m|pip3? install) ", prose, re.M)
    if loose:
      number = prose[: loose.start()].count("\n") + 1
      raise ValueError(f"{page}:{number}: a command without a fence around it (```).")
    text = prose
  for span in spans:
    shown = " ".join(span[1].split())
    if _INLINE.match(shown):
      number = text[: span.start()].count("\n") + 1
      for words in _split(shown):
        yield Command(page, number, words, in_sentence=True)
