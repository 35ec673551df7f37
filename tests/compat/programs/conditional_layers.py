"""Keras style: nested choices of layers, a network (of numpy) that is built from the point."""

import numpy as np
from hyperopt import STATUS_OK, Trials, fmin, hp, space_eval, tpe

space = {
    "choice": hp.choice(
        "num_layers",
        [
            {"layers": "one"},
            {
                "layers": "two",
                "units2": hp.quniform("units2", 4, 16, 4),
                "dropout2": hp.uniform("dropout2", 0.0, 0.5),
            },
        ],
    ),
    "units1": hp.choice("units1", [4, 8, 16]),
    "activation": hp.choice("activation", ["relu", "tanh"]),
    "ridge": hp.loguniform("ridge", np.log(1e-4), np.log(10)),
    "nb_epochs": 3,
}

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (120, 2))
y = np.sin(3 * X[:, 0]) * X[:, 1]


def f_nn(params):
    act = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh}[params["activation"]]
    weights = np.random.default_rng(1)
    hidden = act(X @ weights.normal(size=(2, params["units1"])) + 0.1)
    if params["choice"]["layers"] == "two":
        units = int(params["choice"]["units2"])
        keep = 1 - params["choice"]["dropout2"]
        hidden = act(hidden @ weights.normal(size=(params["units1"], units))) * keep
    else:
        assert set(params["choice"]) == {"layers"}
    train, valid = slice(0, 80), slice(80, None)
    gram = hidden[train].T @ hidden[train] + params["ridge"] * np.eye(hidden.shape[1])
    out = np.linalg.solve(gram, hidden[train].T @ y[train])
    loss = float(np.mean((hidden[valid] @ out - y[valid]) ** 2))
    return {"loss": loss, "status": STATUS_OK, "model": {"out": out, "params": params}}


trials = Trials()
best = fmin(
    f_nn,
    space,
    algo=tpe.suggest,
    max_evals=60,
    trials=trials,
    rstate=np.random.default_rng(1),
    show_progressbar=False,
)
print("best:", best)
losses = trials.losses()
assert min(losses) < np.median(losses[:20])
point = space_eval(space, best)
assert f_nn(point)["loss"] == min(losses)
assert ("units2" in best) == (best["num_layers"] == 1)

# The fitted model of the best trial, kept in its result
model = trials.best_trial["result"]["model"]
assert model["params"] == point
assert model["out"].ndim == 1

# The idiom to find it in a list of results
results = trials.results
assert results[np.argmin([r["loss"] for r in results])]["model"] is not None
print("OK")
