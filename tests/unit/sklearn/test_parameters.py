"""Parameters that an estimator has not, and values that it never takes, are said at once."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError

from sparktrials import Trials, hp, scope
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import SparkTrialsSearchCV, draws
from sparktrials.sklearn.parameters import check_parameters

X, Y = np.arange(40.0).reshape(-1, 2), np.arange(20) % 2
C = hp.uniform("C", 1, 2)


def refused(estimator, space, error, match):
    trials = Trials()
    with pytest.raises(error, match=match):
        SparkTrialsSearchCV(estimator, space, 2, trials=trials, cv=2).fit(X, Y)
    assert not len(trials)


@pytest.mark.parametrize(
    ("space", "meant"),
    [
        ({"svm__C": C}, r"'svm__C' \(did you mean 'svc__C'\?\)"),
        ({"svc__c": C}, r"did you mean 'svc__C'\?"),
        ({"C": C}, r"Invalid parameter 'C' \(did you mean 'svc__C'\?\) for estimator Pipe"),
        (hp.choice("case", [{"svc__C": C}, {"svc__gama": 0.1}]), r"did you mean 'svc__gamma'\?"),
    ],
)
def test_names_that_are_no_parameters(space, meant):
    refused(make_pipeline(StandardScaler(), SVC()), space, InvalidArgument, meant)


def test_a_name_with_a_step_that_is_not_there():
    refused(SVC(), {"svc__C": C}, InvalidArgument, r"did you mean 'C'\?")


@pytest.mark.parametrize("space", [C, [C, hp.choice("kernel", ["rbf", "linear"])]])
def test_a_space_that_is_no_dict(space):
    refused(SVC(), space, InvalidArgument, r"must be a dict .* becomes a (float|tuple|list): ")


def test_names_that_a_step_of_the_space_has():
    solver = hp.choice("solver", ["lbfgs", "liblinear"])
    space = {"svc": hp.choice("m", [LogisticRegression()]), "svc__solver": solver}
    search = SparkTrialsSearchCV(
        make_pipeline(StandardScaler(), SVC()), space, 2, cv=2, random_state=0
    ).fit(X, Y)
    assert np.isfinite(search.best_score_)


def test_whole_floats_where_ints_are_needed():
    space = {"n_estimators": hp.quniform("n", 2, 9, 1)}
    refused(
        RandomForestClassifier(), space, InvalidParameterError, r"must be an int .*hp\.uniformint"
    )
    space = {"n_estimators": scope.int(hp.quniform("n", 2, 9, 1))}
    SparkTrialsSearchCV(RandomForestClassifier(), space, 1, cv=2).fit(X, Y)


def test_values_that_are_never_taken():
    pipeline = make_pipeline(StandardScaler(), SVC())
    refused(pipeline, {"svc__kernel": "foo"}, InvalidParameterError, r"'kernel' parameter of SVC")


def test_what_is_right_but_rare():
    pipeline = make_pipeline(StandardScaler(), SVC())
    rare = hp.pchoice("rare", [(0.95, {"svc__nope": 1}), (0.05, {"svc__kernel": "linear"})])
    refused(pipeline, rare, InvalidArgument, "'svc__nope'")
    check_parameters({"svc__kernel": hp.pchoice("k", [(0.95, "foo"), (0.05, "rbf")])}, pipeline)
    steps = hp.pchoice("m", [(0.95, SVC()), (0.05, LogisticRegression())])
    check_parameters({"svc": steps, "svc__solver": "liblinear"}, pipeline)


class Share(KNeighborsClassifier):
    """Its number of neighbours is a share of the samples."""

    def fit(self, X, y):
        self.n_neighbors = max(1, int(self.n_neighbors * len(X)))
        return super().fit(X, y)


def test_a_class_that_converts_its_parameters():
    space = {"n_neighbors": hp.uniform("n", 0.1, 0.3)}
    search = SparkTrialsSearchCV(Share(), space, 2, cv=2, random_state=0).fit(X, Y)
    assert np.isfinite(search.best_score_)


def test_what_a_search_inside_sets():
    inner = GridSearchCV(SVC(C=-1.0), {"C": [1.0, 2.0]}, cv=2)
    search = SparkTrialsSearchCV(inner, {"estimator__gamma": hp.uniform("g", 0, 1)}, 1, cv=2)
    assert np.isfinite(search.fit(X, Y).best_score_)


def test_options_of_any_probability_are_seen():
    kernel = hp.pchoice("k", [(0.999, "foo"), (0.001, "rbf")])
    check_parameters({"kernel": kernel}, SVC())


@pytest.fixture
def slow(monkeypatch):
    """A function that takes a second, by the clock that draws look at, and its calls."""
    seconds, calls = itertools.count(), []
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr(draws, "time", clock)

    def make(kernel):
        calls.append(kernel)
        return kernel

    return make, calls


@pytest.mark.parametrize("kernel", ["rbf", "foo"])
def test_functions_that_take_long_are_called_a_few_times(slow, caplog, kernel):
    make, calls = slow
    space = {"kernel": scope.call(make, hp.choice("k", [kernel, kernel]))}
    check_parameters(space, SVC())
    assert len(calls) == 4
    (record,) = caplog.records
    assert "functions in the space take long" in record.message


def test_what_is_known_may_take_long(slow):
    space = {"kernel": hp.choice("k", ["foo", "bar"]), "degree": scope.int(hp.uniform("d", 1, 2))}
    with pytest.raises(InvalidParameterError, match="'kernel' parameter"):
        check_parameters(space, SVC())
