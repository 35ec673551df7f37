"""How good a search gets: ours beside Hyperopt's, on Hyperopt's own benchmark domains.

Run with ``make bench``, or::

    python benchmarks/domains.py [--peers path/to/python-with-hyperopt] [--algos tpe,anneal]
                                 [--domains branin,...] [--seeds 20] [--first-seed 0]

For each domain the medians over the seeds of the best loss, at the budget that Hyperopt's own tests
have (200 trials at most) and at half of it, and the p-values of one-sided Mann-Whitney tests that
ours is worse, and better. The verdict of an algorithm: in which domains it is worse at either
budget with p < 0.05, and in how many its median is the lower. The area under the curve of the best
loss so far is compared, too, but does not count: the first, random trials decide most of it. Both
sides run their ``fmin`` with default settings, the same seeds, and the same noise for the same
trial number where a domain is noisy.

Hyperopt runs in a process of its own, with the Python of ``--peers``, of the variable
SPARKTRIALS_PEERS, or this one. Without Hyperopt ours is measured alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded, here and in the peer's process

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import domains_peers as shared  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
from scipy.stats import mannwhitneyu  # noqa: E402

import sparktrials  # noqa: E402
from sparktrials.suggest import anneal, tpe  # noqa: E402

ALGOS = {"tpe": tpe.suggest, "anneal": anneal.suggest}
ALPHA = 0.05


class Compared(NamedTuple):
    """One measure in one domain: medians, and p-values."""

    ours: float
    theirs: float
    worse: float
    better: float


def best_so_far(losses: list[list[float]]) -> Any:
    """Return (seeds, trials) the smallest loss up to each trial."""
    return np.minimum.accumulate(np.array(losses), axis=1)


def compared(ours: Any, theirs: Any) -> Compared:
    """Compare (seeds,) numbers of which smaller ones are better."""
    p_values = [
        float(mannwhitneyu(ours, theirs, alternative=side).pvalue)
        if np.ptp(np.concatenate([ours, theirs])) > 0
        else 1.0
        for side in ("greater", "less")
    ]
    return Compared(float(np.median(ours)), float(np.median(theirs)), *p_values)


def peer(python: str, algo: str, domains: list[str], seeds: range) -> dict[str, Any]:
    """Return Hyperopt's version and losses, or why there are none."""
    request = json.dumps({"algo": algo, "domains": domains, "seeds": list(seeds)})
    done = subprocess.run(
        [python, str(HERE / "domains_peers.py"), request],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def alone(algo: str, domains: list[str], seeds: range) -> None:
    """Print what ours reaches, where there is no Hyperopt."""
    for name in domains:
        budget = shared.DOMAINS[name].budget
        runs = [shared.losses_of(sparktrials, ALGOS[algo], name, seed) for seed in seeds]
        median = np.median(best_so_far(runs)[:, -1])
        print(f"{name:<14}{shared.DOMAINS[name].optimum:>10.4g}{budget:>8}{median:>13.6g}")


def beside(
    algo: str, domains: list[str], seeds: range, theirs: dict[str, list[list[float]]]
) -> None:
    """Print both, and the verdict."""
    print(
        f"{'domain':<14}{'optimum':>10}{'trials':>8}{'ours':>13}{'hyperopt':>13}{'p worse':>10}"
        f"{'p better':>10}"
    )
    worse: list[str] = []
    larger: list[str] = []
    lower = {"half": 0, "full": 0}
    better = dict(lower)
    for name in domains:
        domain = shared.DOMAINS[name]
        ours = [shared.losses_of(sparktrials, ALGOS[algo], name, seed) for seed in seeds]
        a, b = best_so_far(ours), best_so_far(theirs[name])
        head = f"{name:<14}{domain.optimum:>10.4g}"
        for part, trials in (("half", domain.budget // 2), ("full", domain.budget)):
            found = compared(a[:, trials - 1], b[:, trials - 1])
            print(
                f"{head}{trials:>8}{found.ours:>13.6g}{found.theirs:>13.6g}"
                f"{found.worse:>10.3f}{found.better:>10.3f}"
            )
            head = " " * 24
            lower[part] += found.ours < found.theirs
            better[part] += found.better < ALPHA
            if found.worse < ALPHA:
                worse.append(f"{name} at {trials}")
        area = compared(a.mean(axis=1), b.mean(axis=1))
        print(
            f"{head}{'area':>8}{area.ours:>13.6g}{area.theirs:>13.6g}"
            f"{area.worse:>10.3f}{area.better:>10.3f}",
            flush=True,
        )
        if area.worse < ALPHA:
            larger.append(name)
    print(
        f"\n{algo}, verdict: significantly worse (p < {ALPHA}) in {', '.join(worse) or 'none'}; "
        f"lower median in {lower['full']} of {len(domains)} domains at the full budget "
        f"({better['full']} significantly), in {lower['half']} at half of it "
        f"({better['half']} significantly); area under the curve significantly larger in "
        f"{', '.join(larger) or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--peers", default=os.environ.get("SPARKTRIALS_PEERS", sys.executable), metavar="PYTHON"
    )
    parser.add_argument("--algos", default=",".join(ALGOS), help="of tpe, anneal")
    parser.add_argument("--domains", default=",".join(shared.DOMAINS))
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    algos, domains = arguments.algos.split(","), arguments.domains.split(",")
    for kind, asked, known in (("algo", algos, ALGOS), ("domain", domains, shared.DOMAINS)):
        unknown = [name for name in asked if name not in known]
        if unknown:
            parser.error(f"unknown {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    if arguments.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {arguments.seeds}")

    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)

    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"sparktrials {sparktrials.__version__}, {len(seeds)} seeds from {seeds.start}"
    )
    for algo in algos:
        found = peer(arguments.peers, algo, domains, seeds)
        if "missing" in found:
            print(f"\n{algo}.suggest; hyperopt: not measured ({found['missing']})")
            alone(algo, domains, seeds)
        else:
            print(f"\n{algo}.suggest beside that of hyperopt {found['version']}: best loss")
            beside(algo, domains, seeds, found["losses"])


if __name__ == "__main__":
    main()
