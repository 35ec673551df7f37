"""Attachments that are added to trials that have ended, and room that is given back."""

from __future__ import annotations

import io

import pytest

from sparktrials import Trials, fmin, hp, rand
from sparktrials.errors import StoreError
from sparktrials.store import MemoryStore, open_store

SPACE = {"x": hp.uniform("x", 0, 1)}


def search(trials, max_evals=2):
    fmin(
        lambda p: {"loss": p["x"], "status": "ok", "attachments": {"a": b"1"}},
        SPACE,
        rand.suggest,
        max_evals,
        trials=trials,
        rstate=1,
        show_progressbar=False,
    )


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    with open_store(f"sqlite:///{tmp_path}/runs.db") as found:
        yield found


@pytest.mark.parametrize("space_is_known", [True, False])
def test_other_trials_see_what_is_attached_when_they_refresh(store, space_is_known):
    one = Trials(store)
    search(one)
    other = Trials(store)
    if space_is_known:
        search(other)  # nothing is left to do, but the history is over the space now
    best = one.best_trial["tid"]
    document, held = other.trials[best], other.trial_attachments(best)
    one.trial_attachments(best).attach("model", io.BytesIO(b"2"))
    assert list(one.trial_attachments(best)) == ["a", "model"], "those that attached it see it now"
    assert list(held) == ["a"]
    other.refresh()
    assert dict(held) == {"a": b"1", "model": b"2"}
    assert dict(other.trial_attachments(best)) == {"a": b"1", "model": b"2"}
    assert other.attachments[f"ATTACH::{best}::model"] == b"2"
    assert f"ATTACH::{best}::model" in other.attachments
    assert other.trials[best] is document, "documents stay the program's"
    assert other.best_trial["result"]["loss"] == document["result"]["loss"]
    assert [t.attachments for t in other.history] == [t.attachments for t in Trials(store).history]
    search(other, 3)
    assert len(other) == 3


def test_what_a_program_changed_in_a_document_outlasts_an_attachment():
    trials = Trials()
    search(trials)
    trials.trials[1]["result"]["loss"] = -5.0
    trials.trial_attachments(1).attach("model", b"2")
    assert trials.losses()[1] == -5.0
    assert trials.best_trial["tid"] == 1


def test_compact(tmp_path):
    path = tmp_path / "runs.db"
    trials = Trials(f"sqlite:///{path}", "large")
    search(trials)
    trials.trial_attachments(0).attach("model", bytes(2_000_000))
    trials.delete_all()
    before, after = trials.compact()
    assert before > 2_000_000
    assert after == path.stat().st_size < 200_000
    search(trials)
    assert trials.compact()[1] < 200_000
    trials.store.close()
    reader = Trials(open_store(f"sqlite:///{path}", read_only=True), "large")
    with pytest.raises(StoreError, match="read_only"):
        reader.compact()
    reader.store.close()


def test_compact_in_memory():
    trials = Trials()
    assert trials.compact() == (0, 0)
    search(trials)
    assert trials.compact() == (2, 2)
