from __future__ import annotations

import pytest

from sparktrials.dispatch.crew import SILENCE_S, Crew, Member
from sparktrials.store import board_of, open_store
from sparktrials.study.board import Sheet


def member(name, **changes):
    fields = {
        "id": name,
        "host": "h",
        "pid": 7,
        "process": name,
        "key": "",
        "trusts_pickles": False,
        "refuses": {},
    }
    return Member(**{**fields, **changes})


class Watched:
    """A board with workers, and a crew that looks at them by a clock of the test's."""

    def __init__(self, board):
        self.board, self.now, self.dead = board, 100.0, set()
        self.crew = Crew(board, self.dead.__contains__, lambda: self.now)

    def beat(self, name):
        sheet = Sheet(f"worker/{name}", "worker", member(name).text)
        note = self.board.get(sheet.name)
        if note is None:
            self.board.pin([sheet])
        else:
            self.board.swap(note, sheet)

    def look(self, seconds):
        self.now += seconds
        self.crew.look()
        return set(self.crew.members)


@pytest.fixture
def watched(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/board.db") as store:
        yield Watched(board_of(store))


def test_who_leaves_signs_lives(watched):
    watched.beat("a")
    watched.beat("b")
    assert watched.look(0) == {"a", "b"}
    for _ in range(int(SILENCE_S)):
        watched.beat("a")
        watched.look(1)
    assert watched.look(0) == {"a"}
    assert watched.crew.why_gone("a") is None
    assert "silent for 20 s" in watched.crew.why_gone("b")
    watched.beat("b")  # it lives after all
    assert watched.look(1) == {"a", "b"}


def test_one_long_pause_of_the_watcher_is_nobodys_silence(watched):
    watched.beat("a")
    watched.look(0)
    assert watched.look(10_000) == {"a"}


def test_whose_process_has_ended_is_gone_at_once(watched):
    watched.beat("a")
    watched.look(0)
    watched.dead.add("a")
    assert watched.look(0) == set()
    assert "process 7 has ended" in watched.crew.why_gone("a")
    assert watched.board.find("worker/") == []


def test_who_has_left_is_gone(watched):
    assert watched.crew.why_gone("nobody") == "the worker has ended"


def test_notes_that_are_no_workers_are_passed_over(watched):
    texts = ["", "3", "[" * 100_000, "[]", "{}", '{"id": 1}', member("x").text.replace('"h"', "3")]
    watched.board.pin([Sheet(f"worker/{i}", "worker", text) for i, text in enumerate(texts)])
    assert watched.look(0) == set()


def test_whom_a_worker_serves():
    assert member("a").serves("e", "m:f")
    assert not member("a").serves("e", "")
    assert member("a", trusts_pickles=True).serves("e", "")
    assert not member("a", key="other").serves("e", "m:f")
    assert not member("a", refuses={"m:f": "why"}).serves("e", "m:f")
