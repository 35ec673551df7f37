from __future__ import annotations

import pytest

from sparktrials import Study, hp
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Trial, TrialState
from sparktrials.suggest import atpe, auto, gp, sobol, tpe

X = {"x": hp.uniform("x", 0, 1), "c": hp.choice("c", [0, 1, 2])}
TREE = hp.choice("k", [{"x": hp.uniform("x", 0, 1)}, {"y": hp.uniform("y", 0, 1)}])


def history_of(tree, n, pending=0):
    space = compile_space(tree)
    drawn = sobol.suggest.configured().suggest(
        space, History(space), n + pending, SuggestContext(seed=5, ids=range(n + pending))
    )
    return History(
        space,
        [
            Trial(id=i, state=TrialState.OK, point=p, loss=p.get("x", 0.0) * i)
            if i < n
            else Trial(id=i, state=TrialState.RUNNING, point=p)
            for i, p in enumerate(drawn)
        ],
    )


def suggest(algorithm, history, n=1, parallelism=1, first=None):
    first = history.next_id if first is None else first
    context = SuggestContext(seed=0, ids=range(first, first + n), parallelism=parallelism)
    return algorithm.suggest.configured().suggest(history.space, history, n, context)


@pytest.mark.parametrize(
    ("tree", "finished", "pending", "parallelism", "chosen"),
    [
        (X, 0, 0, 1, gp),
        (X, 12, 3, 8, gp),
        (TREE, 12, 0, 1, gp),
        (X, 12, 3, auto.GP_PARALLEL + 1, tpe),
        (X, 12, auto.GP_PARALLEL + 1, 1, tpe),
        (X, auto.GP_TRIALS, 0, 1, tpe),
        ([hp.uniform(f"x{i}", 0, 1) for i in range(auto.GP_ACTIVE + 1)], 12, 0, 1, tpe),
        ({"x": hp.uniform("x", 0, 1), "k": hp.choice("k", list(range(201)))}, 12, 0, 1, tpe),
        (
            hp.choice("k", [{f"u{i}": hp.normal(f"u{i}", 0, 1) for i in range(20)}, 0]),
            12,
            0,
            1,
            tpe,
        ),
    ],
)
def test_which_algorithm(tree, finished, pending, parallelism, chosen):
    history = history_of(tree, finished, pending)
    found = suggest(auto, history, parallelism=parallelism)
    assert found == suggest(chosen, history)
    assert found != suggest(gp if chosen is tpe else tpe, history)


def test_a_large_batch_is_tpes():
    history = history_of(X, 12)
    n = auto.GP_PARALLEL + 1
    assert suggest(auto, history, n) == suggest(tpe, history, n)


def test_each_fourth_point_is_adaptive_tpes():
    history = history_of(X, auto.ALONE, pending=3)
    first = history.next_id
    assert (first + 1) % auto.TURNS == 0
    assert suggest(auto, history) == suggest(atpe, history)
    for later in (first + 1, first + 2, first + 3):
        assert suggest(auto, history, first=later) == suggest(gp, history, first=later)
    assert suggest(auto, history, first=first + 4) == suggest(atpe, history, first=first + 4)
    for alone in (
        history_of(X, auto.ALONE - 1, pending=4),
        history_of(TREE, auto.ALONE, pending=3),
    ):
        assert suggest(auto, alone) == suggest(gp, alone)


def test_points_of_a_batch_know_of_each_other():
    """Those of adaptive TPE come last, the others being pending; all are in their trials' order."""
    history = history_of(X, auto.ALONE)
    found = suggest(auto, history, 6)
    ids = range(history.next_id, history.next_id + 6)
    theirs = [i for i in ids if (i + 1) % auto.TURNS == 0]
    context = SuggestContext(seed=0, ids=[i for i in ids if i not in theirs])
    own = gp.suggest.configured().suggest(history.space, history, 6 - len(theirs), context)
    assert [p for i, p in zip(ids, found, strict=True) if i not in theirs] == own
    before = len(history)
    after = History(history.space, history.trials)
    for point in own:
        after.put(Trial(id=after.next_id, state=TrialState.NEW, point=point))
    others = atpe.suggest.configured().suggest(
        history.space, after, len(theirs), SuggestContext(seed=0, ids=theirs)
    )
    assert [p for i, p in zip(ids, found, strict=True) if i in theirs] == others
    assert len(history) == before


def test_many_at_once_go_on_with_both(monkeypatch):
    monkeypatch.setattr(auto, "GP_TRIALS", 12)
    at_once = 4
    last = auto.GP_TRIALS + auto.GP_PER_SLOT * (at_once - 1)
    history = history_of(X, last - 1, pending=2)
    by = {gp: 0, tpe: 0}
    for first in range(last + 1, last + 13):
        found = suggest(auto, history, parallelism=at_once, first=first)
        assert found == suggest(auto, history, parallelism=at_once, first=first)
        (maker,) = (a for a in by if suggest(a, history, parallelism=at_once, first=first) == found)
        by[maker] += 1
    assert min(by.values()) > 1
    history = history_of(X, last, pending=2)
    for first in range(last + 2, last + 14):
        found = suggest(auto, history, parallelism=at_once, first=first)
        assert found == suggest(tpe, history, parallelism=at_once, first=first)


def test_a_batch_is_of_one_lot(monkeypatch):
    monkeypatch.setattr(auto, "GP_TRIALS", 12)
    history = history_of(X, 14)
    found = [suggest(auto, history, 4, first=first) for first in range(14, 26)]
    for maker in (gp, tpe):
        theirs = [suggest(maker, history, 4, 4, first=first) for first in range(14, 26)]
        assert any(a == b for a, b in zip(found, theirs, strict=True))


def test_it_is_the_default_of_studies():
    ours, named = (Study(X, seed=3, algo=algo) for algo in (None, auto.suggest))
    for _ in range(12):
        asked = ours.ask()
        assert asked.point == named.ask().point
        for study in (ours, named):
            study.tell(asked.id, asked.point["x"])
