"""Components that compare samples: support vectors, neighbours, kernels, Gaussian processes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sparktrials.sklearn.component import FLAG, Cases, Component, New, OneOf, Real, Whole

__all__ = [
    "gaussian_process_classifier",
    "gaussian_process_regressor",
    "hp_sklearn_kernel_ridge",
    "k_neighbors_classifier",
    "k_neighbors_regressor",
    "kernel_ridge",
    "label_propagation",
    "label_spreading",
    "linear_svc",
    "linear_svr",
    "nearest_centroid",
    "nu_svc",
    "nu_svr",
    "one_class_svm",
    "radius_neighbors_classifier",
    "radius_neighbors_regressor",
    "svc",
    "svr",
]

_C = Real(1e-3, 1e3, log=True)
_GAMMA = OneOf("scale", Real(1e-5, 10.0, log=True))
_COEF0 = Real(-1.0, 1.0)
_WEIGHTS: Mapping[str, object] = MappingProxyType({"class_weight": OneOf(None, "balanced")})
#: A bound, for a machine that does not converge would hold a slot for hours.
_SVM = {"shrinking": FLAG, "max_iter": 100_000}
_KERNEL = Cases(
    "kernel",
    {"kernel": "rbf", "gamma": _GAMMA},
    {"kernel": "linear"},
    {"kernel": "poly", "gamma": _GAMMA, "degree": Whole(2, 5), "coef0": _COEF0},
    {"kernel": "sigmoid", "gamma": _GAMMA, "coef0": _COEF0},
)
_NEIGHBORS = {"weights": OneOf("uniform", "distance")}
_METRIC = Cases(
    "metric",
    {"metric": "minkowski", "p": Real(1.0, 5.0)},
    {"metric": "manhattan"},
    {"metric": "euclidean"},
    {"metric": "chebyshev"},
)
_GAUSSIAN = OneOf(
    None,
    New("sklearn.gaussian_process.kernels.RBF"),
    New("sklearn.gaussian_process.kernels.Matern", nu=OneOf(0.5, 1.5, 2.5)),
    New("sklearn.gaussian_process.kernels.RationalQuadratic"),
)
_PROPAGATION = (
    Cases(
        "kernel",
        {"kernel": "knn", "n_neighbors": Whole(3, 20)},
        {"kernel": "rbf", "gamma": Real(1e-2, 30.0, log=True)},
    ),
)
_FEW = "more neighbours than samples"

svc = Component(
    "svc", "svc", "sklearn.svm.SVC", "classifier", {"C": _C, **_SVM, **_WEIGHTS}, (_KERNEL,)
)
nu_svc = Component(
    "nu_svc",
    "nu_svc",
    "sklearn.svm.NuSVC",
    "classifier",
    {"nu": Real(0.01, 0.7), **_SVM, **_WEIGHTS},
    (_KERNEL,),
    fails="nu is too large for classes as unequal as these",
)
linear_svc = Component(
    "linear_svc",
    "linear_svc",
    "sklearn.svm.LinearSVC",
    "classifier",
    {"C": Real(1e-4, 1e3, log=True), "max_iter": 5000, **_WEIGHTS},
    (
        Cases(
            "loss",
            {"penalty": "l2", "loss": "squared_hinge", "dual": "auto"},
            {"penalty": "l2", "loss": "hinge", "dual": True},
            {"penalty": "l1", "loss": "squared_hinge", "dual": False},
        ),
    ),
)
svr = Component(
    "svr",
    "svr",
    "sklearn.svm.SVR",
    "regressor",
    {"C": _C, "epsilon": Real(1e-3, 1.0, log=True), **_SVM},
    (_KERNEL,),
)
nu_svr = Component(
    "nu_svr",
    "nu_svr",
    "sklearn.svm.NuSVR",
    "regressor",
    {"C": _C, "nu": Real(0.01, 1.0), **_SVM},
    (_KERNEL,),
)
linear_svr = Component(
    "linear_svr",
    "linear_svr",
    "sklearn.svm.LinearSVR",
    "regressor",
    {
        "C": Real(1e-4, 1e3, log=True),
        "epsilon": OneOf(0.0, Real(1e-3, 1.0, log=True)),
        "loss": OneOf("epsilon_insensitive", "squared_epsilon_insensitive"),
        "dual": "auto",
        "max_iter": 5000,
    },
)
one_class_svm = Component(
    "one_class_svm",
    "one_class_svm",
    "sklearn.svm.OneClassSVM",
    "detector",
    {"nu": Real(0.01, 0.9), **_SVM},
    (_KERNEL,),
)
k_neighbors_classifier = Component(
    "k_neighbors_classifier",
    "knn",
    "sklearn.neighbors.KNeighborsClassifier",
    "classifier",
    {"n_neighbors": Whole(1, 30, log=True), **_NEIGHBORS},
    (_METRIC,),
    fails=_FEW,
)
k_neighbors_regressor = Component(
    "k_neighbors_regressor",
    "knn",
    "sklearn.neighbors.KNeighborsRegressor",
    "regressor",
    {"n_neighbors": Whole(1, 30, log=True), **_NEIGHBORS},
    (_METRIC,),
    fails=_FEW,
)
radius_neighbors_classifier = Component(
    "radius_neighbors_classifier",
    "radius_neighbors",
    "sklearn.neighbors.RadiusNeighborsClassifier",
    "classifier",
    # Where nobody is near the commonest label is as good as any.
    {"radius": Real(0.1, 100.0, log=True), "outlier_label": "most_frequent", **_NEIGHBORS},
    (_METRIC,),
)
radius_neighbors_regressor = Component(
    "radius_neighbors_regressor",
    "radius_neighbors",
    "sklearn.neighbors.RadiusNeighborsRegressor",
    "regressor",
    {"radius": Real(0.1, 100.0, log=True), **_NEIGHBORS},
    (_METRIC,),
    fails="a sample without any neighbour within the radius gets no prediction",
)
nearest_centroid = Component(
    "nearest_centroid",
    "nearest_centroid",
    "sklearn.neighbors.NearestCentroid",
    "classifier",
    {
        "metric": OneOf("euclidean", "manhattan"),
        "shrink_threshold": OneOf(None, Real(0.01, 5.0, log=True)),
    },
    fails="shrink_threshold and features that do not vary within any class",
)
kernel_ridge = Component(
    "kernel_ridge",
    "kernel_ridge",
    "sklearn.kernel_ridge.KernelRidge",
    "regressor",
    {"alpha": Real(1e-4, 100.0, log=True)},
    (
        Cases(
            "kernel",
            {"kernel": "rbf", "gamma": OneOf(None, Real(1e-5, 10.0, log=True))},
            {"kernel": "laplacian", "gamma": OneOf(None, Real(1e-5, 10.0, log=True))},
            {"kernel": "linear"},
            {"kernel": "cosine"},
            {
                "kernel": "poly",
                "gamma": OneOf(None, Real(1e-5, 1.0, log=True)),
                "degree": Whole(2, 5),
                "coef0": Real(0.0, 1.0),
            },
            {
                "kernel": "sigmoid",
                "gamma": OneOf(None, Real(1e-5, 1.0, log=True)),
                "coef0": _COEF0,
            },
        ),
    ),
)
#: Hyperopt-Sklearn's name for it.
hp_sklearn_kernel_ridge = kernel_ridge
gaussian_process_classifier = Component(
    "gaussian_process_classifier",
    "gaussian_process",
    "sklearn.gaussian_process.GaussianProcessClassifier",
    "classifier",
    {
        "kernel": _GAUSSIAN,
        "n_restarts_optimizer": OneOf(0, 1),
        "multi_class": OneOf("one_vs_rest", "one_vs_one"),
    },
)
gaussian_process_regressor = Component(
    "gaussian_process_regressor",
    "gaussian_process",
    "sklearn.gaussian_process.GaussianProcessRegressor",
    "regressor",
    {
        "kernel": _GAUSSIAN,
        "alpha": Real(1e-8, 1.0, log=True),
        "n_restarts_optimizer": OneOf(0, 1),
        "normalize_y": FLAG,
    },
)
label_propagation = Component(
    "label_propagation",
    "label_propagation",
    "sklearn.semi_supervised.LabelPropagation",
    "classifier",
    {"max_iter": 1000},
    _PROPAGATION,
)
label_spreading = Component(
    "label_spreading",
    "label_spreading",
    "sklearn.semi_supervised.LabelSpreading",
    "classifier",
    {"alpha": Real(0.05, 0.95), "max_iter": 100},
    _PROPAGATION,
)

KERNELS = (
    svc,
    nu_svc,
    linear_svc,
    svr,
    nu_svr,
    linear_svr,
    one_class_svm,
    k_neighbors_classifier,
    k_neighbors_regressor,
    radius_neighbors_classifier,
    radius_neighbors_regressor,
    nearest_centroid,
    kernel_ridge,
    gaussian_process_classifier,
    gaussian_process_regressor,
    label_propagation,
    label_spreading,
)
