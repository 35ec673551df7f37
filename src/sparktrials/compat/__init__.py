"""Hyperopt's names: ``import sparktrials.compat as hyperopt``.

>>> import sparktrials.compat as hyperopt
>>> from functools import partial
>>> best = hyperopt.fmin(lambda x: x**2, hyperopt.hp.uniform("x", -10, 10), max_evals=20,
...                      algo=partial(hyperopt.tpe.suggest, gamma=0.3), rstate=1, verbose=False)
>>> sorted(best)
['x']

Programs that say ``import hyperopt`` themselves run unchanged after `install`, or by
``python -m sparktrials.compat program.py``. docs/compat.md lists every name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sparktrials.compat import (
    algobase,
    anneal,
    atpe,
    base,
    criteria,
    early_stop,
    exceptions,
    fmin as _fmin_module,
    graph_viz,
    hp,
    mix,
    mongoexp,
    plotting,
    progress,
    pyll,
    pyll_utils,
    rand,
    rdists,
    spark,
    tpe,
    utils,
)
from sparktrials.compat.alias import install, is_installed
from sparktrials.compat.base import (
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
    JOB_STATES,
    STATUS_FAIL,
    STATUS_NEW,
    STATUS_OK,
    STATUS_RUNNING,
    STATUS_STRINGS,
    STATUS_SUSPENDED,
    Ctrl,
    Domain,
    Trials,
    trials_from_docs,
)
from sparktrials.compat.fmin import (
    FMinIter,
    fmin,
    fmin_pass_expr_memo_ctrl,
    partial,
    space_eval,
)

if TYPE_CHECKING:
    from sparktrials.api.spark_trials import SparkTrials as SparkTrials

__all__ = [
    "JOB_STATES",
    "JOB_STATE_DONE",
    "JOB_STATE_ERROR",
    "JOB_STATE_NEW",
    "JOB_STATE_RUNNING",
    "STATUS_FAIL",
    "STATUS_NEW",
    "STATUS_OK",
    "STATUS_RUNNING",
    "STATUS_STRINGS",
    "STATUS_SUSPENDED",
    "Ctrl",
    "Domain",
    "FMinIter",
    "SparkTrials",
    "Trials",
    "algobase",
    "anneal",
    "atpe",
    "base",
    "criteria",
    "early_stop",
    "exceptions",
    "fmin",
    "fmin_pass_expr_memo_ctrl",
    "graph_viz",
    "hp",
    "install",
    "is_installed",
    "mix",
    "mongoexp",
    "partial",
    "plotting",
    "progress",
    "pyll",
    "pyll_utils",
    "rand",
    "rdists",
    "space_eval",
    "spark",
    "tpe",
    "trials_from_docs",
    "utils",
]

#: The release of Hyperopt whose names these are.
__version__ = "0.3.0"

#: Modules that need more than numpy, and those that say why they are not there.
_LATE = ("hpsklearn", "sklearn", "ipy", "main")

del _fmin_module  # hyperopt.fmin is the function


def __getattr__(name: str) -> Any:  # noqa: ANN401 - pyspark is an extra
    if name == "SparkTrials":
        from sparktrials.api.spark_trials import SparkTrials  # noqa: PLC0415

        return SparkTrials
    msg = f"module {__name__!r} has no attribute {name!r}"
    if name in _LATE:
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ImportError as error:
            msg = str(error)
    raise AttributeError(msg)
