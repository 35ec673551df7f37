"""hyperopt-sklearn: estimators whose parts and parameters are found by Hyperopt."""

import numpy as np
from hpsklearn import (
    HyperoptEstimator,
    any_preprocessing,
    gaussian_nb,
    k_neighbors_classifier,
    pca,
    random_forest_classifier,
    standard_scaler,
    svc,
    svr,
)
from hyperopt import hp, rand, tpe
from hyperopt.pyll.stochastic import sample
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import train_test_split

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, test_size=0.3)

# The components are nodes of a space.
drawn = sample(random_forest_classifier("rf"), np.random.default_rng(0))
assert type(drawn).__name__ == "RandomForestClassifier"

# A choice of classifiers, any preprocessing
classifier = hp.choice(
    "classifier",
    [
        random_forest_classifier("rf", n_estimators=10, n_jobs=1),
        k_neighbors_classifier("knn", n_jobs=1),
        gaussian_nb("nb"),
        svc("svc", max_iter=1000),
    ],
)
estimator = HyperoptEstimator(
    classifier=classifier,
    preprocessing=any_preprocessing("pre"),
    algo=tpe.suggest,
    max_evals=8,
    trial_timeout=60,
    seed=1,
)
estimator.fit(X_train, y_train, random_state=np.random.default_rng(1))
accuracy = estimator.score(X_test, y_test)
print(accuracy, estimator.best_model())
assert accuracy > 0.7
assert len(estimator.trials) >= 8
assert set(estimator.trials.statuses()) <= {"ok", "fail"}
assert set(estimator.best_model()) == {"learner", "preprocs", "ex_preprocs"}
assert estimator.predict(X_test).shape == y_test.shape
ok = [loss for loss in estimator.trials.losses() if loss is not None]
assert estimator.trials.best_trial["result"]["loss"] == min(ok)
assert "classifier" in estimator.trials.argmin

# Regression, random search, a fixed chain of preprocessing
X, y = load_diabetes(return_X_y=True)
X, y = X[:150], y[:150]
estimator = HyperoptEstimator(
    regressor=svr("svr", kernel="linear", C=hp.loguniform("C", 0, 6), max_iter=5000),
    preprocessing=[standard_scaler("scale"), pca("pca", n_components=4)],
    algo=rand.suggest,
    max_evals=4,
    seed=0,
)
estimator.fit(X, y, random_state=np.random.default_rng(0))
assert len(estimator.trials) == 4
assert estimator.score(X, y) > 0.2
assert len(estimator.best_model()["preprocs"]) == 2

# Step by step, and on from there
steps = estimator.fit_iter(X, y, random_state=np.random.default_rng(0), warm_start=True)
next(steps)
trials = steps.send(2)
assert len(trials) == 6
estimator.fit(X, y, warm_start=True, random_state=np.random.default_rng(0))
assert len(estimator.trials) == 10
print("OK")
