"""Hyperparameter optimization for Apache Spark.

>>> from sparktrials import fmin, hp, rand
>>> best = fmin(lambda x: x**2, hp.uniform("x", -10, 10), algo=rand.suggest, max_evals=20,
...             rstate=0, verbose=False)
>>> abs(best["x"]) < 3
True

Names are loaded when they are first used, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import partial as partial

    from sparktrials import errors as errors, hp as hp, scope as scope
    from sparktrials.api.asking import Study as Study, StudyTrial as StudyTrial
    from sparktrials.api.documents import (
        JOB_STATE_CANCEL as JOB_STATE_CANCEL,
        JOB_STATE_DONE as JOB_STATE_DONE,
        JOB_STATE_ERROR as JOB_STATE_ERROR,
        JOB_STATE_NEW as JOB_STATE_NEW,
        JOB_STATE_RUNNING as JOB_STATE_RUNNING,
        JOB_STATES as JOB_STATES,
    )
    from sparktrials.api.run import fmin as fmin, space_eval as space_eval
    from sparktrials.api.saving import load_trials as load_trials
    from sparktrials.api.spark_trials import SparkTrials as SparkTrials
    from sparktrials.api.trials import Trials as Trials, trials_from_docs as trials_from_docs
    from sparktrials.api.worker_trials import (
        MongoTrials as MongoTrials,
        WorkerTrials as WorkerTrials,
    )
    from sparktrials.dispatch.broadcasting import broadcast as broadcast
    from sparktrials.dispatch.current import (
        CurrentTrial as CurrentTrial,
        current_trial as current_trial,
    )
    from sparktrials.dispatch.evaluation import (
        STATUS_FAIL as STATUS_FAIL,
        STATUS_NEW as STATUS_NEW,
        STATUS_OK as STATUS_OK,
        STATUS_RUNNING as STATUS_RUNNING,
        STATUS_STRINGS as STATUS_STRINGS,
        STATUS_SUSPENDED as STATUS_SUSPENDED,
    )
    from sparktrials.suggest import (
        anneal as anneal,
        atpe as atpe,
        auto as auto,
        gp as gp,
        mix as mix,
        random,
        sobol as sobol,
        tpe as tpe,
    )

    exceptions = errors
    rand = random

__version__ = "0.1.0"

_STATUS = "sparktrials.dispatch.evaluation"
_JOB_STATE = "sparktrials.api.documents"
#: Where each public name lives; a module is given by its path alone.
_PUBLIC = {
    "CurrentTrial": ("sparktrials.dispatch.current", "CurrentTrial"),
    "JOB_STATES": (_JOB_STATE, "JOB_STATES"),
    "JOB_STATE_CANCEL": (_JOB_STATE, "JOB_STATE_CANCEL"),
    "JOB_STATE_DONE": (_JOB_STATE, "JOB_STATE_DONE"),
    "JOB_STATE_ERROR": (_JOB_STATE, "JOB_STATE_ERROR"),
    "JOB_STATE_NEW": (_JOB_STATE, "JOB_STATE_NEW"),
    "JOB_STATE_RUNNING": (_JOB_STATE, "JOB_STATE_RUNNING"),
    "MongoTrials": ("sparktrials.api.worker_trials", "MongoTrials"),
    "STATUS_FAIL": (_STATUS, "STATUS_FAIL"),
    "STATUS_NEW": (_STATUS, "STATUS_NEW"),
    "STATUS_OK": (_STATUS, "STATUS_OK"),
    "STATUS_RUNNING": (_STATUS, "STATUS_RUNNING"),
    "STATUS_STRINGS": (_STATUS, "STATUS_STRINGS"),
    "STATUS_SUSPENDED": (_STATUS, "STATUS_SUSPENDED"),
    "SparkTrials": ("sparktrials.api.spark_trials", "SparkTrials"),
    "Study": ("sparktrials.api.asking", "Study"),
    "StudyTrial": ("sparktrials.api.asking", "StudyTrial"),
    "Trials": ("sparktrials.api.trials", "Trials"),
    "WorkerTrials": ("sparktrials.api.worker_trials", "WorkerTrials"),
    "anneal": ("sparktrials.suggest.anneal", None),
    "atpe": ("sparktrials.suggest.atpe", None),
    "auto": ("sparktrials.suggest.auto", None),
    "broadcast": ("sparktrials.dispatch.broadcasting", "broadcast"),
    "current_trial": ("sparktrials.dispatch.current", "current_trial"),
    "errors": ("sparktrials.errors", None),
    "exceptions": ("sparktrials.errors", None),
    "fmin": ("sparktrials.api.run", "fmin"),
    "gp": ("sparktrials.suggest.gp", None),
    "hp": ("sparktrials.hp", None),
    "load_trials": ("sparktrials.api.saving", "load_trials"),
    "mix": ("sparktrials.suggest.mix", None),
    "partial": ("functools", "partial"),
    "rand": ("sparktrials.suggest.random", None),
    "scope": ("sparktrials.scope", None),
    "sobol": ("sparktrials.suggest.sobol", None),
    "space_eval": ("sparktrials.api.run", "space_eval"),
    "tpe": ("sparktrials.suggest.tpe", None),
    "trials_from_docs": ("sparktrials.api.trials", "trials_from_docs"),
}

__all__ = [*_PUBLIC, "__version__"]  # noqa: PLE0604 - names, from the table above


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _PUBLIC:
        msg = f"module 'sparktrials' has no attribute {name!r}"
        raise AttributeError(msg)
    module, attribute = _PUBLIC[name]
    found = import_module(module)
    value = found if attribute is None else getattr(found, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
