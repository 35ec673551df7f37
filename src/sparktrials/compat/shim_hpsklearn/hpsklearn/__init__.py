"""Stands in for Hyperopt-Sklearn where Python looks for it: makes the name mean this package."""

import importlib
import os
import sys

try:
    import sparktrials  # noqa: F401
except ModuleNotFoundError:
    # Last, so that nothing else comes from there that this Python has.
    sys.path.append(os.environ.get("SPARKTRIALS_COMPAT_SOURCE", ""))

from sparktrials.compat.alias import install

del sys.modules[__name__]
install(replace=True, hpsklearn=True)
importlib.import_module(__name__)  # this time ours, which takes the place of this module
