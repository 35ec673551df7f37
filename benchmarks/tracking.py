"""What tracking with MLflow costs: the driver per trial, the server per trial, a resumed study.

    .venv/bin/python benchmarks/tracking.py [--trials 300] [--uri http://127.0.0.1:5000]

Without ``--uri`` it measures a directory of files and a SQLite database.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

warnings.simplefilter("ignore")
import mlflow  # noqa: E402 - after its settings

from sparktrials import hp  # noqa: E402
from sparktrials.space import compile_space  # noqa: E402
from sparktrials.study.history import History  # noqa: E402
from sparktrials.study.trial import Trial, TrialState  # noqa: E402
from sparktrials.tracking import observer  # noqa: E402

SPACE = compile_space({f"x{i}": hp.uniform(f"x{i}", 0, 1) for i in range(8)})
observer.FLUSH_S = 3600.0


def changes(n):
    """Yield the two states of each of `n` trials."""
    for i in range(n):
        point = {f"x{k}": 0.5 for k in range(8)}
        running = Trial(
            id=i, state=TrialState.RUNNING, point=point, attempt=1, created=1.0, started=1.0
        )
        yield running
        yield Trial(
            id=i,
            state=TrialState.OK,
            point=point,
            loss=1 / (1 + i % 7),
            result={"loss": 1.0, "status": "ok", "auc": 0.5},
            attempt=1,
            created=1.0,
            started=1.0,
            finished=2.0,
            duration_s=1.0,
            host="h",
        )


def measure(name, uri, trials):
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(f"benchmark {time.time()}")
    history = History(SPACE)
    with observer.tracked(
        "mlflow", automatic=False, history=history, key="k", durable=True
    ) as observers:
        (own,) = observers
        news = list(changes(trials))
        spent = 0.0
        for trial in news:
            history.put(trial)
            before = time.perf_counter()
            own.changed([trial])
            own.update(history, 1)
            spent += time.perf_counter() - before
        start = time.perf_counter()
    written = time.perf_counter() - start
    print(f"{name}: driver {1e6 * spent / trials:.1f} us a trial, "
          f"written {1e3 * written / trials:.1f} ms a trial")  # fmt: skip
    start = time.perf_counter()
    with observer.tracked("mlflow", automatic=False, history=history, key="k", durable=True):
        pass
    print(f"{name}: resumed with {trials} trials, all logged: {time.perf_counter() - start:.2f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--uri")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        uris = (
            {"server": settings.uri}
            if settings.uri
            else {"files": f"file://{place}/runs", "SQLite": f"sqlite:///{place}/mlflow.db"}
        )
        for name, uri in uris.items():
            measure(name, uri, settings.trials)


if __name__ == "__main__":
    main()
