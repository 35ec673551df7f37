"""The default space is one for the data: frames with columns of all kinds, gaps, text, sparse."""

from __future__ import annotations

import datetime as dt
import decimal
import logging
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, random as random_sparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import SplineTransformer, TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparktrials import Trials
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn import HyperoptEstimator, decision_tree_classifier, ridge, svc
from sparktrials.sklearn.assembly import Recipe, assemble
from sparktrials.sklearn.kinds import kinds_of
from sparktrials.sklearn.writing import as_code

WORDS = ["the ship went down", "all were saved in time", "a boat came near", "no one knew why"]


def passengers(n=80):
    """Return a table as people have it."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 10, n)),
            "cabins": pd.array(rng.integers(1, 5, n), dtype="Int64"),
            "port": pd.Categorical(rng.choice(["S", "C", "Q"], n)),
            "title": pd.array(rng.choice(["Mr", "Mrs", "Dr"], n), dtype="string"),
            "deck": rng.choice(["A", "B", None], n),
            "alone": rng.random(n) < 0.5,
            "sailed": pd.Timestamp("1912-04-10")
            + pd.to_timedelta(rng.integers(0, 400, n), unit="D"),
            "remark": [f"{rng.choice(WORDS)} {i}" for i in range(n)],
        }
    )
    frame.loc[3, ["port", "title", "sailed", "remark"]] = None
    frame.loc[4, "cabins"] = pd.NA
    return frame, np.where((frame.age.fillna(40) > 40) | frame.alone, "yes", "no")


def search(**given):
    given.setdefault("classifier", decision_tree_classifier("m", max_depth=3))
    return HyperoptEstimator(**{"max_evals": 6, "seed": 0} | given)


def test_kinds():
    frame, _ = passengers()
    kinds = list(kinds_of(frame).values())
    wanted = ["number", "number", "words", "words", "words", "category", "date", "text"]
    assert kinds == wanted
    more = pd.DataFrame(
        {"o": [None, 2, 3.5], "c": pd.Categorical([1, 2, 1]), "b": [True, None, False]}
    )
    assert list(kinds_of(more).values()) == ["number", "category", "category"]


def test_a_frame_with_columns_of_all_kinds(tmp_path):
    X, y = passengers()
    found = search().fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 6, [t.failure for t in found.trials.history]
    assert isinstance(found.best_pipeline_[0], ColumnTransformer)
    assert found.score(X, y) > 0.8
    # What was not seen in fitting.
    new = X.iloc[:4].copy()
    new.loc[0, ["title", "deck"]] = ["Capt", "Z"]
    new.loc[1, ["age", "sailed", "remark"]] = None
    assert len(found.predict(new)) == 4
    made: dict = {}
    exec(found.to_code(), made)
    assert (made["pipeline"].fit(X, y).predict(X) == found.predict(X)).all()
    (tmp_path / "best.pkl").write_bytes(pickle.dumps(found.best_pipeline_))
    (tmp_path / "X.pkl").write_bytes(pickle.dumps(X))
    code = (
        "import pickle, sys\n"
        "best, X = (pickle.load(open(f, 'rb')) for f in ('best.pkl', 'X.pkl'))\n"
        "print(len(best.predict(X)), 'sparktrials' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["80", "False"]


@pytest.mark.newest
@pytest.mark.parametrize("names", [range(7, -1, -1), [("a", i) for i in range(8)]])
def test_names_of_columns_that_are_no_strings(names):
    X, y = passengers()
    by_name = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True).predict(X)
    X.columns = pd.Index(names, tupleize_cols=True)
    found = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    parts = {part: columns for part, _, columns in found.best_pipeline_[0].transformers_}
    assert (parts["numbers"], parts["6_year"], parts["7_text"]) == ([0, 1], [6], 7)
    assert (found.predict(X) == by_name).all()


@pytest.mark.newest
def test_names_of_columns_that_no_step_may_have():
    X, y = passengers()
    X = X[["age", "sailed", "remark"]].set_axis(["age", "sailed__on", "remark_"], axis=1)
    found = search(max_evals=1).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"], [t.failure for t in found.trials.history]


@pytest.mark.newest
def test_numbers_with_gaps():
    X, _ = passengers()
    y = X.age.fillna(0.0)
    for data in (X[["age", "cabins"]], X[["age"]].to_numpy()):
        found = search(classifier=None, regressor=ridge("m")).fit(data, y)
        assert isinstance(found.best_pipeline_[0], SimpleImputer)
        assert set(found.trials.statuses()) <= {"ok", "fail"}
        assert found.predict(data).shape == y.shape


@pytest.mark.newest
def test_sparse_data():
    rng = np.random.default_rng(0)
    X = csr_matrix((rng.random((60, 30)) < 0.2).astype(float))
    y = (X[:, 0].toarray().ravel() > 0).astype(int)
    found = search(classifier=None).fit(X, y, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 6, [t.failure for t in found.trials.history]


@pytest.mark.newest
@pytest.mark.parametrize("kind", [list, pd.Series])
def test_texts(kind):
    texts = kind(WORDS * 10)
    found = search(classifier=None).fit(texts, [1, 0, 1, 0] * 10)
    assert found.score(texts, [1, 0, 1, 0] * 10) > 0.9


@pytest.mark.newest
def test_what_no_model_takes():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [[1], {}]})
    with pytest.raises(
        InvalidArgument, match=r"column 'b' \(object\) has cells of type dict, list"
    ):
        search().fit(X, [0, 1])


@pytest.mark.parametrize(
    ("column", "kinds"),
    [
        (pd.Categorical([1, "a"] * 20), r"\(category\) has cells of type int, str"),
        (pd.Series([1] * 1_500 + ["a"]), r"\(object\) has cells of type int, str"),
        ([np.zeros(2), np.ones(2)], r"\(object\) has cells of type ndarray"),
    ],
)
def test_a_column_that_is_refused_is_named(column, kinds):
    with pytest.raises(InvalidArgument, match=f"column 'c' {kinds}"):
        kinds_of(pd.DataFrame({"c": column}))


def test_kinds_do_not_depend_on_the_index():
    strings = pd.DataFrame({"c": [None, None, "a", "b"]}, [-2.5, 0.5, 1e4, 2e4])
    assert kinds_of(strings) == {"c": "words"}


@pytest.mark.parametrize("more", [{}, {"s": ["a", "b"] * 30}], ids=["alone", "beside strings"])
def test_objects_of_which_some_are_pandas_na(more):
    numbers = [1, 2.5, pd.NA, None, 3, float("nan")] * 10
    X = pd.DataFrame({"n": pd.Series(numbers, dtype=object), "m": range(60), **more})
    y = X.n.isna()
    found = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    best = pickle.loads(pickle.dumps(found.best_pipeline_))
    assert (best.predict(X) == found.predict(X)).all()


@pytest.mark.newest
def test_booleans_of_which_some_are_pandas_na():
    X = pd.DataFrame({"b": pd.Series([True, False, pd.NA] * 20, dtype=object)})
    found = search(max_evals=4).fit(X, X.b.isna(), n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 4, [t.failure for t in found.trials.history]
    assert found.score(X, X.b.isna()) == 1


@pytest.mark.newest
def test_a_frame_of_polars():
    polars = pytest.importorskip("polars")
    X, y = passengers()
    X = polars.DataFrame(
        {name: X[name].astype(object).where(X[name].notna(), None).to_list() for name in X}
    )
    wanted = ["number", "number", "words", "words", "words", "category", "date", "text"]
    assert list(kinds_of(X).values()) == wanted
    found = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    assert len(found.predict(X[:4])) == 4
    with pytest.raises(InvalidArgument, match=r"column 'o' \(Object\) has cells of type int"):
        kinds_of(polars.DataFrame({"o": polars.Series([1, 2], dtype=polars.Object)}))


@pytest.mark.parametrize("dtype", [object, str])
def test_an_array_with_strings_says_what_to_do(dtype):
    X = np.array([["a", "1"], ["b", "2"]] * 20, dtype=dtype)
    search = HyperoptEstimator(max_evals=1)
    with pytest.raises(InvalidArgument, match="make it a DataFrame"):
        search.fit(X, [0, 1] * 20)


@pytest.mark.parametrize("classification", [True, False])
def test_encoders_of_targets_are_seeded(classification):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"word": rng.choice(list("abcdefgh"), 60), "number": rng.random(60)})
    y = rng.integers(0, 2, 60) if classification else rng.random(60)
    columns = ColumnTransformer(
        [
            ("words", TargetEncoder(), ["word"]),
            ("numbers", SplineTransformer(degree=1, knots=np.array([[0.0], [0.5], [1]])), [1]),
        ]
    )
    learner = DecisionTreeClassifier() if classification else DecisionTreeRegressor()
    recipe = Recipe(learner, classification, (columns,), ())
    made: dict = {}
    exec(as_code(assemble(recipe, (2,), seed=3, n_jobs=1)), made)
    first, again, written, other = (
        pipeline[:-1].fit_transform(X, y)
        for pipeline in (
            assemble(recipe, (2,), seed=3, n_jobs=1),
            assemble(recipe, (2,), seed=3, n_jobs=1),
            made["pipeline"],
            assemble(recipe, (2,), seed=4, n_jobs=1),
        )
    )
    assert np.array_equal(first, again)
    assert np.array_equal(first, written)
    assert not np.array_equal(first, other)


def test_dates_stand_beside_scaled_numbers():
    X = passengers(200)[0]
    X = X[["age", "sailed"]].assign(age=X.age.fillna(40)).dropna()
    found = search(classifier=svc("m", kernel="rbf", C=5.0, gamma="scale")).fit(
        X, X.age > 40, n_folds=2, cv_shuffle=True
    )
    assert found.best_loss_ < 0.1


def times(n=60):
    """Return a frame with times of all kinds as cells and as columns, some of them missing."""
    rng = np.random.default_rng(0)
    days = rng.integers(0, 700, n)
    date = [dt.date(2019, 5, 1) + dt.timedelta(int(d)) for d in days]
    date[3] = dt.date(9999, 12, 31)  # beyond what pandas has
    frame = pd.DataFrame(
        {
            "date": pd.Series(date, dtype=object),
            "stamp": pd.Series([pd.Timestamp(2020, 1, 1 + d % 28) for d in days], dtype=object),
            "price": [decimal.Decimal(int(d)) / 100 for d in days],
            "span": pd.to_timedelta(days, unit="h"),
            "span_cells": pd.Series([dt.timedelta(minutes=int(d)) for d in days], dtype=object),
            "month": pd.PeriodIndex(
                pd.Timestamp(2019, 5, 1) + pd.to_timedelta(days, "D"), freq="M"
            ),
            "month_cells": pd.Series(
                [pd.Period(f"{2000 + int(d) % 30}", freq="Y") for d in days], dtype=object
            ),
        }
    )
    frame.loc[5, :] = None
    return frame, np.where(days > 350, "late", "early")


def test_times_and_decimals(tmp_path):
    X, y = times()
    wanted = ["date", "date", "number", "duration", "duration", "period", "period"]
    assert list(kinds_of(X).values()) == wanted
    found = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    assert found.score(X, y) > 0.9
    made: dict = {}
    exec(found.to_code(), made)
    assert (made["pipeline"].fit(X, y).predict(X) == found.predict(X)).all()
    (tmp_path / "best.pkl").write_bytes(pickle.dumps((found.best_pipeline_, X)))
    code = (
        "import pickle, sys\n"
        "best, X = pickle.load(open('best.pkl', 'rb'))\n"
        "print(len(best.predict(X)), 'sparktrials' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["60", "False"]


@pytest.mark.parametrize("name", ["date", "stamp", "span", "span_cells", "month", "month_cells"])
def test_times_become_numbers(name):
    X = times()[0][[name]]
    front = search(max_evals=1, preprocessing=None).fit(X, X.index > 30, cv_shuffle=True)
    made = front.best_pipeline_[:-1].fit_transform(X)
    (steps,) = {
        pipeline[:-2]
        for key, pipeline, _ in front.best_pipeline_[0].transformers_
        if key in {f"{name}_year", "durations"}
    }
    plain = steps.transform(X)[name]
    if name.startswith("span"):
        assert plain[0] == X[name][0].total_seconds()
    else:
        start = X[name][0].to_timestamp() if name.startswith("month") else X[name][0]
        assert plain[0] == start.year
        assert made.shape == (60, 5)
    assert np.isnan(plain[5])
    assert np.isfinite(made).all()


def test_names_of_features():
    X, y = passengers()
    X = X.drop(columns="remark")
    found = search(max_evals=1).fit(X, y, n_folds=2, cv_shuffle=True)
    names = found.best_pipeline_[:-1].get_feature_names_out().tolist()
    assert "sailed_year__sailed" in names
    frame = found.best_pipeline_[:-1].set_output(transform="pandas").fit_transform(X, y)
    assert frame.columns.tolist() == names
    X, y = times()
    front = search(max_evals=1).fit(X, y, n_folds=2, cv_shuffle=True).best_pipeline_[:-1]
    frame = front.set_output(transform="pandas").fit_transform(X, y)
    assert frame.columns.tolist() == front.get_feature_names_out().tolist()


def test_names_of_features_beside_a_text():
    X, y = passengers()
    found = search(max_evals=1).fit(X, y, n_folds=2, cv_shuffle=True)
    names = found.best_pipeline_[:-1].get_feature_names_out().tolist()
    assert len(names) == found.best_pipeline_[:-1].transform(X).shape[1]


@pytest.mark.newest
def test_times_and_decimals_of_polars():
    polars = pytest.importorskip("polars")
    X, y = times()
    X = polars.DataFrame(
        {
            name: X[name].astype(object).where(X[name].notna(), None).to_list()
            for name in ("date", "price", "span_cells")
        }
    )
    assert list(kinds_of(X).values()) == ["date", "number", "duration"]
    found = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    assert found.score(X, y) > 0.8
    decimals = X[["price"]].fill_null(1)
    assert search(max_evals=1).fit(decimals, y).score(decimals, y) > 0.8


def test_columns_of_one_name_are_refused():
    X = pd.DataFrame(np.ones((4, 4)), columns=["a", "b", "a", "b"])
    with pytest.raises(ValueError, match=r"columns of the same name: 'a', 'b'\. Rename"):
        search().fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize("kind", ["numbers", "frame", "array", "polars"])
def test_empty_columns_are_told_of(kind, caplog):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.random(40), "b": [np.nan] * 40})
    y = X.a > 0.5
    data, name = X, "'b'"
    if kind == "frame":
        data = X.assign(c=pd.Series([pd.NaT] * 40), d=[None] * 40, e=["x", "y"] * 20)
        name = "'b', 'c', 'd'"
    elif kind == "polars":
        data = pytest.importorskip("polars").DataFrame({"a": X.a.to_list(), "b": [None] * 40})
    elif kind == "array":
        data, name = X.to_numpy(), "1"
    found = search(max_evals=2).fit(data, y)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert f"have no value in any sample: {name}" in record.getMessage()


@pytest.mark.newest
def test_columns_of_arrow():
    arrow = pytest.importorskip("pyarrow")
    X, y = times()
    there = X.date.notna() & (X.date != dt.date(9999, 12, 31))
    kinds = {
        "date": (arrow.date32(), "date"),
        "price": (arrow.decimal128(9, 2), "number"),
        "span_cells": (arrow.duration("us"), "duration"),
    }
    X = pd.DataFrame(
        {
            name: pd.array(X[name].where(there, None).to_list(), dtype=pd.ArrowDtype(of))
            for name, (of, _) in kinds.items()
        }
    )
    assert list(kinds_of(X).values()) == [kind for _, kind in kinds.values()]
    found = search(max_evals=2).fit(X, y, n_folds=2, cv_shuffle=True)
    assert found.trials.statuses() == ["ok"] * 2, [t.failure for t in found.trials.history]
    assert found.score(X, y) > 0.8


@pytest.mark.newest
def test_polars_that_scikit_learn_is_too_old_for(monkeypatch):
    polars = pytest.importorskip("polars")

    def fit(self, X):
        raise AttributeError("'list' object has no attribute 'get_loc'")

    monkeypatch.setattr(ColumnTransformer, "fit", fit)
    with pytest.raises(InvalidArgument, match=r"takes no columns of a DataFrame .*to_pandas\(\)"):
        search().fit(polars.DataFrame({"a": ["x", "y"] * 10}), [0, 1] * 10)


@pytest.mark.newest
def test_dates_of_arrow():
    pyarrow = pytest.importorskip("pyarrow")
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(60)]
    days[3] = None
    for made in (pyarrow.date32(), pyarrow.date64()):
        X = pd.DataFrame({"day": pd.Series(days, dtype=object).astype(pd.ArrowDtype(made))})
        assert list(kinds_of(X).values()) == ["date"]
        y = np.arange(60) > 30
        found = search(max_evals=1).fit(X, y, cv_shuffle=True)
        assert found.score(X, y) > 0.9


@pytest.mark.newest
def test_dates_of_polars_need_packages(monkeypatch):
    polars = pytest.importorskip("polars")

    def missing(_):
        message = "No module named 'pyarrow'"
        raise ModuleNotFoundError(message)

    X = polars.DataFrame({"n": range(40), "day": [dt.date(2020, 1, 1 + i % 28) for i in range(40)]})
    monkeypatch.setattr(polars.DataFrame, "to_pandas", missing)
    with pytest.raises(InvalidArgument, match=r"polars, 'day', .* pip install pandas pyarrow"):
        search().fit(X, [0, 1] * 20)
    numbers = X.with_columns(polars.col("day").cast(int), w=polars.Series(["a", "b"] * 20))
    assert search(max_evals=1).fit(numbers, [0, 1] * 20).trials.statuses() == ["ok"]


def test_preprocessing_by_the_target_is_not_fitted_without():
    X = pd.DataFrame({"word": list("abcd") * 20, "n": range(80)})
    encoded = [ColumnTransformer([("word", TargetEncoder(random_state=0), ["word"])])]
    found = search(preprocessing=encoded, max_evals=1).fit(X, X.word < "c", cv_shuffle=True)
    before = found.predict(X)
    with pytest.raises(InvalidArgument, match="TargetEncoder, which learns from it"):
        found.predict(X, fit_preproc=True)
    assert (found.predict(X) == before).all()


def test_an_array_and_then_texts():
    texts = [f"{'good' if i % 2 else 'bad'} thing {i}" for i in range(40)]
    y = np.arange(40) % 2
    found = search(max_evals=1).fit(np.random.default_rng(0).random((40, 3)), y)
    assert found.n_features_in_ == 3
    found.fit(texts, y)
    assert not hasattr(found, "n_features_in_")
    assert len(found.predict(texts)) == 40


def sparse_numbers():
    """Return a sparse matrix, and a target that its first column says."""
    S = random_sparse(60, 8, density=0.4, random_state=0, format="csr")
    return S, (S[:, 0].toarray().ravel() > 0).astype(int)


@pytest.mark.parametrize("more", [{}, {"s": ["a", "b"] * 30}], ids=["alone", "beside strings"])
def test_a_sparse_frame(more):
    S, y = sparse_numbers()
    X = pd.DataFrame.sparse.from_spmatrix(S, columns=list("abcdefgh")).assign(**more)
    found = search(max_evals=4, trials=Trials()).fit(X, y)
    assert all(found.leaderboard().state == "ok")
    assert found.score(X, y) > 0.9
    assert found.feature_names_in_.tolist() == list(X.columns)
    if not more:
        beside = search(max_evals=2, classifier=None).fit(X, y, EX_list=[X])
        assert all(beside.leaderboard().state == "ok")


@pytest.mark.parametrize("kind", ["csr", "csc", "dok", "frame"])
def test_sparse_data_with_gaps(kind):
    S, y = sparse_numbers()
    S.data[5] = np.nan
    X = pd.DataFrame.sparse.from_spmatrix(S) if kind == "frame" else S.asformat(kind)
    found = search(classifier=svc("s"), max_evals=4).fit(X, y)
    assert all(found.leaderboard().state == "ok")
    assert isinstance(found.best_pipeline_[0], SimpleImputer)
    if kind != "frame":
        beside = search(classifier=svc("s"), max_evals=2).fit(X, y, EX_list=[X])
        assert all(beside.leaderboard().state == "ok")


def test_a_column_that_has_another_type_than_in_fit():
    frame, y = passengers()
    found = search(max_evals=1).fit(frame, y)
    other = frame.assign(sailed=frame.sailed.astype(str))
    match = r"other types than in fit in the column 'sailed' \(datetime64.*, now "
    with pytest.raises(TypeError, match=match):
        found.predict(other)
    found.set_params(scoring="accuracy")
    with pytest.raises(TypeError, match=match):
        found.score(other, y)
    with pytest.raises(TypeError, match=match):
        found.retrain_best_model_on_full_data(other, y)
    assert len(found.predict(frame.assign(cabins=2.0))) == len(y)


@pytest.mark.newest
def test_frames_of_two_packages():
    polars = pytest.importorskip("polars")
    days = [dt.date(2020, 1, 1 + i % 28) for i in range(40)]
    columns = {"age": np.arange(40.0), "deck": ["A", "B"] * 20, "sailed": days}
    frame, other, y = pd.DataFrame(columns), polars.DataFrame(columns), [0, 1] * 20
    found = search(max_evals=1).fit(other, y)
    with pytest.raises(TypeError, match=r"on a polars frame, got a pandas one: polars\.from_p"):
        found.predict(frame)
    found = search(max_evals=1).fit(frame, y)
    with pytest.raises(TypeError, match=r"on a pandas frame, got a polars one: X\.to_pandas\(\)"):
        found.predict(other)
    found = search(max_evals=1).fit(frame[["age"]], y)
    assert len(found.predict(other[["age"]])) == len(y)
