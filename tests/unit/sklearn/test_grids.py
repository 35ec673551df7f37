"""Spaces of scikit-learn's own searches are told from spaces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.svm import SVC

from sparktrials import hp
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import HyperoptSearchCV, SparkTrialsSearchCV
from sparktrials.sklearn.grids import check_no_grid

X, Y = np.arange(20.0).reshape(-1, 1), np.arange(20) % 2


@pytest.mark.parametrize(
    ("space", "instead"),
    [
        ({"kernel": ["rbf", "linear"]}, r"'kernel': hp\.choice\('kernel', \['rbf', 'linear'\]\)"),
        ({"C": [0.1, 1.0, 10.0]}, r"or hp\.loguniform\('C', math\.log\(0\.1\), math\.log\(10\)\)"),
        ({"C": np.logspace(-1, 1, 9)}, r"hp\.choice\('C', \[0\.1, "),
        ({"C": stats.loguniform(1e-2, 1e3)}, r"hp\.loguniform\('C', math\.log\(0\.01\), math\.log"),
        ({"C": stats.uniform(1, 4)}, r"hp\.uniform\('C', 1, 5\)"),
        ({"degree": stats.randint(2, 6)}, r"hp\.uniformint\('degree', 2, 5\)"),
        ({"coef0": stats.norm(1, 2)}, r"hp\.normal\('coef0', 1, 2\)"),
        ({"C": stats.expon(scale=3)}, r"hp\.uniform\('C', low, high\) or another"),
        ({"C": hp.uniform("C", 1, 2), "kernel": ["rbf", "poly"]}, r"hp\.choice\('kernel'"),
        ([{"C": [1.0]}, {"kernel": ["rbf"]}], r"hp\.choice\('case', \[\.\.\.\]\)"),
    ],
)
@pytest.mark.parametrize("kind", [SparkTrialsSearchCV, HyperoptSearchCV])
def test_what_to_write_instead(kind, space, instead):
    with pytest.raises(InvalidArgument, match=instead):
        kind(SVC(), space, 2).fit(X, Y)


def test_what_is_written_is_right():
    with pytest.raises(InvalidArgument) as caught:
        check_no_grid({"C": stats.loguniform(1e-2, 1e3)}, SVC())
    line = str(caught.value).splitlines()[1].strip()
    node = eval(f"{{{line}}}", {"hp": hp, "math": math})["C"]
    assert str(node.distribution) == str(
        hp.loguniform("C", math.log(0.01), math.log(1e3)).distribution
    )


@pytest.mark.parametrize(
    ("estimator", "space"),
    [
        (RidgeCV(), {"alphas": [0.1, 1.0], "fit_intercept": hp.choice("i", [True, False])}),
        (
            make_pipeline(OneHotEncoder(), SVC()),
            {"onehotencoder__categories": [["a", "b"]], "svc__C": hp.uniform("C", 1, 2)},
        ),
        (GaussianNB(), {"priors": [0.5, 0.5], "var_smoothing": hp.uniform("v", 0, 1)}),
        (GaussianNB(), {"priors": np.array([0.5, 0.5]), "var_smoothing": hp.uniform("v", 0, 1)}),
        (VotingClassifier([]), {"weights": [1, 2], "voting": hp.choice("v", ["hard", "soft"])}),
        (
            HistGradientBoostingClassifier(),
            {"monotonic_cst": [1, 0], "learning_rate": hp.uniform("l", 0, 1)},
        ),
        (
            make_pipeline(SVC()),
            {"svc": hp.choice("m", [GaussianNB()]), "svc__priors": [0.5, 0.5]},
        ),
        (SVC(), {"nothing": [1, 2], "C": hp.uniform("C", 1, 2)}),
        (OneHotEncoder(), {"categories": ("a", "b"), "min_frequency": hp.uniformint("m", 1, 2)}),
        (SVC(), {"C": 1.0, "gamma": hp.uniform("g", 1, 2)}),
        (SVC(), hp.choice("k", [{"C": 1.0}, {"C": 2.0}])),
        (ColumnTransformer([]), {"transformers": [("a", hp.choice("o", ["drop"]), [0])]}),
    ],
)
def test_values_that_are_lists(estimator, space):
    check_no_grid(space, estimator)


def test_lists_stay_lists():
    texts = ["the cat sat", "the dog ran"] * 10
    model = make_pipeline(CountVectorizer(), LogisticRegression())
    space = {
        "countvectorizer__stop_words": ["the", "a"],
        "logisticregression__C": hp.uniform("C", 1, 2),
    }
    search = SparkTrialsSearchCV(model, space, 2, cv=2, random_state=0).fit(texts, Y)
    assert search.best_params_["countvectorizer__stop_words"] == ["the", "a"]
    assert search.trials_.statuses() == ["ok"] * 2


def test_lists_become_the_tuples_that_a_parameter_takes_alone():
    X, y = np.arange(30.0).reshape(-1, 1), np.arange(30) % 2
    space = {"minmaxscaler__feature_range": [0, 2], "svc__C": hp.uniform("C", 0.1, 1)}
    search = SparkTrialsSearchCV(make_pipeline(MinMaxScaler(), SVC()), space, 2, cv=2)
    assert search.fit(X, y).best_estimator_[0].feature_range == (0, 2)
