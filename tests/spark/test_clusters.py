"""Clusters that grow and shrink, and applications that do more than one thing at a time."""

from __future__ import annotations

import pytest

#: Pushing is the rarer way on clusters: `make soak` has it.
BOTH_WAYS = pytest.mark.parametrize(
    "channel",
    [
        pytest.param(True, id="pulling"),
        pytest.param(False, id="pushing", marks=pytest.mark.soak),
    ],
)

DYNAMIC = """
    import os, sys, threading, time, urllib.request, json
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand

    web, go = sys.argv[1:]
    context = SparkSession.builder.getOrCreate().sparkContext

    def cores():
        with urllib.request.urlopen(web + "/json/", timeout=5) as response:
            return json.load(response)["coresused"]

    def until(condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            if time.monotonic() > deadline:
                print("never:", what, flush=True)
                os._exit(1)
            time.sleep(0.1)

    def objective(x):
        # The executor: its daemon is this worker's parent.
        if x < 0:
            while not os.path.exists(go):  # one long trial, last
                time.sleep(0.05)
        else:
            time.sleep(0.3)
        return {"loss": x, "status": "ok", "executor": os.getppid()}

    until(lambda: cores() == 0, "no executor at first")
    trials = SparkTrials(channel=CHANNEL)
    seen = []

    def watch():
        until(lambda: trials.parallelism == 3, "parallelism follows")
        seen.append("grown")
        until(lambda: len([t for t in trials.history if t.state.terminal]) >= 60, "short ones end")
        until(lambda: cores() == 1, "an executor that idles is given back while a trial runs")
        seen.append("shrunk")
        open(go, "w").close()

    watching = threading.Thread(target=watch)
    watching.start()
    space = hp.uniform("x", 0, 1)
    keywords = dict(algo=rand.suggest, trials=trials, verbose=False, rstate=1)
    fmin(objective, space, max_evals=60, **keywords)
    fmin(objective, space, points_to_evaluate=[{"x": -1.0}], max_evals=60, **keywords)
    watching.join()
    until(lambda: cores() == 0, "all are given back in the end")
    print(*seen, trials.count_successful_trials(), len({r["executor"] for r in trials.results}))
"""


@BOTH_WAYS
def test_slots_that_appear_are_used_and_those_that_idle_are_given_back(
    spark_script, standalone_cluster, tmp_path, channel
):
    with standalone_cluster.another_worker():  # one more than is counted on before there are any
        done = spark_script(
            DYNAMIC.replace("CHANNEL", str(channel)),
            standalone_cluster.web_url,
            tmp_path / "go",
            master=standalone_cluster.url,
            conf="standalone-dynamic",
            timeout=280,
        )
    assert done.stdout.split() == ["grown", "shrunk", "61", "3"]


SEVERAL = """
    import threading, time
    from pyspark import inheritable_thread_target
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand

    session = SparkSession.builder.getOrCreate()
    context = session.sparkContext
    assert context.getConf().get("spark.scheduler.mode") == "FAIR"
    n, space = 12, hp.uniform("x", 0, 1)
    studies = {name: SparkTrials(exp_key=name) for name in ("one", "two", "short")}
    rows, errors = [], []

    def objective(x):
        time.sleep(0.25)
        return x

    def study(name, **keywords):
        try:
            context.setLocalProperty("spark.scheduler.pool", name)
            fmin(objective, space, algo=rand.suggest, trials=studies[name], verbose=False, rstate=1,
                 **keywords)
        except BaseException as error:
            errors.append(error)

    def other():
        try:
            context.setLocalProperty("spark.scheduler.pool", "other")
            rows.append(context.parallelize(range(8), 8).map(lambda x: x).sum())
        except BaseException as error:
            errors.append(error)

    targets = [
        (study, ("one",), {"max_evals": n}),
        (study, ("two",), {"max_evals": n}),
        (study, ("short",), {"timeout": 4, "return_argmin": False}),
        (other, (), {}),
    ]
    threads = [
        threading.Thread(target=inheritable_thread_target(session)(f), args=a, kwargs=k)
        for f, a, k in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    for name in ("one", "two"):
        trials = studies[name]
        assert trials.count_successful_trials() == n, (name, trials.count_successful_trials())
        assert trials.count_total_trials() == n
        assert trials.tids == list(range(n))
    assert studies["one"].losses() == studies["two"].losses()  # the same seed, undisturbed
    assert studies["short"].fmin_cancelled_reason == "fmin run timeout"
    # Each study's jobs ran in the pool of the thread that called fmin.
    store = context._jsc.sc().statusStore()
    stages = store.stageList(None, False, False, context._gateway.new_array(
        context._jvm.double, 0), None)
    pools = {}
    for i in range(stages.size()):
        stage = stages.apply(i)
        if stage.description().isDefined():
            text = stage.description().get()
            if text.startswith("sparktrials "):
                pools.setdefault(text.split(":")[0].split()[1], set()).add(stage.schedulingPool())
    pools.setdefault("short", {"short"})  # it may not have got a slot in its time
    assert pools == {name: {name} for name in studies}, pools
    print(*rows)
"""


@BOTH_WAYS
def test_several_studies_and_jobs_at_once_in_one_application(spark_script, channel):
    done = spark_script(
        SEVERAL.replace("exp_key=name)", f"exp_key=name, channel={channel})"),
        conf="local-cluster",
        PYSPARK_SUBMIT_ARGS="--conf spark.scheduler.mode=FAIR pyspark-shell",
    )
    assert done.stdout.split() == ["28"]


CROWDED = """
    import os, sys, threading, time
    from pyspark.sql import SparkSession
    from sparktrials import SparkTrials, fmin, hp, rand
    from sparktrials.dispatch import spark_leases

    context = SparkSession.builder.getOrCreate().sparkContext
    spark_leases.LEASE_S = 3600.0
    ended = threading.Event()
    rows = []

    def other():
        rows.append(context.parallelize(range(4), 4).sum())
        ended.set()

    def objective(x):
        time.sleep(0.05)
        return x

    def stop(trials, started=None):
        if started is None:  # the study holds all slots by now
            threading.Thread(target=other).start()
            started = True
        return ended.is_set(), [started]

    trials = SparkTrials()
    fmin(objective, hp.uniform("x", 0, 1), algo=rand.suggest, trials=trials, verbose=False,
         early_stop_fn=stop, timeout=120)
    print(*rows, trials.fmin_cancelled_reason)
"""


def test_another_job_gets_its_turn_while_a_study_holds_all_slots(spark_script):
    done = spark_script(CROWDED, conf="local-cluster")
    assert done.stdout.strip() == "6 early stopping condition"
