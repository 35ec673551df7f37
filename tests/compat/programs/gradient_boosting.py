"""Kaggle style: a dictionary of boosting parameters, cross_val_score, refit with the best."""

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, space_eval, tpe
from hyperopt.pyll import scope
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split

X, y = load_breast_cancer(return_X_y=True)
X, y = X[:200, :6], y[:200]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)

space = {
    "n_estimators": scope.int(hp.quniform("n_estimators", 5, 20, 1)),
    "max_depth": hp.choice("max_depth", np.arange(1, 4, dtype=int)),
    "learning_rate": hp.loguniform("learning_rate", np.log(0.01), np.log(0.5)),
    "subsample": hp.quniform("subsample", 0.5, 1, 0.05),
    "min_samples_leaf": 1 + hp.randint("min_samples_leaf", 5),
    "max_features": hp.choice("max_features", ["sqrt", None, hp.uniform("fraction", 0.3, 0.9)]),
    "random_state": 0,
}


def score(params):
    assert isinstance(params["n_estimators"], int)
    model = GradientBoostingClassifier(**params)
    folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=1)
    auc = cross_val_score(model, X_train, y_train, cv=folds, scoring="roc_auc")
    return {"loss": 1 - auc.mean(), "loss_variance": auc.var(), "status": STATUS_OK}


trials = Trials()
best = fmin(
    fn=score,
    space=space,
    algo=tpe.suggest,
    max_evals=12,
    trials=trials,
    rstate=np.random.default_rng(42),
)
best_params = space_eval(space, best)
print(best_params, 1 - trials.best_trial["result"]["loss"])
assert best_params["max_depth"] in {1, 2, 3}
assert best_params["n_estimators"] == int(best["n_estimators"])
assert best_params["min_samples_leaf"] == best["min_samples_leaf"] + 1

model = GradientBoostingClassifier(**best_params).fit(X_train, y_train)
assert model.score(X_test, y_test) > 0.8
assert min(trials.losses()) < 0.1
print("OK")
