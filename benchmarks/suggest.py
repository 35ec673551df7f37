"""How long a suggestion takes: TPE beside Hyperopt's and Optuna's in the same run; our others.

Run with ``make bench``, or::

    python benchmarks/suggest.py [--peers path/to/python-with-them] [--quick]

Milliseconds of CPU per new suggestion by (parameters, finished trials): medians after a warm-up, on
one thread, in a space of 40 % uniform, 20 % loguniform, 20 % int and 20 % choice(4) parameters with
one and the same history. Peers run in a process of their own, with the Python of ``--peers``, of
the variable SPARKTRIALS_PEERS, or this one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded, here and in the peers' process

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

import numpy as np  # noqa: E402
import scipy  # noqa: E402
import suggest_peers as shared  # noqa: E402

from sparktrials import hp  # noqa: E402
from sparktrials.space import compile_space  # noqa: E402
from sparktrials.study.history import History  # noqa: E402
from sparktrials.study.protocols import SuggestContext  # noqa: E402
from sparktrials.study.trial import Trial, TrialState  # noqa: E402
from sparktrials.suggest import atpe, gp, tpe  # noqa: E402

PEERS = ("hyperopt", "optuna")
CELLS = [(d, n) for d in (10, 50) for n in (100, 1000, 5000, 10_000)]
QUICK = [(10, 100), (10, 1000)]
#: Upper limits that the project set itself, in ms.
REQUIRED = {(10, 1000): 2.0, (50, 10_000): 25.0}
#: Algorithm, trials, points at once, upper limit in ms: rows with 10 parameters.
OTHERS: list[tuple[Any, int, int, float | None]] = [
    (tpe, 1000, 32, 8.0),
    (atpe, 100, 1, 10.0),
    (atpe, 1000, 1, 10.0),
    (gp, 100, 1, 100.0),
    (gp, 500, 1, 300.0),
    (gp, 100, 64, None),
    (gp, 100, 256, None),
]


def space_of(d: int) -> Any:
    make = {
        "uniform": lambda label: hp.uniform(label, -5, 5),
        "loguniform": lambda label: hp.loguniform(label, *shared.LOG_BOUNDS),
        "int": lambda label: hp.randint(label, 1, 101),
        "choice": lambda label: hp.choice(label, shared.OPTIONS),
    }
    return compile_space({f"p{i}": make[shared.KINDS[i % 5]](f"p{i}") for i in range(d)})


def history_of(d: int, n: int) -> History:
    trials = (
        Trial(id=i, state=TrialState.OK, point=point, loss=loss)
        for i, (point, loss) in enumerate(zip(shared.values(d, n), shared.losses(n), strict=True))
    )
    return History(space_of(d), trials)


def ours(d: int, n: int, repeats: int, batch: int = 1, module: Any = tpe) -> float:
    history, algorithm = history_of(d, n), module.suggest.configured()
    context = SuggestContext(seed=0, ids=range(n, n + batch))
    return shared.milliseconds(
        lambda: algorithm.suggest(history.space, history, batch, context), repeats
    )


def loop(d: int, n: int) -> float:
    """Return seconds of CPU for a study of `n` trials that cost nothing."""
    algorithm = tpe.suggest.configured()

    def study() -> None:
        history = History(space_of(d))
        for i in range(n):
            context = SuggestContext(seed=0, ids=[i])
            point = algorithm.suggest(history.space, history, 1, context)[0]
            history.put(Trial(id=i, state=TrialState.OK, point=point, loss=float(i * 7919 % n)))

    return shared.milliseconds(study, 1) / 1000


def peer(name: str, python: str, cells: list[tuple[int, int]], repeats: int) -> dict[str, Any]:
    """Return the peer's version and milliseconds, or why there are none."""
    request = json.dumps({"peer": name, "cells": cells, "repeats": repeats})
    done = subprocess.run(
        [python, str(HERE / "suggest_peers.py"), request],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--peers", default=os.environ.get("SPARKTRIALS_PEERS", sys.executable), metavar="PYTHON"
    )
    parser.add_argument("--quick", action="store_true", help="10 parameters, up to 1,000 trials")
    arguments = parser.parse_args()
    cells = QUICK if arguments.quick else CELLS
    repeats = 5 if arguments.quick else 9

    found = {name: peer(name, arguments.peers, cells, 5) for name in PEERS}
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"{os.cpu_count()} cores, 1 thread"
    )
    for name, result in found.items():
        missing = result.get("missing")
        print(f"{name}: not measured ({missing})" if missing else f"{name} {result['version']}")
    measured = {name: result["ms"] for name, result in found.items() if "ms" in result}
    print("\nms of CPU per suggestion")
    head = "".join(f"{name:>12}{'ratio':>9}" for name in measured)
    print(f"{'parameters':>10}{'trials':>8}{'sparktrials':>13}{head}{'required':>10}")
    for d, n in cells:
        ms = ours(d, n, repeats)
        columns = "".join(
            f"{by[f'{d},{n}']:12.1f}{by[f'{d},{n}'] / ms:8.0f}x" for by in measured.values()
        )
        limit = f"<= {REQUIRED[d, n]:g}" if (d, n) in REQUIRED else ""
        print(f"{d:>10}{n:>8}{ms:>13.2f}{columns}{limit:>10}")
    print("\nms of CPU, 10 parameters")
    print(f"{'':>10}{'trials':>8}{'points':>8}{'ms':>10}{'required':>10}")
    for module, n, batch, most in OTHERS:
        ms = ours(10, n, repeats if most else 1, batch, module)
        limit = "" if most is None else f"<= {most:g}"
        print(f"{module.suggest.name:>10}{n:>8}{batch:>8}{ms:>10.1f}{limit:>10}")
    print(f"study of 1000 no-op trials, 10 parameters: {loop(10, 1000):.2f} s (<= 2)")


if __name__ == "__main__":
    main()
