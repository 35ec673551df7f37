"""Search a whole scikit-learn pipeline for a table with words and gaps, on Spark.

    scripts/with-spark local-cluster .venv/bin/python examples/sklearn_search.py [--trials 30]

Preprocessing, model and hyperparameters are chosen together; the data goes to each executor once.
What is left is a plain scikit-learn pipeline, and the code that makes it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sparktrials import SparkTrials, hp
from sparktrials.sklearn import (
    HyperoptEstimator,
    extra_trees_classifier,
    hist_gradient_boosting_classifier,
    logistic_regression,
)


def customers(n: int = 600) -> tuple[pd.DataFrame, pd.Series]:
    """Return a made-up table: who of the customers stays."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "spent": rng.lognormal(4, 1, n),
            "town": rng.choice(["Bonn", "Jena", "Ulm"], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, n), "D"),
        }
    )
    score = 0.04 * (frame.age - 45) + np.log(frame.spent) - 4 + 0.8 * (frame.town == "Ulm")
    stays = score + rng.logistic(0, 0.5, n) > 0
    frame.loc[::9, "age"] = np.nan
    frame.loc[::11, "town"] = None
    return frame, stays


def search(X: Any, y: Any, trials: SparkTrials, max_evals: int) -> HyperoptEstimator:
    """Return the best pipeline for a table, as an estimator."""
    models = [
        logistic_regression("linear"),
        extra_trees_classifier("trees", n_estimators=hp.uniformint("trees", 20, 100)),
        hist_gradient_boosting_classifier("boosting", max_iter=hp.uniformint("rounds", 10, 60)),
    ]
    found = HyperoptEstimator(
        classifier=hp.choice("model", models),
        scoring="roc_auc",
        max_evals=max_evals,
        trials=trials,
        seed=0,
    )
    return found.fit(X, y, n_folds=3, cv_shuffle=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    X, y = customers()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    found = search(X_train, y_train, SparkTrials(), options.trials)
    print(found.report())
    print(found.to_code())
    print(f"Accuracy on a quarter that was held out: {found.score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()
