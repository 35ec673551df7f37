"""`SparkTrials` on real Spark, two slots in one process: what works when nothing breaks."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from functools import partial
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from sparktrials import STATUS_OK, SparkTrials, Trials, fmin, hp, rand, tpe
from sparktrials.dispatch.spark import SparkDispatcher
from sparktrials.dispatch.spark_classic import ClassicBackend
from sparktrials.errors import AllTrialsFailed, InvalidArgumentType, StoreInUse, TrialFailed
from sparktrials.space import compile_space
from sparktrials.study.protocols import Finished, Task
from sparktrials.study.trial import Trial, TrialState

pyspark = pytest.importorskip("pyspark")
# Executors have no tests: what objectives here refer to travels with them.
pyspark.cloudpickle.register_pickle_by_value(sys.modules[__name__])

X = hp.uniform("x", -10, 10)
#: Seconds after which a test that waits for something gives up; never waited for in full.
PATIENCE = 60


def run(fn, trials, space=X, **keywords):
    """Run a quiet random search."""
    defaults = {"algo": rand.suggest, "max_evals": 8, "rstate": 0, "verbose": False}
    return fmin(fn, space, trials=trials, **{**defaults, **keywords})


def wait_for(path):
    """Wait until a file appears: how trials and tests meet."""
    deadline = time.monotonic() + PATIENCE
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)


def note(path, text):
    with Path(path).open("a") as file:  # one short write with O_APPEND: whole lines
        file.write(f"{text}\n")


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def states(trials):
    return [t.state for t in trials.history]


@pytest.fixture
def context(spark_local):
    return spark_local.sparkContext


@pytest.fixture(autouse=True)
def nothing_is_left(context):
    yield
    # Tasks that were still starting are let go by themselves.
    deadline = time.monotonic() + PATIENCE
    while context.statusTracker().getActiveJobsIds() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not context.statusTracker().getActiveJobsIds()
    for thread in [t for t in threading.enumerate() if t.name.startswith("sparktrials")]:
        thread.join(PATIENCE)
        assert not thread.is_alive()


# --------------------------------------------------------------------- results


@pytest.mark.spark35
def test_a_study(spark_local):
    trials = SparkTrials()
    best = run(lambda x: (x - 1) ** 2, trials, max_evals=40)
    assert len(trials) == 40
    assert trials.tids == list(range(40))
    assert type(best["x"]) is np.float64
    assert best == trials.argmin
    assert trials.best_params == {"x": pytest.approx(best["x"])}
    assert trials.results[3]["loss"] == (trials.vals["x"][3] - 1) ** 2
    assert all(t.host and t.duration_s >= 0 and t.attempt == 1 for t in trials.history)
    assert trials.count_successful_trials() == trials.count_total_trials() == 40
    assert trials.count_failed_trials() == trials.count_cancelled_trials() == 0
    assert trials.fmin_cancelled_reason is None


@pytest.mark.spark35
def test_tpe_over_a_conditional_space(spark_local):
    space = hp.choice(
        "model",
        [
            {"kind": "a", "depth": hp.quniform("depth", 1, 9, 1)},
            {"kind": "b", "rate": hp.loguniform("rate", -5, 0)},
        ],
    )
    trials = SparkTrials()
    best = run(
        lambda p: p["rate"] if p["kind"] == "b" else p["depth"],
        trials,
        space,
        algo=partial(tpe.suggest, n_startup_jobs=8),
        max_evals=30,
    )
    assert best["model"] == 1
    assert set(best) == {"model", "rate"}
    assert len(trials) == 30


def test_points_do_not_depend_on_where_trials_run(spark_local):
    here, there = Trials(), SparkTrials()
    run(lambda x: x, here, rstate=5, max_evals=30)
    run(lambda x: x, there, rstate=5, max_evals=30)
    assert here.vals == there.vals
    assert here.losses() == there.losses()


def test_results_come_back_as_they_end(spark_local, tmp_path):
    go = tmp_path / "go"

    def objective(x):
        if x == 0.0:
            wait_for(go)
        return x

    def stop(view, *_):
        if len(view) == 5:
            go.touch()
        return False, []

    trials = SparkTrials()
    run(objective, trials, points_to_evaluate=[{"x": 0.0}], early_stop_fn=stop)
    assert states(trials) == [TrialState.OK] * 9


@pytest.mark.spark35
def test_short_trials_are_not_slow(spark_local):
    run(lambda x: x, SparkTrials(), max_evals=20)
    start = time.monotonic()
    trials = SparkTrials()
    run(lambda x: x, trials, max_evals=1000)
    assert len(trials) == 1000
    assert trials.tids == list(range(1000))
    assert time.monotonic() - start < 120  # typically 1; Hyperopt: an hour


def test_values_beside_the_loss(spark_local):
    class Model:
        def __init__(self, x):
            self.x = x

    def objective(x):
        return {
            "loss": np.float32(x),
            "status": STATUS_OK,
            "array": np.arange(3),
            "tuple": (1, {"a": b"b"}),
            "nan": float("nan"),
            "set": {1, 2},
            "model": Model(x),
            "function": lambda: x,
            "unpicklable": threading.Lock(),
            "attachments": {"file": b"content", "text": "ä"},
        }

    trials = SparkTrials()
    run(objective, trials, max_evals=3)
    trial, result = trials.history[1], trials.results[1]
    assert type(result["loss"]) is float
    assert (result["array"] == np.arange(3)).all()
    assert result["tuple"] == (1, {"a": b"b"})
    assert result["nan"] != result["nan"]
    assert result["set"] == {1, 2}
    assert result["function"]() == result["model"].x == trial.point["x"]
    assert "unpicklable" not in result
    assert trials.trial_attachments(trials.trials[1]) == {"file": b"content", "text": "ä".encode()}


def test_a_durable_history(spark_local, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"

    def objective(x):
        return {"loss": x, "status": STATUS_OK, "array": np.arange(3), "attachments": {"a": b"b"}}

    run(objective, SparkTrials(store=url, exp_key="study"), max_evals=6)
    trials = SparkTrials(store=url, exp_key="study")
    assert len(trials) == 6
    run(objective, trials, max_evals=10, rstate=None)
    whole = SparkTrials()
    run(objective, whole, max_evals=10)
    assert trials.vals == whole.vals
    reopened = Trials(url, "study")
    assert (reopened.results[9]["array"] == np.arange(3)).all()
    assert reopened.trial_attachments(9) == {"a": b"b"}


def test_points_to_evaluate_come_first_and_once(spark_local):
    trials = SparkTrials()
    points = [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}]
    run(lambda x: x, trials, points_to_evaluate=points, max_evals=4)
    run(lambda x: x, trials, points_to_evaluate=points, max_evals=6)
    assert trials.vals["x"][:3] == [1.0, 2.0, 3.0]
    assert len(trials) == 9
    assert all(trials.vals["x"].count(p["x"]) == 1 for p in points)


# --------------------------------------------------------------------- parallelism


def overlap(path):
    """Return how many trials ran at once at most."""
    most = now = 0
    for line in lines(path):
        now += 1 if line == "in" else -1
        most = max(most, now)
    return most


def in_and_out(path, x):
    note(path, "in")
    time.sleep(0.15)
    note(path, "out")
    return x


@pytest.mark.parametrize(("asked", "most"), [(None, 2), (1, 1), (8, 2)])
def test_parallelism(spark_local, tmp_path, asked, most, caplog):
    trials = SparkTrials(parallelism=asked)
    assert trials.parallelism == (asked or 2)
    run(lambda x: in_and_out(tmp_path / "log", x), trials, max_evals=10)
    assert overlap(tmp_path / "log") == most
    assert len(lines(tmp_path / "log")) == 20
    assert caplog.text.count("parallelism=8 is more than the cluster has slots") == (asked == 8)


@pytest.mark.parametrize("asked", [0, -3])
def test_parallelism_that_is_not_positive_means_the_clusters_slots(spark_local, asked, caplog):
    trials = SparkTrials(parallelism=asked)
    assert f"parallelism={asked} is not positive" in caplog.text
    assert trials.parallelism == 2


def test_little_to_learn_from_is_warned_of(spark_local):
    with pytest.warns(UserWarning, match="rounds") as caught:
        run(lambda x: x, SparkTrials(parallelism=4), algo=tpe.suggest, max_evals=6)
    assert "parallelism" in str(caught[0].message)


def test_max_queue_len_is_accepted_and_does_not_throttle(spark_local, tmp_path):
    run(lambda x: in_and_out(tmp_path / "log", x), SparkTrials(), max_queue_len=1, max_evals=10)
    assert overlap(tmp_path / "log") == 2


# --------------------------------------------------------------------- stopping


def quick_then_slow(x):
    if x > 0:
        time.sleep(600)
    return x


@pytest.mark.spark35
def test_timeout_cancels_what_runs_and_keeps_what_arrived(spark_local):
    run(lambda x: x, SparkTrials())
    trials = SparkTrials(timeout=6)  # far beyond what the quick ones need
    start = time.monotonic()
    points = [{"x": -1.0}, {"x": -2.0}, {"x": 1.0}, {"x": 2.0}]
    best = run(quick_then_slow, trials, points_to_evaluate=points, max_evals=1)
    assert time.monotonic() - start < 60
    assert best == {"x": -2.0}
    assert states(trials)[:4] == [TrialState.OK] * 2 + [TrialState.CANCELLED] * 2
    assert trials.fmin_cancelled_reason == "fmin run timeout"
    assert trials.count_cancelled_trials() == len(trials.history) - 2
    assert len(trials) == 2


def test_a_run_that_timed_out_goes_on(spark_local):
    trials = SparkTrials(timeout=1)
    run(lambda x: time.sleep(300), trials, return_argmin=False)
    assert set(states(trials)) == {TrialState.CANCELLED}
    trials.timeout = None
    run(lambda x: x, trials, max_evals=5, rstate=None)
    assert states(trials).count(TrialState.OK) == 5
    assert trials.fmin_cancelled_reason is None


def test_of_two_limits_the_one_that_ends_it_first_holds(spark_local):
    trials = SparkTrials(timeout=600, loss_threshold=1e9)
    run(lambda x: x, trials, timeout=500, loss_threshold=-1e9, max_evals=50)
    assert 1 <= trials.count_successful_trials() < 50
    assert trials.fmin_cancelled_reason == "loss threshold reached"


def test_loss_threshold_of_fmin(spark_local):
    trials = SparkTrials()
    run(lambda x: x, trials, loss_threshold=1e9, max_evals=50)
    assert trials.count_successful_trials() < 50


def test_early_stop(spark_local):
    calls = []

    def stop(view, n=0):
        calls.append(n)
        assert all(d["state"] == 2 for d in view.trials)
        assert isinstance(view.trials[-1]["result"]["loss"], float)
        return n >= 4, [n + 1]

    trials = SparkTrials()
    run(lambda x: x, trials, early_stop_fn=stop, max_evals=200)
    assert calls == [0, 1, 2, 3, 4]
    assert trials.fmin_cancelled_reason == "early stopping condition"
    assert trials.count_successful_trials() < 200


class Broken:
    """Raises at its n-th use, as a progress callback, early_stop_fn or algorithm."""

    adaptive = True
    postfix = None

    def __init__(self, at):
        self.left = at

    def count(self):
        self.left -= 1
        if self.left == 0:
            raise LookupError("broken")

    def __call__(self, *args, **keywords):
        self.count()
        return self if keywords else (False, [])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def update(self, n):
        self.count()

    def suggest(self, space, history, n, ctx):
        self.count()
        return [{"x": -float(i)} for i in ctx.ids]


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("who", ["early_stop_fn", "show_progressbar", "algo"])
def test_an_error_of_the_users_driver_code_ends_fmin_with_it(spark_local, who, at):
    trials = SparkTrials()
    points = [{"x": -float(i)} for i in range(5)]
    with pytest.raises(LookupError, match="broken"):
        run(
            quick_then_slow,
            trials,
            points_to_evaluate=None if who == "algo" else points,
            max_evals=8,
            verbose=True,  # else there is no progress bar
            **{who: Broken(at)},
        )
    assert all(state.terminal for state in states(trials))
    run(lambda x: x, trials, max_evals=14)
    assert trials.count_successful_trials() == 14


def test_a_success_that_arrived_outranks_cancellation(context, tmp_path):
    dispatcher = SparkDispatcher(ClassicBackend(context), channel=False)
    space = compile_space(X)

    def objective(x):
        (tmp_path / str(x)).touch()
        return x

    dispatcher.open(Task(objective=objective, space=space))
    try:
        trials = [
            Trial(id=i, state=TrialState.RUNNING, point={"x": float(i)}, attempt=1)
            for i in range(2)
        ]
        dispatcher.submit(trials)
        deadline = time.monotonic() + PATIENCE
        while len(list(tmp_path.iterdir())) < 2 or context.statusTracker().getActiveJobsIds():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        dispatcher.cancel([0, 1])
        events = []
        while len(events) < 2 and time.monotonic() < deadline:
            events += dispatcher.events(1)
    finally:
        dispatcher.close()
    assert {e.outcome.loss for e in events if isinstance(e, Finished)} == {0.0, 1.0}


# --------------------------------------------------------------------- objectives that raise


def raises_when_negative(x):
    if x < 0:
        raise ValueError(f"negative: {x}")
    return x


@pytest.mark.parametrize("catch", [None, True])
def test_an_objective_may_raise(spark_local, catch):
    trials = SparkTrials()
    best = run(raises_when_negative, trials, catch_eval_exceptions=catch, max_evals=20)
    assert best["x"] >= 0
    failed = [t for t in trials.history if t.state is TrialState.FAILED]
    assert failed
    assert trials.count_failed_trials() == len(failed)
    assert len(trials.history) == 20
    failure = failed[0].failure
    assert failure.type == "ValueError"
    assert "negative" in failure.message
    assert "in raises_when_negative" in failure.traceback
    assert failed[0].attempt == 1


def test_unless_exceptions_are_not_to_be_caught(spark_local):
    trials = SparkTrials()
    with pytest.raises(TrialFailed) as caught:
        run(raises_when_negative, trials, catch_eval_exceptions=False, max_evals=200)
    assert "in raises_when_negative" in str(caught.value)
    assert "ValueError" in str(caught.value)
    assert len(trials.history) < 200
    assert all(state.terminal for state in states(trials))


def test_when_all_failed_the_first_traceback_is_quoted(spark_local):
    def the_objective(x):
        return {}["nothing there"]

    with pytest.raises(AllTrialsFailed) as caught:
        run(the_objective, SparkTrials())
    assert "KeyError" in str(caught.value)
    assert "in the_objective" in str(caught.value)


def test_the_first_failure_is_shown_at_once(spark_local, capsys, tmp_path):
    def objective(x):
        if x == 0.0:
            raise ValueError("boom")
        wait_for(tmp_path / "seen")
        return x

    def stop(view, *_):
        return False, []

    class Bar(Broken):
        def update(self, n):
            if "boom" in capsys.readouterr().err:
                (tmp_path / "seen").touch()

    run(
        objective,
        SparkTrials(),
        points_to_evaluate=[{"x": 0.0}],
        max_evals=2,
        verbose=True,
        show_progressbar=Bar(-1),
    )
    assert (tmp_path / "seen").exists()


# --------------------------------------------------------------------- Spark's own things


@pytest.mark.spark35
def test_objectives_close_over_broadcasts(context):
    first, second = context.broadcast(np.arange(1000)), context.broadcast({"b": object})
    third = context.broadcast(["constant"])

    def objective(p):
        assert second.value["b"] is object
        assert p["data"].value is p["again"][0].value
        return {
            "loss": float(first.value[p["n"]]),
            "status": STATUS_OK,
            "constant": p["data"].value,
        }

    space = {"n": hp.randint("n", 1000), "data": third, "again": [third]}
    trials = SparkTrials()
    run(objective, trials, space, max_evals=60)
    assert trials.losses() == [float(n) for n in trials.vals["n"]]
    assert trials.results[7]["constant"] == ["constant"]
    # They are the user's, and still there.
    assert context.parallelize([5], 1).map(lambda i: int(first.value[i])).collect() == [5]


def test_a_second_study_closes_over_other_broadcasts(context):
    for number in range(3):
        mine = context.broadcast(number)
        trials = SparkTrials()
        run(lambda x, mine=mine: mine.value, trials, max_evals=3)
        assert trials.losses() == [float(number)] * 3
        mine.destroy()


def test_the_callers_thread_keeps_its_local_properties(context):
    context.setJobGroup("mine", "my description", interruptOnCancel=True)
    context.setLocalProperty("spark.scheduler.pool", "pool")
    context.addJobTag("my-tag")
    try:
        run(lambda x: x, SparkTrials(), max_evals=4)
        names = ("spark.jobGroup.id", "spark.job.description", "spark.scheduler.pool")
        found = [context.getLocalProperty(name) for name in names]
        assert found == ["mine", "my description", "pool"]
        assert list(context.getJobTags()) == ["my-tag"]
    finally:
        for name in (*names, "spark.job.interruptOnCancel"):
            context.setLocalProperty(name, None)
        context.clearJobTags()


def test_jobs_are_described_and_belong_to_the_callers_group(context, tmp_path):
    tracker = context.statusTracker()
    seen = []

    def stop(view, *_):
        jobs = tracker.getJobIdsForGroup("my group")
        seen.extend(jobs)
        return False, []

    context.setJobGroup("my group", "d")
    try:
        run(lambda x: x, SparkTrials(exp_key="study 7"), max_evals=4, early_stop_fn=stop)
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
        context.setLocalProperty("spark.job.description", None)
    assert seen
    store = context._jsc.sc().statusStore()
    described = store.job(max(seen)).description().get()
    assert described.startswith("sparktrials study 7: lease ")
    assert ", trials from " in described


def test_other_jobs_of_the_user_are_left_alone(context, tmp_path):
    started, end = tmp_path / "started", tmp_path / "end"
    found = []

    def job(_):
        started.touch()
        wait_for(end)
        return "done"

    def mine():
        context.setJobGroup("mine", "mine")
        found.append(context.parallelize([0], 1).map(job).collect())

    thread = pyspark.InheritableThread(target=mine)
    thread.start()
    try:
        wait_for(started)
        trials = SparkTrials(timeout=1)
        run(lambda x: time.sleep(300), trials, return_argmin=False)
        assert set(states(trials)) == {TrialState.CANCELLED}
    finally:
        end.touch()
        thread.join(PATIENCE)
    assert found == [["done"]]


def test_two_studies_at_once(spark_local):
    results = {}

    def study(number):
        trials = SparkTrials()
        best = run(lambda x: abs(x - number), trials, max_evals=60, rstate=number)
        results[number] = (trials, best)

    threads = [threading.Thread(target=study, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(results) == {1, 2, 3}
    for number, (trials, _) in results.items():
        assert trials.losses() == [abs(x - number) for x in trials.vals["x"]]
        assert len(trials) == 60


def test_one_study_is_not_run_twice_at_once(spark_local, tmp_path):
    trials = SparkTrials()
    errors = []

    def stop(view, *_):
        if not errors:
            with pytest.raises(StoreInUse) as caught:
                run(lambda x: x, trials)
            errors.append(caught.value)
        return False, []

    run(lambda x: x, trials, early_stop_fn=stop)
    assert errors
    assert len(trials) == 8


@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_pickles_keep_the_history(spark_local, pickler):
    trials = SparkTrials(parallelism=2, spark_session=spark_local, max_retries=1)
    run(lambda x: x, trials, max_evals=5)
    copy = pickler.loads(pickler.dumps(trials))
    assert copy.trials == trials.trials
    assert (copy.parallelism, copy.max_retries) == (2, 1)
    run(lambda x: x, copy, max_evals=7, rstate=None)
    assert len(copy) == 7


@pytest.mark.parametrize("session", ["local[2]", 3, object()])
def test_what_is_no_session(spark_local, session):
    with pytest.raises(InvalidArgumentType, match="spark_session"):
        SparkTrials(spark_session=session)


def test_trials_of_sklearn_size_constants_are_shipped_once(spark_local):
    data = np.random.default_rng(0).random(2_000_000)  # 16 MB

    def objective(x):
        return float(data[0]) + x

    start = time.monotonic()
    with pytest.warns(UserWarning, match=r"16 MB of it in variable 'data' of objective"):
        run(objective, SparkTrials(), max_evals=200)
    assert time.monotonic() - start < PATIENCE
