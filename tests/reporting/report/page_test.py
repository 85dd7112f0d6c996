"""The page kit: what it writes is safe, whole and readable without a network."""

import io
import json
import re

import pytest
from PIL import Image

from tests import report_materials
from tfdam.reporting.report import charts, page

HOSTILE = report_materials.HOSTILE


def picture(kind="PNG"):
  data = io.BytesIO()
  Image.new("RGB", (8, 6), "red").save(data, kind)
  return page.Picture(data.getvalue(), HOSTILE, HOSTILE)


def everything(text=HOSTILE):
  """A page with each kind of block, all saying `text`."""
  points = [charts.Point(i, i, text) for i in range(3)]
  made = page.Page(text, text).add_lead(text).add_alarms(text, [text] * 6)
  made.add_section(text).add_text(text).add_heading(text).add_code(text)
  made.add_figures([page.Figure(text, text, page.Cell(text, "gain", text))])
  made.add_table(page.Table([text, "b"], [[text, page.Cell(text, "loss")]], text))
  made.add_table(page.Table([text], [[None]]), folded=text)
  made.add_chart(charts.lines(points, "x", "y"), text, text)
  made.add_images([picture()]).add_slider(picture("JPEG"), picture("JPEG"))
  return made.add_legend([(text, "#010203")])


def outside_scripts(html):
  """The markup, without what stands in scripts."""
  return re.sub(r"<script[^>]*>.*?</script>", "", html, flags=re.S)


def test_nothing_that_is_shown_becomes_markup():
  markup = outside_scripts(everything().html())
  assert "alert(1)" in markup  # it is shown
  assert "<script" not in markup
  assert set(re.findall(r"<img ([a-z]+)", markup)) <= {"src", "class"}
  assert not re.findall(r"\sonerror=", re.sub(r"&lt;.*?&gt;", "", markup))


def test_a_page_names_no_address_but_its_own():
  markup = outside_scripts(everything("plain").html())
  addresses = re.findall(r'(?:src|href|action|poster|srcset)="([^"]*)"', markup)
  assert len(addresses) >= 4
  assert all(a.startswith(("data:", "#")) for a in addresses), addresses
  assert not re.search(r"url\(|@import", markup)


def test_a_policy_lets_its_own_scripts_run_and_nothing_load():
  html = everything().html()
  policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1)
  assert "default-src &#39;none&#39;" in policy
  scripts = re.findall(r"<script(?: id=\"page\")?>(.*?)</script>", html, re.S)
  assert len(scripts) == 2
  assert page._policy(scripts).replace("'", "&#39;") == policy


def test_specs_arrive_as_they_were():
  html = everything().html()
  text = re.search(r'id="specs">(.*?)</script>', html, re.S).group(1)
  assert "<" not in text
  (spec,) = json.loads(text)
  assert spec["data"]["values"][0]["series"] == HOSTILE


def test_a_page_without_charts_is_small():
  assert len(page.Page("a").add_text("b").html()) < 20_000


def test_a_page_is_written_whole_in_utf_8(tmp_path):
  path = tmp_path / "new" / "a.html"
  page.Page("\u25b2 \ud800").add_text("caf\u00e9").write(str(path))
  text = path.read_bytes().decode()
  assert "\u25b2 \\ud800" in text
  assert "caf\u00e9" in text
  assert [p.name for p in path.parent.iterdir()] == ["a.html"]


def test_sections_of_one_title_have_names_of_their_own():
  made = page.Page("a")
  for _ in range(3):
    made.add_section("A B").add_text("c")
  found = re.findall(r'<section id="([^"]*)"', made.html())
  assert len(set(found)) == 3


def test_numbers_stand_on_the_right_and_names_on_the_left():
  table = page.Table(
    ["1", "score", "change", "share", "name"],
    [
      ["2", "3.10", page.Cell("\u25b2 +0.2"), "5 %", "x"],
      ["4", "-", None, "97.1 \u00b1 0.2", "1"],
    ],
  )
  assert table.is_numeric() == [False, True, True, True, False]


def test_a_table_is_markdown_too():
  table = page.Table(
    ["method", "ours"],
    [["a|b*", page.Cell("97.6 \u00b1 0.1", "best")], ["<c>", "-"]],
  )
  assert table.to_markdown() == (
    "| method | ours |\n"
    "| --- | ---: |\n"
    "| a\\|b\\* | **97.6 \u00b1 0.1** |\n"
    "| \\<c\\> | - |\n"
  )


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pictures_say_what_they_are(kind):
  assert picture(kind).uri.startswith(f"data:image/{kind.lower()};base64,")


def test_points_that_are_no_numbers_are_left_out():
  points = [charts.Point(0, float("nan"), "a"), charts.Point(1, 2.0, "a")]
  assert charts.lines(points, "x", "y")["data"]["values"] == [
    {"x": 1, "y": 2.0, "series": "a"}
  ]


def test_a_matrix_shows_shares_of_labels():
  spec = charts.matrix([[3, 1], [0, 0]], ["a", "b"])
  data = spec["layer"][0].get("data") or spec["data"]
  values = data["values"]
  assert [(v["label"], v["predicted"], v["share"]) for v in values] == [
    ("a", "a", 0.75), ("a", "b", 0.25)
  ]  # fmt: skip
