"""Components take arguments of Hyperopt-Sklearn that scikit-learn has dropped or renamed since."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.compat.pyll.stochastic import sample
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import (
    colkmeans,
    elastic_net_cv,
    lasso_cv,
    multi_task_elastic_net_cv,
    multi_task_lasso_cv,
    passive_aggressive_classifier,
    passive_aggressive_regressor,
)
from sparktrials.sklearn.component import SKLEARN

HAS_CLASS = SKLEARN < (1, 8)
newer = pytest.mark.skipif(HAS_CLASS, reason="the class takes these itself")


def made(node):
    return sample(pickle.loads(pickle.dumps(node)), rng=np.random.default_rng(0))


@pytest.mark.parametrize("component", [passive_aggressive_classifier, passive_aggressive_regressor])
def test_passive_aggressive_takes_c(component):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = made(component("m", C=0.5))
    assert (model.C if HAS_CLASS else model.eta0) == 0.5
    model.fit(X, X[:, 0] > 0 if component is passive_aggressive_classifier else X[:, 0])


@newer
@pytest.mark.parametrize(
    ("component", "loss"),
    [
        (passive_aggressive_classifier, "hinge"),
        (passive_aggressive_regressor, "epsilon_insensitive"),
    ],
)
def test_passive_aggressive_takes_losses(component, loss):
    for given, rate in ((loss, "pa1"), (f"squared_{loss}", "pa2")):
        for node in (given, hp.choice("l", [given])):
            model = made(component("m", loss=node))
            assert (model.loss, model.learning_rate) == (loss, rate)
    with pytest.raises(InvalidArgument, match="eta0 alone"):
        component("m", C=1.0, eta0=1.0)
    with pytest.raises(InvalidArgument, match="give one of them"):
        component("m", loss=f"squared_{loss}", learning_rate="pa1")


@pytest.mark.parametrize(
    "component", [lasso_cv, elastic_net_cv, multi_task_lasso_cv, multi_task_elastic_net_cv]
)
def test_a_number_of_alphas(component):
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = made(
        component("m", n_alphas=7, cv=3, l1_ratio=0.5)
        if "elastic" in component.name
        else component("m", n_alphas=7, cv=3)
    )
    model.fit(X, X[:, :2] if "multi" in component.name else X[:, 0])
    assert len(model.alphas_) == 7


def test_columns_k_means():
    assert made(colkmeans("k", n_clusters=4)).n_bins == 4
    with pytest.warns(UserWarning, match="colkmeans ignores n_init, copy_x") as told:
        node = colkmeans("k", n_clusters=hp.uniformint("n", 3, 5), n_init=3, copy_x=True)
    assert told[0].filename == __file__
    assert made(node).n_bins in {3, 4, 5}
    with pytest.raises(InvalidArgument, match="no parameter 'clusters'"):
        colkmeans("k", clusters=3)
