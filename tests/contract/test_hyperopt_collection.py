"""A collection as Hyperopt's ``mongoexp`` leaves it becomes a history."""

from __future__ import annotations

import datetime as dt

import bson
import gridfs
import pymongo
import pytest
from typer.testing import CliRunner

from sparktrials import Trials, fmin, hp, rand
from sparktrials.api.importing import import_trials
from sparktrials.cli import app
from sparktrials.errors import InvalidArgument, StoreError

#: As Hyperopt writes times: UTC, without a zone.
NOON = dt.datetime(2020, 1, 2, 12)  # noqa: DTZ001 - the same


def job(tid, *, exp_key="e", state=2, loss=0.5, **fields):
    """Return a document in the layout of `MongoTrials`."""
    result = {"status": "new"}
    if state == 2:
        result = {"status": "ok", "loss": loss, "n": bson.Int64(2**40)}
    return {
        "tid": tid,
        "state": state,
        "spec": None,
        "result": result,
        "misc": {
            "tid": tid,
            "cmd": ["domain_attachment", "FMinIter_Domain"],
            "workdir": None,
            "idxs": {"x": [tid], "c": []},
            "vals": {"x": [loss], "c": []},
            **({"error": ["<class 'ValueError'>", "bad"]} if state == 3 else {}),
        },
        "exp_key": exp_key,
        "owner": ["there:17"] if state else None,
        "version": 2,
        "book_time": NOON if state else None,
        "refresh_time": NOON + dt.timedelta(minutes=1) if state else None,
        **fields,
    }


@pytest.fixture
def url(mongo_server):
    url = mongo_server.fresh()
    with pymongo.MongoClient(url) as client:
        db = client.get_default_database()
        files = gridfs.GridFS(db)
        files.put(b"pickled domain", filename="FMinIter_Domain")
        model = files.put(b"m" * 600_000, filename="x_model")
        db.jobs.insert_many(
            [
                job(4, loss=0.25, _attachments=[["model", model]]),
                job(1),
                job(2, state=3),
                job(7, state=1),
                job(8, state=0),
                job(3, exp_key=None, loss=0.1),
                job(5, exp_key="$ne", loss=0.1),
            ]
        )
    return url.replace("mongodb://", "mongo://") + "/jobs"


def test_all_that_is_there(url, tmp_path):
    target = f"sqlite:///{tmp_path}/h.db"
    found = import_trials(url, target)
    assert [(i.exp_key, i.total, i.with_loss) for i in found] == [
        ("default", 1, 1),
        ("$ne", 1, 1),
        ("e", 5, 2),
    ]
    assert "ids are 0, 1, 2" in found[2].warnings[0]
    trials = Trials(target, "e")
    assert [t.state.value for t in trials.history] == ["ok", "failed", "ok", "running", "new"]
    assert [t.id for t in trials.history] == [*range(5)]
    first, failed, best = trials.history[:3]
    assert first.result == {"status": "ok", "loss": 0.5, "n": 2**40}
    assert first.host == "there:17"
    assert first.finished - first.started == 60
    assert (failed.failure.type, failed.failure.message) == ("ValueError", "bad")
    assert best.loss == 0.25
    assert trials.trial_attachments(2)["model"] == b"m" * 600_000
    trials.store.close()
    again = import_trials(url, target)
    assert [i.total for i in again] == [1, 1, 5], "once more changes nothing"
    trials = Trials(target, "e")
    space = {"x": hp.uniform("x", 0, 1)}
    fmin(lambda p: p["x"], space, rand.suggest, 8, trials=trials, rstate=0, verbose=False)
    assert len(trials.history) == 8
    assert not [t for t in trials.history if not t.state.terminal]


def test_one_of_them(url, tmp_path):
    target = f"sqlite:///{tmp_path}/h.db"
    done = CliRunner().invoke(app, ["import", url, target, "--exp-key", "$ne"])
    assert done.exit_code == 0, done.output
    assert "1 trials" in done.stdout
    assert [e.key for e in Trials(target, "$ne").store.experiments()] == ["$ne"]
    with pytest.raises(StoreError, match="no trials with exp_key 'other'; there are None"):
        import_trials(url, target, "other")


def test_nothing_is_there(mongo_server, tmp_path):
    url = mongo_server.fresh()
    with pytest.raises(StoreError, match="no trials of Hyperopt"):
        import_trials(f"{url}/jobs".replace("mongodb", "mongo"), f"sqlite:///{tmp_path}/h.db")
    with pymongo.MongoClient(url) as client:
        client.get_default_database().jobs.insert_one({"exp_key": "e", "something": "else"})
    with pytest.raises(StoreError, match="not of Hyperopt"):
        import_trials(f"{url}/jobs".replace("mongodb", "mongo"), f"sqlite:///{tmp_path}/h.db")


def test_other_stores_are_not_imported_by_url(tmp_path):
    with pytest.raises(InvalidArgument, match="export that store"):
        import_trials("postgresql://u:secret@h/db", f"sqlite:///{tmp_path}/h.db")
