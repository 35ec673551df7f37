from __future__ import annotations

import pytest

from sparktrials.dispatch.jobs import NEW, Job, pieces_of, sheet_of
from sparktrials.errors import StoreUnavailable
from sparktrials.study.protocols import Lost
from sparktrials.study.values import dumps
from sparktrials.worker import loop
from sparktrials.worker.settings import Settings


def pin(board, number, run):
    job = Job.new("key", number, 1, objective="", code="digest", run=run)
    content = dumps({"point": {}, "seed": 1, "timeout_s": None, "imports": []}).encode()
    board.pin([*pieces_of(job.specification, content), sheet_of(job, NEW)])


@pytest.mark.parametrize("what", ["specification", "code"])
def test_a_store_that_is_away_for_a_moment_is_no_fault_of_the_objective(
    what, board, monkeypatch, caplog
):
    """The trial goes back uncharged, and this worker takes it again."""
    job = Job.new("key", 7, 1, objective="", code="digest")
    board.pin([sheet_of(job, NEW)])
    n_tries = []

    def pinned(_, prefix):
        if what == "code" and prefix == job.specification:
            return b"it"
        n_tries.append(prefix)
        if len(n_tries) == 3:
            board.erase(job.name)
        msg = "away"
        raise StoreUnavailable(msg)

    class Anything:
        argument, timeout_s, imports = None, None, ()
        of = staticmethod(lambda _: Anything)
        trial = staticmethod(lambda number, attempt: (number, attempt))

    if what == "code":
        monkeypatch.setattr(loop, "Specification", Anything)
    monkeypatch.setattr(loop, "pinned_content", pinned)
    monkeypatch.setattr(loop, "open_board", lambda _: (board, lambda: None))
    done = loop.run_worker(Settings(url="any:", trust_pickle=True, idle_timeout_s=0.01))
    assert done == 0
    assert len(n_tries) == 3
    assert "left to other workers" not in caplog.text


def test_a_process_serves_no_run_that_began_after_it(board, monkeypatch):
    """What it has imported may be another code by then; runs that it knows may take turns."""
    given = []

    class Bench(loop.Bench):
        def give(self, is_for, task, trial):
            given.append(is_for)
            self.trial = trial

        def wait(self, timeout_s):
            return [Lost(self.trial.id, self.trial.attempt, "it is a test")]

    for number, run in enumerate(["a", "a", "b", "a", "b"]):
        pin(board, number, run)
    monkeypatch.setattr(loop, "Bench", Bench)
    monkeypatch.setattr(loop, "_SPREAD", 0)  # one after the other
    monkeypatch.setattr(loop, "open_board", lambda _: (board, lambda: None))
    assert loop.run_worker(Settings(url="any:", trust_pickle=True, max_jobs=5)) == 5
    first, second, third, fourth, fifth = given
    assert first == second
    assert first != third
    assert third == fourth == fifth


def test_what_could_not_be_loaded_is_tried_again_in_another_run(board, monkeypatch, caplog):
    """It may have been mended; in the same run it is left to others."""
    given = []

    class Bench(loop.Bench):
        def give(self, is_for, task, trial):
            given.append(trial.id)
            if len(given) == 1:
                msg = "it is broken\nTraceback: long"
                raise ImportError(msg)
            self.trial = trial

        def wait(self, timeout_s):
            return [Lost(self.trial.id, self.trial.attempt, "it is a test")]

    said = []
    monkeypatch.setattr(loop.Presence, "refuse", lambda _, *what: said.append(what))
    monkeypatch.setattr(loop.Presence, "accept", lambda _, what: said.append(what))
    for number, run in enumerate(["a", "a", "b"]):
        pin(board, number, run)
    monkeypatch.setattr(loop, "Bench", Bench)
    monkeypatch.setattr(loop, "_SPREAD", 0)
    monkeypatch.setattr(loop, "open_board", lambda _: (board, lambda: None))
    loop.run_worker(Settings(url="any:", trust_pickle=True, max_jobs=1))
    assert said == [("digest", "it is broken"), "digest"]
    assert given == [0, 2]
    assert "left to other workers: it is broken\nTraceback: long" in caplog.text
