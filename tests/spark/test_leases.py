"""Executors that pull trials from the driver, on real Spark: what pulling adds to `SparkTrials`."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.ports import free_port

from sparktrials import SparkTrials, fmin, hp, rand
from sparktrials.dispatch import spark_leases
from sparktrials.dispatch.channel.server import ChannelServer
from sparktrials.dispatch.spark_classic import ClassicBackend

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

#: Seconds after which a test that waits for something gives up; never waited for in full.
PATIENCE = 60


def run(fn, trials=None, **keywords):
    defaults = {"algo": rand.suggest, "max_evals": 8, "rstate": 0, "verbose": False}
    trials = SparkTrials() if trials is None else trials  # an empty one is false
    fmin(fn, hp.uniform("x", 0, 1), trials=trials, **{**defaults, **keywords})
    return trials


def jobs_of(context, name):
    """Return the descriptions of a study's jobs."""
    scala = context._jsc.sc()
    scala.listenerBus().waitUntilEmpty(PATIENCE * 1000)
    store = scala.statusStore()
    jobs = store.jobsList(None)
    found = [jobs.apply(i).description() for i in range(jobs.size())]
    texts = [text.get() for text in found if text.isDefined()]
    assert texts
    return [text for text in texts if text.startswith(f"sparktrials {name}:")]


class Watching:
    """Suggests like random search; notes how many results were known and how many were pending."""

    adaptive = True

    def __init__(self):
        self.seen = []

    def suggest(self, space, history, n, context):
        running = sum(not t.state.terminal for t in history)
        self.seen.append((len(history) - running, running, n))
        return [{"x": float(context.rng(i).uniform())} for i in context.ids]


def nap(x):
    time.sleep(0.2)
    return x


@pytest.mark.spark35
def test_one_job_takes_trial_after_trial(spark_local):
    trials = run(nap, SparkTrials(exp_key="many for one"), max_evals=24)
    assert trials.count_successful_trials() == 24
    # Two, typically; whenever the driver stalls for a second, slots are given back.
    assert 1 <= len(jobs_of(spark_local.sparkContext, "many for one")) <= 8


def test_nothing_is_queued_ahead(spark_local):
    algo = Watching()
    run(nap, algo=algo, max_evals=12)
    asked = 0
    for known, running, n in algo.seen:
        # Each point is suggested with every result but those of the trials that run.
        assert known == asked - running
        assert running + n <= 2
        asked += n
    assert asked == 12


def test_a_lease_is_bounded(spark_local, monkeypatch):
    monkeypatch.setattr(spark_leases, "LEASE_S", 0.3)
    trials = run(nap, SparkTrials(exp_key="short leases"), max_evals=12)
    assert trials.count_successful_trials() == 12
    assert len(jobs_of(spark_local.sparkContext, "short leases")) >= 5


@pytest.mark.spark35
def test_tasks_that_wait_are_counted(spark_local, tmp_path):
    context, go = spark_local.sparkContext, tmp_path / "go"
    waiting = ClassicBackend(context).waiting
    assert waiting() == 0

    def hold(_):
        while not go.exists():
            time.sleep(0.01)

    job = threading.Thread(target=context.parallelize(range(5), 5).foreachPartition, args=(hold,))
    job.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while waiting() != 3 and time.monotonic() < deadline:  # it takes a while until two run
            time.sleep(0.01)
        assert waiting() == 3
    finally:
        go.touch()
        job.join(PATIENCE)
    context._jsc.sc().listenerBus().waitUntilEmpty(PATIENCE * 1000)
    assert waiting() == 0


def test_a_slot_that_idles_is_given_back(spark_local, tmp_path):
    context = spark_local.sparkContext
    done = tmp_path / "done"

    def objective(x):
        # One trial waits for a job of the user's, which needs the slot that the others have left.
        if x == 0.25:
            deadline = time.monotonic() + PATIENCE
            while not done.exists():
                if time.monotonic() > deadline:
                    raise TimeoutError
                time.sleep(0.01)
        return x

    def stop(view, asked=False):
        if not asked:
            context.parallelize([str(done)], 1).foreach(lambda path: Path(path).touch())
        return False, [True]

    points = [{"x": 0.25}, {"x": 0.5}]
    trials = run(objective, points_to_evaluate=points, max_evals=0, early_stop_fn=stop)
    assert trials.count_successful_trials() == 2


def unreachable(monkeypatch, **wrong):
    """Give executors a wrong address."""
    right = ChannelServer.address

    def address(self):
        return replace(right.fget(self), **wrong)

    monkeypatch.setattr(ChannelServer, "address", property(address))


@pytest.mark.parametrize("wrong", [{"port": 1}, {"secret": b"x" * 32}], ids=["port", "secret"])
def test_where_executors_cannot_reach_the_driver_trials_are_pushed(
    spark_local, monkeypatch, caplog, wrong
):
    unreachable(monkeypatch, **wrong)
    caplog.set_level(logging.INFO, "sparktrials")
    trials = run(lambda x: x, SparkTrials(exp_key=f"pushed {wrong}"), max_evals=30)
    assert trials.count_successful_trials() == 30
    assert trials.tids == list(range(30))
    assert "cannot reach the driver" in caplog.text
    assert "\\x" not in caplog.text


def test_where_the_driver_cannot_listen_trials_are_pushed(spark_local, monkeypatch, caplog):
    # An address of a network that is reserved for documentation: no machine has it.
    monkeypatch.setattr(ClassicBackend, "listens_on", lambda self: ("192.0.2.1", "192.0.2.1", 0))
    trials = run(lambda x: x)
    assert trials.count_successful_trials() == 8
    assert "cannot listen" in caplog.text


def test_connections_that_break_lose_nothing_and_run_nothing_twice(
    spark_local, monkeypatch, tmp_path
):
    log = tmp_path / "log"
    log.touch()
    broken = []
    real = spark_leases.Leases._outcomes

    def cut(self, lease, outcomes):
        events = real(self, lease, outcomes)
        if lease.peer is not None and len(broken) < 3 and lease.sent:
            broken.append(lease.peer)
            self._server.drop(lease.peer)
        return events

    def hand_out(self, *args):
        send(self, *args)
        for lease in list(self._leases.values()):
            if lease.sent and lease.peer is not None and len(broken) < 3:
                broken.append(lease.peer)
                self._server.drop(lease.peer)

    send = spark_leases.Leases._hand_out
    monkeypatch.setattr(spark_leases.Leases, "_outcomes", cut)
    monkeypatch.setattr(spark_leases.Leases, "_hand_out", hand_out)

    def objective(x):
        with log.open("a") as file:
            file.write(f"{x!r}\n")
        time.sleep(0.1)
        return x

    trials = run(objective, max_evals=10)
    assert len(broken) == 3
    assert trials.count_successful_trials() == 10
    ran = log.read_text().split()
    assert len(set(ran)) == 10
    # A trial whose message was cut off before it arrived never ran; none that did ran again.
    assert len(ran) == 10
    assert all(t.attempt <= 2 for t in trials.history)


def test_the_channel_can_be_declined(spark_local):
    trials = run(lambda x: x, SparkTrials(exp_key="no channel", channel=False))
    assert trials.count_successful_trials() == 8
    descriptions = jobs_of(spark_local.sparkContext, "no channel")
    assert descriptions
    assert not [text for text in descriptions if "trials from" in text]


def test_a_port_of_ones_own(spark_local, monkeypatch):
    port, seen = free_port(), []
    monkeypatch.setattr(ClassicBackend, "listens_on", lambda self: ("127.0.0.1", "127.0.0.1", port))
    real = ChannelServer.address

    def address(self):
        seen.append(real.fget(self).port)
        return real.fget(self)

    monkeypatch.setattr(ChannelServer, "address", property(address))
    assert run(lambda x: x).count_successful_trials() == 8
    assert set(seen) == {port}


def test_results_of_every_kind_come_over_the_channel(spark_local):
    import datetime as dt
    import math

    import numpy as np

    def objective(x):
        return {
            "loss": np.float32(0.5),
            "status": "ok",
            "tuple": (1, (2.5, None)),
            "bytes": b"\x00\xff",
            "array": np.arange(6.0).reshape(2, 3),
            "nan": math.nan,
            "when": dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc),
            "object": {1, 2},
            "pid": os.getpid(),
            "attachments": {"model": b"m" * 100_000},
        }

    trials = run(objective, max_evals=2)
    (result, _) = trials.results
    assert result["tuple"] == (1, (2.5, None))
    assert result["bytes"] == b"\x00\xff"
    assert result["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert math.isnan(result["nan"])
    assert result["when"] == dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc)
    assert result["object"] == {1, 2}
    assert trials.trial_attachments(trials.trials[0])["model"] == b"m" * 100_000


# --------------------------------------------------------------------- what running trials say


def test_reports_are_in_the_history_while_the_trial_runs(spark_local, tmp_path, caplog):
    go, store = tmp_path / "go", f"sqlite:///{tmp_path}/history.db"

    def objective(x):
        from sparktrials import current_trial

        here = current_trial()
        here.log(f"trial {here.id} begins")
        here.report(0, 0.5)
        deadline = time.monotonic() + PATIENCE
        while not go.exists():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.01)
        here.report(1, 0.25)
        return x

    caplog.set_level("INFO", "sparktrials.trial")
    seen = []

    def look():
        from sparktrials import Trials

        deadline = time.monotonic() + PATIENCE
        while not seen and time.monotonic() < deadline:
            running = Trials(store).history
            seen.extend(t for t in running if t.reports and not t.state.terminal)
            time.sleep(0.02)
        go.touch()

    looking = threading.Thread(target=look)
    looking.start()
    trials = run(objective, SparkTrials(1, store=store), max_evals=1)
    looking.join()
    assert seen[0].reports == ((0, 0.5),)
    assert seen[0].log == "trial 0 begins"
    assert trials.history[0].reports == ((0, 0.5), (1, 0.25))
    assert [r.getMessage() for r in caplog.records] == ["trial 0: trial 0 begins"]


def test_a_flood_of_reports_loses_neither_trial_nor_shape(spark_local):
    def objective(x):
        from sparktrials import current_trial

        for step in range(30_000):
            current_trial().report(step, step / 2)
        return x

    trials = run(objective, max_evals=2)
    for trial in trials.history:
        assert trial.reports[0] == (0, 0.0)
        assert trial.reports[-1] == (29_999, 29_999 / 2)
        assert 500 <= len(trial.reports) <= 1000


def test_a_trial_that_is_told_to_stop_may_return_its_result(spark_local):
    def objective(x):
        from sparktrials import current_trial

        deadline = time.monotonic() + PATIENCE
        while not current_trial().should_stop():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.01)
        return {"loss": x, "status": "ok", "stopped": True}

    run(nap)  # what starts at first has started
    trials = run(objective, max_evals=2, timeout=12)
    assert trials.count_successful_trials() == 2
    assert [r["stopped"] for r in trials.results] == [True, True]
    assert trials.fmin_cancelled_reason == "fmin run timeout"
