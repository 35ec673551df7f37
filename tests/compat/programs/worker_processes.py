"""Each trial in a process of its own that can be stopped, as hyperopt-sklearn does it.

The processes are spawned (the default on macOS and Windows), so each imports this program anew.
"""

import multiprocessing

import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, fmin, hp, rand

space = {"x": hp.uniform("x", -1, 1), "k": hp.choice("k", ["a", "b"])}


def evaluated(params, connection):
    connection.send({"loss": params["x"] ** 2, "status": STATUS_OK, "kind": params["k"]})


def objective(params):
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=evaluated, args=(params, sending))
    process.start()
    sending.close()
    try:
        result = receiving.recv() if receiving.poll(60) else {"status": STATUS_FAIL}
    except EOFError:  # it died
        result = {"status": STATUS_FAIL}
    process.kill()
    process.join()
    return result


if __name__ == "__main__":
    trials = Trials()
    best = fmin(
        objective,
        space,
        algo=rand.suggest,
        max_evals=3,
        trials=trials,
        rstate=np.random.default_rng(0),
        show_progressbar=False,
    )
    assert trials.statuses() == ["ok"] * 3
    assert min(trials.losses()) == best["x"] ** 2
    assert trials.best_trial["result"]["kind"] == ["a", "b"][best["k"]]
    print("OK")
