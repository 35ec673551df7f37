"""``hyperopt.pyll``: search spaces as expressions that name what they compute."""

from __future__ import annotations

from sparktrials.compat.pyll import base, stochastic
from sparktrials.compat.pyll.base import (
    Apply,
    Literal,
    as_apply,
    clone,
    clone_merge,
    dfs,
    rec_eval,
    scope,
    toposort,
)

__all__ = [
    "Apply",
    "Literal",
    "as_apply",
    "base",
    "clone",
    "clone_merge",
    "dfs",
    "rec_eval",
    "scope",
    "stochastic",
    "toposort",
]
