"""Studies in MLflow: which runs there are, what they hold, and what a bad server does not do."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading

import pytest

from sparktrials import Trials, current_trial, fmin, hp, rand
from sparktrials.errors import InvalidArgument
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.interrupts import Grace
from sparktrials.study.trial import Trial, TrialState
from sparktrials.tracking import backlog, observer
from sparktrials.tracking.mlflow import Writer, is_refusal
from sparktrials.tracking.observer import tracked

EMPTY = History(compile_space({"x": hp.uniform("x", 0, 1)}))
SPACE = {"x": hp.uniform("x", 0, 1), "kind": hp.choice("kind", ["a", "b"])}


def objective(params):
    if params["x"] > 0.9:
        raise ValueError("too large")
    return {"loss": params["x"], "status": "ok", "auc": 0.5}


def run(trials, n=6, fn=objective, **settings):
    settings = {"rstate": 3, "catch_eval_exceptions": True, "verbose": False, **settings}
    return fmin(fn, SPACE, algo=rand.suggest, max_evals=n, trials=trials, **settings)


def runs_of(mlflow):
    """Return parents and children by trial id, each a list."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = [r for r in found if "mlflow.parentRunId" not in r.data.tags]
    children = [r for r in found if "mlflow.parentRunId" in r.data.tags]
    children.sort(key=lambda r: int(r.data.tags["sparktrials.trial"]))
    return parents, children


@pytest.fixture
def warnings_of(caplog):
    """Return a function that returns what tracking has warned of."""
    return lambda: [
        r.getMessage()
        for r in caplog.records
        if r.name == "sparktrials.tracking" and r.levelno >= logging.WARNING
    ]


def test_a_study_is_a_run_with_a_run_for_each_trial(store):
    trials = Trials(exp_key="first", tracking="mlflow")
    run(trials, 12)
    (parent,), children = runs_of(store)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "sparktrials first"
    assert parent.data.metrics == {"best_loss": trials.best_trial["result"]["loss"]}
    tags = parent.data.tags
    assert tags["sparktrials.trials"] == "12"
    assert tags["sparktrials.best.trial"] == str(trials.best_trial["tid"])
    assert tags["sparktrials.best.run"] == children[trials.best_trial["tid"]].info.run_id
    assert len(children) == 12
    assert store.active_run() is None
    failed = 0
    for trial, child in zip(trials.history, children, strict=True):
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["mlflow.user"] == tags["mlflow.user"]
        assert child.data.tags["sparktrials.host"] == trial.host
        assert child.data.params == {
            "x": repr(trial.point["x"]),
            "kind": "ab"[trial.point["kind"]],
        }
        assert child.info.start_time == int(trial.started * 1000)
        assert child.info.end_time == int(trial.finished * 1000)
        if trial.state is TrialState.OK:
            assert child.info.status == "FINISHED"
            expected = {"loss": trial.loss, "auc": 0.5, "duration_s": trial.duration_s}
            assert child.data.metrics == expected
        else:
            failed += 1
            assert child.info.status == "FAILED"
            assert child.data.tags["sparktrials.error"] == "ValueError: too large"
            assert "raise ValueError" in child.data.tags["sparktrials.traceback"]
    assert failed == int(tags["sparktrials.trials.failed"]) > 0


def test_an_active_run_is_used_and_left_open(store):
    with store.start_run() as active:
        run(Trials(tracking="mlflow"), 3)
        assert store.active_run().info.run_id == active.info.run_id
        assert store.MlflowClient().get_run(active.info.run_id).info.status == "RUNNING"
        run(Trials(exp_key="second", tracking="mlflow"), 3)
    (parent,), children = runs_of(store)
    assert parent.info.run_id == active.info.run_id
    assert len(children) == 6
    # the second study's numbers do not go into the first one's
    assert parent.data.tags["sparktrials.experiment"] == "default"
    names = sorted(parent.data.metrics)
    assert names[0] == "best_loss"
    assert names[1].startswith("best_loss_")


def test_nothing_is_logged_unless_asked_for(store):
    with store.start_run():
        run(Trials())
        run(Trials(tracking=False))
    run(Trials())
    assert runs_of(store)[1] == []


@pytest.mark.parametrize(
    ("tracking", "active", "expected"),
    [(None, True, 1), (None, False, 0), (False, True, 0), ("mlflow", False, 1)],
)
def test_where_it_is_automatic_it_wants_an_active_run(store, tracking, active, expected):
    """As `SparkTrials` ask for it."""
    trials = Trials(tracking=tracking)
    trials.tracks_active_run = True
    with store.start_run() if active else contextlib.nullcontext():
        run(trials, 1)
    assert len(runs_of(store)[1]) == expected


def test_without_mlflow_imported_nothing_is_looked_for(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    with tracked(
        None, automatic=True, history=None, key="k", durable=False, grace=Grace()
    ) as observers:
        assert observers == ()
    assert "mlflow" not in sys.modules


@pytest.mark.parametrize("value", ["wandb", True, 1, object()])
def test_other_settings_are_refused(value):
    with pytest.raises(InvalidArgument, match="tracking must be 'mlflow', None or False, got"):
        Trials(tracking=value)


def test_without_mlflow_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(observer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidArgument, match=r"pip install mlflow"):
        Trials(tracking="mlflow")


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (RuntimeError, "FAILED")]
)
def test_a_study_that_ends_early_says_how(store, error, status, monkeypatch):
    monkeypatch.setattr(observer, "INTERRUPTED_S", 30.0)  # of a loaded machine

    def fn(params):
        raise error("stop")

    with pytest.raises(error):
        run(Trials(tracking="mlflow"), fn=fn, catch_eval_exceptions=False)
    (parent,), (child,) = runs_of(store)
    assert parent.info.status == status
    assert child.info.status == status


def test_a_second_call_logs_what_is_new(store):
    trials = Trials(tracking="mlflow")
    run(trials, 2)
    run(trials, 5)
    run(trials, 5)  # nothing to do, nothing logged
    parents, children = runs_of(store)
    assert len(parents) == 2
    assert [c.data.tags["sparktrials.trial"] for c in children] == list("01234")


def test_a_resumed_study_goes_on_in_a_run_that_has_no_trials_yet(store, tmp_path, monkeypatch):
    """A server that dies early has the study's run, and no trial's."""

    def refused(*_):
        raise ValueError("not this one")

    url = f"sqlite:///{tmp_path}/study.db"
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_trial", refused)
        run(Trials(url, tracking="mlflow"), 3)
    ((left,), none) = runs_of(store)
    assert none == []
    run(Trials(url, tracking="mlflow"), 4)
    (parent,), children = runs_of(store)
    assert parent.info.run_id == left.info.run_id
    assert parent.info.status == "FINISHED"
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {left.info.run_id}
    assert len(children) == 4


def test_a_resumed_study_goes_on_in_its_run(store, tmp_path):
    """Each trial is logged once, those that were missed included."""
    url = f"sqlite:///{tmp_path}/study.db"
    run(Trials(url, tracking="mlflow"), 3)
    run(Trials(url), 5)  # not logged
    before = {c.info.run_id for c in runs_of(store)[1]}
    assert len(before) == 3
    run(Trials(url, tracking="mlflow"), 7)
    (parent,), children = runs_of(store)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["sparktrials.trials"] == "7"
    assert [c.data.tags["sparktrials.trial"] for c in children] == list("0123456")
    assert before <= {c.info.run_id for c in children}
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}


def test_trials_that_a_dead_driver_left_running_are_taken_up(store, tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    trials = Trials(url, tracking="mlflow")
    run(trials, 2)
    _, children = runs_of(store)
    client = store.MlflowClient()
    client.update_run(children[1].info.run_id, status="RUNNING")  # as a killed driver leaves it
    run(Trials(url, tracking="mlflow"), 3)
    _, again = runs_of(store)
    assert [c.info.run_id for c in again[:2]] == [c.info.run_id for c in children]
    assert [c.info.status for c in again] == ["FINISHED"] * 3


def test_reports_of_a_running_trial_are_a_metric_with_steps(store):
    def fn(params):
        for step in range(4):
            current_trial().report(step, step / 2)
        return 1.0

    run(Trials(tracking="mlflow"), 1, fn)
    _, (child,) = runs_of(store)
    found = store.MlflowClient().get_metric_history(child.info.run_id, "reported")
    assert [(m.step, m.value) for m in found] == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]


def test_cancelled_and_retried_trials(store):
    client = store.MlflowClient()
    history = History(compile_space({"x": hp.uniform("x", 0, 1)}))
    with tracked(
        "mlflow", automatic=False, history=history, key="k", durable=False, grace=Grace()
    ) as (own,):
        for trial in (
            Trial(id=0, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1, started=1.0),
            Trial(id=0, state=TrialState.RUNNING, point={"x": 0.5}, attempt=2, started=2.0),
            Trial(id=0, state=TrialState.CANCELLED, point={"x": 0.5}, attempt=2, finished=3.0),
        ):
            history.put(trial)
            own.changed([trial])
    (parent,), (child,) = runs_of(store)
    assert child.info.status == "KILLED"
    assert child.data.tags["sparktrials.attempt"] == "2"
    assert "sparktrials.best.trial" not in parent.data.tags
    assert client.get_run(parent.info.run_id).data.tags["sparktrials.trials.cancelled"] == "1"


# ---------------------------------------------------------------------- servers


@pytest.mark.slow
def test_a_server_dies_and_comes_back(server, mlflow, tmp_path, monkeypatch, warnings_of):
    """fmin ends as without MLflow, and what is missing is logged when the study goes on."""
    monkeypatch.setattr(observer, "STALLED_S", 1.0)
    url = f"sqlite:///{tmp_path}/study.db"
    seen = []

    def fn(params):
        seen.append(params)
        if len(seen) == 5:
            server.kill()
        return objective(params)

    trials = Trials(url, tracking="mlflow")
    run(trials, 10, fn)
    assert len(trials.history) == 10
    first, last = warnings_of()
    assert "Trials are not disturbed" in first
    assert "could not be logged to MLflow: MlflowException: API request to" in last

    server.start()
    monkeypatch.setattr(observer, "STALLED_S", 300.0)
    run(Trials(url, tracking="mlflow"), 12)
    parents, children = runs_of(mlflow)
    assert [p.info.status for p in parents] == ["FINISHED"]
    assert [int(c.data.tags["sparktrials.trial"]) for c in children] == list(range(12))
    assert {c.info.status for c in children} <= {"FINISHED", "FAILED"}
    assert len(warnings_of()) == 2


@pytest.fixture
def silent_server():
    """Yield the URL of a server that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connections.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()


def test_a_server_that_hangs_is_given_up(mlflow, silent_server, monkeypatch, warnings_of):
    monkeypatch.setattr(observer, "STALLED_S", 0.05)
    mlflow.set_tracking_uri(silent_server)
    trials = Trials(tracking="mlflow")
    run(trials, 20)
    assert len(trials.history) == 20
    assert warnings_of() == ["20 of 20 trials could not be logged to MLflow: no answer for 0.05 s"]


def test_an_interrupt_does_not_wait_for_a_server_that_hangs(mlflow, silent_server, monkeypatch):
    monkeypatch.setattr(observer, "STALLED_S", 10.0)
    monkeypatch.setattr(observer, "FLUSH_S", 0.25)
    waits = []
    close = observer.Backlog.close
    monkeypatch.setattr(
        observer.Backlog, "close", lambda self, **k: waits.append(k) or close(self, **k)
    )
    mlflow.set_tracking_uri(silent_server)

    def fn(params):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Trials(tracking="mlflow"), fn=fn)
    assert waits == [{"within_s": 0.5, "stalled_s": 10.0, "later_s": 0.25}]


def test_what_the_server_refuses_is_counted(store, monkeypatch, warnings_of):
    refuse = store.MlflowClient.log_batch

    def log_batch(self, run_id, *args, **kwargs):
        if any(m.key == "auc" for m in kwargs.get("metrics", ())):
            msg = "not wanted"
            raise store.MlflowException(msg, error_code=1000)  # INVALID_PARAMETER_VALUE
        return refuse(self, run_id, *args, **kwargs)

    monkeypatch.setattr(store.MlflowClient, "log_batch", log_batch)
    run(Trials(tracking="mlflow"), 3)
    first, last = warnings_of()
    assert first.endswith(
        "MlflowException: not wanted. Trials are not disturbed; what can be logged later will be."
    )
    assert last == "3 of 3 trials could not be logged to MLflow: MlflowException: not wanted"


@pytest.mark.parametrize(
    ("call", "lost"), [("set_tag", False), ("create_run", False), ("create_run", True)]
)
def test_a_server_that_stumbles_makes_no_run_twice(store, monkeypatch, call, lost):
    """Each call fails at its first try, for the study and for each trial."""
    monkeypatch.setattr(backlog, "FIRST_PAUSE_S", 0.0)
    real, seen = getattr(store.MlflowClient, call), set()

    def stumble(self, *args, **more):
        what = more.get("run_name", args[1:2])
        first, _ = what not in seen and what is not None, seen.add(what)
        answer = None if first and not lost else real(self, *args, **more)
        if first:
            raise store.MlflowException("out of order")  # an internal error, by default
        return answer

    monkeypatch.setattr(store.MlflowClient, call, stumble)
    run(Trials(tracking="mlflow"), 3)
    (parent,), children = runs_of(store)
    assert parent.info.status == "FINISHED"
    assert [c.data.tags["sparktrials.trial"] for c in children] == ["0", "1", "2"]
    with store.start_run() as active:
        run(Trials(exp_key="inside", tracking="mlflow"), 2)
    assert len(runs_of(store)[1]) == 5
    assert store.MlflowClient().get_run(active.info.run_id).data.tags["sparktrials.experiment"]


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        *((status, True) for status in (400, 404, 409)),
        *((status, False) for status in (401, 403, 429, 500, 502, 503)),
    ],
)
def test_what_concerns_the_whole_server_is_no_refusal_of_a_record(mlflow, status, refused):
    from mlflow.exceptions import get_error_code

    error = mlflow.MlflowException("no", error_code=get_error_code(status))
    assert is_refusal(error) is refused
    assert is_refusal(ConnectionError()) is False
    assert is_refusal(ValueError()) is True


def test_who_is_not_let_in_at_first_logs_it_all_later(store, monkeypatch, warnings_of):
    from mlflow.exceptions import get_error_code

    monkeypatch.setattr(backlog, "FIRST_PAUSE_S", 0.0)
    refuse, calls = store.MlflowClient.log_batch, []

    def log_batch(self, *args, **more):
        calls.append(args)
        if len(calls) < 4:
            raise store.MlflowException("token expired", error_code=get_error_code(401))
        return refuse(self, *args, **more)

    monkeypatch.setattr(store.MlflowClient, "log_batch", log_batch)
    run(Trials(tracking="mlflow"), 3)
    assert {c.info.status for c in runs_of(store)[1]} <= {"FINISHED", "FAILED"}
    (told,) = warnings_of()
    assert "token expired. Trials are not disturbed" in told


def test_threads_that_wait_for_the_studys_run_do_not_ask_one_after_the_other(mlflow, monkeypatch):
    asked, go, entered, failed = [], threading.Event(), [], []
    all_are_there = threading.Event()

    class Opening:
        """A lock that tells how many want it."""

        def __init__(self):
            self.lock = threading.Lock()

        def __enter__(self):
            entered.append(1)
            if len(entered) == 3:
                all_are_there.set()
            self.lock.acquire()

        def __exit__(self, *error):
            self.lock.release()

    def open_run(self):
        asked.append(1)
        assert go.wait(30)
        raise OSError("away")

    monkeypatch.setattr(Writer, "_open", open_run)
    writer = Writer(EMPTY, "k", "http://127.0.0.1:9", None, resumed=False)
    writer._opening = Opening()

    def write(n):
        try:
            writer.write(n, None)
        except OSError:
            failed.append(n)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    assert all_are_there.wait(30)
    go.set()
    for thread in threads:
        thread.join(30)
    assert sorted(failed) == [0, 1, 2]
    assert len(asked) == 1
    write(3)  # at the next try the server is asked again
    assert len(asked) == 2
