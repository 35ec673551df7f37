"""``hyperopt.ipy``, which is not rebuilt: importing it says what to use instead."""

from __future__ import annotations

_MESSAGE = (
    "hyperopt.ipy (IPythonTrials) is not part of sparktrials: Hyperopt itself calls it incomplete, "
    "and its fmin ignores most arguments. Use SparkTrials to evaluate trials in parallel, or "
    "Trials to evaluate them in this process"
)

raise ImportError(_MESSAGE)
