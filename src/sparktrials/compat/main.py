"""``hyperopt.main``, which is not rebuilt: importing it says what to use instead."""

from __future__ import annotations

_MESSAGE = (
    "hyperopt.main is not part of sparktrials: it needs SerialExperiment, which Hyperopt removed "
    "long ago, so it cannot be imported there either. Call fmin, or run a program with "
    "'python -m sparktrials.compat program.py'"
)

raise ImportError(_MESSAGE)
