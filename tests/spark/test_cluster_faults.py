"""Faults of a cluster, made for real: what is hit runs again, nothing else does, fmin ends."""

from __future__ import annotations

import pytest

#: Lines that objectives write: the value, and the process of the executor that ran it.
#: Pushing is the rarer way on clusters: `make soak` has it.
BOTH_WAYS = pytest.mark.parametrize(
    "channel",
    [
        pytest.param(True, id="pulling"),
        pytest.param(False, id="pushing", marks=pytest.mark.soak),
    ],
)

PREAMBLE = """
    import os, resource, signal, sys, threading, time
    from collections import Counter
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand
    from sparktrials.errors import StoreUnavailable

    session = SparkSession.builder.getOrCreate()
    context = session.sparkContext
    where, *more = sys.argv[1:]
    log = os.path.join(where, "log")
    open(log, "w").close()
    space, keywords = hp.uniform("x", 0, 1), dict(algo=rand.suggest, verbose=False, rstate=1)

    def parent(pid):
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])

    def note(x):
        executor = parent(os.getppid())  # of the daemon, this worker's parent
        with open(log, "a") as file:
            file.write(f"{x} {executor}\\n")

    def begun():
        with open(log) as file:
            return [(float(x), int(executor)) for x, executor in map(str.split, file)]

    def until(condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            if time.monotonic() > deadline:
                print("never:", what, flush=True)
                os._exit(1)
            time.sleep(0.02)

    def in_the_middle(act):
        def watch():
            try:
                act()
            except BaseException as error:
                print(error, flush=True)
                os._exit(1)
        thread = threading.Thread(target=watch)
        thread.start()
        return thread
"""

LOST = """
    go = os.path.join(where, "go")

    def objective(x):
        note(x)
        until(lambda: os.path.exists(go), "go")
        return x

    hit = []

    def act():
        until(lambda: len(begun()) == 8, "all slots run a trial")
        victim = begun()[0][1]
        hit.extend(x for x, executor in begun() if executor == victim)
        os.kill(victim, signal.SIGKILL)
        # The others run on; what was hit starts again in a new executor.
        until(lambda: len(begun()) == 8 + len(hit), "what was hit runs again")
        open(go, "w").close()

    trials = SparkTrials(channel=CHANNEL)
    until(lambda: trials.parallelism == 8, "slots")
    acting = in_the_middle(act)
    fmin(objective, space, max_evals=8, trials=trials, **keywords)
    acting.join()
    counts = Counter(x for x, _ in begun())
    assert len(hit) == 4, hit
    assert counts == {x: 2 if x in hit else 1 for x in counts}, (counts, hit)
    again = {t.point["x"]: t.attempt for t in trials.history}
    assert again == counts, (again, counts)
    print(trials.count_successful_trials(), trials.count_total_trials())
"""


@BOTH_WAYS
def test_an_executor_that_dies_amid_eight_trials_costs_its_own_only(
    spark_script, tmp_path, channel
):
    done = spark_script(
        PREAMBLE + LOST.replace("CHANNEL", str(channel)),
        tmp_path,
        PYSPARK_SUBMIT_ARGS="--master local-cluster[2,4,1024] pyspark-shell",
    )
    assert done.stdout.split() == ["8", "8"]


WORKER = """
    def objective(x):
        note(x)
        time.sleep(0.3)
        return x

    def act():
        until(lambda: len({executor for _, executor in begun()}) == 3, "three executors")
        for pid in map(int, more):
            os.kill(pid, signal.SIGKILL)

    trials = SparkTrials()
    until(lambda: trials.parallelism == 3, "slots")
    acting = in_the_middle(act)
    fmin(objective, space, max_evals=60, trials=trials, **keywords)
    acting.join()
    counts = Counter(x for x, _ in begun())
    assert len(counts) == 60
    assert sum(counts.values()) <= 61, counts
    print(trials.count_successful_trials(), trials.count_total_trials())
"""


def test_a_standalone_worker_that_dies(spark_script, standalone_cluster, tmp_path):
    with standalone_cluster.another_worker() as pids:
        done = spark_script(
            PREAMBLE + WORKER, tmp_path, *pids, master=standalone_cluster.url, timeout=200
        )
    assert done.stdout.split() == ["60", "60"]


MEMORY = """
    def objective(x):
        if x > 1:
            return len(bytes(4 * 2**30))
        return x

    trials = SparkTrials()
    fmin(objective, space, max_evals=6, points_to_evaluate=[{"x": 2.0}], trials=trials, **keywords)
    bad, *others = trials.history
    assert all(t.state.value == "ok" for t in others)
    assert bad.attempt == 1
    print(bad.state.value, bad.failure.type, trials.count_successful_trials())
"""


def test_a_trial_that_exhausts_its_memory_is_one_failed_trial(spark_script, tmp_path):
    done = spark_script(
        PREAMBLE + MEMORY,
        tmp_path,
        PYSPARK_SUBMIT_ARGS="--conf spark.executor.pyspark.memory=2g pyspark-shell",
    )
    assert done.stdout.split() == ["failed", "MemoryError", "6"]


SPECULATION = """
    def objective(x):
        note(x)
        time.sleep(4.0 if x > 1 else 0.1)
        return x

    assert context.getConf().get("spark.speculation") == "true"
    trials = SparkTrials(channel=CHANNEL)
    fmin(objective, space, max_evals=12, points_to_evaluate=[{"x": 2.0}], trials=trials, **keywords)
    counts = Counter(x for x, _ in begun())
    assert set(counts.values()) == {1}, counts
    print(trials.count_successful_trials(), trials.count_total_trials())
"""


@BOTH_WAYS
def test_speculation_runs_no_trial_twice(spark_script, tmp_path, channel):
    conf = {"": "true", ".interval": "50ms", ".multiplier": "1.01", ".quantile": "0.1"}
    conf |= {".minTaskRuntime": "10ms", ".task.duration.threshold": "500ms"}
    arguments = " ".join(f"--conf spark.speculation{name}={value}" for name, value in conf.items())
    done = spark_script(
        PREAMBLE + SPECULATION.replace("CHANNEL", str(channel)),
        tmp_path,
        PYSPARK_SUBMIT_ARGS=f"{arguments} pyspark-shell",
    )
    assert done.stdout.split() == ["13", "13"]


FULL = """
    url = "sqlite:///" + os.path.join(where, "runs.db")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    trials = SparkTrials(store=url)

    def objective(x):
        note(x)
        return {"loss": x, "status": "ok", "bulk": os.urandom(20_000)}

    def filled(trials, *state):
        # From now on no file of this process grows: as on a full disk.
        size = os.path.getsize(os.path.join(where, "runs.db"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return False, state

    try:
        fmin(objective, space, max_evals=60, trials=trials, early_stop_fn=filled, **keywords)
        print("not full")
    except StoreUnavailable as error:
        print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    first = {t.id: t.loss for t in trials.history if t.loss is not None}
    assert first
    fmin(objective, space, max_evals=60, trials=trials, **keywords)
    second = {t.id: t.loss for t in SparkTrials(store=url).history}
    assert first.items() <= second.items(), (first, second)
    print(trials.count_successful_trials(), len(second))
"""


def test_a_full_disk_under_the_store(spark_script, tmp_path):
    done = spark_script(PREAMBLE + FULL, tmp_path, conf="local")
    lines = done.stdout.splitlines()
    assert lines[0] == "refused"
    succeeded, kept = map(int, lines[1].split())
    assert succeeded == 60
    assert kept >= 60  # what was cancelled by the error is kept, too


NOBODY = """
    start = time.monotonic()
    trials = SparkTrials(timeout=5)
    fmin(lambda x: x, space, trials=trials, return_argmin=False, **keywords)
    assert time.monotonic() - start < 100
    print(trials.count_total_trials() - trials.count_cancelled_trials(),
          trials.fmin_cancelled_reason)
"""


def test_where_no_executor_ever_comes_the_timeout_holds(spark_script, standalone_cluster, tmp_path):
    done = spark_script(
        PREAMBLE + NOBODY,
        tmp_path,
        master=standalone_cluster.url,
        PYSPARK_SUBMIT_ARGS="--conf spark.executor.memory=900g pyspark-shell",
    )
    assert done.stdout.strip() == "0 fmin run timeout"
