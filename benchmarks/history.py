"""What it costs to keep a history, and to open one: our stores beside Optuna's RDBStorage.

Run with ``make bench``, or::

    python benchmarks/history.py [--peers path/to/python-with-optuna] [--quick] [--rows one,open]

Each row does the same work with both in one run, three times by turns; its figure is the median.
Trials have 20 parameters and have finished.

one
    Trials per second that one process adds, each by itself, on disk when the call returns: SQLite;
    Optuna's ``create_new_trial`` with a finished trial, its shortest way.
sixteen
    The same with 16 processes that add to one study on PostgreSQL, with fsync, in all.
claim
    Milliseconds from a driver's call that submits a trial to the start of the objective in an idle
    worker whose process is warm, after pauses of up to a second: on each kind of store. Hyperopt's
    workers look every 5 seconds.
create
    How many of 8 processes that make the same fresh SQLite study at once go on with it.
open
    Seconds until a study of 100,000 trials can be suggested for, in a new process: read, and in the
    form that the algorithms need (SQLite; Optuna: ``load_study`` and ``get_trials``). Imports are
    not counted. Once by the clock and once by what the processor did for it, which others on the
    machine change less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src"), str(HERE.parent)]

from tests import servers  # noqa: E402

WORK = str(HERE / "history_peers.py")
N_WRITERS, N_MAKERS = 16, 8
#: Kind of store, a function of `servers` but for SQLite -> most milliseconds until a claim.
CLAIMS = {"sqlite": 200, "postgres": 50, "mariadb": 200, "mongo": 200}


def run(python: str, *arguments: object) -> dict:
    done = subprocess.run(
        [python, WORK, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{arguments}: exit {done.returncode}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def written(python: str, library: str, url: str, n_writers: int, seconds: int) -> float:
    """Return how many trials per second so many writers add, in about so many seconds."""
    run(python, "create", library, url)
    with ExitStack() as stack:
        writers = []
        for k in range(n_writers):
            command = [python, WORK, "append", library, url, str(k * 100_000), str(seconds)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            writers.append(stack.enter_context(subprocess.Popen(command, **pipes)))
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        results = [json.loads(writer.stdout.readline()) for writer in writers]
    took = max(r["end"] for r in results) - min(r["start"] for r in results)
    return sum(r["n"] for r in results) / took


def working(python: str, library: str, url: str) -> int:
    """Return how many of some processes that make one study at once can use it."""
    with ExitStack() as stack:
        makers = []
        for _ in range(N_MAKERS):
            command = [python, WORK, "join", library, url]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            maker = subprocess.Popen(command, stderr=subprocess.DEVNULL, **pipes)
            makers.append(stack.enter_context(maker))
        for maker in makers:
            assert maker.stdout.readline() == "ready\n"
        for maker in makers:
            maker.stdin.write("go\n")
            maker.stdin.flush()
        return sum(maker.wait() == 0 for maker in makers)


def compared(
    measure: Callable[[str, str], float], pythons: dict[str, str], repeats: int
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {library: [] for library in pythons}
    for _ in range(repeats):
        for library, python in pythons.items():
            found[library].append(measure(python, library))
    return found


def show(row: str, unit: str, found: dict[str, list[float]], required: float, better: str) -> None:
    medians = {library: statistics.median(values) for library, values in found.items()}
    cells = [
        f"{library} {medians[library]:10,.2f} ({min(v):,.2f} to {max(v):,.2f})"
        for library, v in found.items()
    ]
    line = f"{row:8} {unit:10} " + "   ".join(cells)
    if "optuna" in medians:
        ratio = medians["sparktrials"] / medians["optuna"]
        ratio = ratio if better == "more" else 1 / ratio
        line += f"   ratio {ratio:6.1f} (required {required:.0f})"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=os.environ.get("SPARKTRIALS_PEERS"))
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--rows", default="create,one,sixteen,claim,open")
    options = parser.parse_args()
    rows = options.rows.split(",")
    pythons = {"sparktrials": sys.executable}
    if options.peers:
        pythons["optuna"] = options.peers
        version = subprocess.run(
            [options.peers, "-c", "import optuna; print(optuna.__version__)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        print(f"optuna {version}, ", end="")
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"
    )
    repeats, seconds, n = (1, 3, 10_000) if options.quick else (3, 10, 100_000)

    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        numbers = iter(range(10**6))

        def file() -> str:
            return f"sqlite:///{directory}/{next(numbers)}.db"

        if "create" in rows:
            for library, python in pythons.items():
                found = [working(python, library, file()) for _ in range(repeats)]
                required = f" (required {N_MAKERS})" if library == "sparktrials" else ""
                print(f"create   of {N_MAKERS}       {library} {found}{required}", flush=True)
        if "one" in rows:
            found = compared(
                lambda python, library: written(python, library, file(), 1, seconds),
                pythons,
                repeats,
            )
            show("one", "trials/s", found, 5, "more")
        if "sixteen" in rows:
            server = stack.enter_context(servers.postgres(durable=True))
            found = compared(
                lambda python, library: written(
                    python, library, server.fresh(), N_WRITERS, seconds
                ),
                pythons,
                repeats,
            )
            show("sixteen", "trials/s", found, 5, "more")
        if "claim" in rows:
            n_claims = 20 if options.quick else 200
            for kind, required in CLAIMS.items():
                start = getattr(servers, kind, None)
                try:
                    own = None if start is None else stack.enter_context(start())
                except servers.Missing as error:
                    print(f"claim    {kind}: NOT MEASURED: {error}", flush=True)
                    continue
                url = file() if own is None else own.fresh()
                took = run(sys.executable, "claim", "sparktrials", url, n_claims)["milliseconds"]
                half, most = statistics.median(took), statistics.quantiles(took, n=20)[-1]
                print(
                    f"claim    ms         {kind:8} median {half:6.1f}   95 % below {most:6.1f}   "
                    f"largest {max(took):6.1f}   (required {required})",
                    flush=True,
                )
        if "open" in rows:
            urls = {library: file() for library in pythons}
            for library, python in pythons.items():
                run(python, "build", library, urls[library], n)
            seconds: dict[str, list[float]] = {library: [] for library in pythons}

            def opened(python: str, library: str) -> float:
                measured = run(python, "open", library, urls[library])
                seconds[library].append(measured["cpu_seconds"])
                return measured["seconds"]

            show("open", "s", compared(opened, pythons, repeats), 10, "less")
            show("open", "cpu s", seconds, 10, "less")


if __name__ == "__main__":
    main()
