"""Components of other kinds: naive Bayes, discriminants, networks, mixtures, clusters, dummies."""

from __future__ import annotations

from sparktrials.sklearn.component import FLAG, Cases, Component, New, OneOf, Real, Whole

__all__ = [
    "bayesian_gaussian_mixture",
    "bernoulli_nb",
    "categorical_nb",
    "cca",
    "complement_nb",
    "dummy_classifier",
    "dummy_regressor",
    "elliptic_envelope",
    "gaussian_mixture",
    "gaussian_nb",
    "k_means",
    "linear_discriminant_analysis",
    "mini_batch_k_means",
    "mlp_classifier",
    "mlp_regressor",
    "multinomial_nb",
    "pls_canonical",
    "pls_regression",
    "quadratic_discriminant_analysis",
    "transformed_target_regressor",
]

_SMOOTHING = {"alpha": Real(1e-3, 10.0, log=True), "fit_prior": FLAG}
_MLP = {
    "hidden_layer_sizes": OneOf((25,), (50,), (100,), (200,), (50, 50), (100, 50), (100, 100)),
    "activation": OneOf("relu", "tanh", "logistic"),
    "alpha": Real(1e-6, 1.0, log=True),
    "max_iter": 400,
}
_TRAINING = Cases(
    "solver",
    {
        "solver": "adam",
        "learning_rate_init": Real(1e-4, 3e-2, log=True),
        "early_stopping": FLAG,
        "batch_size": OneOf("auto", 32, 128),
    },
    {
        "solver": "sgd",
        "learning_rate_init": Real(1e-4, 1e-1, log=True),
        "learning_rate": OneOf("constant", "adaptive"),
        "momentum": Real(0.5, 0.99),
        "early_stopping": FLAG,
    },
    {"solver": "lbfgs"},
)
_MIXTURE = {
    "n_components": Whole(1, 8),
    "covariance_type": OneOf("full", "tied", "diag", "spherical"),
    "reg_covar": Real(1e-7, 1e-2, log=True),
    "n_init": Whole(1, 3),
    "init_params": OneOf("kmeans", "random"),
    "max_iter": 300,
}
_PROJECTION = {"scale": FLAG, "max_iter": 1000}
_CLUSTERS = {"n_clusters": Whole(2, 20), "init": OneOf("k-means++", "random")}


def _naive_bayes(name: str, made_by: str, needs: str, **table: object) -> Component:
    path = f"sklearn.naive_bayes.{made_by}"
    if needs == "categories":
        return Component(
            name,
            name,
            path,
            "classifier",
            table,
            needs="categories",
            fails="a category that training data has not",
        )
    if needs == "non-negative":
        return Component(name, name, path, "classifier", table, needs="non-negative")
    return Component(name, name, path, "classifier", table)


bernoulli_nb = _naive_bayes(
    "bernoulli_nb", "BernoulliNB", "", **_SMOOTHING, binarize=Real(0.0, 1.0)
)
categorical_nb = _naive_bayes("categorical_nb", "CategoricalNB", "categories", **_SMOOTHING)
complement_nb = _naive_bayes(
    "complement_nb", "ComplementNB", "non-negative", **_SMOOTHING, norm=FLAG
)
gaussian_nb = _naive_bayes(
    "gaussian_nb", "GaussianNB", "", var_smoothing=Real(1e-12, 1.0, log=True)
)
multinomial_nb = _naive_bayes("multinomial_nb", "MultinomialNB", "non-negative", **_SMOOTHING)
linear_discriminant_analysis = Component(
    "linear_discriminant_analysis",
    "linear_discriminant_analysis",
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    "classifier",
    {},
    (
        Cases(
            "solver",
            {"solver": "svd", "tol": Real(1e-6, 1e-2, log=True)},
            {"solver": "lsqr", "shrinkage": OneOf(None, "auto", Real(0.0, 1.0))},
            {"solver": "eigen", "shrinkage": OneOf("auto", Real(0.01, 1.0))},
        ),
    ),
)
quadratic_discriminant_analysis = Component(
    "quadratic_discriminant_analysis",
    "quadratic_discriminant_analysis",
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
    "classifier",
    {"reg_param": Real(1e-4, 1.0, log=True)},
    fails="a class with one sample, or features that depend on each other",
)
mlp_classifier = Component(
    "mlp_classifier",
    "mlp",
    "sklearn.neural_network.MLPClassifier",
    "classifier",
    _MLP,
    (_TRAINING,),
)
mlp_regressor = Component(
    "mlp_regressor",
    "mlp",
    "sklearn.neural_network.MLPRegressor",
    "regressor",
    _MLP,
    (_TRAINING,),
)
dummy_classifier = Component(
    "dummy_classifier",
    "dummy",
    "sklearn.dummy.DummyClassifier",
    "classifier",
    {"strategy": OneOf("most_frequent", "prior", "stratified", "uniform")},
)
dummy_regressor = Component(
    "dummy_regressor",
    "dummy",
    "sklearn.dummy.DummyRegressor",
    "regressor",
    {},
    (
        Cases(
            "strategy",
            {"strategy": "mean"},
            {"strategy": "median"},
            {"strategy": "quantile", "quantile": Real(0.1, 0.9)},
        ),
    ),
)
elliptic_envelope = Component(
    "elliptic_envelope",
    "elliptic_envelope",
    "sklearn.covariance.EllipticEnvelope",
    "detector",
    {
        "support_fraction": OneOf(None, Real(0.5, 0.99)),
        "contamination": Real(0.005, 0.4, log=True),
    },
)
gaussian_mixture = Component(
    "gaussian_mixture",
    "gaussian_mixture",
    "sklearn.mixture.GaussianMixture",
    "detector",
    _MIXTURE,
)
bayesian_gaussian_mixture = Component(
    "bayesian_gaussian_mixture",
    "bayesian_gaussian_mixture",
    "sklearn.mixture.BayesianGaussianMixture",
    "detector",
    {
        **_MIXTURE,
        "weight_concentration_prior_type": OneOf("dirichlet_process", "dirichlet_distribution"),
        "weight_concentration_prior": OneOf(None, Real(1e-3, 1e3, log=True)),
    },
)
k_means = Component(
    "k_means",
    "k_means",
    "sklearn.cluster.KMeans",
    "detector",
    {**_CLUSTERS, "n_init": Whole(1, 10), "algorithm": OneOf("lloyd", "elkan")},
)
mini_batch_k_means = Component(
    "mini_batch_k_means",
    "mini_batch_k_means",
    "sklearn.cluster.MiniBatchKMeans",
    "detector",
    {
        **_CLUSTERS,
        "n_init": Whole(1, 5),
        "batch_size": OneOf(256, 512, 1024, 2048),
        "reassignment_ratio": Real(1e-3, 0.1, log=True),
    },
)
cca = Component(
    "cca",
    "cca",
    "sklearn.cross_decomposition.CCA",
    "regressor",
    # As many as there are targets, at most.
    {"n_components": 1, **_PROJECTION},
)
pls_canonical = Component(
    "pls_canonical",
    "pls_canonical",
    "sklearn.cross_decomposition.PLSCanonical",
    "regressor",
    {"n_components": 1, **_PROJECTION, "algorithm": OneOf("nipals", "svd")},
)
pls_regression = Component(
    "pls_regression",
    "pls_regression",
    "sklearn.cross_decomposition.PLSRegression",
    "regressor",
    {"n_components": Whole(1, 10, log=True), **_PROJECTION},
    fails="more components than features",
)
transformed_target_regressor = Component(
    "transformed_target_regressor",
    "transformed_target",
    "sklearn.compose.TransformedTargetRegressor",
    "regressor",
    {
        "regressor": New("sklearn.linear_model.Ridge", alpha=Real(1e-5, 1e3, log=True)),
        "transformer": OneOf(
            New("sklearn.preprocessing.StandardScaler"),
            New("sklearn.preprocessing.PowerTransformer"),
            New(
                "sklearn.preprocessing.QuantileTransformer",
                output_distribution="normal",
                n_quantiles=Whole(10, 200, log=True),
            ),
        ),
    },
)

OTHERS = (
    bernoulli_nb,
    categorical_nb,
    complement_nb,
    gaussian_nb,
    multinomial_nb,
    linear_discriminant_analysis,
    quadratic_discriminant_analysis,
    mlp_classifier,
    mlp_regressor,
    dummy_classifier,
    dummy_regressor,
    elliptic_envelope,
    gaussian_mixture,
    bayesian_gaussian_mixture,
    k_means,
    mini_batch_k_means,
    cca,
    pls_canonical,
    pls_regression,
    transformed_target_regressor,
)
