"""Writes docs/api.md from the docstrings of the names in `import tfdam`.

python tools/api_page.py     # needs griffelib; it reads the sources without importing them
"""

import ast
import pathlib
import re

import griffe

PROJECT = pathlib.Path(__file__).absolute().parent.parent
PAGE = PROJECT / "docs" / "api.md"
# {class that functions return and users do not make: its module}.
_GIVEN = {"Gap": "tfdam.metrics.gap", "Result": "tfdam.api"}
_ORDER = (
  "Network", "Expects", "TappedModel", "Site", "measure_gap", "Gap", "match_moments",
  "Match", "adapt", "Adapt", "Result", "UserError",
)  # fmt: skip
# Options that are left out: they are only for runs, or are arguments of the functions.
_OF_RUNS = (
  "enabled", "init", "taps", "augment", "information_weight", "information_after",
  "source_label_weight", "source_norms", "self_training_weight", "self_training_confidence",
  "self_training_mix", "per_target", "centroid_weight", "centroid_momentum",
  "centroid_confidence", "centroid_tap", "curriculum_weight", "curriculum_local_weight",
  "curriculum_shares", "curriculum_superpixels", "curriculum_landmarks",
)  # fmt: skip
_BEGIN = """\
<!-- Made by tools/api_page.py. To change it, change the docstrings, and run that again. -->

# API

What `import tfdam` offers. [Your own network](own-network.md) shows it in use. Equations
and sections are the paper's ([From the paper to the code](paper.md)).

{images}
"""
_WIDTH = 92


def main():
  PAGE.write_text(page())
  print(PAGE.relative_to(PROJECT))


def page():
  """Returns the whole page."""
  package = griffe.load(
    "tfdam",
    search_paths=[PROJECT],
    allow_inspection=False,
    docstring_parser="google",
    docstring_options={"returns_multiple_items": False},
  )
  modules = {**ast.literal_eval(str(package["_PUBLIC"].value)), **_GIVEN}
  if sorted(modules) != sorted(_ORDER):
    raise SystemExit(f"_ORDER is {_ORDER}; expected an order of {sorted(modules)}.")
  found = {name: package[f"{modules[name]}.{name}".partition(".")[2]] for name in _ORDER}
  # A package offers what its modules define.
  found = {n: thing.final_target if thing.is_alias else thing for n, thing in found.items()}
  headings = {
    name: ("class " if thing.is_class else "") + _title(name)
    for name, thing in found.items()
  }
  contents = []
  for name, thing in found.items():
    anchor = headings[name].replace(".", "").replace(" ", "-").lower()
    line = thing.docstring.value.partition("\n")[0]
    contents.append(f"- [`{_title(name)}`](#{anchor}): {line}")
  images = package["api"].docstring.value.rpartition("\n\n")[2]
  parts = [_BEGIN.format(images=images), "\n".join(contents) + "\n"]
  for name, thing in found.items():
    described = _function if thing.is_function else _class
    parts += [f"## {headings[name]}\n", *described(thing, _title(name))]
  return "\n".join(parts)


def _title(name):
  return name if name in _GIVEN else f"tfdam.{name}"


def _function(function, title):
  return [_signature(function, title), *_sections(function.docstring)]


def _class(thing, title):
  """Describes a class: constructor, docstring, options, then documented members."""
  init = thing.members.get("__init__")
  is_dataclass = "dataclass" in thing.labels
  # griffe adds the constructor of a dataclass.
  made = [_signature(init, title)] if init and not is_dataclass else []
  if _title(thing.name) != thing.name and "NamedTuple" in _bases(thing):
    made = [_named_tuple(thing, title)]
  parts = [*made, *_sections(thing.docstring)]
  if init and not is_dataclass:
    parts += _sections(init.docstring)[1:]  # without its first line
  if _is_options(thing):
    parts.append(_options(thing))
  for name, member in thing.members.items():
    if not member.has_docstring or (name.startswith("_") and name != "__call__"):
      continue
    an_instance = re.findall("[A-Z][a-z]*", thing.name)[-1].lower()
    owner = thing.name if "classmethod" in member.labels else an_instance
    called = owner if name == "__call__" else f"{owner}.{name}"
    parts.append(f"### {thing.name}.{name}\n")
    parts += (
      _function(member, called) if member.is_function else _sections(member.docstring)
    )
  return parts


def _bases(thing):
  return [str(base).rpartition(".")[2] for base in thing.bases]


def _signature(function, title):
  """Returns a call in Python, with one parameter per line if it is long."""
  parameters = []
  for parameter in function.parameters:
    if parameter.name in ("self", "cls"):
      continue
    text = f"{parameter.name}: {_type(parameter.annotation, function.module)}"
    if parameter.default is not None:
      text += f" = {_quoted(parameter.default)}"
    parameters.append(text)
  returns = function.annotation if function.name != "__init__" else None
  end = f" -> {_type(returns, function.module)}" if str(returns) != "None" else ""
  return _call(title, parameters, end)


def _named_tuple(thing, title):
  fields = [member for member in thing.members.values() if member.annotation is not None]
  parameters = [
    f"{field.name}: {_type(field.annotation, thing.module)}"
    + ("" if field.value is None else f" = {_quoted(field.value)}")
    for field in fields if "property" not in field.labels and not field.is_function
  ]  # fmt: skip
  return _call(title, parameters, "")


def _call(title, parameters, end):
  line = f"{title}({', '.join(parameters)}){end}"
  if len(line) > _WIDTH:
    lines = "".join(f"  {parameter},\n" for parameter in parameters)
    line = f"{title}(\n{lines}){end}"
  return f"```python\n{line}\n```\n"


def _type(annotation, module):
  """Returns a type as written, without modules except tf, and with aliases resolved."""
  text = str(annotation)
  alias = module.members.get(text)
  if alias is not None and not alias.is_alias and alias.is_attribute:
    text = re.sub(r"^Union\[(.*)\]$", r"\1", str(alias.value))
    text = " | ".join(re.split(r", (?![^\[]*\])", text))
  return re.sub(r"(?<![\w.])(?!tf\.)\w+\.(?=[A-Z])", "", text).strip("'\"")


def _quoted(value):
  """Returns code with double quotes."""
  return str(value).replace("'", '"')


def _sections(docstring):
  """Returns a docstring in Markdown: its text, then its sections as lists."""
  parts = []
  for section in docstring.parsed:
    if section.kind.value == "text":
      parts.append(section.value + "\n")
      continue
    rows = []
    for row in section.value:
      name = getattr(row, "name", "")
      if section.kind.value == "raises":
        name = str(row.annotation).rpartition(".")[2]
      text = " ".join(row.description.split())
      rows.append(f"- `{name}`: {text}" if name else text)
    title = {"parameters": "Arguments"}.get(section.kind.value, section.kind.value)
    parts.append(f"**{title.capitalize()}**\n\n" + "\n".join(rows) + "\n")
  return parts


def _is_options(thing):
  return "Section" in _bases(thing) or any(map(_is_options, thing.resolved_bases))


def _options(thing):
  """Returns a table of fields, with the comments above them.

  A field without a comment shares the row of the field before it.
  """
  (base,) = thing.resolved_bases
  base = (base.final_target if base.is_alias else base) if _is_options(base) else thing
  fields = list(base.members.values())
  rows = []
  for field in fields:
    if not field.is_attribute or "property" in field.labels or field.name in _OF_RUNS:
      continue
    own = thing.members.get(field.name, field)
    texts = [_comment(field)] + ([_comment(own)] if own is not field else [])
    text = " ".join(filter(None, texts))
    if not text and rows:
      rows[-1][0].append(field.name)
      rows[-1][1].append(_default(own))
    else:
      rows.append(([field.name], [_default(own)], text))
  lines = ["| option | default | meaning |", "|---|---|---|"]
  for names, defaults, text in rows:
    cells = ["<br>".join(f"`{word}`" for word in words) for words in (names, defaults)]
    lines.append(f"| {cells[0]} | {cells[1]} | {text} |")
  return "\n".join(lines) + "\n"


def _comment(field):
  """Returns the comment directly above a field."""
  above = []
  for line in reversed(field.module.lines[: field.lineno - 1]):
    if not line.strip().startswith("#"):
      break
    above.insert(0, line.strip().lstrip("# "))
  return " ".join(above)


def _default(field):
  """Returns the default in `option(default, ...)` or `redefined(_, _, default)`."""
  call = ast.parse(str(field.value), mode="eval").body
  place = 2 if ast.unparse(call.func).endswith("redefined") else 0
  return _quoted(ast.unparse(call.args[place]))


if __name__ == "__main__":
  main()
