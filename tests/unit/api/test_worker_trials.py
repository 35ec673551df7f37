from __future__ import annotations

import pickle

import pytest

from sparktrials import MongoTrials, Trials, WorkerTrials
from sparktrials.api.worker_trials import mongo_url
from sparktrials.dispatch.jobs import NEW, Job, sheet_of
from sparktrials.errors import InvalidArgument
from sparktrials.store import board_of


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.mark.parametrize("store", ["memory:", "name_only"])
def test_a_store_of_this_process_alone_is_refused(store):
    with pytest.raises(InvalidArgument, match="name a store that they share"):
        WorkerTrials(store)


@pytest.mark.parametrize(
    "settings", [{"max_retries": -1}, {"max_retries": True}, {"trial_timeout": 0}]
)
def test_settings_are_checked(url, settings):
    with pytest.raises(InvalidArgument, match=next(iter(settings))):
        WorkerTrials(url, **settings)


def test_nobody_there_is_one_slot(url):
    dispatcher = WorkerTrials(url).dispatcher(1)
    assert (dispatcher.slots, dispatcher.room()) == (1, 1)
    assert WorkerTrials(url).dispatcher(3).room() == 3
    dispatcher.close()


def document():
    own = Trials(None, "e")
    (tid,) = own.new_trial_ids(1)
    misc = {"tid": tid, "cmd": None, "idxs": {"x": [tid]}, "vals": {"x": [0.5]}}
    return own.new_trial_docs([tid], [None], [{"status": "new"}], [misc])[0]


def test_deleting_takes_jobs_along(url):
    trials = WorkerTrials(url, "e")
    board = board_of(trials.store)
    trials.insert_trial_docs([document()])
    board.pin(
        [sheet_of(Job.new(key, 0, 1, objective="m:f", code=""), NEW) for key in ("e", "other")]
    )
    trials.delete_all()
    assert len(board.find("job/")) == 1


def test_they_can_be_pickled(url):
    trials = pickle.loads(pickle.dumps(WorkerTrials(url, "e", trial_timeout=3)))
    assert (trials.exp_key, trials.trial_timeout, len(trials)) == ("e", 3, 0)


def test_mongo_trials_are_worker_trials(url):
    trials = MongoTrials(url, exp_key="e", max_retries=5)
    assert isinstance(trials, WorkerTrials)
    assert (trials.exp_key, trials.max_retries) == ("e", 5)
    assert trials.asynchronous


@pytest.mark.parametrize("name", ["cmd", "workdir"])
def test_what_mongo_trials_do_not_use_is_said(url, name):
    with pytest.warns(UserWarning, match=f"MongoTrials.{name}='x'. has no effect"):
        MongoTrials(url, **{name: "x"})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("localhost:1234/foo_db", "mongo://localhost:1234/foo_db"),
        ("localhost/hyperopt", "mongo://localhost/hyperopt"),
        ("mongo://localhost:1234/foo_db/jobs", "mongo://localhost:1234/foo_db/jobs"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
    ],
)
def test_hyperopts_addresses(text, meant):
    assert mongo_url(text) == meant
