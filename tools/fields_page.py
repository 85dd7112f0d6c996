"""Writes docs/fields.md from tfdam/config/: every field with its default and bounds.

python tools/fields_page.py

The meaning of a field is the comment above it; fields without a comment share that of the
field before.
"""

import ast
import dataclasses
import pathlib
import sys

PROJECT = pathlib.Path(__file__).absolute().parent.parent
PAGE = PROJECT / "docs" / "fields.md"
sys.path.insert(0, str(PROJECT))

from tfdam import config as config_lib  # noqa: E402

_BEGIN = """\
<!-- Made by tools/fields_page.py. To change it, change tfdam/config/, and run that. -->

# All fields

Every field is a flag: `--config.adapt.drift_weight=0.2`. [Configuration](configuration.md)
shows how they are used. A value out of bounds is refused before anything starts.
"""


def main():
  PAGE.write_text(page())
  print(PAGE.relative_to(PROJECT))


def page():
  """Returns the whole page."""
  comments, titles = _read_source()
  parts = [_BEGIN, "## The run\n", _table("", config_lib.Config, comments["Config"])]
  for field in dataclasses.fields(config_lib.Config):
    section = type(field.default)
    if dataclasses.is_dataclass(section):
      parts.append(f"## {field.name}\n\n{titles[section.__name__]}\n")
      parts.append(_table(f"{field.name}.", section, comments[section.__name__]))
  return "\n".join(parts)


def _read_source():
  """Reads the comments and titles of the config's classes.

  Returns:
    {class: {first field of a group: (its fields, their meaning)}}, and {class: title}.
  """
  comments, titles = {}, {}
  for name in ("schema.py", "sections.py", "adapt.py"):
    source = (PROJECT / "tfdam" / "config" / name).read_text()
    _read_classes(source, comments, titles)
  return comments, titles


def _read_classes(source, comments, titles):
  """Adds what one file says."""
  lines = source.splitlines()
  for node in ast.parse(source).body:
    if not isinstance(node, ast.ClassDef):
      continue
    titles[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    found = comments[node.name] = {}
    first = ""
    for item in node.body:
      if not isinstance(item, ast.AnnAssign):
        continue
      comment = _above(lines, item.lineno - 1)
      if comment or not first:
        first = item.target.id
        # Without a comment, the class's docstring explains its fields.
        found[first] = ([], comment or titles[node.name])
      found[first][0].append(item.target.id)


def _above(lines, index):
  """Returns the comment that ends on the line above, on one line."""
  found = []
  while index and lines[index - 1].strip().startswith("#"):
    index -= 1
    found.insert(0, lines[index].strip().lstrip("#").strip())
  return " ".join(found)


def _table(prefix, section, groups):
  fields = {field.name: field for field in dataclasses.fields(section)}
  rows = ["| field | default | bounds | meaning |", "|---|---|---|---|"]
  for names, meaning in groups.values():
    for i, name in enumerate(names):
      field = fields[name]
      if dataclasses.is_dataclass(type(field.default)):
        continue
      text = meaning if i == 0 else "see above"
      shown = f"`{_shown(field.default)}`"
      rows.append(f"| `{prefix}{name}` | {shown} | {_bounds(field)} | {_escaped(text)} |")
  return "\n".join(rows) + "\n"


def _shown(value):
  if isinstance(value, tuple):
    return ",".join(map(str, value))
  return '""' if value == "" else str(value)


def _bounds(field):
  low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
  if choices is not None:
    return ", ".join(f"`{choice}`" for choice in choices)
  if low is None:
    return "true or false" if isinstance(field.default, bool) else "text"
  return f"{_number(low)} to {_number(high)}"


def _number(value):
  return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _escaped(text):
  return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
  main()
