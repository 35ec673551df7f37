"""keras-hypetune: KerasBayesianSearch, here with a model of numpy that has Keras' fit.

It passes a RandomState as `rstate` and takes parameters for Hyperopt's where "hyperopt" stands in
the name of their type. Hyperopt itself refuses the RandomState since 0.2.7.
"""

from types import SimpleNamespace

import numpy as np
from hyperopt import Trials, hp
from hyperopt.pyll import scope
from kerashypetune import KerasBayesianSearch, KerasBayesianSearchCV
from sklearn.model_selection import KFold

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 5))
y = X @ np.array([1.0, -2.0, 0.0, 0.5, 3.0])


class Model:
    """Ridge regression by gradient steps, one per epoch."""

    def __init__(self, params):
        self.lr = params["lr"]
        self.ridge = params["ridge"]
        assert params["activation"] in {"relu", "elu"}
        assert params["fixed"] == 3

    def fit(self, x, y, validation_split=0.0, validation_data=None, epochs=5, batch_size=32, **_):
        valid_x, valid_y, *_ = validation_data
        w = np.zeros(x.shape[1])
        losses = []
        for _ in range(epochs):
            w -= self.lr * (x.T @ (x @ w - y) / len(y) + self.ridge * w)
            losses.append(float(np.mean((valid_x @ w - valid_y) ** 2)))
        self.w = w
        self.history = SimpleNamespace(
            history={"val_loss": losses}, params={"steps": -(-len(y) // batch_size)}
        )

    def predict(self, x):
        return x @ self.w


space = {
    "lr": hp.loguniform("lr", np.log(1e-3), np.log(0.9)),
    "ridge": hp.uniform("ridge", 0.0, 0.5),
    "activation": hp.choice("activation", ["relu", "elu"]),
    "fixed": hp.choice("fixed", [3]),  # all must be Hyperopt's
    "epochs": scope.int(hp.quniform("epochs", 15, 20, 1)),
}

trials = Trials()
search = KerasBayesianSearch(Model, space, n_iter=15, sampling_seed=0, tuner_verbose=0)
search.search(X[:60], y[:60], trials=trials, validation_data=(X[60:], y[60:]))
print(search.best_params, search.best_score)
assert len(trials) == 15
assert search.scores == trials.losses()
assert search.best_score == min(trials.losses())
assert search.best_params is not None
assert isinstance(search.best_model, Model)
assert np.mean((search.best_model.predict(X) - y) ** 2) < 2

# The same seed gives the same search.
again = Trials()
search = KerasBayesianSearch(Model, space, n_iter=15, sampling_seed=0, tuner_verbose=0)
search.search(X[:60], y[:60], trials=again, validation_data=(X[60:], y[60:]))
assert again.losses() == trials.losses()

search = KerasBayesianSearchCV(
    Model, space, cv=KFold(3), n_iter=5, sampling_seed=1, tuner_verbose=0
)
search.search(X, y, trials=Trials())
assert len(search.folds_best_params) == 3
print("OK")
