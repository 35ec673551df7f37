from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.property.strategies import histories, spaces

from sparktrials import hp
from sparktrials.errors import InvalidArgument, InvalidArgumentType, InvalidProbabilities
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Trial, TrialState
from sparktrials.suggest import anneal, mix, random as rand, tpe
from sparktrials.suggest.algorithm import suggester_of

SPACE = compile_space({"x": hp.uniform("x", 0, 1)})


class Fixed:
    """Suggests one value, and remembers what it was asked."""

    adaptive = True

    def __init__(self, x, most=None):
        self.x = x
        self.most = most
        self.asked = []

    def suggest(self, space, history, n, context):
        pending = [t.point["x"] for t in history if t.state is TrialState.NEW]
        self.asked.append((list(context.ids), pending, context.budget))
        return [{"x": self.x}] * (n if self.most is None else min(n, self.most))


def mixed(*p_suggest):
    return suggester_of(partial(mix.suggest, p_suggest=list(p_suggest)))


def values(suggester, n, *, seed=0, batch=None, budget=None):
    history = History(SPACE)
    found = []
    for first in range(0, n, batch or n):
        ids = range(first, min(first + (batch or n), n))
        context = SuggestContext(seed=seed, ids=ids, budget=budget)
        found += [p["x"] for p in suggester.suggest(SPACE, history, len(ids), context)]
    return found


@pytest.mark.parametrize(
    ("p_suggest", "error", "message"),
    [
        ([(0.1, rand.suggest), (0.2, tpe.suggest)], ValueError, r"sum to 1, got 0\.1 \+ 0\.2 = 0"),
        ([(0.5, rand.suggest), (0.2, tpe.suggest)], InvalidProbabilities, "must sum to 1"),
        ([(1.5, rand.suggest), (-0.5, tpe.suggest)], InvalidProbabilities, "from 0 to 1, got 1.5"),
        ([("1", rand.suggest)], InvalidProbabilities, "from 0 to 1, got '1'"),
        ([(float("nan"), rand.suggest)], InvalidProbabilities, "from 0 to 1, got nan"),
        ([(True, rand.suggest)], InvalidProbabilities, "from 0 to 1, got True"),
        ([], InvalidArgument, "with at least one"),
        ("tpe", InvalidArgument, "must be a list of pairs .*, got 'tpe'"),
        (tpe.suggest, InvalidArgument, r"got tpe\.suggest"),
        ([rand.suggest], InvalidArgument, r"got the member rand\.suggest"),
        ([(1, rand.suggest, 2)], InvalidArgument, "got the member"),
        ([(1, lambda *_: [])], InvalidArgumentType, "p_suggest has a member that is no algorithm"),
        ([(1, partial(tpe.suggest, gamma=-1))], InvalidArgument, "gamma must be"),
        ([(1, partial(mix.suggest, p_suggest=[]))], InvalidArgument, "with at least one"),
    ],
)
def test_settings_are_checked_when_it_is_configured(p_suggest, error, message):
    with pytest.raises(error, match=message):
        suggester_of(partial(mix.suggest, p_suggest=p_suggest))


def test_needs_its_keyword():
    with pytest.raises(InvalidArgument, match="p_suggest must be a list of pairs"):
        suggester_of(mix.suggest)
    with pytest.raises(InvalidArgumentType, match="has no setting 'members'; it has p_suggest"):
        mix.suggest.configured(members=[])


def test_numpy_probabilities_and_rounding():
    assert mixed(*[(p, rand.suggest) for p in np.full(3, 1 / 3, dtype=np.float32)])
    assert mixed(*[(0.1, rand.suggest)] * 10)


def test_shares():
    found = values(mixed((0.1, Fixed(0.1)), (0.0, Fixed(0.5)), (0.9, Fixed(0.9))), 4000)
    assert found.count(0.5) == 0
    assert found.count(0.1) / 4000 == pytest.approx(0.1, abs=0.02)


def test_the_member_of_a_trial_depends_on_seed_and_id_alone():
    suggester = mixed((0.4, Fixed(0.1)), (0.6, Fixed(0.9)))
    whole = values(suggester, 60)
    assert values(suggester, 60, batch=1) == whole
    assert values(suggester, 60, batch=7) == whole
    assert values(suggester, 60, seed=1) != whole


def test_members_draw_what_they_would_alone():
    context = SuggestContext(seed=3, ids=range(50))
    alone = rand.suggest.configured().suggest(SPACE, History(SPACE), 50, context)
    both = mixed((0.5, rand.suggest), (0.5, Fixed(2.0)))
    found = both.suggest(SPACE, History(SPACE), 50, context)
    taken = [p["x"] != 2.0 for p in found]
    assert 10 < sum(taken) < 40
    assert [p for p, own in zip(found, taken, strict=True) if own] == [
        p for p, own in zip(alone, taken, strict=True) if own
    ]
    # The draw of the member says nothing about the draws of the member.
    low = np.array([p["x"] for p, own in zip(alone, taken, strict=True) if own])
    assert 0.3 < low.mean() < 0.7


def test_a_mix_in_a_mix():
    inner = partial(mix.suggest, p_suggest=[(0.5, Fixed(0.1)), (0.5, Fixed(0.2))])
    suggester = mixed((0.5, inner), (0.5, Fixed(0.9)))
    assert [m.probability for m in suggester.settings.members] == [0.25, 0.25, 0.5]
    found = values(suggester, 2000)
    for value, share in ((0.1, 0.25), (0.2, 0.25), (0.9, 0.5)):
        assert found.count(value) / 2000 == pytest.approx(share, abs=0.04)


def test_members_see_the_points_before_theirs_as_pending_and_the_history_stays():
    first, second = Fixed(0.1), Fixed(0.9)
    suggester = mixed((0.5, first), (0.5, second))
    history = History(SPACE, [Trial(id=0, state=TrialState.OK, point={"x": 0.5}, loss=1.0)])
    context = SuggestContext(seed=0, ids=range(1, 13), budget=20)
    found = [p["x"] for p in suggester.suggest(SPACE, history, 12, context)]
    assert len(history) == 1
    for ids, pending, budget in first.asked + second.asked:
        assert pending == found[: ids[0] - 1]
        assert budget == 20 - (ids[0] - 1)
    asked = sorted(i for ids, *_ in first.asked + second.asked for i in ids)
    assert asked == list(range(1, 13))


def test_a_member_that_has_no_more_ends_the_batch():
    suggester = mixed((0.5, Fixed(0.1)), (0.5, Fixed(0.9, most=0)))
    found = values(suggester, 40)
    assert found == [0.1] * len(found)
    assert len(found) < 40


def test_no_repeats_across_members():
    space = compile_space({"a": hp.randint("a", 4), "b": hp.randint("b", 4)})
    suggester = mixed((0.5, anneal.suggest), (0.5, tpe.suggest))
    points = suggester.suggest(space, History(space), 16, SuggestContext(seed=0, ids=range(16)))
    assert len({(p["a"], p["b"]) for p in points}) == 16


@settings(max_examples=40)
@given(st.data())
def test_suggestions_lie_in_the_space_and_a_batch_is_a_sequence(data):
    space = data.draw(spaces(depth=2))
    history = data.draw(histories(space))
    eager = partial(anneal.suggest, shrink_coef=1.0)
    suggester = mixed((0.3, rand.suggest), (0.7, eager))
    first = history.next_id
    context = SuggestContext(seed=0, ids=range(first, first + 4))
    batch = suggester.suggest(space, history, 4, context)
    for i, point in enumerate(batch):
        assert space.checked(point) == dict(point)
        alone = SuggestContext(seed=0, ids=[first + i])
        assert suggester.suggest(space, history, 1, alone) == [point]
        history.put(Trial(id=first + i, state=TrialState.NEW, point=point))
