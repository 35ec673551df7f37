"""Trial documents that programs make and change, as Hyperopt's users do."""

from __future__ import annotations

import contextlib
import copy
import pickle

import numpy as np
import pytest

from sparktrials import Trials, fmin, hp, rand, tpe
from sparktrials.api.trials import trials_from_docs
from sparktrials.compat import Domain
from sparktrials.compat.base import (
    JOB_STATE_CANCEL,
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_RUNNING,
    miscs_to_idxs_vals,
    miscs_update_idxs_vals,
    spec_from_misc,
)
from sparktrials.compat.fmin import generate_trial, generate_trials_to_calculate
from sparktrials.errors import AllTrialsFailed, InvalidTrial
from sparktrials.study.trial import TrialState

SPACE = {"x": hp.uniform("x", -5, 5), "k": hp.choice("k", ["a", {"z": hp.randint("z", 3)}])}


def objective(point):
    return (point["x"] - 1) ** 2


def done(tid, x, loss, **others):
    document = generate_trial(tid, {"x": x, "k": 0})
    document["misc"]["idxs"]["z"] = document["misc"]["vals"]["z"] = []
    document["state"] = JOB_STATE_DONE
    document["result"] = {"status": "ok", "loss": loss, **others}
    return document


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return None if request.param == "memory" else f"sqlite:///{tmp_path / 'runs.db'}"


# ---------------------------------------------------------------------- by hand


def test_documents_made_by_hand_are_evaluated(store):
    trials = Trials(store)
    ids = trials.new_trial_ids(2)
    assert ids == [0, 1]
    miscs = [
        {"tid": i, "cmd": ("domain_attachment", "FMinIter_Domain"), "workdir": None} for i in ids
    ]
    miscs_update_idxs_vals(
        miscs, {"x": ids, "k": ids, "z": []}, {"x": [1.0, 2], "k": [0, 0], "z": []}
    )
    documents = trials.new_trial_docs(ids, [None] * 2, [{"status": "new"}] * 2, miscs)
    assert trials.insert_trial_docs(documents) == ids
    trials.refresh()
    assert [d["state"] for d in trials.trials] == [0, 0]
    assert trials.vals == {"x": [1.0, 2.0], "k": [0, 0], "z": []}
    fmin(objective, SPACE, algo=rand.suggest, max_evals=4, trials=trials, rstate=0, verbose=False)
    assert trials.tids == [0, 1, 2, 3]
    assert trials.losses()[:2] == [0.0, 1.0]


def test_documents_not_refreshed_come_on_top():
    trials = generate_trials_to_calculate([{"x": 1, "k": 0}, {"x": 2, "k": 1, "z": 2}])
    fmin(objective, SPACE, algo=rand.suggest, max_evals=3, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 5
    assert trials.losses()[:2] == [0.0, 1.0]
    trials = generate_trials_to_calculate([{"x": 1, "k": 0}, {"x": 2, "k": 0}])
    trials.refresh()
    fmin(objective, SPACE, algo=rand.suggest, max_evals=3, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 3


def test_documents_are_evaluated_even_where_max_evals_is_reached():
    trials = trials_from_docs([done(0, 1.0, 5.0), generate_trial(1, {"x": 3, "k": 0})])
    fmin(objective, SPACE, algo=rand.suggest, max_evals=1, trials=trials, rstate=0, verbose=False)
    assert trials.losses() == [5.0, 4.0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("owner"), "lacks the key 'owner'"),
        (lambda d: d["misc"].pop("cmd"), "misc lacks the key 'cmd'"),
        (lambda d: d.update(tid=7), "tid is 7, but its misc says 0"),
        (lambda d: d.update(exp_key="other"), "exp_key is 'other'"),
        (lambda d: d.update(state=9), "state must be one of"),
        (lambda d: d.update(result="good"), "result must be a dict"),
        (lambda d: d["misc"]["vals"].update(x=[1, 2]), "must be a list of one value or none"),
        (lambda d: d["misc"]["vals"].update(x=["high"]), "must hold a number"),
        (lambda d: d.update(tid="a") or d["misc"].update(tid="a"), "must be a whole number"),
    ],
)
def test_malformed_documents_are_refused(change, text):
    document = done(0, 1.0, 2.0)
    change(document)
    trials = Trials()
    with pytest.raises(InvalidTrial, match=text):
        trials.insert_trial_docs([done(1, 0.0, 1.0), document])
    assert len(trials) == 0, "all or none"
    with pytest.raises(InvalidTrial, match="must be a dict"):
        trials.insert_trial_doc(["no", "document"])


def test_ids_that_are_taken_are_replaced():
    """Hyperopt keeps both, too: histories are merged this way."""
    first = trials_from_docs([done(0, 1.0, 3.0), done(1, 2.0, 2.0)])
    second = trials_from_docs([done(0, 3.0, 1.0, note="b")])
    merged = trials_from_docs(list(first) + list(second))
    assert merged.tids == [0, 1, 2]
    assert merged.losses() == [3.0, 2.0, 1.0]
    assert merged.trials[2]["misc"]["idxs"] == {"x": [2], "k": [2], "z": []}
    assert second.tids == [0]
    assert merged.best_trial["result"]["note"] == "b"
    fmin(objective, SPACE, algo=tpe.suggest, max_evals=8, trials=merged, rstate=0, verbose=False)
    assert len(merged) == 8


def test_documents_in_any_order():
    trials = Trials()
    trials.insert_trial_docs([done(5, 1.0, 3.0)])
    trials.insert_trial_docs([done(2, 2.0, 2.0)])
    assert trials.tids == [2, 5]
    trials.refresh()
    assert trials.new_trial_ids(1) == [6]
    fmin(objective, SPACE, algo=rand.suggest, max_evals=4, trials=trials, rstate=0, verbose=False)
    assert trials.tids == [2, 5, 7, 8], "6 was given away"


def test_source_documents():
    trials = trials_from_docs([done(0, 1.0, 3.0)])
    misc = {"cmd": None, "idxs": {"x": [1], "k": [1]}, "vals": {"x": [0.5], "k": [0]}}
    new = trials.source_trial_docs(
        [1], [None], [{"status": "ok", "loss": 1}], [misc], trials.trials
    )
    trials.insert_trial_docs(new)
    assert trials.trials[1]["misc"]["from_tid"] == 0
    assert trials.losses() == [3.0, 1]


# ---------------------------------------------------------------------- changing


def test_a_document_is_the_same_object_at_each_read(store):
    trials = Trials(store)
    fmin(objective, SPACE, algo=rand.suggest, max_evals=3, trials=trials, rstate=0, verbose=False)
    assert trials.trials[1] is trials._dynamic_trials[1]
    assert trials.trials[1] is trials.trials[1]
    assert trials.best_trial is trials.trials[int(np.argmin(trials.losses()))]


def test_ask_and_tell_by_documents(store):
    domain = Domain(objective, SPACE)
    trials = Trials(store)
    for i in range(25):
        (tid,) = trials.new_trial_ids(1)
        trials.refresh()
        trials.insert_trial_docs(tpe.suggest([tid], domain, trials, i))
        trials.refresh()
        document = next(d for d in trials.trials if d["tid"] == tid)
        document["state"] = JOB_STATE_RUNNING
        trials.refresh()
        point = spec_from_misc(document["misc"])
        document["result"] = {"status": "ok", "loss": (point["x"] - 1) ** 2}
        document["state"] = JOB_STATE_DONE
        trials.refresh()
    assert trials.count_by_state_unsynced(JOB_STATE_DONE) == 25
    assert all(t.state is TrialState.OK for t in trials.history)
    assert trials.best_trial["result"]["loss"] < 0.5
    best = trials.best_trial["result"]["loss"]
    fmin(objective, SPACE, algo=tpe.suggest, max_evals=30, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 30
    assert trials.best_trial["result"]["loss"] <= best
    if store:
        assert Trials(store).losses() == trials.losses()


def test_states_that_programs_set():
    trials = Trials()
    trials.insert_trial_docs([generate_trial(i, {"x": 1, "k": 0}) for i in range(3)])
    failed, cancelled, _ = trials.trials
    failed["misc"]["error"] = ("ValueError", "why")
    failed["state"] = JOB_STATE_ERROR
    cancelled["state"] = JOB_STATE_CANCEL
    assert trials.tids == [2]
    assert [t.state for t in trials.history] == [
        TrialState.FAILED,
        TrialState.CANCELLED,
        TrialState.NEW,
    ]
    assert str(trials.history[0].failure) == "ValueError: why"
    assert trials._dynamic_trials[0] is failed


def test_a_result_that_is_changed_later_counts():
    trials = Trials()
    fmin(objective, SPACE, algo=rand.suggest, max_evals=5, trials=trials, rstate=0, verbose=False)
    worst = int(np.argmax(trials.losses()))
    trials.trials[worst]["result"]["loss"] = -1.0
    trials.trials[0]["result"]["seen"] = True
    assert trials.best_trial["tid"] == worst
    assert trials.losses()[worst] == -1.0
    fmin(objective, SPACE, algo=rand.suggest, max_evals=6, trials=trials, rstate=0, verbose=False)
    assert trials.best_trial["tid"] == worst
    assert trials.trials[0]["result"]["seen"] is True
    assert pickle.loads(pickle.dumps(trials)).best_trial["tid"] == worst


def test_a_durable_history_keeps_what_was_recorded(tmp_path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    trials = Trials(url)
    fmin(objective, SPACE, algo=rand.suggest, max_evals=3, trials=trials, rstate=0, verbose=False)
    trials.trials[1]["result"]["loss"] = -1.0
    with pytest.warns(UserWarning, match="keeps what was recorded"):
        assert trials.best_trial["tid"] == 1
    assert trials.losses()[1] == -1.0
    assert Trials(url).losses()[1] >= 0


def test_the_list_of_all_documents():
    trials = Trials()
    trials._dynamic_trials.append(done(0, 1.0, 2.0))
    trials._dynamic_trials.extend([done(1, 1.0, 1.0)])
    trials.refresh()
    assert trials.losses() == [2.0, 1.0]
    assert trials._dynamic_trials.pop()["tid"] == 1
    trials._dynamic_trials.insert(0, done(3, 1.0, 0.5))
    assert trials.tids == [0, 3]
    del trials._dynamic_trials[0]
    assert trials.losses() == [0.5]
    trials._dynamic_trials[:] = [done(0, 1.0, 2.0), done(1, 1.0, 1.0)]
    trials._dynamic_trials.remove(trials._dynamic_trials[0])
    assert trials.losses() == [1.0]
    trials._dynamic_trials.clear()
    assert len(trials) == 0
    trials._dynamic_trials += [done(0, 1.0, 2.0), done(1, 1.0, 1.0)]
    trials._dynamic_trials = [d for d in trials._dynamic_trials if d["tid"] == 1]
    trials.refresh()
    assert trials.tids == [1]


def test_notes_on_documents_survive_pickling():
    document = done(0, 1.0, 2.0)
    document["misc"]["by"] = "me"
    document["spec"] = {"any": "thing"}
    trials = trials_from_docs([document])
    again = pickle.loads(pickle.dumps(trials))
    assert again.trials[0] == document
    assert again.specs == [{"any": "thing"}]
    assert copy.deepcopy(trials).miscs[0]["by"] == "me"


# ---------------------------------------------------------------------- reading


def test_counting_takes_states_and_documents():
    trials = trials_from_docs([done(0, 1.0, 2.0), generate_trial(1, {"x": 1, "k": 0})])
    assert trials.count_by_state_synced(2) == 1
    assert trials.count_by_state_synced([0, 2]) == 2
    assert trials.count_by_state_unsynced({0}) == 1
    assert trials.count_by_state_synced(2, trials=[done(0, 1, 1)] * 3) == 3
    with pytest.raises(TypeError, match="job states are"):
        trials.count_by_state_synced("done")
    with pytest.raises(TypeError, match="job states are"):
        trials.count_by_state_synced(17)


def test_a_domain_may_judge_results():
    class Halved(Domain):
        def loss(self, result, config=None):
            return result["loss"] / 2

    domain = Halved(objective, SPACE)
    trials = trials_from_docs([done(0, 1.0, 2.0), done(1, 1.0, 4.0)])
    assert trials.losses(domain) == [1.0, 2.0]
    assert trials.statuses(domain) == ["ok", "ok"]
    assert trials.average_best_error(domain) == 1.0


def test_indexing_and_emptiness():
    trials = Trials()
    with pytest.raises(NotImplementedError, match=r"trials\.trials"):
        trials[0]
    with pytest.raises(AllTrialsFailed):
        trials.best_trial  # noqa: B018
    assert trials.vals == {}
    assert len(trials) == 0
    trials.insert_trial_docs([done(0, 1.0, 2.0)])
    trials.delete_all()
    assert len(trials) == 0
    assert trials.new_trial_ids(1) == [0]


def test_views_share_the_store(store):
    trials = Trials(store, exp_key="a")
    document = done(0, 1.0, 2.0)
    document["exp_key"] = "a"
    trials.insert_trial_docs([document])
    assert trials.view("a").losses() == [2.0]
    assert trials.view().losses() == [2.0]
    assert len(trials.view("b")) == 0


def test_attachments_can_be_added(store):
    trials = Trials(store)

    def attaching(point):
        return {"loss": point["x"] ** 2, "status": "ok", "attachments": {"a": b"1"}}

    fmin(attaching, SPACE, algo=rand.suggest, max_evals=2, trials=trials, rstate=0, verbose=False)
    mine = trials.trial_attachments(trials.trials[1])
    told = pytest.warns(UserWarning, match="kept in memory") if store else contextlib.nullcontext()
    with told:
        mine["plot"] = {"any": "object"}
    assert "plot" in mine
    assert "a" in mine
    assert "b" not in mine
    assert dict(trials.trial_attachments(1)) == {"a": b"1", "plot": {"any": "object"}}
    assert trials.attachments[trials.aname(trials.trials[1], "plot")] == {"any": "object"}
    assert list(trials.trial_attachments(0)) == ["a"]
    del mine["plot"]
    assert list(mine) == ["a"]
    with pytest.raises(KeyError):
        mine["plot"]


def test_attachments_of_all_trials():
    trials = Trials()

    def attaching(point):
        return {"loss": point["x"] ** 2, "status": "ok", "attachments": {"a": b"1"}}

    fmin(attaching, SPACE, algo=rand.suggest, max_evals=2, trials=trials, rstate=0, verbose=False)
    trials.attachments["model"] = object
    assert set(trials.attachments) == {"ATTACH::0::a", "ATTACH::1::a", "model"}
    assert trials.attachments["ATTACH::1::a"] == b"1"
    assert len(trials.attachments) == 3
    assert pickle.loads(pickle.dumps(trials)).attachments["model"] is object
    with pytest.raises(KeyError):
        trials.attachments["nothing"]


def test_miscs_and_columns_are_two_ways_to_say_it():
    trials = trials_from_docs([done(0, 1.0, 2.0), done(1, 4.0, 2.0)])
    idxs, vals = miscs_to_idxs_vals(trials.miscs)
    assert (idxs, vals) == trials.idxs_vals
    with pytest.raises(ValueError, match="empty miscs"):
        miscs_to_idxs_vals([])
    with pytest.raises(NotImplementedError, match="several values"):
        spec_from_misc({"tid": 0, "vals": {"x": [1, 2]}})
