from __future__ import annotations

import pytest

from sparktrials.dispatch.jobs import NEW, Job, sheet_of
from sparktrials.errors import StoreUnavailable
from sparktrials.worker import loop
from sparktrials.worker.settings import Settings


@pytest.mark.parametrize("what", ["specification", "code"])
def test_a_store_that_is_away_for_a_moment_is_no_fault_of_the_objective(
    what, board, monkeypatch, caplog
):
    """The trial goes back uncharged, and this worker takes it again."""
    job = Job.new("key", 7, 1, "", "digest")
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
