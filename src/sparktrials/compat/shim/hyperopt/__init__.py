"""Stands in for Hyperopt where Python looks for it: makes the name mean this package."""

import os
import sys

try:
    import sparktrials  # noqa: F401
except ModuleNotFoundError:
    # Last, so that nothing else comes from there that this Python has.
    sys.path.append(os.environ.get("SPARKTRIALS_COMPAT_SOURCE", ""))

from sparktrials.compat.alias import install

install(replace=True)
