"""Which classifier? hp.choice over dictionaries with a "type", each with its parameters."""

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, space_eval, tpe
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize, scale
from sklearn.svm import SVC

iris = datasets.load_iris()
X_original, y = iris.data, iris.target

prepared = {
    "scale": hp.choice("scale", [0, 1]),
    "normalize": hp.choice("normalize", [0, 1]),
}
space = hp.choice(
    "classifier_type",
    [
        {"type": "naive_bayes", "alpha": hp.uniform("alpha", 0.0, 2.0)},
        {
            "type": "svm",
            "C": hp.uniform("C", 0.1, 10.0),
            "kernel": hp.choice("kernel", ["linear", "rbf"]),
            "gamma": hp.uniform("gamma", 0.01, 2.0),
            **prepared,
        },
        {"type": "knn", "n_neighbors": hp.choice("knn_n_neighbors", range(1, 30)), **prepared},
        {"type": "logistic", "C": hp.loguniform("logistic_C", -3, 3)},
    ],
)
classes = {
    "naive_bayes": BernoulliNB,
    "svm": SVC,
    "knn": KNeighborsClassifier,
    "logistic": LogisticRegression,
}
counts = dict.fromkeys(classes, 0)


def hyperopt_train_test(params):
    params = dict(params)
    kind = params.pop("type")
    counts[kind] += 1
    X = X_original
    if params.pop("normalize", 0) == 1:
        X = normalize(X)
    if params.pop("scale", 0) == 1:
        X = scale(X)
    if kind == "logistic":
        params["max_iter"] = 1000
    return cross_val_score(classes[kind](**params), X, y, cv=3).mean()


def f(params):
    return {"loss": -hyperopt_train_test(params), "status": STATUS_OK}


trials = Trials()
best = fmin(
    f,
    space,
    algo=tpe.suggest,
    max_evals=30,
    trials=trials,
    rstate=np.random.default_rng(0),
    show_progressbar=False,
)
print("best:", best, counts)
point = space_eval(space, best)
assert point["type"] != "naive_bayes"
assert -min(trials.losses()) > 0.95
assert counts["naive_bayes"] < 20
assert sum(counts.values()) == 30
assert -f(point)["loss"] == -min(trials.losses())
print("OK")
