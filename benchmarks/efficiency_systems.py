"""The systems that ``efficiency.py`` compares, each as an optimizer that is asked and told.

Imports of a system are inside the functions: ours run where sparktrials is, peers where they are.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

OURS = ("tpe", "atpe", "anneal", "rand", "gp", "auto", "sobol")
PEERS = (
    "hyperopt-tpe",
    "hyperopt-anneal",
    "hyperopt-rand",
    "optuna-tpe",
    "optuna-group",
    "optuna-gp",
    "optuna-cma",
    "smac",
)

Asked = tuple[Any, dict[str, Any]]


def tree_of(space: dict[str, Any], hp: Any) -> dict[str, Any]:
    """Return a space as Hyperopt's functions, or ours, write it.

    Integers are steps of ``quniform``: to Hyperopt ``randint`` is a choice without order.
    """
    made: dict[str, Any] = {}
    for label, (kind, *given) in space.items():
        if kind == "choice":
            options = [tree_of(o, hp) if isinstance(o, dict) else o for o in given[0]]
            made[label] = hp.choice(label, options)
        elif kind == "uniform":
            made[label] = hp.uniform(label, *given)
        elif kind == "log":
            made[label] = hp.loguniform(label, *np.log(given).tolist())
        else:
            made[label] = hp.quniform(label, *given, 1)
    return made


class Ours:
    """An algorithm of sparktrials with a history of its own."""

    def __init__(
        self, algo: str, space: dict[str, Any], seed: int, workers: int, trials: int
    ) -> None:
        import sparktrials
        from sparktrials import hp
        from sparktrials.space import compile_space
        from sparktrials.study.history import History

        name, _, settings = algo.partition(":")
        keywords = dict(pair.split("=") for pair in settings.split(",") if pair)
        configured = {k: float(v) if "." in v else int(v) for k, v in keywords.items()}
        self._suggester = getattr(sparktrials, name).suggest.configured(**configured)
        self._history = History(compile_space(tree_of(space, hp)))
        self._seed, self._workers, self._trials = seed, workers, trials

    def ask(self, n: int) -> Sequence[Asked]:
        from sparktrials.study.protocols import SuggestContext
        from sparktrials.study.trial import Trial, TrialState

        history = self._history
        asked: list[Asked] = []
        while len(asked) < n:
            first = history.next_id
            context = SuggestContext(
                seed=self._seed,
                ids=range(first, first + n - len(asked)),
                parallelism=self._workers,
                budget=self._trials - first,
            )
            points = self._suggester.suggest(history.space, history, n - len(asked), context)
            for i, point in enumerate(points):
                history.put(Trial(id=first + i, state=TrialState.NEW, point=point))
                asked.append((first + i, dict(point)))
        return asked

    def tell(self, asked: Sequence[Asked], losses: Sequence[float]) -> None:
        from sparktrials.study.trial import Trial, TrialState

        for (number, _), loss in zip(asked, losses, strict=True):
            point = self._history[number].point
            self._history.put(Trial(id=number, state=TrialState.OK, point=point, loss=loss))


class Hyperopt:
    """An algorithm of Hyperopt; asked point by point, as most of them answer one of many."""

    def __init__(self, algo: str, space: dict[str, Any], seed: int) -> None:
        import hyperopt

        self._base = hyperopt.base
        self._domain = hyperopt.base.Domain(lambda _: 0.0, tree_of(space, hyperopt.hp))
        self._trials = hyperopt.Trials()
        self._algo = getattr(hyperopt, algo).suggest
        self._rng = np.random.default_rng(seed)

    def ask(self, n: int) -> Sequence[Asked]:
        asked: list[Asked] = []
        for _ in range(n):
            (tid,) = self._trials.new_trial_ids(1)
            seed = int(self._rng.integers(2**31 - 1))
            (document,) = self._algo([tid], self._domain, self._trials, seed)
            document["state"] = self._base.JOB_STATE_RUNNING
            self._trials.insert_trial_docs([document])
            self._trials.refresh()
            vals = document["misc"]["vals"]
            asked.append((tid, {label: v[0] for label, v in vals.items() if len(v)}))
        return asked

    def tell(self, asked: Sequence[Asked], losses: Sequence[float]) -> None:
        done = dict(zip((tid for tid, _ in asked), losses, strict=True))
        for document in self._trials._dynamic_trials:  # noqa: SLF001 - what its workers write to
            if document["tid"] in done:
                document["state"] = self._base.JOB_STATE_DONE
                document["result"] = {"status": "ok", "loss": done[document["tid"]]}
        self._trials.refresh()


class Optuna:
    """A sampler of Optuna."""

    def __init__(self, algo: str, space: dict[str, Any], seed: int) -> None:
        import optuna

        warnings.simplefilter("ignore")  # of what is experimental
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = optuna.samplers
        make = {
            "tpe": samplers.TPESampler,
            "group": lambda seed: samplers.TPESampler(multivariate=True, group=True, seed=seed),
            "gp": samplers.GPSampler,
            "cma": samplers.CmaEsSampler,
        }
        self._study = optuna.create_study(sampler=make[algo](seed=seed))
        self._space = space

    def _values(self, trial: Any, space: dict[str, Any]) -> dict[str, Any]:
        point: dict[str, Any] = {}
        for label, (kind, *given) in space.items():
            if kind == "choice":
                point[label] = trial.suggest_categorical(label, list(range(len(given[0]))))
                option = given[0][point[label]]
                if isinstance(option, dict):
                    point |= self._values(trial, option)
            elif kind == "int":
                point[label] = trial.suggest_int(label, *given)
            else:
                point[label] = trial.suggest_float(label, *given, log=kind == "log")
        return point

    def ask(self, n: int) -> Sequence[Asked]:
        trials = [self._study.ask() for _ in range(n)]
        return [(trial, self._values(trial, self._space)) for trial in trials]

    def tell(self, asked: Sequence[Asked], losses: Sequence[float]) -> None:
        for (trial, _), loss in zip(asked, losses, strict=True):
            self._study.tell(trial, loss)


class Smac:
    """SMAC's facade for hyperparameters: random forests."""

    def __init__(self, space: dict[str, Any], seed: int, trials: int) -> None:
        import smac
        from ConfigSpace import ConfigurationSpace

        made = ConfigurationSpace(seed=seed)
        self._add(made, space, None)
        self._folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            made,
            deterministic=True,
            n_trials=trials,
            seed=seed,
            output_directory=Path(self._folder.name),
        )
        self._facade = smac.HyperparameterOptimizationFacade(scenario, logging_level=False)

    def _add(self, made: Any, space: dict[str, Any], under: tuple[Any, int] | None) -> None:
        import ConfigSpace

        for label, (kind, *given) in space.items():
            if kind == "choice":
                parameter = ConfigSpace.Categorical(label, list(range(len(given[0]))))
            elif kind == "int":
                parameter = ConfigSpace.Integer(label, tuple(given))
            else:
                parameter = ConfigSpace.Float(label, tuple(given), log=kind == "log")
            made.add(parameter)
            if under is not None:
                made.add(ConfigSpace.EqualsCondition(parameter, *under))
            if kind == "choice":
                for i, option in enumerate(given[0]):
                    if isinstance(option, dict):
                        self._add(made, option, (parameter, i))

    def ask(self, n: int) -> Sequence[Asked]:
        asked = [self._facade.ask() for _ in range(n)]
        return [(info, dict(info.config)) for info in asked]

    def tell(self, asked: Sequence[Asked], losses: Sequence[float]) -> None:
        from smac.runhistory import TrialValue

        for (info, _), loss in zip(asked, losses, strict=True):
            self._facade.tell(info, TrialValue(cost=loss), save=False)


def optimizer(algo: str, space: dict[str, Any], seed: int, workers: int, trials: int) -> Any:
    """Return a new optimizer of an algorithm by its name: ``tpe``, ``optuna-gp``.

    Ours take settings: ``tpe:n_EI_candidates=24,gamma=0.25``.
    """
    system, _, name = algo.partition("-")
    if system == "smac":
        return Smac(space, seed, trials)
    peers: dict[str, Any] = {"hyperopt": Hyperopt, "optuna": Optuna}
    make = peers.get(system)
    if make is None:
        return Ours(algo, space, seed, workers, trials)
    return make(name, space, seed)


def version(algo: str) -> str:
    """Return the system's name and version.

    Raises
    ------
    ImportError
        If it cannot be run here.
    """
    system = algo.partition("-")[0] if algo in PEERS else "sparktrials"
    found = importlib.import_module(system)
    for needs, module in (("optuna-gp", "torch"), ("optuna-cma", "cmaes")):
        if algo == needs:
            importlib.import_module(module)
    if system == "sparktrials" and not hasattr(found, algo.partition(":")[0]):
        msg = f"sparktrials has no {algo}"
        raise ImportError(msg)
    return f"{system} {getattr(found, '__version__', None) or metadata.version(system)}"
