"""The rows of ``dispatch.py``: what each measures, on which Spark, and what is required of it.

A row's `measure` runs in a process of its own, after a warm-up, and returns its figure; what it
cannot measure here raises `Skip`.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator import Durations

__all__ = ["ROWS", "Row", "Skip", "ideal_seconds"]


class Skip(Exception):
    """Why a row cannot be measured here."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name
        What ``--rows`` takes.
    title, unit
        For people.
    master
        What Spark it needs, ``connect:`` and a master for a Connect server of its own.
    slots
        How many trials it runs at once.
    trials, small
        How many in all, and with ``--small``.
    measure
        ``measure(row, trials) -> figure``.
    required, least
        The limit, and whether the figure must be at least or at most that; None: for comparison.
    peers
        Peer -> how many trials it gets: some would take an hour.
    options
        For `measure`.
    """

    name: str
    title: str
    unit: str
    master: str
    slots: int
    trials: int
    small: int
    measure: Callable[[Row, int], float]
    required: float | None = None
    least: bool = True
    peers: tuple[tuple[str, int], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def option(self, name: str, default: Any = None) -> Any:
        """Return one of the options."""
        return dict(self.options).get(name, default)

    def met(self, figure: float) -> bool:
        """Whether a figure is as required."""
        if self.required is None:
            return True
        return figure >= self.required if self.least else figure <= self.required


# --------------------------------------------------------------------------- sessions


def session(row: Row) -> Any:
    """Return the row's Spark session."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("dispatch")
    if row.master.startswith("connect:"):
        try:
            return builder.remote(row.master.removeprefix("connect:")).getOrCreate()
        except ImportError as error:
            msg = f"Spark Connect is not installed: {error}"
            raise Skip(msg) from error
    spark = builder.master(row.master).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def run(row: Row, objective: Callable[..., float], trials: int, name: str, **keywords: Any) -> Any:
    """Run one study as the row wants it and return its trials."""
    import sparktrials as st

    store = None
    if row.option("store"):
        store = f"sqlite:///{Path(os.environ['BENCH_FOLDER']) / 'dispatch.db'}"
    more = {"channel": False} if row.option("channel") is False else {}
    try:
        kept = st.SparkTrials(
            row.slots, store=store, exp_key=name if store else None, **more, **keywords
        )
    except st.errors.SparkTrialsError as error:
        if row.master.startswith("connect:"):
            msg = f"sessions of Spark Connect are not supported: {error}"
            raise Skip(msg.splitlines()[0]) from error
        raise
    algo = st.rand.suggest if row.option("algo") == "rand" else st.tpe.suggest
    st.fmin(objective, st.hp.uniform("x", -5, 5), algo=algo, max_evals=trials, trials=kept,
            rstate=1, verbose=False)  # fmt: skip
    if kept.count_successful_trials() != trials:
        sys.exit(f"{name}: {kept.count_successful_trials()} of {trials} trials succeeded")
    return kept


def warm_up(row: Row) -> None:
    """Touch every slot, and go on until the JVM is warm, too: to start tasks, and to run them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of as many trials as slots nothing is learnt: right
        for k in range(12):  # trials that end at once could all run in one slot
            run(row, doze, row.slots, f"warm-up {k}")
    run(row, no_op, 400, "warm-up, long")


# --------------------------------------------------------------------------- objectives


def no_op(x: float) -> float:
    """Return at once."""
    return (x - 1.0) ** 2


def doze(x: float) -> float:
    """Take so long that all slots get a trial."""
    time.sleep(0.4)
    return x


def nap(x: float) -> float:
    """Take a second."""
    time.sleep(1.0)
    return (x - 1.0) ** 2


#: Of mixed trials: log-normal, median 1 s, sigma 1, by the trial's number.
MIXED = Durations("lognormal", 1.0, 1.0, seed=5)


def ideal_seconds(durations: Sequence[float], slots: int) -> float:
    """Return how long trials take that start in order, each as soon as a slot is free."""
    ends = [0.0] * slots
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


# --------------------------------------------------------------------------- measures


def utilisation(row: Row, trials: int) -> float:
    """Return the part of the slots' time that 1 s trials filled."""
    session(row)
    warm_up(row)
    start = time.perf_counter()
    run(row, nap, trials, "naps")
    return trials * 1.0 / row.slots / (time.perf_counter() - start)


def against_ideal(row: Row, trials: int) -> float:
    """Return the utilisation with mixed durations, by that of an ideal greedy scheduler."""
    session(row)
    warm_up(row)
    durations = MIXED.many(trials).tolist()

    def mixed(x: float) -> float:
        import sparktrials

        time.sleep(durations[sparktrials.current_trial().id])
        return (x - 1.0) ** 2

    start = time.perf_counter()
    run(row, mixed, trials, "mixed")
    wall = time.perf_counter() - start
    return ideal_seconds(durations, row.slots) / wall


def throughput(row: Row, trials: int) -> float:
    """Return no-op trials per second."""
    session(row)
    warm_up(row)
    start = time.perf_counter()
    run(row, no_op, trials, "no-ops")
    return trials / (time.perf_counter() - start)


#: A driver that is interrupted: it says when its trials run, when it has its prompt again, and when
#: all slots have taken another task.
_INTERRUPTED = """
import pathlib, sys, time
sys.path.insert(0, {here!r})
import dispatch_rows as rows
import sparktrials as st

folder = pathlib.Path({folder!r})
row = next(r for r in rows.ROWS if r.name == {name!r})
spark = rows.session(row)
rows.run(row, rows.no_op, 8 * row.slots, "warm-up")

def sleeper(x):
    import sparktrials
    (folder / str(sparktrials.current_trial().id)).touch()
    time.sleep(300)
    return x

trials = st.SparkTrials(row.slots, channel=row.option("channel"))
try:
    st.fmin(sleeper, st.hp.uniform("x", 0, 1), algo=st.rand.suggest, max_evals=row.slots,
            trials=trials, rstate=1, verbose=False)
except KeyboardInterrupt:
    pass
print("PROMPT", time.time(), flush=True)
if row.option("until") == "PROMPT":
    sys.exit()

def started(_):
    now = time.time()
    time.sleep(4.0)
    return now

n = row.slots
print("FREE", max(spark.sparkContext.parallelize(range(n), n).map(started).collect()), flush=True)
"""


def interrupt(row: Row, trials: int) -> float:
    """Return seconds from an interrupt to the prompt, or until all slots are free."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as out:
        code = _INTERRUPTED.format(
            here=str(Path(__file__).resolve().parent), folder=folder, name=row.name
        )
        driver = subprocess.Popen([sys.executable, "-c", code], stdout=out, text=True)
        with ended(driver):
            await_(lambda: len(list(Path(folder).iterdir())) == trials, 600, driver)
            time.sleep(1.0)
            at = time.time()
            driver.send_signal(signal.SIGINT)
            driver.wait(timeout=120)
        out.seek(0)
        said = dict(line.split() for line in out if line.startswith(("PROMPT", "FREE")))
    return float(said[row.option("until")]) - at


@dataclass(frozen=True)
class Span:
    """When a trial ran, and in which executor; `end` is None while it runs."""

    trial: int
    attempt: int
    executor: int
    start: float
    end: float | None = None

    @classmethod
    def all(cls, folder: Path) -> list[Span]:
        """Return what the trials of `executor_killed` have noted."""
        found = []
        for file in folder.glob("*-*"):
            trial, attempt = map(int, file.name.split("-"))
            words = file.read_text().split()
            if words:  # it is being written
                executor, start, *end = words
                last = float(end[0]) if end else None
                found.append(cls(trial, attempt, int(executor), float(start), last))
        return found


def executor_killed(row: Row, trials: int) -> float:
    """Return seconds from when Spark has its slots again to when trials fill them all."""
    import sparktrials as st

    spark = session(row)
    warm_up(row)
    folder = Path(tempfile.mkdtemp(dir=os.environ["BENCH_FOLDER"]))
    notes = str(folder)

    def noted(x: float) -> float:
        import os
        import pathlib
        import time

        import sparktrials

        me = sparktrials.current_trial()
        # This process is a child of Spark's daemon, which is the executor's.
        executor = pathlib.Path(f"/proc/{os.getppid()}/stat").read_text().rsplit(")")[1].split()[1]
        file = pathlib.Path(notes, f"{me.id}-{me.attempt}")
        start = time.time()
        file.write_text(f"{executor} {start}")
        time.sleep(3.0)
        file.write_text(f"{executor} {start} {time.time()}")
        return x

    hit: set[int] = set()
    back: list[float] = []

    def kill() -> None:
        await_(lambda: sum(s.end is None for s in Span.all(folder)) == row.slots, 240)
        time.sleep(0.5)
        running = [s for s in Span.all(folder) if s.end is None]
        victim = running[0].executor
        hit.update(s.trial for s in running if s.executor == victim)
        tracker = spark.sparkContext._jsc.sc().statusTracker()  # noqa: SLF001 - Python has none
        before = len(tracker.getExecutorInfos())
        os.kill(victim, signal.SIGKILL)
        await_(lambda: len(tracker.getExecutorInfos()) < before, 60)
        await_(lambda: len(tracker.getExecutorInfos()) == before, 240)
        back.append(time.time())
        time.sleep(15.0)  # so long may it take until the slots are all in use

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    kept = st.SparkTrials(row.slots)
    st.fmin(
        noted,
        st.hp.uniform("x", 0, 1),
        algo=st.tpe.suggest,
        max_evals=trials,
        trials=kept,
        early_stop_fn=lambda _: (not killer.is_alive(), []),
        rstate=1,
        verbose=False,
    )
    if not back:
        sys.exit("the executor did not come back in time")
    repeated = {t.id for t in kept.history if t.attempt > 1}
    if repeated != hit or len(hit) != row.slots // 2:
        sys.exit(f"lost with the executor: {sorted(hit)}; run again: {sorted(repeated)}")
    ran = [(s.start, s.end) for s in Span.all(folder) if s.end is not None]
    for start in sorted(start for start, _ in ran if start >= back[0]):
        if sum(begin <= start < end for begin, end in ran) == row.slots:
            return start - back[0]
    sys.exit("the slots were not all in use again within 15 s")


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def await_(condition: Callable[[], bool], seconds: float, process: Any = None) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            sys.exit("what was waited for did not happen")
        time.sleep(0.05)


#: Trials that Hyperopt and MLflow get where they take seconds for each.
_FEW = 24

ROWS: tuple[Row, ...] = (
    Row("pull", "1 s trials, 8 slots, TPE, pulled", "utilisation", "local[8]", 8, 160, 24,
        utilisation, 0.98, peers=(("hyperopt", _FEW), ("mlflow", 160), ("joblibspark", 160))),
    Row("push", "the same, without the channel", "utilisation", "local[8]", 8, 160, 24,
        utilisation, options=(("channel", False),)),
    Row("mixed", "mixed durations, 8 slots, TPE", "of ideal", "local[8]", 8, 200, 24,
        against_ideal, 0.97, peers=(("mlflow", 200), ("joblibspark", 200))),
    Row("noop", "no-op, local[2], random", "trials/s", "local[2]", 2, 2000, 200,
        throughput, 1000, options=(("algo", "rand"),),
        peers=(("hyperopt", 12), ("mlflow", 100), ("joblibspark", 200))),
    Row("noop-sqlite", "no-op, local[2], random, SQLite", "trials/s", "local[2]", 2, 2000, 200,
        throughput, 500, options=(("algo", "rand"), ("store", True)), peers=(("hyperopt", 12),)),
    Row("noop-cluster", "no-op, local-cluster, TPE", "trials/s", "local-cluster[2,1,1024]", 2,
        1000, 200, throughput, 150, peers=(("hyperopt", 12),)),
    Row("connect", "Connect, 1 s trials, 4 slots, TPE", "utilisation", "connect:local[4]", 4, 80,
        16, utilisation, 0.90, peers=(("mlflow", 80), ("joblibspark", 80))),
    Row("connect-noop", "Connect, no-op, 4 slots, random", "trials/s", "connect:local[4]", 4,
        2000, 200, throughput, 200, options=(("algo", "rand"),),
        peers=(("mlflow", 100), ("joblibspark", 100))),
    Row("prompt", "interrupt to prompt, 8 trials of 300 s", "s", "local[8]", 8, 8, 8,
        interrupt, 2.0, least=False, options=(("until", "PROMPT"),)),
    Row("prompt-push", "the same, trials pushed", "s", "local[8]", 8, 8, 8,
        interrupt, 2.0, least=False, options=(("until", "PROMPT"), ("channel", False))),
    Row("prompt-connect", "the same on Connect, 4 trials", "s", "connect:local[4]", 4, 4, 4,
        interrupt, 2.0, least=False, options=(("until", "PROMPT"), ("channel", False))),
    Row("free", "interrupt to slots free, the same", "s", "local[8]", 8, 8, 8,
        interrupt, 5.0, least=False, options=(("until", "FREE"),)),
    Row("executor", "executor killed: slots to full use", "s", "local-cluster[2,4,1024]", 8, 800,
        800, executor_killed, 10.0, least=False),
)  # fmt: skip
