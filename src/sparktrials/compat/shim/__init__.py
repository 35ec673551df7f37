"""A folder to put on ``PYTHONPATH``: with it, ``import hyperopt`` means this package in any Python.

``python -m sparktrials.compat`` does so for the processes that its program starts.
"""

from __future__ import annotations

__all__ = ["SOURCE"]

#: Environment variable with the folder to look for this package in, where it is not installed.
SOURCE = "SPARKTRIALS_COMPAT_SOURCE"
