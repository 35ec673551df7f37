"""reservoirpy: `research` runs fmin from a JSON file and writes a report per trial."""

import json
import tempfile
from pathlib import Path

import numpy as np
from reservoirpy.hyper import research

received = []


def objective(dataset, config, *, units, leak, ridge, kind, seed):
    received.append((units, leak, ridge, kind, seed))
    assert dataset == "dataset"
    assert config["exp"] == "hyperopt-test"
    assert seed == 1234
    assert kind in {"ridge", "force"}
    loss = (leak - 0.3) ** 2 + (np.log10(ridge) + 6) ** 2 / 10 + abs(units - 100) / 1000
    return {"loss": float(loss), "r2": 1 - float(loss)}


config = {
    "exp": "hyperopt-test",
    "hp_max_evals": 25,
    "hp_method": "random",
    "seed": 42,
    "instances_per_trial": 1,
    "hp_space": {
        "units": ["choice", 50, 100, 200],
        "leak": ["uniform", 0.0, 1.0],
        "ridge": ["loguniform", 1e-8, 1e-2],
        "kind": ["choice", "ridge", "force"],
        "seed": ["choice", 1234],
    },
}

for method in ("random", "tpe", "anneal"):
    received.clear()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_text(json.dumps(config | {"hp_method": method}))
        best, trials = research(objective, "dataset", str(path), str(Path(directory) / "report"))
        reports = sorted((Path(directory) / "report" / "hyperopt-test" / "results").glob("*.json"))
        assert len(reports) == len(received) == 25
        first = json.loads(reports[0].read_text())  # the file's name begins with the loss
    assert set(best) == {"units", "leak", "ridge", "kind", "seed"}
    assert best["units"] in {0, 1, 2}
    assert trials.argmin == best
    assert len(trials.trials) == 25
    assert np.isclose(first["returned_dict"]["loss"], min(trials.losses()))
    assert np.isclose(first["current_params"]["leak"], best["leak"])
    assert all(r["status"] == "ok" and r["duration"] >= 0 for r in trials.results)
    print(method, min(trials.losses()))
print("OK")
