"""Ways to run a function in several processes of one machine: start, throughput, crashes, scripts.

``python benchmarks/processes.py`` measures each way in a process of its own: seconds until the
first result, calls of a no-op a second afterwards, and what a script without a main guard, and one
call that ends its process, come to.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

CALLS = 3000
#: Seconds after which a script counts as hanging.
PATIENCE = 20

START: dict[str, str] = {
    "multiprocessing.Pool, fork": """
        import multiprocessing
        def run(f, n):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                yield from pool.imap_unordered(f, range(n))
    """,
    "multiprocessing.Pool, spawn": """
        import multiprocessing
        def run(f, n):
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                yield from pool.imap_unordered(f, range(n))
    """,
    "multiprocessing.Pool, forkserver": """
        import multiprocessing
        def run(f, n):
            with multiprocessing.get_context("forkserver").Pool(2) as pool:
                yield from pool.imap_unordered(f, range(n))
    """,
    "concurrent.futures, spawn": """
        import concurrent.futures, multiprocessing
        def run(f, n):
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
                futures = [pool.submit(f, i) for i in range(n)]
                for future in concurrent.futures.as_completed(futures):
                    yield future.result()
    """,
    "joblib, loky": """
        import joblib
        def run(f, n):
            parallel = joblib.Parallel(n_jobs=2, return_as="generator_unordered", batch_size=1)
            yield from parallel(joblib.delayed(f)(i) for i in range(n))
    """,
    "ProcessDispatcher": """
        from sparktrials import hp
        from sparktrials.dispatch.processes import ProcessDispatcher
        from sparktrials.space import compile_space
        from sparktrials.study.protocols import Finished, Task
        from sparktrials.study.trial import Trial, TrialState

        def run(f, n):
            space = compile_space(hp.randint("i", n))
            dispatcher = ProcessDispatcher(2)
            dispatcher.open(Task(objective=f, space=space, adaptive=False))
            given = done = 0
            while done < n:
                room = min(dispatcher.room(), n - given)
                dispatcher.submit([
                    Trial(id=i, state=TrialState.RUNNING, point={"i": i}, attempt=1, seed=i)
                    for i in range(given, given + room)
                ])
                given += room
                for event in dispatcher.events(None):
                    done += 1
                    yield event.outcome.loss if isinstance(event, Finished) else None
            dispatcher.close()
    """,
}

MEASURE = """
    import json, time
    def main():
        start = time.perf_counter()
        results = run(no_op, {calls})
        next(results)
        first = time.perf_counter()
        for _ in range(99):
            next(results)
        steady = time.perf_counter()
        n = sum(1 for _ in results)
        end = time.perf_counter()
        print(json.dumps([first - start, n / (end - steady)]))
"""

CRASH = """
    import collections
    def main():
        counts = collections.Counter()
        results = run(ends_its_process, 20)
        while True:
            try:
                result = next(results)
            except StopIteration:
                break
            except BaseException as error:
                counts[type(error).__name__] += 1
                break
            counts["results" if result is not None else "lost"] += 1
        print(dict(counts))
"""

FUNCTIONS = """
    import os
    def no_op(i):
        return float(i)
    def ends_its_process(i):
        if i == 7:
            os._exit(1)
        return float(i)
"""


def script(way: str, body: str, *, guard: bool) -> tuple[str, str]:
    """Run a script; return what it printed, and how it ended."""
    call = 'if __name__ == "__main__":\n    main()' if guard else "main()"
    parts = [textwrap.dedent(part) for part in (FUNCTIONS, START[way], body)]
    with TemporaryDirectory() as folder:
        path = Path(folder, "script.py")
        path.write_text("\n".join([*parts, call]))
        process = subprocess.Popen(
            [sys.executable, path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "", "hangs"
    last = err.strip().splitlines()[-1][:60] if err.strip() else ""
    return out.strip(), "works" if process.returncode == 0 else f"fails: {last}"


def main() -> None:
    """Print the table."""
    columns = ("", "first result, s", "calls a second", "one of 20 calls ends its process")
    print("|", " | ".join((*columns, "no main guard")), "|")
    print("|---|---|---|---|---|")
    for way in START:
        runs = []
        for _ in range(3):
            out, how = script(way, MEASURE.replace("{calls}", str(CALLS)), guard=True)
            if how != "works":
                sys.exit(f"{way}: {how}")
            runs.append(json.loads(out))
        first, rate = (median(column) for column in zip(*runs, strict=True))
        crash, how = script(way, CRASH, guard=True)
        plain = script(way, MEASURE.replace("{calls}", "200"), guard=False)[1]
        print(f"| {way} | {first:.2f} | {rate:,.0f} | {crash or how} | {plain} |", flush=True)


if __name__ == "__main__":
    main()
