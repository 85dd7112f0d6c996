"""Which runs are done, and which records stay: by workers that end at once."""

import pytest

from tests.reproduction import made_up
from tfdam import experiment as experiment_lib
from tfdam.reproduction import plan, schedule, worker
from tfdam.reproduction import store as store_lib


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
  monkeypatch.setattr(schedule, "_SECONDS_BETWEEN_LOOKS", 0.0)


def scheduler(tmp_path, jobs=None, machine="here", **options):
  """On one machine after the other: each has its own folder of runs."""
  places = worker.Places(str(tmp_path / machine), "/no/data")
  store = store_lib.Store(str(tmp_path / "results"))
  return schedule.Scheduler(jobs or made_up.jobs(), store, places, **options)


def run(made, monkeypatch, **fake):
  kind = made_up.fake_worker(**fake)
  monkeypatch.setattr(worker, "Worker", kind)
  made.run(made_up.SLOTS, "made up")
  return kind.began


def test_everything_is_run_once(tmp_path, monkeypatch):
  first = scheduler(tmp_path)
  began = run(first, monkeypatch)
  assert sorted(began) == [("adda", 0), ("adda", 1), ("gam", 0), ("gam", 1)]
  assert not first.missing()
  assert run(scheduler(tmp_path), monkeypatch) == []


def test_a_failed_run_is_noted_and_the_others_go_on(tmp_path, monkeypatch):
  made = scheduler(tmp_path)
  began = run(made, monkeypatch, failing=("adda",))
  assert sorted(began) == [("adda", 0), ("adda", 1), ("gam", 0), ("gam", 1)]
  assert [job.config.method for job in made.failures] == ["adda", "adda"]
  assert set(made.failures.values()) == {"it was meant to fail."}
  # Started again, what failed is tried again, and nothing else.
  assert run(scheduler(tmp_path), monkeypatch) == [("adda", 0), ("adda", 1)]


def test_what_has_no_data_is_left_out(tmp_path, monkeypatch):
  jobs = made_up.jobs()
  made = scheduler(tmp_path, jobs, skipped={jobs[0]: "no data"})
  assert ("gam", 0) not in run(made, monkeypatch)
  assert made.why_not(jobs[0]) == "no data"


def test_a_machine_that_rounds_otherwise_does_all_rows_of_a_seed(tmp_path, monkeypatch):
  gam = [job for job in made_up.jobs() if job.config.method == "gam"]
  run(scheduler(tmp_path, gam), monkeypatch)
  elsewhere = scheduler(tmp_path, machine="elsewhere")
  began = run(elsewhere, monkeypatch, here=0.8)
  # What has no record yet first: it tells that the others do not stand beside it.
  assert [method for method, _ in began[:2]] == ["adda", "adda"]
  assert sorted(began) == [("adda", 0), ("adda", 1), ("gam", 0), ("gam", 1)]
  chosen = elsewhere.store.choose(made_up.jobs())
  assert len({record["source_network"] for record in chosen.values()}) == 1


def test_a_machine_that_rounds_alike_does_what_is_missing(tmp_path, monkeypatch):
  gam = [job for job in made_up.jobs() if job.config.method == "gam"]
  run(scheduler(tmp_path, gam), monkeypatch)
  began = run(scheduler(tmp_path, machine="elsewhere"), monkeypatch)
  assert began == [("adda", 0), ("adda", 1)]


def test_a_source_network_may_serve_runs_of_other_targets(tmp_path, monkeypatch):
  """Supervised training on USPS is that of every run from USPS; it is scored on USPS."""
  config = "configs/digits/{}.py:release,{}"
  supervised, gam, adda = (
    experiment_lib.Run(config.format(pair, method))
    for pair, method in (
      ("mnist_to_usps", "supervised"), ("usps_to_mnist", "gam"), ("usps_to_mnist", "adda"),
    )
  )  # fmt: skip
  runs = plan.Planner()
  first, *others = (runs.job(one, 0) for one in (supervised, gam, adda))
  assert first.source_key == others[0].source_key
  assert sorted(run(scheduler(tmp_path, others), monkeypatch)) == [("adda", 0), ("gam", 0)]
  made = scheduler(tmp_path, [first, *others])
  # Nobody waits for a network that is there.
  assert made._startable([]) == [first]
  assert run(made, monkeypatch) == [("supervised", 0)]
  assert not made.missing()


def test_the_first_run_of_a_source_network_is_alone(tmp_path):
  made = scheduler(tmp_path)
  startable = made._startable([])
  assert [(job.config.method, job.seed) for job in startable] == [("gam", 0), ("gam", 1)]
  assert made._startable(startable) == []


def test_what_other_code_began_is_begun_anew(tmp_path):
  job = made_up.jobs()[0]
  places = worker.Places(str(tmp_path), "")
  worker.begin(job, places, "old", [])
  kept = tmp_path / job.name / "kept"
  kept.mkdir(parents=True)
  worker.begin(job, places, "old", [])
  worker.begin(job, places, "new", ["old"])  # the same bits
  assert kept.is_dir()
  worker.begin(job, places, "newer", [])
  assert not kept.exists()


def test_cores_are_shared_out():
  most, what = worker.most_jobs()
  assert (most >= 1, what) == (True, "cores")
  slots = worker.slots(most)
  assert len({core for slot in slots for core in slot.cores}) == most
