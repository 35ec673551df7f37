"""Ask and tell, as NNI's tuner does it: an FMinIter that is never run, finished documents added."""

import copy

import hyperopt as hp
import numpy as np

space = {
    "lr": hp.hp.loguniform("root[lr]-loguniform", np.log(1e-4), np.log(1e-1)),
    "conv": hp.hp.choice(
        "root[conv]-choice",
        [
            {"_name": "small", "size": hp.hp.randint("root[conv]-choice[0]-randint", 5)},
            {"_name": "big", "drop": hp.hp.uniform("root[conv]-choice[1]-uniform", 0, 1)},
        ],
    ),
}


class Tuner:
    def __init__(self, algorithm):
        trials = hp.Trials()
        domain = hp.Domain(None, space, pass_expr_memo_ctrl=None)
        self.rval = hp.FMinIter(
            algorithm,
            domain,
            trials,
            max_evals=-1,
            rstate=np.random.default_rng(0),
            verbose=0,
        )
        self.rval.catch_eval_exceptions = False
        self.rng = np.random.RandomState(0)

    def ask(self):
        trials = self.rval.trials
        new_ids = trials.new_trial_ids(1)
        trials.refresh()
        docs = self.rval.algo(new_ids, self.rval.domain, trials, self.rng.randint(2**31 - 1))
        trials.refresh()
        # numpy scalars: .item() makes them plain
        return {label: v[0].item() if v else None for label, v in docs[0]["misc"]["vals"].items()}

    def tell(self, parameters, loss):
        domain, trials = self.rval.domain, self.rval.trials
        new_id = len(trials)
        misc = {"tid": new_id, "cmd": domain.cmd, "workdir": domain.workdir}
        values = {label: parameters[label] for label in domain.params}
        misc["idxs"] = {label: [] if v is None else [new_id] for label, v in values.items()}
        misc["vals"] = {label: [] if v is None else [v] for label, v in values.items()}
        doc = trials.new_trial_docs([new_id], [None], [domain.new_result()], [misc])[0]
        assert doc["result"] == {"status": "new"}
        assert doc["state"] == hp.JOB_STATE_NEW
        doc["result"] = {"loss": loss, "status": "ok"}
        doc["state"] = hp.JOB_STATE_DONE
        trials.insert_trial_docs([doc])
        trials.refresh()


def evaluated(parameters):
    loss = (np.log(parameters["root[lr]-loguniform"]) - np.log(1e-2)) ** 2
    if parameters["root[conv]-choice"] == 0:
        assert parameters["root[conv]-choice[1]-uniform"] is None
        return loss + 1 + abs(parameters["root[conv]-choice[0]-randint"] - 3)
    assert parameters["root[conv]-choice[0]-randint"] is None
    return loss + parameters["root[conv]-choice[1]-uniform"]


for algorithm in (hp.tpe.suggest, hp.rand.suggest, hp.anneal.suggest):
    tuner = Tuner(algorithm)
    losses = []
    for _ in range(60):
        parameters = tuner.ask()
        assert isinstance(parameters["root[lr]-loguniform"], float)
        assert isinstance(parameters["root[conv]-choice"], int)
        losses.append(evaluated(parameters))
        tuner.tell(parameters, losses[-1])
    assert tuner.rval.trials.losses() == losses
    assert tuner.rval.trials.tids == list(range(60))
    if algorithm is not hp.rand.suggest:
        assert np.mean(losses[-20:]) < np.mean(losses[:20]), algorithm

# The constant liar works on a copy of the whole iterator.
liar = copy.deepcopy(tuner.rval)
assert liar.trials.losses() == losses
tuner.tell(tuner.ask(), 0.0)
assert len(tuner.rval.trials) == 61
assert len(liar.trials) == 60
print("OK")
