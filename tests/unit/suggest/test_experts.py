"""How the experts of adaptive TPE are judged."""

from __future__ import annotations

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.protocols import SuggestContext
from sparktrials.study.trial import Failure, FailureKind, Trial, TrialState
from sparktrials.suggest import atpe, experts
from sparktrials.suggest.grouping import groups_of
from sparktrials.suggest.known import Known

SPACE = compile_space({"x": hp.uniform("x", -1, 1), "c": hp.choice("c", list("abc"))})
FAILURE = Failure(kind=FailureKind.RAISED, type="ValueError", message="it failed", traceback="")


def history(losses, seed=0):
    rng = np.random.default_rng(seed)
    found = History(SPACE)
    for i, loss in enumerate(losses):
        point = {"x": float(rng.uniform(-1, 1)), "c": int(rng.integers(3))}
        value = loss(point) if callable(loss) else loss
        if value is None:
            found.put(Trial(id=i, state=TrialState.FAILED, point=point, failure=FAILURE))
        else:
            found.put(Trial(id=i, state=TrialState.OK, point=point, loss=value))
    return found


def skills(found):
    (group,) = groups_of(found.codec)
    return experts.skills(group, found.X, found.losses)


def test_what_can_be_foretold_is_foretold():
    skill = skills(history([lambda p: p["x"] ** 2] * 80))
    assert skill.shape == (len(experts.SHARES), 2)
    assert (skill > 0.7).all()
    assert (skill <= 1).all()


@pytest.mark.parametrize("losses", [[1.0] * 40, [None] * 40, [1.0] * (experts.LEAST - 1)])
def test_no_skill_without_evidence(losses):
    np.testing.assert_array_equal(skills(history(losses)), 0)


def test_failed_trials_are_taken_for_the_worst():
    failing = history([lambda p: None if p["x"] > 0 else 0.0] * 60)
    assert (skills(failing) > 0.1).all()


def test_the_skilled_weigh_more_and_all_are_heard():
    weights = experts.weights_of(np.array([0.0, 0.5, -0.2, 0.5, 0.0, 0.0]))
    assert weights.sum() == pytest.approx(1)
    assert weights[1] == weights[3] == weights.max()
    assert weights.min() > 0
    np.testing.assert_allclose(experts.weights_of(np.zeros(4)), 0.25)


def test_only_the_latest_trials_are_looked_at():
    """So that a suggestion costs the same after any number of them."""
    found = history([lambda p: p["x"]] * 30)
    (board,) = found.follow(Known).boards
    whole = experts.Ensemble.of(board, found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experts, "LOOK_BACK", 10)
        few = experts.Ensemble.of(board, found)
    assert np.ptp(whole.weights) > 0
    np.testing.assert_allclose(few.weights, 1 / few.weights.size)


def test_finds_a_minimum_in_a_conditional_space_with_failures_and_pending_trials():
    space = compile_space(
        {"m": hp.choice("m", [hp.uniform("x", -1, 1), hp.quniform("k", 0, 20, 1)])}
    )
    found, algorithm = History(space), atpe.suggest.configured()
    pending = []
    for i in range(80):
        (point,) = algorithm.suggest(space, found, 1, SuggestContext(seed=3, ids=[i]))
        found.put(Trial(id=i, state=TrialState.NEW, point=point))
        pending.append(i)
        if len(pending) == 4:
            first = pending.pop(0)
            point = found[first].point
            if point.get("k", 0) > 15:
                done = Trial(id=first, state=TrialState.FAILED, point=point, failure=FAILURE)
            else:
                loss = (point["x"] - 0.3) ** 2 if "x" in point else 0.1 + abs(point["k"] - 7)
                done = Trial(id=first, state=TrialState.OK, point=point, loss=loss)
            found.put(done)
    assert found.best.loss < 1e-3


@pytest.mark.parametrize("settings", [{"n_startup_jobs": -1}, {"n_EI_candidates": 0.5}])
def test_settings_are_checked(settings):
    with pytest.raises(InvalidArgument, match=r"atpe.suggest: \w+ must be an integer >="):
        atpe.suggest.configured(**settings)
    with pytest.raises(InvalidArgumentType, match="no setting 'gamma'"):
        atpe.suggest.configured(gamma=0.25)
