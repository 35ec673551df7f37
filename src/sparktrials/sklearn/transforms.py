"""Components that change features: scalers, encoders, expansions, reductions, and text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparktrials import hp, scope
from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.component import (
    FLAG,
    SKLEARN,
    Cases,
    Component,
    OneOf,
    Real,
    Whole,
    class_of,
)
from sparktrials.sklearn.earlier import renamed

if TYPE_CHECKING:
    from sparktrials.space.nodes import Node

__all__ = [
    "binarizer",
    "colkmeans",
    "count_vectorizer",
    "hashing_vectorizer",
    "k_bins_discretizer",
    "max_abs_scaler",
    "min_max_scaler",
    "normalizer",
    "nystroem",
    "one_hot_encoder",
    "ordinal_encoder",
    "pca",
    "polynomial_features",
    "power_transformer",
    "quantile_transformer",
    "robust_scaler",
    "spline_transformer",
    "standard_scaler",
    "tfidf_vectorizer",
    "truncated_svd",
    "ts_lagselector",
]

#: What 1.9 takes by default; saying so keeps 1.7 and 1.8 from warning of it.
_QUANTILES: dict[str, object] = (
    {"quantile_method": "averaged_inverted_cdf"} if SKLEARN >= (1, 7) else {}
)
_WORDS = Cases(
    "analyzer",
    {
        "analyzer": "word",
        "ngram_range": OneOf((1, 1), (1, 2), (1, 3)),
        "stop_words": OneOf(None, "english"),
    },
    {"analyzer": "char_wb", "ngram_range": OneOf((2, 4), (3, 5), (1, 5))},
)
_TOKENS = {"lowercase": FLAG, "binary": FLAG}
_COUNTS = {**_TOKENS, "min_df": OneOf(1, 2, 4), "max_df": OneOf(1.0, Real(0.5, 1.0))}


def _transform(name: str, made_by: str, **table: object) -> Component:
    return Component(name, name, f"sklearn.{made_by}", "preprocessor", table)


binarizer = _transform("binarizer", "preprocessing.Binarizer", threshold=Real(-1.0, 1.0))
min_max_scaler = _transform(
    "min_max_scaler",
    "preprocessing.MinMaxScaler",
    feature_range=OneOf((0.0, 1.0), (-1.0, 1.0)),
    clip=FLAG,
)
max_abs_scaler = _transform("max_abs_scaler", "preprocessing.MaxAbsScaler")
normalizer = _transform("normalizer", "preprocessing.Normalizer", norm=OneOf("l2", "l1", "max"))
robust_scaler = _transform(
    "robust_scaler",
    "preprocessing.RobustScaler",
    quantile_range=OneOf((25.0, 75.0), (10.0, 90.0), (5.0, 95.0), (1.0, 99.0)),
    with_centering=FLAG,
    unit_variance=FLAG,
)
standard_scaler = _transform(
    "standard_scaler",
    "preprocessing.StandardScaler",
    with_mean=FLAG,
    with_std=FLAG,
)
quantile_transformer = _transform(
    "quantile_transformer",
    "preprocessing.QuantileTransformer",
    n_quantiles=Whole(10, 1000, log=True),
    output_distribution=OneOf("uniform", "normal"),
)
power_transformer = _transform(
    "power_transformer",
    "preprocessing.PowerTransformer",
    # Box-Cox is for positive features alone.
    method="yeo-johnson",
    standardize=FLAG,
)
one_hot_encoder = Component(
    "one_hot_encoder",
    "one_hot_encoder",
    "sklearn.preprocessing.OneHotEncoder",
    "preprocessor",
    {
        "handle_unknown": "ignore",
        "sparse_output": False,
        "max_categories": OneOf(None, Whole(5, 100, log=True)),
    },
    needs="categories",
)
ordinal_encoder = Component(
    "ordinal_encoder",
    "ordinal_encoder",
    "sklearn.preprocessing.OrdinalEncoder",
    "preprocessor",
    {
        "handle_unknown": "use_encoded_value",
        "unknown_value": -1,
        "max_categories": OneOf(None, Whole(5, 100, log=True)),
    },
    needs="categories",
)
polynomial_features = _transform(
    "polynomial_features",
    "preprocessing.PolynomialFeatures",
    # Degree 3 makes 40,000 features of 60: give it by hand where there are few.
    degree=2,
    interaction_only=FLAG,
    include_bias=False,
)
spline_transformer = _transform(
    "spline_transformer",
    "preprocessing.SplineTransformer",
    n_knots=Whole(3, 10),
    degree=Whole(1, 4),
    knots=OneOf("uniform", "quantile"),
    extrapolation=OneOf("constant", "linear", "continue"),
    include_bias=False,
)
k_bins_discretizer = _transform(
    "k_bins_discretizer",
    "preprocessing.KBinsDiscretizer",
    n_bins=Whole(2, 20),
    encode=OneOf("onehot-dense", "ordinal"),
    strategy=OneOf("uniform", "quantile", "kmeans"),
    subsample=200_000,
    **_QUANTILES,
)
#: Each column by its own k-means, as in Hyperopt-Sklearn, with the cluster a sample belongs to
#: rather than distances: so it is scikit-learn's own, and a pipeline with it unpickles anywhere.
colkmeans = Component(
    "colkmeans",
    "colkmeans",
    "sklearn.preprocessing.KBinsDiscretizer",
    "preprocessor",
    {
        "n_bins": Whole(2, 20, log=True),
        "encode": "onehot-dense",
        "strategy": "kmeans",
        "subsample": 200_000,
        **_QUANTILES,
    },
    earlier=renamed(
        {"n_clusters": "n_bins"}, "init", "n_init", "max_iter", "tol", "copy_x", "verbose"
    ),
)
pca = _transform(
    "pca",
    "decomposition.PCA",
    # The share of the variance that is kept: a number of components may be more than there are.
    n_components=OneOf(None, Real(0.5, 0.999)),
    whiten=FLAG,
    svd_solver="full",
)
truncated_svd = Component(
    "truncated_svd",
    "truncated_svd",
    "sklearn.decomposition.TruncatedSVD",
    "preprocessor",
    {"n_components": Whole(2, 200, log=True)},
    fails="more components than features",
)
nystroem = _transform(
    "nystroem",
    "kernel_approximation.Nystroem",
    gamma=OneOf(None, Real(1e-4, 10.0, log=True)),
    n_components=Whole(20, 300, log=True),
)

TRANSFORMS = (
    binarizer,
    min_max_scaler,
    max_abs_scaler,
    normalizer,
    robust_scaler,
    standard_scaler,
    quantile_transformer,
    power_transformer,
    one_hot_encoder,
    ordinal_encoder,
    polynomial_features,
    spline_transformer,
    k_bins_discretizer,
    colkmeans,
    pca,
    truncated_svd,
    nystroem,
)

tfidf_vectorizer = Component(
    "tfidf_vectorizer",
    "tfidf",
    "sklearn.feature_extraction.text.TfidfVectorizer",
    "text",
    {**_COUNTS, "norm": OneOf("l2", "l1"), "sublinear_tf": FLAG},
    (_WORDS,),
    needs="text",
    fails="no term is in as many documents as min_df asks for",
)
count_vectorizer = Component(
    "count_vectorizer",
    "count",
    "sklearn.feature_extraction.text.CountVectorizer",
    "text",
    _COUNTS,
    (_WORDS,),
    needs="text",
    fails="no term is in as many documents as min_df asks for",
)
hashing_vectorizer = Component(
    "hashing_vectorizer",
    "hashing",
    "sklearn.feature_extraction.text.HashingVectorizer",
    "text",
    {
        **_TOKENS,
        "norm": OneOf("l2", "l1"),
        "n_features": OneOf(2**12, 2**14, 2**16, 2**18),
        # What some models of counts need: no negative values.
        "alternate_sign": False,
    },
    (_WORDS,),
    needs="text",
)

TEXT = (tfidf_vectorizer, hashing_vectorizer, count_vectorizer)


def ts_lagselector(label: str, lower_lags: int = 1, upper_lags: int = 1) -> Node:
    """Return a node that keeps the first columns of lagged time series: how many is searched.

    Parameters
    ----------
    label
        Begins the label of its parameter: ``label.lags``.
    lower_lags, upper_lags
        The fewest and the most columns; negative numbers count from the last column.

    Raises
    ------
    InvalidArgument
        If the lower is greater than the upper.
    """
    if lower_lags > upper_lags:
        msg = f"lower_lags <= upper_lags must hold, got {lower_lags!r} and {upper_lags!r}"
        raise InvalidArgument(msg)
    lags = (
        lower_lags
        if lower_lags == upper_lags
        else hp.uniformint(f"{label}.lags", lower_lags, upper_lags)
    )
    return scope.call(_lags, lags)


def _lags(n: int) -> Any:  # noqa: ANN401 - scikit-learn has no types
    columns = slice(0, n) if n >= 0 else slice(n, None)
    transformer = class_of("sklearn.compose.ColumnTransformer")
    return transformer([("lags", "passthrough", columns)])
