"""Reports in a real browser, from disk: no error, nothing loaded, dark, and on a phone."""

import pytest

from tests import browser as browser_lib
from tests import report_materials as made
from tfdam.reporting.report import comparison_page, run_page

_RIGHT = "\ue014"  # WebDriver's name of the arrow key
_WIDTHS = "return [document.documentElement.scrollWidth, window.innerWidth]"
_BACKGROUND = "return getComputedStyle(document.body).backgroundColor"
_LABELS = "return getComputedStyle(document.querySelector('.chart svg text')).fill"


@pytest.fixture(scope="module")
def browser():
  with browser_lib.started() as found:
    yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
  folder = tmp_path_factory.mktemp("pages")
  runs = {
    "digits": made.digits(), "streets": made.streets(), "unlabelled": made.unlabelled(),
    "matching": made.matching_only(), "hostile": made.hostile(),
  }  # fmt: skip
  paths = {}
  for name, run in runs.items():
    paths[name] = folder / f"{name}.html"
    run_page.page(run).write(str(paths[name]))
  paths["several"] = folder / "several.html"
  several = [run._replace(path=f"/runs/{name}") for name, run in runs.items()]
  comparison_page.page(several).write(str(paths["several"]))
  return paths


NAMES = ("digits", "streets", "unlabelled", "matching", "hostile", "several")


@pytest.mark.parametrize("name", NAMES)
def test_a_report_opens_from_disk_without_an_error_or_a_request(browser, pages, name):
  browser.open(pages[name])
  assert browser.console == []
  outside = [a for a in browser.requests if not a.startswith(("file://", "data:"))]
  assert outside == []
  assert len([a for a in browser.requests if a.startswith("file://")]) == 1
  charts = browser.run("return document.querySelectorAll('.chart').length")
  assert charts > 0
  drawn = "return document.querySelectorAll('.chart svg g.mark-group path').length"
  assert browser.run(drawn) >= charts


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wider_than_a_phone(browser, pages, name):
  browser.open(pages[name], width=360, height=780)
  page, window = browser.run(_WIDTHS)
  assert window == 360
  assert page <= window
  assert browser.console == []


def test_it_is_light_or_dark_as_the_system_is_and_follows_it(browser, pages):
  browser.open(pages["digits"])
  light = browser.run(_BACKGROUND), browser.run(_LABELS)
  browser.set_dark(True)
  browser.run("return new Promise((go) => requestAnimationFrame(() => setTimeout(go)))")
  browser.wait_for_charts()
  dark = browser.run(_BACKGROUND), browser.run(_LABELS)
  assert light[0] == "rgb(255, 255, 255)"
  assert all(one != other for one, other in zip(light, dark))
  browser.open(pages["digits"], dark=True)
  assert (browser.run(_BACKGROUND), browser.run(_LABELS)) == dark


def test_hostile_names_run_nothing(browser, pages):
  """An alert would make the next command fail; a picture of it would be loaded."""
  browser.open(pages["hostile"])
  assert browser.run("return document.images.length") == 10
  assert browser.run("return [...document.images].every((i) => i.naturalWidth > 0)")
  assert made.HOSTILE in browser.run("return document.querySelector('tbody th').innerText")
  charts = browser.run("return document.querySelector('.chart svg').textContent")
  assert "</script>" in charts


def test_the_slider_is_moved_by_keys(browser, pages):
  browser.open(pages["streets"])
  at = "return document.querySelector('.slider').style.getPropertyValue('--at')"
  assert browser.run(at) == "50%"
  browser.press(".slider input", _RIGHT, times=10)
  assert browser.run(at) == "60%"
