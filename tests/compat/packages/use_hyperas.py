"""hyperas: a template whose parameters stand in double braces becomes an objective and a space.

The models here are scikit-learn's: Keras is absent, and hyperas imports one function of it for
ensembles that are not used. It passes `rseed`, and when that is refused a RandomState as `rstate`,
which Hyperopt itself does not take since 0.2.7.
"""

import importlib
import sys
from types import ModuleType

from hyperas.distributions import choice, uniform
from hyperopt import STATUS_OK, Trials, rand, tpe
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier

absent = ModuleType("keras.models")
absent.model_from_yaml = None
sys.modules |= {"keras": ModuleType("keras"), "keras.models": absent}
optim = importlib.import_module("hyperas.optim")


def data():
    X, y = load_iris(return_X_y=True)
    x_train, y_train = X[::2], y[::2]
    x_test, y_test = X[1::2], y[1::2]
    return x_train, y_train, x_test, y_test


def create_model(x_train, y_train, x_test, y_test):
    model = SGDClassifier(
        alpha={{uniform(0.0001, 1)}},
        penalty={{choice(["l1", "l2"])}},
        loss={{choice(["hinge", "log_loss"])}},
        random_state=0,
    )
    model.fit(x_train, y_train)
    accuracy = model.score(x_test, y_test)
    return {"loss": -accuracy, "status": STATUS_OK, "model": model}


if __name__ == "__main__":
    x_train, y_train, x_test, y_test = data()
    for algo in (tpe.suggest, rand.suggest):
        trials = Trials()
        best_run, best_model = optim.minimize(
            model=create_model,
            data=data,
            algo=algo,
            max_evals=12,
            trials=trials,
            rseed=1,
            verbose=False,
        )
        assert len(trials) == 12
        assert set(best_run) == {"alpha", "penalty", "loss"}
        assert best_run["penalty"] in {0, 1}
        # hyperas finds the model by comparing the values of each trial with the best.
        assert best_model.score(x_test, y_test) == -min(trials.losses())
        assert best_model.alpha == best_run["alpha"]

    best_run, best_model, space = optim.minimize(
        model=create_model,
        data=data,
        algo=tpe.suggest,
        max_evals=5,
        trials=Trials(),
        verbose=False,
        eval_space=True,
        return_space=True,
    )
    assert best_run["penalty"] == best_model.penalty
    assert set(space) == set(best_run)
    print("OK")
