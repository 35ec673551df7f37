"""How fast trials go out and come back: ours beside Hyperopt's SparkTrials, on the same Spark.

Run with ``make bench``, or::

    python benchmarks/dispatch.py --peers path/to/python-with-hyperopt [--quick] [--only NAME]

Each scenario runs in a process of its own, after a warm-up study that has touched every slot; ours
and the peer's take turns, and medians are printed with their ratio. A peer gets fewer trials where
it would take an hour; trials per second and utilisation don't depend on their number.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

#: name → (master, objective, algorithm, trials, store, seconds per trial, peer's trials, rule)
SCENARIOS: dict[str, dict[str, Any]] = {
    "1 s sleep, 8 slots": {
        "master": "local[8]",
        "sleep": 1.0,
        "algo": "rand",
        "trials": 160,
        "peer_trials": 24,
        "unit": "utilisation",
        "required": 0.93,
    },
    "no-op, local[2], random": {
        "master": "local[2]",
        "algo": "rand",
        "trials": 2000,
        "peer_trials": 12,
        "unit": "trials/s",
        "required": 1000,
    },
    "no-op, local[2], random, SQLite": {
        "master": "local[2]",
        "algo": "rand",
        "trials": 2000,
        "peer_trials": 12,
        "store": True,
        "unit": "trials/s",
        "required": 500,
    },
    "no-op, local-cluster, TPE": {
        "master": "local-cluster[2,1,1024]",
        "algo": "tpe",
        "trials": 1000,
        "peer_trials": 12,
        "unit": "trials/s",
        "required": 150,
    },
}


def no_op(x: float) -> float:
    """Return at once."""
    return (x - 1.0) ** 2


def nap(x: float) -> float:
    """Take a second."""
    time.sleep(1.0)
    return (x - 1.0) ** 2


def measure(system: str, scenario: dict[str, Any], repeats: int) -> list[float]:
    """Run one scenario in this process and return its figures."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master(scenario["master"]).appName("dispatch").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    slots = 8 if scenario["master"] == "local[8]" else 2
    sleeping = "sleep" in scenario
    objective = nap if sleeping else no_op
    trials = scenario["trials" if system == "sparktrials" else "peer_trials"]
    run = _ours if system == "sparktrials" else _peer
    run(scenario, no_op, 8 * slots if system == "sparktrials" else slots, slots, "warm-up")
    if system == "sparktrials":  # until the JVM is warm, too
        run(scenario, no_op, 400, slots, "warm-up, long")
    figures = []
    for repeat in range(repeats):
        start = time.perf_counter()
        run(scenario, objective, trials, slots, f"repeat {repeat}")
        wall = time.perf_counter() - start
        figures.append(trials * 1.0 / slots / wall if sleeping else trials / wall)
    spark.stop()
    return figures


def _ours(scenario: dict[str, Any], objective: Any, n: int, slots: int, name: str) -> None:
    import sparktrials as st

    store = None
    if scenario.get("store"):
        folder = Path(os.environ["BENCH_FOLDER"])
        store = f"sqlite:///{folder / 'dispatch.db'}"
    algo = st.rand.suggest if scenario["algo"] == "rand" else st.tpe.suggest
    trials = st.SparkTrials(slots, store=store, exp_key=name if store else None)
    st.fmin(objective, st.hp.uniform("x", -5, 5), algo=algo, max_evals=n, trials=trials,
            rstate=1, verbose=False)  # fmt: skip
    if trials.count_successful_trials() != n:
        sys.exit(f"{name}: {trials.count_successful_trials()} of {n} trials succeeded")


def _peer(scenario: dict[str, Any], objective: Any, n: int, slots: int, name: str) -> None:
    import hyperopt
    import numpy as np

    algo = hyperopt.rand.suggest if scenario["algo"] == "rand" else hyperopt.tpe.suggest
    trials = hyperopt.SparkTrials(slots)
    hyperopt.fmin(objective, hyperopt.hp.uniform("x", -5, 5), algo=algo, max_evals=n,
                  trials=trials, max_queue_len=slots, rstate=np.random.default_rng(1),
                  verbose=False)  # fmt: skip
    done = sum(t["result"].get("status") == "ok" for t in trials.trials)
    if done != n:
        sys.exit(f"{name}: {done} of {n} trials succeeded")


def _in_process(system: str, python: str, name: str, repeats: int) -> list[float] | str:
    """Run one scenario in a new process; return its figures, or why there are none."""
    import tempfile

    master = SCENARIOS[name]["master"]
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "BENCH_FOLDER": folder,
            "SPARK_CONF_DIR": str(
                ROOT / "conf" / ("local-cluster" if "cluster" in master else "local")
            ),
            "PYSPARK_PYTHON": python,
            "PYTHONWARNINGS": "ignore",
        }
        if "cluster" in master:
            env.update(_spark_home(python))
        command = [python, __file__, "--measure", system, "--only", name, "--repeats", str(repeats)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith("FIGURES "):
            figures: list[float] = json.loads(line.removeprefix("FIGURES "))
            return figures
    return (done.stderr.strip().splitlines() or ["no output"])[-1]


def _spark_home(python: str) -> dict[str, str]:
    """Return what local-cluster needs to find Spark inside the pyspark package."""
    code = "import pyspark, pathlib; print(pathlib.Path(pyspark.__file__).parent)"
    home = subprocess.run(
        [python, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    path = home.stdout.strip().splitlines()[-1]
    return {"SPARK_HOME": path, "SPARK_SCALA_VERSION": "2.13"}


def _versions(python: str) -> str:
    code = (
        "import importlib.metadata as m, platform, sys\n"
        "def v(n):\n"
        "    try: return n + ' ' + m.version(n)\n"
        "    except m.PackageNotFoundError: return n + ' missing'\n"
        "print('Python', platform.python_version(), *map(v, sys.argv[1:]), sep=', ')"
    )
    names = ["sparktrials", "hyperopt", "pyspark", "numpy"]
    out = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=False)
    return out.stdout.strip()


def main() -> None:
    """Run all scenarios, or measure one for the parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=os.environ.get("SPARKTRIALS_PEERS", ""),
                        help="a Python that has hyperopt and the same pyspark")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one run of each instead of three")
    parser.add_argument("--only", help="run one scenario")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    repeats = options.repeats or (1 if options.quick else 3)
    if options.measure:
        print("FIGURES " + json.dumps(measure(options.measure, SCENARIOS[options.only], repeats)))
        return
    print("ours: ", _versions(sys.executable))
    if options.peers and not options.no_peer:
        print("peer: ", _versions(options.peers))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {repeats}\n")
    print(f"{'scenario':34} {'unit':12} {'ours':>9} {'required':>9} {'Hyperopt':>9} {'ratio':>8}")
    short = False
    for name, scenario in SCENARIOS.items():
        if options.only and options.only != name:
            continue
        ours = _in_process("sparktrials", sys.executable, name, repeats)
        peer: list[float] | str = "not asked for"
        if options.peers and not options.no_peer:
            peer = _in_process("hyperopt", options.peers, name, 1)
        mine = statistics.median(ours) if isinstance(ours, list) else math.nan
        theirs = statistics.median(peer) if isinstance(peer, list) else math.nan
        print(f"{name:34} {scenario['unit']:12} {mine:9.3g} {scenario['required']:9.3g} "
              f"{theirs:9.3g} {mine / theirs:7.1f}x")  # fmt: skip
        for figures in (ours, peer):
            if isinstance(figures, str) and figures != "not asked for":
                print(f"    no figure: {figures}")
        short |= not mine >= scenario["required"]
    if short:
        print("\nbelow what is required (a busy machine does that, too)")


if __name__ == "__main__":
    main()
