"""``hyperopt.sklearn``: the search estimator. It needs scikit-learn (the extra ``sklearn``)."""

from __future__ import annotations

from sparktrials.sklearn.search import HyperoptSearchCV

__all__ = ["HyperoptSearchCV"]
