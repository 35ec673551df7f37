"""Hyperopt-Sklearn's names: ``import sparktrials.compat.hpsklearn as hpsklearn``.

Programs that say ``import hpsklearn`` themselves run unchanged after `sparktrials.compat.install`.
``hpsklearn.components`` and ``hpsklearn.estimator`` are this module, too. The names are those of
version 1, and of the components of version 0.
"""

from __future__ import annotations

import sys

from sparktrials.compat.hpsklearn_old import *  # noqa: F403 - it says what is public
from sparktrials.sklearn.estimator import HyperoptEstimator
from sparktrials.sklearn.kernels import *  # noqa: F403 - each module says what is public
from sparktrials.sklearn.linear import *  # noqa: F403
from sparktrials.sklearn.linear_regressors import *  # noqa: F403
from sparktrials.sklearn.menus import *  # noqa: F403
from sparktrials.sklearn.multiclass import *  # noqa: F403
from sparktrials.sklearn.others import *  # noqa: F403
from sparktrials.sklearn.transforms import *  # noqa: F403
from sparktrials.sklearn.trees import *  # noqa: F403

#: What ``hpsklearn.estimator`` calls it.
hyperopt_estimator = HyperoptEstimator

components = estimator = sys.modules[__name__]
