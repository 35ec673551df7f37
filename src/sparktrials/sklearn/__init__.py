"""Whole scikit-learn pipelines: preprocessing, model and hyperparameters in one search.

>>> from sparktrials.sklearn import HyperoptEstimator, any_preprocessing, svc
>>> from sklearn.datasets import load_iris
>>> X, y = load_iris(return_X_y=True)
>>> search = HyperoptEstimator(any_preprocessing("pre"), classifier=svc("model"), max_evals=5,
...                            seed=0)
>>> search.fit(X, y, n_folds=3).score(X, y) > 0.8
True

Each component (`svc`, `pca` and so on) is a row of a table, called with a label. The names are
Hyperopt-Sklearn's.
"""

from sparktrials.sklearn.component import Component as Component
from sparktrials.sklearn.estimator import HyperoptEstimator as HyperoptEstimator
from sparktrials.sklearn.kernels import *  # noqa: F403 - each module says what is public
from sparktrials.sklearn.linear import *  # noqa: F403
from sparktrials.sklearn.linear_regressors import *  # noqa: F403
from sparktrials.sklearn.menus import *  # noqa: F403
from sparktrials.sklearn.multiclass import *  # noqa: F403
from sparktrials.sklearn.others import *  # noqa: F403
from sparktrials.sklearn.search import (
    HyperoptSearchCV as HyperoptSearchCV,
    SparkTrialsSearchCV as SparkTrialsSearchCV,
)
from sparktrials.sklearn.transforms import *  # noqa: F403
from sparktrials.sklearn.trees import *  # noqa: F403
