"""The work of `history.py` in one process: with Optuna's storages, or with sparktrials' stores.

    python history_peers.py join|append|open|build LIBRARY URL ...

Imported by name of the library's class here; each prints one JSON object. What is measured is told
in `history.py`; imports and the making of values are not part of it.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable

N_PARAMETERS = 20
STUDY = "history"


def point(number: int) -> dict[str, float]:
    return {
        f"x{k}": ((number * 7919 + k * 104729) % 100_003) / 100_003 for k in range(N_PARAMETERS)
    }


class Ours:
    """sparktrials."""

    def __init__(self, url: str) -> None:
        from sparktrials import hp
        from sparktrials.space import compile_space
        from sparktrials.store import open_store
        from sparktrials.study.history import History
        from sparktrials.study.protocols import Experiment
        from sparktrials.study.trial import Trial, TrialState

        self.url, self.open_store, self.history = url, open_store, History
        self.space = compile_space(
            {f"x{k}": hp.uniform(f"x{k}", 0, 1) for k in range(N_PARAMETERS)}
        )
        self.experiment = Experiment(
            key=STUDY, fingerprint=self.space.fingerprint, space=self.space.describe(), seed=1
        )
        self.make, self.ok = Trial, TrialState.OK

    def create(self) -> None:
        with self.open_store(self.url) as store:
            store.create(self.experiment)

    def join(self) -> None:
        with self.open_store(self.url) as store:
            store.create(self.experiment)
            store.read(STUDY)

    def trial(self, number: int):
        loss = number / 7 % 1
        return self.make(
            id=number,
            state=self.ok,
            point=point(number),
            loss=loss,
            result={"loss": loss, "status": "ok"},
            attempt=1,
            host="worker",
            created=1.7e9,
            started=1.7e9,
            finished=1.7e9 + 1,
            duration_s=1.0,
            seed=number,
        )

    def writer(self) -> Callable[[object], None]:
        store = self.open_store(self.url)
        store.read(STUDY)
        return lambda trial: store.append(STUDY, [trial])

    def build(self, n: int) -> None:
        self.create()
        with self.open_store(self.url) as store:
            for first in range(0, n, 1000):
                store.append(STUDY, [self.trial(i) for i in range(first, min(n, first + 1000))])

    def open(self) -> int:
        store = self.open_store(self.url)
        trials, _ = store.read(STUDY)
        history = self.history(self.space, trials)
        return len(history)


class Optuna:
    """Optuna's RDBStorage."""

    def __init__(self, url: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna, self.url = optuna, url
        self.distributions = {
            f"x{k}": optuna.distributions.FloatDistribution(0, 1) for k in range(N_PARAMETERS)
        }

    def create(self) -> None:
        self.optuna.create_study(storage=self.url, study_name=STUDY)

    def join(self) -> None:
        study = self.optuna.create_study(storage=self.url, study_name=STUDY, load_if_exists=True)
        study.get_trials(deepcopy=False)

    def trial(self, number: int):
        # As `create_trial` makes it, for `add_trial`: the shortest way that Optuna has.
        now = dt.datetime.now()  # noqa: DTZ005 - as Optuna has it
        return self.optuna.trial.FrozenTrial(
            number=-1,
            trial_id=-1,
            state=self.optuna.trial.TrialState.COMPLETE,
            value=number / 7 % 1,
            values=None,
            datetime_start=now,
            datetime_complete=now,
            params=point(number),
            distributions=self.distributions,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )

    def writer(self) -> Callable[[object], None]:
        study = self.optuna.load_study(storage=self.url, study_name=STUDY)
        storage, number = study._storage, study._study_id  # noqa: SLF001 - its shortest way
        return lambda trial: storage.create_new_trial(number, template_trial=trial)

    def build(self, n: int) -> None:
        """Fill its tables with one statement each: by its own means that takes an hour."""
        self.create()
        from optuna.storages._rdb import models
        from sqlalchemy import create_engine, insert, select

        text = self.optuna.distributions.distribution_to_json(self.distributions["x0"])
        engine = create_engine(self.url)
        now = dt.datetime.now()  # noqa: DTZ005 - as Optuna has it
        kinds = models.TrialValueModel.TrialValueType
        with engine.begin() as db:
            study = db.execute(select(models.StudyModel.study_id)).scalar()
            for first in range(0, n, 1000):
                ids = range(first, min(n, first + 1000))
                db.execute(
                    insert(models.TrialModel),
                    [
                        {
                            "trial_id": i + 1,
                            "number": i,
                            "study_id": study,
                            "state": self.optuna.trial.TrialState.COMPLETE,
                            "datetime_start": now,
                            "datetime_complete": now,
                        }
                        for i in ids
                    ],
                )
                db.execute(
                    insert(models.TrialValueModel),
                    [
                        {
                            "trial_id": i + 1,
                            "objective": 0,
                            "value": i / 7 % 1,
                            "value_type": kinds.FINITE,
                        }
                        for i in ids
                    ],
                )
                db.execute(
                    insert(models.TrialParamModel),
                    [
                        {
                            "trial_id": i + 1,
                            "param_name": name,
                            "param_value": value,
                            "distribution_json": text,
                        }
                        for i in ids
                        for name, value in point(i).items()
                    ],
                )

    def open(self) -> int:
        study = self.optuna.load_study(storage=self.url, study_name=STUDY)
        return len(study.get_trials(deepcopy=False))  # what its samplers ask for


def objective(_: object) -> dict[str, object]:
    """Say when it began; the clock is this machine's for both."""
    return {"loss": 0.0, "status": "ok", "began": time.time()}


def claimed(url: str, n: int) -> list[float]:
    """Return the milliseconds that so many trials took to reach an idle worker."""
    import random
    import subprocess
    from pathlib import Path

    import history_peers

    from sparktrials import hp
    from sparktrials.dispatch.workers import WorkersDispatcher
    from sparktrials.space import compile_space
    from sparktrials.store import board_of, open_store
    from sparktrials.study.protocols import Finished, Task
    from sparktrials.study.trial import Trial, TrialState

    rng = random.Random(1)
    space = compile_space({"x": hp.uniform("x", 0, 1)})
    start = "from sparktrials.console import main; main()"
    command = [sys.executable, "-c", start, "worker", url]
    with open_store(url) as store:
        dispatcher = WorkersDispatcher(
            board_of(store),
            STUDY,
            recorded=lambda _: False,
            ended=lambda _: False,
            dumps=lambda _: b"",
        )
        dispatcher.open(Task(objective=history_peers.objective, space=space))
        with subprocess.Popen(
            command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL
        ) as worker:
            took = []
            for number in range(n + 1):
                trial = Trial(id=number, state=TrialState.RUNNING, point={"x": 0.5}, attempt=1)
                before = time.time()
                dispatcher.submit([trial])
                events: list[object] = []
                while not any(isinstance(event, Finished) for event in events):
                    events = dispatcher.events(1.0)
                (event,) = events
                took.append(1000 * (event.outcome.result["began"] - before))
                time.sleep(rng.uniform(0, 1))
            worker.terminate()
        dispatcher.close()
    return took[1:]  # the first one starts the process


LIBRARIES = {"sparktrials": Ours, "optuna": Optuna}


def main() -> None:
    what, library, url, *numbers = sys.argv[1:]
    work = LIBRARIES[library](url)
    if what == "create":
        work.create()
        result = {}
    elif what == "join":
        print("ready", flush=True)
        sys.stdin.readline()
        work.join()
        result = {}
    elif what == "build":
        work.build(int(numbers[0]))
        result = {}
    elif what == "claim":
        result = {"milliseconds": claimed(url, int(numbers[0]))}
    elif what == "open":
        start, cpu = time.perf_counter(), time.process_time()
        n = work.open()
        cpu = time.process_time() - cpu
        result = {"seconds": time.perf_counter() - start, "cpu_seconds": cpu, "n": n}
    else:
        first, seconds = map(int, numbers)
        write = work.writer()
        trials = [work.trial(i) for i in range(first, first + 500 * seconds)]
        write(trials.pop())  # the first one opens what is opened late
        print("ready", flush=True)
        sys.stdin.readline()
        start, n = time.time(), 0
        while trials and time.time() < start + seconds:
            write(trials.pop())
            n += 1
        result = {"start": start, "end": time.time(), "n": n}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
