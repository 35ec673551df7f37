"""lale: pipelines with choices of operators, searched by its Hyperopt operator."""

import numpy as np
from hyperopt.pyll.stochastic import sample
from lale.lib.lale import Hyperopt, NoOp
from lale.lib.sklearn import PCA, KNeighborsClassifier, LogisticRegression, StandardScaler
from lale.search.op2hp import hyperopt_search_space
from sklearn.datasets import load_iris

X, y = load_iris(return_X_y=True)
rng = np.random.default_rng(0)
order = rng.permutation(len(y))
X, y = X[order], y[order]

planned = (PCA | StandardScaler | NoOp) >> (
    KNeighborsClassifier(n_jobs=1) | LogisticRegression(max_iter=200)
)
space = hyperopt_search_space(planned)
assert sample(space, np.random.default_rng(0))

search = Hyperopt(estimator=planned, cv=3, max_evals=8, scoring="accuracy", show_progressbar=False)
trained = search.fit(X[:100], y[:100])
accuracy = (trained.predict(X[100:]) == y[100:]).mean()
print("accuracy:", accuracy)
assert accuracy > 0.8

summary = trained.summary()
assert len(summary) >= 8
assert set(summary["status"]) <= {"ok", "fail"}
ok = summary[summary["status"] == "ok"]
assert len(ok)
assert list(summary["tid"]) == list(range(len(summary)))
assert ok["loss"].min() <= -0.8 or ok["loss"].min() <= 0.2

best = trained.get_pipeline()
assert (best.predict(X[100:]) == y[100:]).mean() == accuracy
other = trained.get_pipeline(pipeline_name=ok.index[-1])
assert other is not None

# A part of the trials with the defaults; the two histories are merged by hand.
search = Hyperopt(
    estimator=LogisticRegression(),
    cv=2,
    max_evals=6,
    frac_evals_with_defaults=0.5,
    scoring="accuracy",
    algo="rand",
    show_progressbar=False,
)
trained = search.fit(X[:100], y[:100])
summary = trained.summary()
assert len(summary) == 6
assert summary["tid"].is_unique
assert trained.predict(X[:5]).shape == (5,)
print("OK")
