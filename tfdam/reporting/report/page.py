"""A self-contained HTML page with text, tables, charts and images.

  page = Page("MNIST to USPS")
  page.add_text("The results of five seeds.")
  page.add_section("Accuracy")
  page.add_table(Table(["method", "ours", "paper"], [["source only", "79.4", "78.9"]]))
  page.add_chart(charts.lines(points, "step", "accuracy, %"), "Accuracy over steps.")
  page.write("report.html")

The page follows the reader's light or dark theme, fits a phone, loads nothing, and runs no
script but its own, whatever names it shows. Vega draws the charts; its script is part of
the page if there is a chart.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Union

import jinja2
import markupsafe

from tfdam import files, stored

_TEMPLATES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
_NUMBER = re.compile(r"[-+\u2212\u00b1\u25b2\u25bc=\s]*[\d.,]+( ?%)?( ?[\u00b1(].*)?|-|")
# Characters that would end a cell of Markdown or begin markup in it.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~])")


class Cell(NamedTuple):
  """A cell of a table with a tone.

  Attributes:
    text: of the cell.
    tone: "gain", "loss", "best" or "faint"; the text must make sense without its colour.
    said: what a screen reader adds to the text, such as "gained".
  """

  text: str
  tone: str = ""
  said: str = ""


# None is an empty cell.
Value = Union[str, int, Cell, None]


class Table(NamedTuple):
  """Rows below headings; the first column names the rows.

  Attributes:
    columns: headings.
    rows: one value per column each; numbers are formatted as text.
    caption: a sentence below the table.
    num_footers: how many of the last rows are sums or means.
  """

  columns: Sequence[str]
  rows: Sequence[Sequence[Value]]
  caption: str = ""
  num_footers: int = 0

  def cells(self) -> list[list[Cell]]:
    """Returns all rows as cells with printable text."""
    return [[_cell(value) for value in row] for row in self.rows]

  def is_numeric(self) -> list[bool]:
    """Returns for each column whether it holds numbers, which are aligned right."""
    rows = self.cells()
    return [
      i > 0 and all(_NUMBER.fullmatch(row[i].text) for row in rows)
      for i in range(len(self.columns))
    ]

  def to_markdown(self) -> str:
    """Returns the table as Markdown, with "best" cells in bold."""
    lines = [[_marked(Cell(files.shown(name))) for name in self.columns]]
    lines.append(["---:" if is_number else "---" for is_number in self.is_numeric()])
    lines += [[_marked(cell) for cell in row] for row in self.cells()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


class Figure(NamedTuple):
  """A number shown in large type.

  Attributes:
    name: what the number describes, such as "adapted".
    text: the number.
    change: a cell below it.
  """

  name: str
  text: str
  change: Cell = Cell("")


class Picture(NamedTuple):
  """An image.

  Attributes:
    data: a PNG or JPEG file's bytes.
    title: a few words above it.
    alt: what it shows, for readers who cannot see it.
  """

  data: bytes
  title: str
  alt: str

  @property
  def uri(self) -> str:
    """The file as a data URI."""
    kind = "png" if self.data[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(self.data).decode()}"


class _Block(NamedTuple):
  """A part of a section; the template knows each kind."""

  kind: str
  content: Any


class _Chart(NamedTuple):
  number: int
  alt: str
  title: str


class Page:
  """Collects a page's content in order, and writes it. Every `add_` returns the page."""

  def __init__(self, title: str, subtitle: str = ""):
    """Starts a page.

    Args:
      title: its heading, and what a browser's tab shows.
      subtitle: a line below it.
    """
    self.title = files.shown(title)
    self.subtitle = files.shown(subtitle)
    self._sections: list[dict[str, Any]] = [{"title": "", "id": "", "blocks": []}]
    self._specs: list[Mapping[str, Any]] = []

  def add_section(self, title: str) -> Page:
    """Begins a section, which takes what is added next."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    taken = [section["id"] for section in self._sections]
    name = f"{name}-{len(taken)}" if name in taken else name
    self._sections.append({"title": files.shown(title), "id": name, "blocks": []})
    return self

  def add_text(self, text: str) -> Page:
    """Adds a paragraph of plain text."""
    return self._add("text", files.shown(text))

  def add_lead(self, text: str) -> Page:
    """Adds a paragraph in larger type."""
    return self._add("lead", files.shown(text))

  def add_heading(self, text: str) -> Page:
    """Adds a heading within a section."""
    return self._add("heading", files.shown(text))

  def add_alarms(self, title: str, sentences: Sequence[str], most: int = 4) -> Page:
    """Adds a highlighted box of sentences; those after the first `most` are folded."""
    shown = [files.shown(sentence) for sentence in sentences]
    content = {"title": title, "first": shown[:most], "rest": shown[most:]}
    return self._add("alarms", content)

  def add_figures(self, figures: Sequence[Figure]) -> Page:
    """Adds large numbers side by side."""
    return self._add("figures", figures)

  def add_code(self, text: str) -> Page:
    """Adds a command or other preformatted text."""
    return self._add("code", "\n".join(map(files.shown, text.split("\n"))))

  def add_table(self, table: Table, folded: str = "") -> Page:
    """Adds a table.

    Args:
      table: to add.
      folded: the text to click on to unfold it; empty for a table that is not folded.
    """
    return self._add("table", {"table": table, "folded": files.shown(folded)})

  def add_chart(self, chart: Any, alt: str, title: str = "") -> Page:
    """Adds a chart as wide as the page.

    Args:
      chart: from altair, or a Vega-Lite spec. A colour "@name" is the variable --name in
        page.css, which is different in light and dark.
      alt: a sentence on what it shows, for readers who cannot see it.
      title: a few words above it.
    """
    return self.add_charts([(chart, alt, title)])

  def add_charts(
    self,
    charts: Sequence[tuple[Any, str, str]],
    wide: bool = False,
    pairs: bool = False,
  ) -> Page:
    """Adds small charts side by side, as many as fit.

    Args:
      charts: (chart, alt, title) of each, as for `add_chart`.
      wide: whether charts are wide, so that only about two fit in a line.
      pairs: whether there are always two in a line, such as before and after.
    """
    blocks = []
    for chart, alt, title in charts:
      blocks.append(_Chart(len(self._specs), files.shown(alt), files.shown(title)))
      self._specs.append(chart if isinstance(chart, Mapping) else chart.to_dict())
    several = "several" if len(charts) > 1 else ""
    kind = "pairs" if pairs else "wide" if wide else ""
    return self._add("charts", {"charts": blocks, "kind": f"{several} {kind}".strip()})

  def add_images(self, pictures: Sequence[Picture]) -> Page:
    """Adds images side by side, as many as fit."""
    return self._add("images", pictures)

  def add_slider(self, before: Picture, after: Picture) -> Page:
    """Adds two images of one size on top of each other, with a slider between them."""
    return self._add("slider", (before, after))

  def add_legend(self, entries: Sequence[tuple[str, str]]) -> Page:
    """Adds a legend of colours, each as (name, #rrggbb)."""
    return self._add("legend", [(files.shown(name), colour) for name, colour in entries])

  def html(self) -> str:
    """Returns the whole page."""
    sections = [s for s in self._sections if s["blocks"]]
    scripts = [_read("page.js")]
    if self._specs:
      scripts.insert(0, vega_script())
    return _template().render(
      title=self.title,
      subtitle=self.subtitle,
      sections=sections,
      specs=self._specs,
      style=markupsafe.Markup(_read("page.css")),
      scripts=[markupsafe.Markup(script) for script in scripts],
      policy=_policy(scripts),
    )

  def write(self, path: str) -> None:
    """Writes the page atomically; makes its folder.

    Raises:
      OSError: the page cannot be written.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    stored.write_text(path, self.html())

  def _add(self, kind: str, content: Any) -> Page:
    self._sections[-1]["blocks"].append(_Block(kind, content))
    return self


@functools.lru_cache(maxsize=1)
def vega_script() -> str:
  """Returns Vega, Vega-Lite and Vega-Embed as one script; takes a second or two."""
  import altair
  import vl_convert

  # The version of altair's specs, such as "6.1" from "v6.1.0".
  version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
  script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", version)
  return re.sub(r"</(?=script)", r"<\\/", script, flags=re.I)


def _policy(scripts: Sequence[str]) -> str:
  """Returns a content security policy that allows no address and no other scripts."""
  digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
  allowed = " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
  return (
    f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed};"
    " base-uri 'none'; form-action 'none'"
  )


@functools.cache
def _read(name: str) -> str:
  with open(os.path.join(_TEMPLATES, name), encoding="utf-8") as file:
    return file.read()


@functools.lru_cache(maxsize=1)
def _template() -> jinja2.Template:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.policies["json.dumps_function"] = _dumps
  return environment.get_template("page.html")


def _dumps(value: Any, **_: Any) -> str:
  """Returns JSON without blanks; jinja2 then escapes it for HTML."""
  return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _cell(value: Value) -> Cell:
  if value is None:
    return Cell("")
  cell = value if isinstance(value, Cell) else Cell(str(value))
  return cell._replace(text=files.shown(cell.text))


def _marked(cell: Cell) -> str:
  text = _MARKDOWN.sub(r"\\\1", cell.text).replace("\n", " ")
  return f"**{text}**" if cell.tone == "best" and text else text
