"""How fast trials go out and come back, and what happens when something ends them.

    scripts/with-spark local .venv/bin/python benchmarks/dispatch.py \
        --peers .venv-peers/bin/python [--rows pull,mixed,...] [--small] [--repeats 3]

Each row runs in a process of its own, after a warm-up that has touched every slot; ours and the
peers' take turns, and medians are printed in one table, with what is required and the ratio to each
peer. A peer gets fewer trials where it would take an hour: trials per second and utilisation don't
depend on their number.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from dispatch_rows import ROWS, Row, Skip  # noqa: E402

PEERS = ("hyperopt", "mlflow", "joblibspark")
#: Seconds after which a row is given up.
PATIENCE_S = 1200.0


def measure(system: str, row: Row, trials: int) -> None:
    """Measure one row in this process, and print what came of it."""
    said: dict[str, Any]
    try:
        if system == "sparktrials":
            said = {"figure": row.measure(row, trials)}
        else:
            import dispatch_peers

            said = {"figure": dispatch_peers.measure(system, row, trials)}
    except Skip as reason:
        said = {"skipped": str(reason)}
    print("FIGURE " + json.dumps(said), flush=True)


def in_process(system: str, python: str, row: Row, trials: int) -> float | str:
    """Measure a row in a new process; return its figure, or why there is none."""
    cluster = "cluster" in row.master
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        env = {
            **os.environ,
            "BENCH_FOLDER": folder,
            "SPARK_CONF_DIR": str(ROOT / "conf" / ("local-cluster" if cluster else "local")),
            "PYSPARK_PYTHON": python,
            "PYTHONPATH": str(HERE),  # on executors, too: the objectives are modules' functions
            "PYTHONWARNINGS": "ignore",
        }
        if cluster or row.master.startswith("connect:"):
            env.update(spark_home(python))
        command = [python, __file__, "--measure", system, "--rows", row.name]
        command += ["--trials", str(trials)]
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("w") as to, err.open("w") as errors:
            child = subprocess.Popen(
                command, env=env, stdout=to, stderr=errors, cwd=folder, start_new_session=True
            )
            try:
                child.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                return f"it took longer than {PATIENCE_S:g} s"
            finally:  # with Spark, and what it started
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        for line in reversed(out.read_text().splitlines()):
            if line.startswith("FIGURE "):
                found = json.loads(line.removeprefix("FIGURE "))
                if "figure" in found:
                    return float(found["figure"])
                return f"skipped: {found['skipped']}"
        # The last line that is not of a Java traceback.
        said = [line for line in err.read_text().splitlines() if line.strip() and line[0].strip()]
        complaint = said[-1] if said else "it said nothing"
        return f"no figure: {complaint}"


def spark_home(python: str) -> dict[str, str]:
    """Return what local-cluster needs to find Spark inside the pyspark package."""
    code = "import pyspark, pathlib; print(pathlib.Path(pyspark.__file__).parent)"
    home = subprocess.run(
        [python, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    path = home.stdout.strip().splitlines()[-1]
    return {"SPARK_HOME": path, "SPARK_SCALA_VERSION": "2.13"}


def versions(python: str) -> str:
    """Return the versions of all that a Python has of what is compared."""
    code = (
        "import importlib.metadata as m, platform, sys\n"
        "def v(n):\n"
        "    try: return n + ' ' + m.version(n)\n"
        "    except m.PackageNotFoundError: return n + ' missing'\n"
        "print('Python ' + platform.python_version(), *map(v, sys.argv[1:]), sep=', ')"
    )
    names = ["sparktrials", *PEERS, "optuna", "pyspark", "numpy"]
    out = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=False)
    return out.stdout.strip()


def median_of(results: list[float | str]) -> float:
    """Return the median of the figures, NaN if there are none."""
    figures = [r for r in results if isinstance(r, float)]
    return statistics.median(figures) if figures else math.nan


def line_of(row: Row, ours: float, peers: dict[str, float]) -> str:
    """Return a row of the table."""
    sign = ">=" if row.least else "<="
    limit = "" if row.required is None else f"{sign} {row.required:g}"
    verdict = "-" if math.isnan(ours) else "" if row.met(ours) else "SHORT"
    cells = f"{row.title:40} {row.unit:12} {ours:9.3g} {limit:>8} {verdict:6}"
    for peer in PEERS:
        theirs = peers.get(peer, math.nan)
        ratio = ours / theirs if row.least else theirs / ours
        cells += " " * 22 if math.isnan(theirs) else f" {theirs:11.3g} {ratio:8.1f}x"
    return cells.rstrip()


def main() -> None:
    """Print the table, or measure one row for the process that does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", default=os.environ.get("SPARKTRIALS_PEERS", ""),
                        help="a Python that has them and the same pyspark")  # fmt: skip
    parser.add_argument("--rows", help="some of " + ",".join(row.name for row in ROWS))
    parser.add_argument("--small", action="store_true", help="few trials, to try a row")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = options.rows.split(",") if options.rows else [row.name for row in ROWS]
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    rows = [row for row in ROWS if row.name in wanted]
    if options.measure:
        measure(options.measure, rows[0], options.trials)
        return
    peers = "" if options.no_peer else options.peers
    print("ours: ", versions(sys.executable))
    if peers:
        print("peers:", versions(peers))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; medians of {options.repeats}\n")
    head = f"{'row':40} {'unit':12} {'ours':>9} {'required':>8} {'':6}"
    print(head + "".join(f" {peer:>11} {'ratio':>9}" for peer in PEERS), flush=True)
    short, remarks, start = False, [], time.monotonic()
    for row in rows:
        ours: list[float | str] = []
        theirs: dict[str, float] = {}
        for repeat in range(options.repeats):
            n = row.small if options.small else row.trials
            ours.append(in_process("sparktrials", sys.executable, row, n))
            for peer, most in row.peers if peers and repeat == 0 else ():
                found = in_process(peer, peers, row, min(n, most))
                if isinstance(found, str):
                    remarks.append(f"{row.name}, {peer}: {found}")
                theirs[peer] = median_of([found])
            if isinstance(ours[-1], str):
                remarks.append(f"{row.name}: {ours[-1]}")
                break
        figure = median_of(ours)
        print(line_of(row, figure, theirs), flush=True)
        short |= not math.isnan(figure) and not row.met(figure)
    print(f"\n{time.monotonic() - start:.0f} s")
    for remark in remarks:
        print(remark)
    if short:
        print("below what is required (a busy machine does that, too)")


if __name__ == "__main__":
    main()
