"""What a second call on the same experiment does: given points, interrupts, spaces, refreshing."""

from __future__ import annotations

import os
from enum import Enum

import pytest

from sparktrials import STATUS_OK, Trials, errors, fmin, hp, rand
from sparktrials.study.trial import TrialState

SPACE = hp.uniform("x", 0, 10)


def run(trials, n, fn=lambda x: x, space=SPACE, **kwargs):
    return fmin(
        fn,
        space,
        algo=rand.suggest,
        max_evals=n,
        trials=trials,
        rstate=1,
        **{"verbose": False, **kwargs},
    )


@pytest.fixture(params=["memory", "sqlite"])
def trials(request, tmp_path):
    return Trials() if request.param == "memory" else Trials(f"sqlite:///{tmp_path}/h.db", "e")


def test_given_points_come_on_top_at_every_call(trials) -> None:
    run(trials, 3, points_to_evaluate=[{"x": 1.0}])
    assert len(trials) == 4
    run(trials, 3, points_to_evaluate=[{"x": 1.0}])  # the same script again
    assert len(trials) == 4
    run(trials, 3)  # or without them
    assert len(trials) == 4
    run(trials, 3, points_to_evaluate=[{"x": 2.0}])
    assert len(trials) == 5
    run(trials, 4, points_to_evaluate=[{"x": 1.0}, {"x": 2.0}])
    assert len(trials) == 6
    assert [t.point["x"] for t in trials.history if t.given] == [1.0, 2.0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_result_whose_write_was_interrupted_is_not_lost(trials, error) -> None:
    calls = []
    append, failed = trials.store.append, []

    def interrupted(key, rows, attachments=None):
        if not failed and any(t.state is TrialState.OK and t.id == 2 for t in rows):
            failed.append(True)
            raise error
        append(key, rows, attachments)

    trials.store.append = interrupted
    with pytest.raises(error):
        run(trials, 6, lambda x: calls.append(x) or x)
    assert trials.history[2].state is TrialState.OK
    run(trials, 6, lambda x: calls.append(x) or x)
    assert len(calls) == len(set(calls)) == 6


class Status(str, Enum):
    OK = "ok"
    FAIL = "fail"


def test_statuses_and_losses_of_other_types_are_kept_as_plain_ones(tmp_path) -> None:
    from decimal import Decimal

    url = f"sqlite:///{tmp_path}/h.db"
    results = iter(
        [
            {"status": Status.OK, "loss": Decimal("1.5"), "x": 1},
            {"status": Status.FAIL, "loss": Decimal(1)},
            {"status": "fail", "loss": object()},
            {"status": STATUS_OK, "loss": 2, "attachments": {"\udc80": b"", "good": b"1"}},
        ]
    )
    run(Trials(url), 4, lambda _: next(results))
    again = Trials(url)
    assert again.statuses() == ["ok", "fail", "fail", "ok"]
    assert again.losses() == [1.5, 1.0, None, 2.0]
    assert dict(again.trial_attachments(3)) == {"good": b"1"}


def test_an_experiment_without_trials_binds_no_space(trials) -> None:
    def broken(initial, total):
        raise LookupError

    with pytest.raises(LookupError):
        run(trials, 3, show_progressbar=broken, verbose=True)
    assert not trials.history
    run(trials, 3, space=hp.uniform("y", 0, 1))
    assert len(trials) == 3
    if trials.store.durable:
        with pytest.raises(errors.SpaceMismatch):
            run(trials, 5)
    else:  # as in Hyperopt, whose users change the space between two calls
        with pytest.warns(UserWarning, match="3 of 3 trials do not fit"):
            run(trials, 5)
        assert len(trials) == 5


def test_refresh_reads_what_another_object_has_written(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/h.db"
    a, b = Trials(url), Trials(url)
    run(a, 2)
    b.refresh()
    assert len(b) == 2
    run(b, 5)
    assert len(a) == 2
    a.refresh()
    assert len(a) == 5
    assert a.argmin == b.argmin


def test_early_stopping_costs_the_same_for_every_trial() -> None:
    seen = []

    def stop(trials, *args):
        seen.append((len(trials), trials.trials[-1]["tid"], trials.best_trial["result"]["loss"]))
        return len(trials) == 50, args

    trials = Trials()
    run(trials, 500, early_stop_fn=stop)
    assert [n for n, _, _ in seen] == list(range(1, 51))
    assert [tid for _, tid, _ in seen] == list(range(50))


@pytest.mark.parametrize("text", ["runs.db", "out/runs", "./h.sqlite"])
def test_a_path_is_not_taken_for_a_name(text) -> None:
    with pytest.raises(errors.InvalidArgument, match="sqlite:///"):
        Trials(text)


def test_a_lease_that_cannot_be_given_back_does_not_hide_what_ended_the_run(trials) -> None:
    def failing(key):
        raise errors.StoreUnavailable(key)

    trials.store.release = failing
    with pytest.raises(ZeroDivisionError):
        run(trials, 3, lambda _: 1 / 0)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o000, 0o644), (0o077, 0o600)])
def test_a_saved_pickle_is_nobody_elses_to_write(tmp_path, mask, mode):
    """Loading it runs what is in it."""
    path = tmp_path / "trials.pkl"
    before = os.umask(mask)
    try:
        fmin(abs, hp.uniform("x", 0, 1), rand.suggest, 2, trials_save_file=path, verbose=False)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
    path.chmod(0o664)  # on purpose
    fmin(abs, hp.uniform("x", 0, 1), rand.suggest, 3, trials_save_file=path, verbose=False)
    assert path.stat().st_mode & 0o777 == 0o664
