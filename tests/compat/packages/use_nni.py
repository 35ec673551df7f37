"""NNI: its Hyperopt tuner, driven as NNI's manager drives it, with and without a constant liar."""

import numpy as np
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner

np.random.seed(0)  # noqa: NPY002  NNI draws from the global state
space = {
    "lr": {"_type": "loguniform", "_value": [1e-4, 1e-1]},
    "n": {"_type": "randint", "_value": [2, 9]},
    "layer": {
        "_type": "choice",
        "_value": [
            {"_name": "conv", "size": {"_type": "choice", "_value": [3, 5]}},
            {"_name": "dense", "drop": {"_type": "uniform", "_value": [0, 0.5]}},
        ],
    },
    "act": {"_type": "choice", "_value": ["relu", "tanh"]},
}


def score(parameters):
    assert set(parameters) == {"lr", "n", "layer", "act"}
    assert 2 <= parameters["n"] < 9
    layer = parameters["layer"]
    if layer["_name"] == "conv":
        assert layer["size"] in {3, 5}
    else:
        assert 0 <= layer["drop"] <= 0.5
    loss = (np.log10(parameters["lr"]) + 2) ** 2 + abs(parameters["n"] - 5)
    return -loss - (parameters["act"] == "relu")


for algorithm in ("tpe", "anneal", "random_search"):
    for under_way in (1, 3):
        tuner = HyperoptTuner(
            algorithm, "maximize", parallel_optimize=under_way > 1, constant_liar_type="mean"
        )
        tuner.update_search_space(space)
        scores = []
        for first in range(0, 45, under_way):
            batch = {i: tuner.generate_parameters(i) for i in range(first, first + under_way)}
            for i, parameters in batch.items():
                scores.append(score(parameters))
                tuner.receive_trial_result(i, parameters, scores[-1])
        assert len(tuner.rval.trials) == 45
        assert [-loss for loss in tuner.rval.trials.losses()] == scores
        early, late = np.mean(scores[:15]), np.mean(scores[-15:])
        print(algorithm, under_way, early, late)
        if algorithm != "random_search":
            assert late > early
print("OK")
