"""A conditional problem made of real fits: which classifier, and which settings, for digits.

    python benchmarks/efficiency_surrogate.py --make    # needs scikit-learn; minutes

fits 370 random settings of four classifiers to every second of scikit-learn's ``digits`` (error in
percent, by three-fold cross-validation), and some more where a Gaussian process of the logarithms
of the errors promises most; what it takes to predict goes into ``efficiency_surrogate.json``.
Predicting needs numpy alone, so that all systems get the same numbers, whatever their environment.

The choice is hard as such choices are: nearest neighbours are good at once, support vector machines
are the best only in a small part of their space, and two others are never good.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # before numpy is loaded

import numpy as np  # noqa: E402

FILE = Path(__file__).with_suffix(".json")
#: Spaces as in ``efficiency_problems.py``.
BRANCHES: dict[str, dict[str, Any]] = {
    "svm": {
        "svm_C": ("log", 1e-3, 1e3),
        "svm_gamma": ("log", 1e-5, 1e1),
        "svm_kernel": ("choice", ["rbf", "poly", "sigmoid"]),
        "svm_degree": ("int", 2, 5),
    },
    "rf": {
        "rf_trees": ("int", 5, 60),
        "rf_depth": ("int", 2, 20),
        "rf_features": ("uniform", 0.02, 0.5),
        "rf_leaf": ("int", 1, 20),
        "rf_criterion": ("choice", ["gini", "entropy"]),
    },
    "knn": {
        "knn_k": ("int", 1, 30),
        "knn_weights": ("choice", ["uniform", "distance"]),
        "knn_metric": ("choice", ["euclidean", "manhattan", "cosine"]),
    },
    "logreg": {
        "lr_C": ("log", 1e-4, 1e3),
        "lr_iterations": ("int", 5, 100),
        "lr_intercept": ("choice", [True, False]),
    },
}
#: Random settings that are fitted.
FITS = {"svm": 160, "rf": 50, "knn": 100, "logreg": 60}

#: So many times so many settings are fitted at the model's optimum, where it is far below all fits.
ROUNDS, PER_ROUND = {"svm": 5}, 4
#: Steps of the search for the model's optimum end here, as parts of the ranges.
FINEST = 1e-4


def coordinates(branch: str, values: dict[str, Any]) -> list[float]:
    """Return where a point is: numbers scaled to [0, 1], options of a choice one-hot."""
    row: list[float] = []
    for label, (kind, *given) in BRANCHES[branch].items():
        value = values[label]
        if kind == "choice":
            row += [float(value == i) for i in range(len(given[0]))]
        elif kind == "log":
            low, high = map(math.log, given)
            row.append((math.log(value) - low) / (high - low))
        else:
            row.append((value - given[0]) / (given[1] - given[0]))
    return row


def matern(A: Any, B: Any) -> Any:
    """Return the Matern-5/2 kernel of rows scaled by their length scales.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, equation 4.17.
    """
    square = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1) - 2 * A @ B.T
    r = np.sqrt(5 * np.maximum(square, 0))
    return (1 + r + r * r / 3) * np.exp(-r)


class Surrogate:
    """Predicts the errors of all branches.

    Attributes
    ----------
    optima
        The smallest error by branch, in percent.
    """

    def __init__(self) -> None:
        data = json.loads(FILE.read_text())
        self.optima: dict[str, float] = data["optima"]
        self._models = {name: _Model(**part) for name, part in data["branches"].items()}

    def error(self, branch: str, values: dict[str, Any]) -> float:
        """Return the error of a point in percent."""
        return float(self._models[branch].errors(np.array([coordinates(branch, values)]))[0])


class _Model:
    """A Gaussian process's mean, of logarithms of errors (Rasmussen and Williams, eq. 2.25)."""

    def __init__(
        self, scales: list[float], variance: float, noise: float, X: Any, errors: Any
    ) -> None:
        y = np.log(errors)
        self._scales, self._mean = np.array(scales), y.mean()
        self._X = np.array(X) / self._scales
        K = variance * matern(self._X, self._X) + noise * np.eye(len(y))
        self._alpha = variance * np.linalg.solve(K, y - self._mean)

    def errors(self, X: Any) -> Any:
        """Return (m,) errors at coordinates."""
        return np.exp(matern(X / self._scales, self._X) @ self._alpha + self._mean)


# ------------------------------------------------------------------------------- making it


def draw(branch: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return a random point of a branch; options of choices by number."""
    values: dict[str, Any] = {}
    for label, (kind, *given) in BRANCHES[branch].items():
        if kind == "choice":
            values[label] = int(rng.integers(len(given[0])))
        elif kind == "int":
            values[label] = int(rng.integers(given[0], given[1] + 1))
        elif kind == "log":
            values[label] = float(np.exp(rng.uniform(*map(math.log, given))))
        else:
            values[label] = float(rng.uniform(*given))
    return values


def classifier(branch: str, values: dict[str, Any]) -> Any:
    """Return what is fitted."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    v = {
        label: given[0][values[label]] if kind == "choice" else values[label]
        for label, (kind, *given) in BRANCHES[branch].items()
    }
    if branch == "svm":
        return SVC(
            C=v["svm_C"],
            gamma=v["svm_gamma"],
            kernel=v["svm_kernel"],
            degree=v["svm_degree"],
            max_iter=20_000,
        )
    if branch == "rf":
        return RandomForestClassifier(
            v["rf_trees"],
            max_depth=v["rf_depth"],
            max_features=v["rf_features"],
            min_samples_leaf=v["rf_leaf"],
            criterion=v["rf_criterion"],
            random_state=0,
        )
    if branch == "knn":
        return KNeighborsClassifier(
            v["knn_k"], weights=v["knn_weights"], metric=v["knn_metric"], algorithm="brute"
        )
    return LogisticRegression(
        C=v["lr_C"], max_iter=v["lr_iterations"], fit_intercept=v["lr_intercept"]
    )


def fitted(branch: str, points: list[dict[str, Any]], errors: list[float]) -> dict[str, Any]:
    """Return what a `_Model` takes, with the length scales that are the most likely."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    A = np.array([coordinates(branch, p) for p in points]).round(5)
    logs = np.log(errors)
    kernel = ConstantKernel(1.0, (0.01, 100)) * Matern(
        np.full(A.shape[1], 0.5), (0.05, 20), nu=2.5
    ) + WhiteKernel(1e-3, (1e-5, 1e-1))
    process = GaussianProcessRegressor(kernel, random_state=0).fit(A, logs - logs.mean())
    product, white = process.kernel_.k1, process.kernel_.k2
    return {
        "scales": np.asarray(product.k2.length_scale).round(5).tolist(),
        "variance": round(float(product.k1.constant_value), 6),
        "noise": round(float(white.noise_level), 8),
        "X": A.tolist(),
        "errors": errors,
    }


def make() -> None:
    """Fit, and write the file."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    warnings.simplefilter("ignore")  # of fits that were cut short
    X, y = load_digits(return_X_y=True)
    X, y = X[::2] / 16, y[::2]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    rng = np.random.default_rng(0)

    def error(branch: str, point: dict[str, Any]) -> float:
        scores = cross_val_score(classifier(branch, point), X, y, cv=folds)
        return round(100 * (1 - float(scores.mean())), 4)

    branches, optima = {}, {}
    for branch, n in FITS.items():
        points = [draw(branch, rng) for _ in range(n)]
        errors = [error(branch, point) for point in points]
        # The model is held down where it promises most, round by round.
        for _ in range(ROUNDS.get(branch, 0)):
            model = _Model(**fitted(branch, points, errors))
            most = [lowest(branch, model, rng)[0] for _ in range(PER_ROUND)]
            points += most
            errors += [error(branch, point) for point in most]
        branches[branch] = fitted(branch, points, errors)
        optima[branch] = lowest(branch, _Model(**branches[branch]), rng)[1]
        print(f"{branch}: best fit {min(errors):.2f} %, of the model {optima[branch]:.3f} %")
    FILE.write_text(json.dumps({"optima": optima, "branches": branches}) + "\n")


def lowest(
    branch: str, model: _Model, rng: np.random.Generator, starts: int = 8
) -> tuple[dict[str, Any], float]:
    """Return where the model predicts the smallest error: draws, then steps from the best ones."""

    def errors(points: list[dict[str, Any]]) -> Any:
        return model.errors(np.array([coordinates(branch, p) for p in points]))

    drawn = [draw(branch, rng) for _ in range(2000)]
    found: tuple[dict[str, Any], float] = ({}, math.inf)
    for start in np.argsort(errors(drawn))[:starts]:
        point, size = drawn[start], 0.1
        value = float(errors([point])[0])
        while size > FINEST:
            near = [nearby(branch, point, size, rng) for _ in range(32)]
            those = errors(near)
            if those.min() < value:
                point, value = near[int(those.argmin())], float(those.min())
            else:
                size /= 2
        found = min(found, (point, value), key=lambda pair: pair[1])
    return found


def nearby(
    branch: str, point: dict[str, Any], size: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Return a point near another, with the same options."""
    values = dict(point)
    for label, (kind, *given) in BRANCHES[branch].items():
        if kind == "choice":
            continue
        low, high = map(math.log, given) if kind == "log" else given
        old = math.log(point[label]) if kind == "log" else point[label]
        new = min(max(old + size * (high - low) * rng.standard_normal(), low), high)
        values[label] = math.exp(new) if kind == "log" else round(new) if kind == "int" else new
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--make", action="store_true", required=True)
    parser.parse_args()
    make()
