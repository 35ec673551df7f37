"""What thousands of workers cost the driver: suggestion and bookkeeping on a simulated cluster.

    python benchmarks/simulate.py                     # the row that is required: about 10 minutes
    python benchmarks/simulate.py --workers 512 --trials 5000 --space tree --durations exponential

Prints CPU per trial (median, 95th percentile, of the first turn, in all), the longest turn of the
driver, the largest resident set, and the utilisation of the workers when simulated time passes
while the driver works. One thread, no Spark, see `simulator`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import numpy as np  # noqa: E402
from simulator import Durations, run_study  # noqa: E402

import sparktrials as st  # noqa: E402
from sparktrials import hp  # noqa: E402
from sparktrials.space import compile_space  # noqa: E402
from sparktrials.store.sqlite import SQLiteStore  # noqa: E402
from sparktrials.study.trial import Trial, TrialState  # noqa: E402
from sparktrials.suggest.algorithm import suggester_of  # noqa: E402

#: Upper limits that the project set itself for 10,000 workers and 100,000 trials.
REQUIRED_MS = 5.0
REQUIRED_MIB = 2048.0


def flat(d: int) -> dict[str, Any]:
    """Per five parameters two uniform, one loguniform, one integer, one choice of 4."""
    make = [
        lambda label: hp.uniform(label, -5, 5),
        lambda label: hp.uniform(label, -5, 5),
        lambda label: hp.loguniform(label, -9, 0),
        lambda label: hp.randint(label, 1, 101),
        lambda label: hp.choice(label, [0, 1, 2, 3]),
    ]
    return {f"p{i}": make[i % 5](f"p{i}") for i in range(d)}


def tree() -> Any:
    """Four kinds of models with parameters of their own, as in tuning scikit-learn."""
    return hp.choice(
        "model",
        [
            {
                "C": hp.loguniform("svm_C", -5, 5),
                "gamma": hp.loguniform("svm_gamma", -8, 2),
                "kernel": hp.choice("kernel", [0, {"degree": hp.randint("degree", 2, 6)}, 2]),
            },
            {
                "depth": hp.randint("rf_depth", 2, 30),
                "trees": hp.qloguniform("rf_trees", 2, 6, 1),
                "features": hp.uniform("rf_features", 0.1, 1),
                "leaf": hp.randint("rf_leaf", 1, 20),
            },
            {"k": hp.randint("knn_k", 1, 30), "p": hp.uniform("knn_p", 1, 3)},
            {"alpha": hp.loguniform("lin_alpha", -8, 2), "l1": hp.uniform("lin_l1", 0, 1)},
        ],
    )


def grid() -> dict[str, Any]:
    """Ten parameters with few values each: points can repeat."""
    return {
        f"g{i}": hp.choice(f"g{i}", list(range(4))) if i % 2 else hp.quniform(f"g{i}", 0, 9, 1)
        for i in range(10)
    }


SPACES = {
    "flat": lambda: flat(10),
    "flat50": lambda: flat(50),
    "line": lambda: hp.uniform("x", -5, 5),
    "tree": tree,
    "grid": grid,
}


def loss_of(value: Any) -> float:
    """Return a loss for what any of the spaces builds: a bowl with ripples, cheap to compute."""
    total = 0.0
    stack = [value]
    depth = 0
    while stack:
        v = stack.pop()
        if isinstance(v, dict):
            stack.extend(v.values())
            continue
        depth += 1
        x = float(v) - 1.0 / depth
        total += x * x + 0.3 * float(np.sin(7 * x))
    return total


def earlier(space: Any, n: int) -> list[Trial]:
    """Return `n` finished trials at random points, to see what a long history costs."""
    from sparktrials.space.codec import Codec

    codec = Codec.of(space)
    points = codec.decode(codec.from_unit(np.random.default_rng(0).random((n, len(codec)))))
    return [
        Trial(id=i, state=TrialState.OK, point=p, loss=loss_of(space.build(p)), attempt=1)
        for i, p in enumerate(points)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=100_000, help="the earlier ones on top")
    parser.add_argument("--earlier", type=int, default=0, help="trials known before the start")
    parser.add_argument("--durations", default="lognormal:60:0.3", help="kind:scale[:spread]")
    parser.add_argument("--space", choices=SPACES, default="flat")
    parser.add_argument("--algo", choices=("tpe", "rand", "anneal"), default="tpe")
    parser.add_argument("--store", choices=("memory", "sqlite"), default="memory")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-charge", action="store_true", help="the driver takes no time")
    parser.add_argument("--profile", metavar="FILE", help="write a cProfile of the run")
    options = parser.parse_args()
    space = compile_space(SPACES[options.space]())
    known = earlier(space, options.earlier)
    suggester = suggester_of(getattr(st, options.algo).suggest)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = None
        if options.store == "sqlite":
            store = SQLiteStore(Path(folder) / "simulated.db")
        profiler = None
        if options.profile:
            import cProfile

            profiler = cProfile.Profile()
            profiler.enable()
        result = run_study(
            space,
            loss_of,
            suggester,
            options.workers,
            options.trials + options.earlier,
            Durations.parsed(options.durations, options.seed),
            seed=options.seed,
            store=store,
            known=known,
            charge=not options.no_charge,
        )
        if profiler is not None:
            profiler.disable()
            profiler.dump_stats(options.profile)
        if store is not None:
            store.close()
    ms = result.per_trial_ms()
    first = result.cycles[0]
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores, "
        f"1 thread, load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"{options.workers:,} workers, {options.trials:,} trials after {options.earlier:,}, "
        f"{options.durations}, space {options.space}, {options.algo}, store {options.store}"
    )
    rows = [
        ("CPU per trial, median", np.median(ms), "ms", REQUIRED_MS),
        ("CPU per trial, 95th percentile", np.quantile(ms, 0.95), "ms", None),
        ("CPU per trial, mean", ms.mean(), "ms", None),
        ("CPU per trial of the first turn", 1e3 * first[1] / options.workers, "ms", None),
        ("longest turn, without the first", 1e3 * max(c for _, c in result.cycles[1:]), "ms", None),
        ("CPU in all", result.driver_s, "s", None),
        ("largest resident set", result.peak_rss_mib, "MiB", REQUIRED_MIB),
        ("utilisation of the workers", 100 * result.utilisation, "%", None),
        ("simulated", result.seconds, "s", None),
        ("this took", time.perf_counter() - start, "s", None),
    ]
    for name, value, unit, required in rows:
        limit = "" if required is None else f"  (required: <= {required:g})"
        print(f"  {name:34}{value:12,.2f} {unit}{limit}")


if __name__ == "__main__":
    main()
