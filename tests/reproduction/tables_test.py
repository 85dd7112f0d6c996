import json
import os

from tests.reproduction import made_up
from tfdam import experiment as experiment_lib
from tfdam.reproduction import plan, tables
from tfdam.reproduction import store as store_lib


def filled(tmp_path, scores, planner=None, failures=None):
  """The made-up table of {(method, seed): (source score, score)}."""
  store = store_lib.Store(str(tmp_path / "results"))
  jobs = made_up.jobs()
  for job in jobs:
    found = scores.get((job.config.method, job.seed))
    if found:
      folder = str(tmp_path / job.name)
      os.makedirs(folder, exist_ok=True)
      with open(os.path.join(folder, "results.json"), "w") as file:
        json.dump(made_up.results(*found), file)
      store.add(store_lib.make(job, folder, 0, "", 1))
  failed = {
    job: reason for job in jobs for name, reason in (failures or {}).items()
    if job.config.method == name
  }  # fmt: skip
  filler = tables.Filler(jobs, store, planner or plan.Planner(), [0, 1], failed)
  return filler.fill(made_up.experiment().tables[0])


def test_a_cell_has_mean_and_deviation_over_seeds(tmp_path):
  scores = {("gam", 0): (0.70, 0.90), ("gam", 1): (0.72, 0.94), ("adda", 0): (0.70, 0.80)}
  assert filled(tmp_path, scores).cells() == [
    ["No adaptation", "71.00 ± 1.41", "77.8"],
    ["ADDA (1 of 2 seeds)", "80.00", "90.2 ± 0.9"],
    ["GAM", "92.00 ± 2.83", "95.7 ± 0.5"],
  ]


def test_a_row_of_another_source_network_is_marked(tmp_path):
  scores = {("gam", 0): (0.7, 0.9), ("adda", 0): (0.6, 0.8), ("gam", 1): (0.7, 0.9)}
  made = filled(tmp_path, scores)
  assert made.cells()[1][1] == "80.00†" or made.cells()[2][1].endswith("†")
  assert any("another source network" in note for note in made.notes)


def test_what_failed_says_why_once(tmp_path):
  made = filled(tmp_path, {}, failures={"gam": "no\n  data"})
  assert [cells[1] for cells in made.cells()] == ["failed", "not run", "failed"]
  assert made.notes == ("Made up.", "No adaptation, GAM: no result. no data")


def test_a_quick_look_says_that_it_is_none(tmp_path):
  made = filled(tmp_path, {}, planner=plan.Planner(limit_steps=9))
  assert "no stage took more than 9 steps" in made.notes[0]
  assert made.markdown().index("quick look") > made.markdown().index("| GAM |")


def test_tables_go_between_their_markers():
  text = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\n<!-- end -->\n<!-- z -->\n"
  changed, count = tables.replaced(text, {"x": "new | table", "y": "2", "z": "3"})
  assert count == 2  # z has no end
  assert changed == (
    "a\n<!-- x -->\nnew | table\n<!-- end -->\nb\n<!-- y -->\n2\n<!-- end -->\n<!-- z -->\n"
  )
  assert tables.replaced(changed, {"x": "new | table", "y": "2"})[0] == changed


def test_seeds_that_only_some_cells_lack_are_said_beside_them():
  row = experiment_lib.Row("gam", "GAM", {})
  table = experiment_lib.Table("one", "One", ("test", "dusk", "paper"), (row,))
  some, all_of_them = tables.Numbers({0: 1.0}, 2), tables.Numbers({0: 1.0, 1: 2.0}, 2)

  def cells(dusk):
    numbers = {"gam": {"test": some, "dusk": dusk, "paper": "3"}}
    return tables.Filled(table, numbers, ()).cells()[0]

  assert cells(some) == ["GAM (1 of 2 seeds)", "1.00", "1.00", "3"]
  assert cells(all_of_them) == ["GAM", "1.00 (1 of 2 seeds)", "1.50 ± 0.71", "3"]
