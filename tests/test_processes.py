"""Several processes share the work of one measurement and give the report of one process."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.distributed as dist

import infodil
from infodil.checks import ProcessLost, UserError
from infodil.processes import Processes, current, joined

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")

TYPES = 6
OPTIONS = {"lags": [0, 1, 3], "progress": False, "seed": 0}


def documents(number=24, tokens=30):
    return [np.random.default_rng(place).integers(TYPES, size=tokens + place % 5) for place in range(number)]


def together(work, number, folder):
    """What each of some forked processes of one job returns, or the words of its error."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def run(rank):
        torch.set_num_threads(1)
        os.environ["LOCAL_RANK"] = str(rank)
        store = f"file://{folder}/rendezvous"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=number, timeout=timedelta(seconds=120))
        try:
            with joined() as processes:
                answers.put((rank, work(processes)))
        except UserError as error:
            answers.put((rank, f"{type(error).__name__}: {error}"))
        except BaseException:
            answers.put((rank, traceback.format_exc()))
        os._exit(0)

    children = [context.Process(target=run, args=(rank,)) for rank in range(number)]
    for child in children:
        child.start()
    found = dict(answers.get() for _ in children)
    for child in children:
        child.join()
    return [found[rank] for rank in range(number)]


def assert_same(report, other):
    """Equal to rounding: every number, interval and control, and all that is said in words."""
    assert [sorted(row) for row in report.rows] == [sorted(row) for row in other.rows]
    ours, theirs = ((*one.rows, *one.summary, *one.kind_rows) for one in (report, other))
    for row, twin in zip(ours, theirs, strict=True):
        for name, value in row.items():
            if name in ("chosen", "selected_probe"):  # of probes that read the same to the last digit either is named
                continue
            expected = twin[name]
            assert value == (pytest.approx(expected, abs=1e-5) if isinstance(value, float) else expected), name
    assert report.warnings == other.warnings and (report.controls is None) == (other.controls is None)


def test_alone_outside_of_a_job():
    assert current() == Processes() and current().share(5) == slice(0, 5) and current().owns(3)
    with joined() as processes:
        assert processes.number == 1 and processes.is_first and processes.keeps_files


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_every_item_is_the_work_of_one_process(number):
    everyone = [Processes(rank, number) for rank in range(number)]
    for items in range(9):
        shares = [list(range(items))[one.share(items)] for one in everyone]
        assert [item for share in shares for item in share] == list(range(items))
        assert max(map(len, shares)) == -(-items // number)
        assert [sum(one.owns(place) for one in everyone) for place in range(items)] == [1] * items


@pytest.mark.statistical
@pytest.mark.parametrize(("number", "batch"), [(2, 3), (3, 1)], ids=["two", "three, some without a document"])
def test_several_processes_give_the_report_of_one(number, batch, tmp_path):
    options = {**OPTIONS, "batch_size": batch, "probes": ["gaussian", "linear"]}
    alone = infodil.recoverability("gru", documents(), dim=8, **options)
    assert alone.provenance["processes"] == 1
    reports = together(lambda _: infodil.recoverability("gru", documents(), dim=8, **options), number, tmp_path)
    for report in reports:
        assert not isinstance(report, str), report
        assert_same(report, alone)
        assert report.provenance["processes"] == number


@pytest.mark.statistical
def test_recorded_states_and_kinds_of_token_are_shared_out(tmp_path):
    tokens = documents()
    states = [np.eye(TYPES, dtype=np.float32)[document] for document in tokens]
    options = {**OPTIONS, "probes": "gaussian", "by": "frequency"}
    alone = infodil.recoverability({"state": states}, tokens, **options)
    report, other = together(lambda _: infodil.recoverability({"state": states}, tokens, **options), 2, tmp_path)
    assert_same(report, alone)
    assert report.kind_rows
    assert_same(other, alone)


@pytest.mark.statistical
def test_a_stream_and_a_cache_are_shared(tmp_path):
    import datasets

    def rows():
        yield from ({"tokens": document.tolist()} for document in documents())

    def measured(_=None, cache_dir=tmp_path / "cache"):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Embedding(TYPES, 6), torch.nn.Linear(6, 4))
        corpus = infodil.load_corpus(datasets.IterableDataset.from_generator(rows), vocabulary=TYPES)
        return infodil.recoverability(
            model, corpus, sites=["1"], probes="gaussian", controls=False, cache_dir=cache_dir, **OPTIONS
        )

    alone = measured(cache_dir=tmp_path / "other")
    for _ in range(2):  # the second time from the cache
        for report in together(measured, 2, tmp_path):
            assert not isinstance(report, str), report
            assert_same(report, alone)
        (tmp_path / "rendezvous").unlink(missing_ok=True)
    names = sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_dir())
    assert names == sorted(path.name for path in (tmp_path / "other").rglob("*") if path.is_dir())


def test_a_mistake_of_one_process_ends_all_with_its_sentence(tmp_path):
    def work(processes):
        if processes.rank == 1:
            raise UserError("`states` has NaN in document 7: leave it out.")
        return processes.all([True])

    answers = together(work, 3, tmp_path)
    assert answers == ["UserError: `states` has NaN in document 7: leave it out."] * 3


def test_a_killed_process_ends_the_others_with_one_sentence(tmp_path):
    def work(processes):
        if processes.rank == 1:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)
        while True:
            processes.all([True])

    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def run(rank):
        dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=rank, world_size=2)
        try:
            with joined() as processes:
                work(processes)
        except ProcessLost as error:
            answers.put(str(error))
        os._exit(0)

    children = [context.Process(target=run, args=(rank,)) for rank in range(2)]
    for child in children:
        child.start()
    words = answers.get()
    for child in children:
        child.join()
    assert "another one has ended" in words and "with a cache_dir it takes up where it stopped" in words


@pytest.mark.statistical
def test_torchrun_writes_one_report(tmp_path):
    np.save(tmp_path / "tokens.npy", np.stack([document[:30] for document in documents()]))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "infodil", "recoverability", "--model", "shift_register", "--corpus", "tokens.npy"]
    command += ["--lags", "0,1", "--probes", "gaussian", "--out", "out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("wrote ") == 1
    report = infodil.load_report(tmp_path / "out" / "report.json")
    assert report.provenance["processes"] == 2 and report.estimate("shift_register", 1).value_bits > 2


@pytest.mark.statistical
def test_a_study_runs_on_a_cluster_of_dask(tmp_path):
    distributed = pytest.importorskip("distributed", reason="infodil[cluster] is not installed")
    import joblib

    from analyses import calibration_discrete

    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(**options) as client, joblib.parallel_config(backend="dask"):
        calibration_discrete.main(["--smoke", "--n-jobs", "2", "--out", str(tmp_path)])
        assert sum(worker.state.executed_count for worker in client.cluster.workers.values()) > 0
    table = next(tmp_path.rglob("calibration_discrete.csv"))
    first = table.read_bytes()
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json") if path.parent.name != "tables"}
    lost = next(iter(cells))
    lost.unlink()  # as by a worker that was lost: the next run makes this cell and no other
    calibration_discrete.main(["--smoke", "--out", str(tmp_path)])
    assert table.read_bytes() == first
    assert {path for path in cells if path.stat().st_mtime_ns != cells[path]} == {lost}
