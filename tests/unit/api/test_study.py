"""Ask and tell: `Study`."""

from __future__ import annotations

import threading

import pytest

from sparktrials import STATUS_FAIL, Study, Trials, auto, fmin, hp, rand, space_eval
from sparktrials.api import asking
from sparktrials.errors import (
    AllTrialsFailed,
    InvalidArgument,
    InvalidLoss,
    InvalidResultStatus,
    InvalidTrial,
    SpaceExhausted,
    SpaceMismatch,
    StoreInUse,
)
from sparktrials.study.trial import FailureKind, TrialState

SPACE = {
    "x": hp.uniform("x", -5, 5),
    "kind": hp.choice("kind", ["a", {"b": hp.quniform("q", 1, 9, 1)}]),
}


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs.db"


def test_points_are_what_objectives_get_and_results_what_they_return():
    study = Study(SPACE, seed=1)
    for number in range(25):
        trial = study.ask()
        assert trial.id == number
        assert trial.params == space_eval(SPACE, trial.point)
        assert (trial.state, trial.loss) == (TrialState.RUNNING, None)
        study.tell(trial, {"loss": trial.params["x"] ** 2, "status": "ok", "more": [1, (2,)]})
    assert study.pending == []
    assert study.best.loss == min(study.trials.losses())
    assert study.best.result["more"] == [1, (2,)]
    assert study.best.params == space_eval(SPACE, study.trials.argmin)


def test_it_suggests_what_fmin_does():
    asked = Study(SPACE, seed=3)
    for _ in range(30):
        trial = asked.ask()
        asked.tell(trial, trial.params["x"] ** 2)
    trials = Trials()
    fmin(
        lambda p: p["x"] ** 2,
        SPACE,
        algo=auto.suggest,
        max_evals=30,
        trials=trials,
        rstate=3,
        verbose=False,
    )
    assert [t.point for t in asked.trials.history] == [t.point for t in trials.history]
    assert asked.trials.losses() == trials.losses()


def test_many_at_once_and_in_any_order():
    study = Study(SPACE, algo=rand.suggest, seed=0)
    asked = study.ask(5)
    assert [t.id for t in asked] == list(range(5))
    assert len({t.params["x"] for t in asked}) == 5
    assert [t.id for t in study.pending] == list(range(5))
    for trial in reversed(asked):
        study.tell(trial.id, float(trial.id))
    assert study.best.id == 0
    assert study.ask(1)[0].id == 5


def test_a_trial_may_fail_in_several_ways():
    study = Study(SPACE, seed=0)
    asked = study.ask(3)
    study.tell(asked[0], {"status": STATUS_FAIL})
    study.tell(asked[1], float("nan"))
    study.tell(asked[2], ValueError("it exploded"))
    kinds = [t.failure.kind for t in study.trials.history]
    assert kinds == [FailureKind.REPORTED, FailureKind.REPORTED, FailureKind.RAISED]
    assert study.trials.history[2].failure.message == "it exploded"
    with pytest.raises(AllTrialsFailed, match="all 3 trials failed"):
        _ = study.best


def test_what_is_no_result_is_refused_and_the_trial_stays_pending():
    study = Study(SPACE, seed=0)
    trial = study.ask()
    with pytest.raises(InvalidLoss, match="must return a number"):
        study.tell(trial, "good")
    with pytest.raises(InvalidResultStatus):
        study.tell(trial, {"loss": 1.0})
    with pytest.raises(InvalidArgument, match=r"no trial 7: ask\(\) comes first"):
        study.tell(7, 1.0)
    assert [t.id for t in study.pending] == [0]
    study.tell(trial, 1.5)
    with pytest.raises(InvalidTrial, match=r"trial 0 was told before, it is ok with loss 1\.5"):
        study.tell(trial, 0.5)
    assert study.best.loss == 1.5


def test_a_history_goes_on_in_another_study_and_in_fmin(url):
    with Study(SPACE, store=url, exp_key="one", seed=5) as study:
        first = study.ask(2)
        study.tell(first[0], {"loss": 4.0, "status": "ok", "attachments": {"log": b"text"}})
    with Study(SPACE, store=url, exp_key="one") as study:
        (left,) = study.pending
        assert left.params == first[1].params
        assert study.ask().id == 2
        study.tell(left.id, 3.0)
        assert study.best.id == 1
        assert bytes(study.trials.trial_attachments(0)["log"]) == b"text"
        fmin(lambda p: 1.0, SPACE, max_evals=4, trials=study.trials, verbose=False)
        assert [t.state for t in study.trials.history] == [TrialState.OK] * 4
        assert study.pending == []
    alone = Study(SPACE, seed=5)
    assert alone.ask(2)[1].params == first[1].params


def test_another_space_is_refused(url):
    with Study(SPACE, store=url) as study:
        study.tell(study.ask(), 1.0)
    with pytest.raises(SpaceMismatch, match="another search space"):
        Study({"x": hp.normal("x", 0, 1)}, store=url)
    with Study({"x": hp.normal("x", 0, 1)}, store=url, exp_key="other") as study:
        study.ask()


def test_objects_that_a_durable_store_cannot_keep_are_told_of(url):
    with Study(SPACE, store=url) as study:
        trial = study.ask()
        with pytest.warns(UserWarning, match="'model' of its result are not plain data"):
            study.tell(trial, {"loss": 1.0, "status": "ok", "model": object()})
        assert study.best.loss == 1.0


def test_an_experiment_that_somebody_keeps_is_in_use(url, monkeypatch):
    monkeypatch.setattr(asking, "_PATIENCE_S", 0.01)
    study, trials = Study(SPACE, store=url), Trials(url)
    study.tell(study.ask(), 0.0)
    with trials.running(study._space, None), pytest.raises(StoreInUse):
        study.ask()
    assert study.ask().id == 1
    study.close()
    trials.store.close()


@pytest.mark.parametrize("durable", [True, False])
def test_threads_share_a_study_and_a_store(url, durable):
    first = Study(SPACE, store=url if durable else None, algo=rand.suggest, seed=0)
    second = Study(SPACE, store=first.trials.store, algo=rand.suggest)
    problems = []

    def work(study):
        try:
            for _ in range(5):
                trial = study.ask()
                study.tell(trial, trial.params["x"])
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(s,)) for s in (first, first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert [t.id for t in first.trials.history] == list(range(15))
    assert first.trials.losses() == [t.point["x"] for t in second.trials.history]
    first.close()


def test_an_algorithm_that_has_no_point_left():
    class Two:
        adaptive = False

        def suggest(self, space, history, n, context):
            return [{"x": 0.5}][: max(0, 2 - len(history))]

    study = Study({"x": hp.uniform("x", 0, 1)}, algo=Two())
    assert len(study.ask(5)) == 2
    with pytest.raises(SpaceExhausted, match="no point left, after 2 trials"):
        study.ask()


def test_arguments():
    with pytest.raises(InvalidArgument, match="n must be a positive integer"):
        Study(SPACE).ask(0)
    with pytest.raises(InvalidArgument, match="seed must not be negative"):
        Study(SPACE, seed=-1)
    assert "Study of <Trials 'default' in memory with 0 trials>" in repr(Study(SPACE))
