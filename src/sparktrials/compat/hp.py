"""``hyperopt.hp``: the parameters of a search space, as Hyperopt's expressions."""

from __future__ import annotations

from sparktrials.compat.pyll_utils import (
    hp_choice as choice,
    hp_lognormal as lognormal,
    hp_loguniform as loguniform,
    hp_normal as normal,
    hp_pchoice as pchoice,
    hp_qlognormal as qlognormal,
    hp_qloguniform as qloguniform,
    hp_qnormal as qnormal,
    hp_quniform as quniform,
    hp_randint as randint,
    hp_uniform as uniform,
    hp_uniformint as uniformint,
)

__all__ = [
    "choice",
    "lognormal",
    "loguniform",
    "normal",
    "pchoice",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
    "uniformint",
]
