"""The documentation's space of classifiers: what is active depends on what was chosen."""

import numpy as np
from hyperopt import Trials, fmin, hp, space_eval, tpe
from hyperopt.pyll.stochastic import sample

space = hp.choice(
    "classifier_type",
    [
        {"type": "naive_bayes"},
        {
            "type": "svm",
            "C": hp.lognormal("svm_C", 0, 1),
            "kernel": hp.choice(
                "svm_kernel",
                [
                    {"ktype": "linear"},
                    {"ktype": "RBF", "width": hp.lognormal("svm_rbf_width", 0, 1)},
                ],
            ),
        },
        {
            "type": "dtree",
            "criterion": hp.choice("dtree_criterion", ["gini", "entropy"]),
            "max_depth": hp.choice(
                "dtree_max_depth", [None, hp.qlognormal("dtree_max_depth_int", 3, 1, 1)]
            ),
            "min_samples_split": hp.qlognormal("dtree_min_samples_split", 2, 1, 1),
        },
    ],
)

drawn = [sample(space, np.random.default_rng(seed)) for seed in range(30)]
assert {d["type"] for d in drawn} == {"naive_bayes", "svm", "dtree"}


def objective(config):
    if config["type"] == "naive_bayes":
        assert set(config) == {"type"}
        return 1.0
    if config["type"] == "dtree":
        return 0.8 + 0.01 * (config["max_depth"] or 0)
    loss = 0.5 + 0.1 * abs(np.log(config["C"]))
    if config["kernel"]["ktype"] == "RBF":
        return loss - 0.2 + 0.1 * abs(np.log(config["kernel"]["width"]))
    assert set(config["kernel"]) == {"ktype"}
    return loss


trials = Trials()
best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=120,
    trials=trials,
    rstate=np.random.default_rng(3),
    show_progressbar=False,
)
print(best)
assert best["classifier_type"] == 1
assert best["svm_kernel"] == 1
assert set(best) == {"classifier_type", "svm_C", "svm_kernel", "svm_rbf_width"}
config = space_eval(space, best)
assert config["type"] == "svm"
assert config["kernel"] == {"ktype": "RBF", "width": best["svm_rbf_width"]}
assert objective(config) == min(trials.losses())

for trial in trials.trials:
    vals = trial["misc"]["vals"]
    assert len(vals) == 8  # every label is there, the inactive ones are empty
    chosen = vals["classifier_type"][0]
    assert len(vals["svm_C"]) == (chosen == 1)
    assert len(vals["dtree_criterion"]) == (chosen == 2)
    deep = chosen == 2 and vals["dtree_max_depth"][0] == 1
    assert len(vals["dtree_max_depth_int"]) == deep
print("OK")
