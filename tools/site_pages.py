"""Hooks of MkDocs that add pages from outside docs/, and adapt links.

README.md is the first page; CHANGELOG.md and CONTRIBUTING.md are pages too. A link to any
other file becomes the file's name, so that the site needs no network.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

PROJECT = pathlib.Path(__file__).absolute().parent.parent
# {file of the project: its page on the site}.
_PAGES = {
  "README.md": "index.md",
  "CHANGELOG.md": "changelog.md",
  "CONTRIBUTING.md": "contributing.md",
}
# Material loads this script from another server when search runs from the disk; the site
# has a copy.
_SHIM = "https://unpkg.com/iframe-worker/shim"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(```.*?```)", re.DOTALL)


def on_files(files, config):
  """Adds the pages from outside docs/."""
  for source, page in _PAGES.items():
    text = (PROJECT / source).read_text()
    files.append(File.generated(config, page, content=text))
  return files


def on_page_markdown(markdown, page, config, files):
  """Turns links within the repository into links of the site."""
  place = page.file.src_uri
  sources = {page: source for source, page in _PAGES.items()}
  folder = posixpath.dirname(sources.get(place, f"docs/{place}"))

  def changed(found):
    mark, text, link = found.groups()
    path, hash_mark, anchor = link.partition("#")
    if not path or "://" in link:
      return found.group()
    target = posixpath.normpath(posixpath.join(folder, path))
    on_site = _PAGES.get(target)
    if on_site is None and target.startswith("docs/"):
      on_site = target[len("docs/") :]
    if on_site is None:
      return f"{text} (`{target}`)" if target not in text else f"`{target}`"
    relative = posixpath.relpath(on_site, posixpath.dirname(place) or ".")
    return f"{mark}[{text}]({relative}{hash_mark}{anchor})"

  parts = _CODE.split(markdown)  # every second one is code
  parts[::2] = [_LINK.sub(changed, part) for part in parts[::2]]
  return "".join(parts)


def on_post_page(output, page, config):
  """Replaces the address of Material's script by that of the copy in docs/assets/."""
  return _own_script(output, posixpath.dirname(page.file.dest_uri))


def on_post_template(output_content, template_name, config):
  """Does the same for pages without a source, such as 404.html."""
  return _own_script(output_content, "")


def _own_script(page, folder):
  up = posixpath.relpath(".", folder or ".")
  return page.replace(_SHIM, posixpath.join(up, "assets", "iframe-worker.js"))
