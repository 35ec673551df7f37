"""What users read from a Trials object afterwards, often into a table."""

import datetime as dt

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK, Trials, fmin, hp, tpe
from hyperopt.base import JOB_STATE_ERROR, JOB_STATE_NEW, miscs_to_idxs_vals, spec_from_misc

space = {
    "lr": hp.loguniform("lr", -7, 0),
    "depth": hp.quniform("depth", 1, 8, 1),
    "kind": hp.choice("kind", ["a", {"b": hp.uniform("b", 0, 1)}]),
}


def objective(params):
    if params["depth"] == 8:
        return {"status": STATUS_FAIL, "why": "too deep"}
    loss = (np.log(params["lr"]) + 3) ** 2 + params["depth"]
    return {"loss": loss, "status": STATUS_OK, "depth": params["depth"]}


trials = Trials()
best = fmin(
    objective,
    space,
    algo=tpe.suggest,
    max_evals=60,
    trials=trials,
    rstate=np.random.default_rng(7),
    verbose=0,
)

assert len(trials) == len(trials.trials) == len(list(trials)) == 60
assert trials.tids == list(range(60))
assert trials.specs == [None] * 60
assert trials.results == [t["result"] for t in trials.trials]
assert trials.miscs == [t["misc"] for t in trials.trials]
assert trials.statuses() == [r["status"] for r in trials.results]
assert trials.losses() == [r.get("loss") for r in trials.results]
assert set(trials.statuses()) <= {"ok", "fail"}
assert trials.count_by_state_synced(JOB_STATE_DONE) == 60
assert trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_ERROR]) == 0

trial = trials.trials[3]
assert set(trial) >= {
    "state",
    "tid",
    "spec",
    "result",
    "misc",
    "exp_key",
    "owner",
    "version",
    "book_time",
    "refresh_time",
}
assert trial["state"] == JOB_STATE_DONE
assert trial["tid"] == trial["misc"]["tid"] == 3
assert isinstance(trial["book_time"], dt.datetime)
assert trial["refresh_time"] >= trial["book_time"]
assert set(trial["misc"]) >= {"tid", "cmd", "workdir", "idxs", "vals"}
assert set(trial["misc"]["vals"]) == {"lr", "depth", "kind", "b"}

# Parameters that were not active have empty lists.
for trial in trials.trials:
    kind = trial["misc"]["vals"]["kind"][0]
    assert len(trial["misc"]["vals"]["b"]) == len(trial["misc"]["idxs"]["b"]) == kind
    assert trial["misc"]["idxs"]["lr"] == [trial["tid"]]
    assert set(spec_from_misc(trial["misc"])) == {"lr", "depth", "kind", "b"} - (
        set() if kind else {"b"}
    )

# The same by parameter
assert set(trials.vals) == set(trials.idxs) == {"lr", "depth", "kind", "b"}
assert trials.idxs["lr"] == trials.tids
assert len(trials.vals["lr"]) == 60
assert len(trials.vals["b"]) == len(trials.idxs["b"]) == sum(trials.vals["kind"])
idxs, vals = trials.idxs_vals
assert idxs == trials.idxs
assert vals == trials.vals == miscs_to_idxs_vals(trials.miscs)[1]

# The best one
ok = [t for t in trials.trials if t["result"]["status"] == STATUS_OK]
best_trial = min(ok, key=lambda t: t["result"]["loss"])
assert trials.best_trial["tid"] == best_trial["tid"]
assert trials.argmin == best == spec_from_misc(trials.best_trial["misc"])
assert trials.average_best_error() == best_trial["result"]["loss"]
assert trials.best_trial["result"]["depth"] == best["depth"]

# A table, as people make it
rows = [{"tid": t["tid"], "loss": t["result"].get("loss")} | spec_from_misc(t["misc"]) for t in ok]
assert min(rows, key=lambda row: row["loss"])["lr"] == best["lr"]
print("OK")
