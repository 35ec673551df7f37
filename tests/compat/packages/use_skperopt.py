"""skperopt: a grid of parameters searched with tpe; whatever raises is "suspended"."""

import numpy as np
import skperopt as sk
from sklearn.datasets import make_classification
from sklearn.neighbors import KNeighborsClassifier

X, y = make_classification(n_samples=120, n_features=6, random_state=3)


class Classifier(KNeighborsClassifier):
    """skperopt calls predict(X, y) and reads the grid from the estimator."""

    param_grid = {  # noqa: RUF012  what skperopt's users write
        "n_neighbors": list(range(1, 20)),
        "weights": ["uniform", "distance"],
        "p": [1, 2, -1],  # -1: fit raises
    }

    def predict(self, X, y=None):
        return super().predict(X)


search = sk.HyperSearch(
    Classifier(n_neighbors=60), X, y, iters=25, cv=3, cv_times=1, scorer="f1", verbose=0
)
search.search()
print(search.best_params, search.best_score)
assert search.best_params["p"] in {1, 2}
assert search.best_params["n_neighbors"] in range(1, 20)
assert search.best_score > 0.7

trials = search._HyperSearch__trial
assert len(trials) == 25
assert set(trials.statuses()) == {"ok", "suspended"}
for result, loss in zip(trials.results, trials.losses(), strict=True):
    assert loss == result["loss"]
    assert (loss == 9999) == (result["status"] == "suspended")
assert np.isclose(trials.best_trial["result"]["loss"], 1 - search.best_score)
print("OK")
