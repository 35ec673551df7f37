"""What the loop decides: retries, cancellation, stopping, without Spark or clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparktrials import hp
from sparktrials.errors import TrialFailed
from sparktrials.space import compile_space
from sparktrials.study.history import History
from sparktrials.study.loop import Limits, Loop, StopReason, trial_seed
from sparktrials.study.protocols import Cancelled, Crashed, Finished, Lost, Reported, Returned
from sparktrials.study.trial import Failure, FailureKind, Outcome, Trial, TrialState

SPACE = compile_space(hp.uniform("x", 0, 1))


def make(trials=(), given=(), **limits) -> Loop:
    return Loop(
        history=History(SPACE, trials), limits=Limits(**limits), seed=7, started=0.0, given=given
    )


def record(loop: Loop, changes) -> None:
    for change in changes:
        loop.history.put(change.trial)


def start(loop: Loop, n: int) -> list[Trial]:
    plan = loop.plan(n, 1.0)
    changes = [*plan.changes, *loop.admit([{"x": 0.5}] * plan.ask, now=1.0)]
    record(loop, changes)
    return [c.trial for c in changes]


def ok(trial: Trial, loss: float = 1.0) -> Finished:
    return Finished(
        Outcome(
            trial_id=trial.id,
            attempt=trial.attempt,
            state=TrialState.OK,
            loss=loss,
            result={"loss": loss, "status": "ok"},
        )
    )


def raised(trial: Trial) -> Finished:
    failure = Failure(kind=FailureKind.RAISED, type="ValueError", message="no", traceback="tb")
    outcome = Outcome(
        trial_id=trial.id, attempt=trial.attempt, state=TrialState.FAILED, failure=failure
    )
    return Finished(outcome)


def test_asks_for_no_more_than_room_and_budget() -> None:
    loop = make(target=5)
    assert loop.plan(3, 1.0).ask == 3
    first = start(loop, 3)
    assert [t.id for t in first] == [0, 1, 2]
    assert loop.plan(10, 1.0).ask == 2
    start(loop, 10)
    assert not loop.plan(10, 1.0)
    assert loop.remaining == 0
    assert not loop.done


def test_a_target_that_is_reached_is_done() -> None:
    loop = make(target=1)
    (trial,) = start(loop, 1)
    record(loop, loop.handle(ok(trial), 2.0))
    assert loop.done
    assert loop.history[0].finished == 2.0


def test_without_a_target_it_asks_for_all_the_room() -> None:
    assert make().plan(1000, 1.0).ask == 1000


def test_given_points_come_first() -> None:
    loop = make(target=3, given=[{"x": 0.1}, {"x": 0.2}])
    plan = loop.plan(3, 1.0)
    assert plan.given == ({"x": 0.1}, {"x": 0.2})
    assert plan.ask == 1


def test_given_points_wait_for_room_before_any_is_asked() -> None:
    loop = make(target=9, given=[{"x": 0.1}, {"x": 0.2}, {"x": 0.3}])
    plan = loop.plan(2, 1.0)
    assert len(plan.given) == 2
    assert plan.ask == 0


def test_a_late_or_repeated_outcome_changes_nothing() -> None:
    loop = make(target=2)
    (trial, _) = start(loop, 2)
    record(loop, loop.handle(ok(trial, 1.0), 2.0))
    assert loop.handle(ok(trial, 0.0), 3.0) == []
    assert loop.handle(Lost(trial.id, 1, "gone"), 3.0) == []
    assert loop.handle(Cancelled(trial.id, 1), 3.0) == []
    assert loop.history[trial.id].loss == 1.0


def test_an_outcome_of_an_earlier_attempt_changes_nothing() -> None:
    loop = make(target=1)
    (trial,) = start(loop, 1)
    loop.handle(Lost(0, 1, "gone"), 2.0)
    plan = loop.plan(1, 1.0)
    record(loop, plan.changes)
    assert plan.again[0].attempt == 2
    assert loop.handle(ok(trial), 3.0) == []
    record(loop, loop.handle(ok(plan.again[0]), 4.0))
    assert loop.history[0].state is TrialState.OK
    assert loop.history[0].attempt == 2


def test_a_lost_worker_is_retried_up_to_the_limit() -> None:
    loop = make(target=1, max_retries=2)
    (trial,) = start(loop, 1)
    for attempt in (1, 2):
        assert loop.handle(Lost(0, attempt, "killed"), 2.0) == []
        assert not loop.done
        plan = loop.plan(1, 1.0)
        record(loop, plan.changes)
        assert [t.attempt for t in plan.again] == [attempt + 1]
        assert plan.ask == 0
    record(loop, loop.handle(Lost(0, 3, "killed"), 5.0))
    ended = loop.history[0]
    assert ended.state is TrialState.FAILED
    assert ended.failure is not None
    assert ended.failure.kind is FailureKind.WORKER_LOST
    assert "killed" in ended.failure.message
    assert loop.done
    assert trial.id == 0


def test_a_trial_lost_in_company_is_not_charged() -> None:
    loop = make(target=1, max_retries=0)
    start(loop, 1)
    assert loop.handle(Lost(0, 1, "killed", alone=False), 2.0) == []
    plan = loop.plan(1, 1.0)
    record(loop, plan.changes)
    assert plan.again[0].attempt == 2
    assert plan.alone == {0}


def test_no_retries_means_none() -> None:
    loop = make(target=1, max_retries=0)
    start(loop, 1)
    record(loop, loop.handle(Lost(0, 1, "killed"), 2.0))
    assert loop.history[0].state is TrialState.FAILED


def test_a_time_out_is_not_retried() -> None:
    loop = make(target=1, max_retries=2)
    start(loop, 1)
    record(loop, loop.handle(Lost(0, 1, "too long", timed_out=True), 2.0))
    failure = loop.history[0].failure
    assert failure is not None
    assert (failure.kind, failure.type) == (FailureKind.TIMEOUT, "TrialTimeout")


def test_an_unstarted_trial_is_submitted_again_and_not_charged() -> None:
    loop = make(target=2, max_retries=1)
    start(loop, 2)
    assert loop.handle(Returned(1, 1), 2.0) == []
    assert loop.handle(Returned(1, 1), 2.0) == []
    assert loop.remaining == 0
    plan = loop.plan(2, 1.0)
    record(loop, plan.changes)
    assert [(t.id, t.attempt) for t in plan.again] == [(1, 2)]
    assert plan.alone == frozenset()
    assert loop.handle(Returned(1, 1), 3.0) == []  # told again, late
    assert not loop.plan(2, 1.0)
    loop.handle(Lost(1, 2, "killed"), 4.0)
    assert loop.plan(2, 1.0).alone == {1}


def test_an_unstarted_trial_can_be_cancelled() -> None:
    loop = make(target=2)
    start(loop, 2)
    loop.handle(Returned(1, 1), 2.0)
    changes = loop.abandon(3.0)
    assert sorted(c.trial.id for c in changes) == [0, 1]
    record(loop, changes)
    assert loop.history.count(TrialState.CANCELLED) == 2


def test_trials_in_flight_run_again_after_a_restart() -> None:
    trials = [
        Trial(id=0, state=TrialState.OK, point={"x": 0.1}, loss=1.0, attempt=1),
        Trial(id=1, state=TrialState.RUNNING, point={"x": 0.2}, attempt=1),
        Trial(id=2, state=TrialState.CANCELLED, point={"x": 0.3}, attempt=1),
        Trial(id=3, state=TrialState.NEW, point={"x": 0.4}),
    ]
    loop = make(trials, target=4)
    assert loop.interrupted == 2
    assert loop.remaining == 1
    plan = loop.plan(8, 1.0)
    assert [(t.id, t.attempt) for t in plan.again] == [(1, 2), (3, 1)]
    assert plan.ask == 1
    assert list(loop.next_ids(1)) == [4]


def left_running(number: int, attempt: int, started: float) -> Trial:
    return Trial(
        id=number,
        state=TrialState.RUNNING,
        point={"x": 0.2},
        attempt=attempt,
        started=started,
    )


def finished_at(number: int, at: float) -> Trial:
    return Trial(
        id=number,
        state=TrialState.OK,
        point={"x": 0.1},
        loss=1.0,
        attempt=1,
        started=0.0,
        finished=at,
    )


def test_what_was_running_when_drivers_ended_twice_runs_with_no_other_beside_it() -> None:
    trials = [finished_at(0, 5.0), *(left_running(i, 2, 6.0) for i in (1, 2))]
    trials.append(left_running(3, 1, 6.0))
    loop = make(trials, target=5, in_driver=True)
    assert loop.interrupted == 3
    assert not loop.take_up(9.0)
    plan = loop.plan(8, 10.0)
    assert [(t.id, t.attempt) for t in plan.again] == [(1, 3)]
    assert not plan.ask
    record(loop, plan.changes)
    assert not loop.plan(7, 10.0)  # none beside it
    record(loop, loop.handle(ok(plan.again[0]), 11.0))
    plan = loop.plan(8, 10.0)
    assert [t.id for t in plan.again] == [2]
    record(loop, plan.changes)
    record(loop, loop.handle(ok(plan.again[0]), 11.0))
    plan = loop.plan(8, 10.0)
    assert [t.id for t in plan.again] == [3]
    assert plan.ask == 1


def test_where_others_finished_in_between_nobody_is_suspected() -> None:
    trials = [finished_at(0, 7.0), *(left_running(i, 9, 6.0) for i in (1, 2))]
    plan = make(trials, target=4, in_driver=True).plan(8, 10.0)
    assert [t.id for t in plan.again] == [1, 2]
    assert plan.ask == 1


def test_trials_that_ran_elsewhere_are_not_suspected_of_having_ended_the_driver() -> None:
    # Attempts are submissions, those that came back unstarted too: they say nothing of drivers.
    loop = make([left_running(i, 9, 6.0) for i in range(3)], target=4)
    assert not loop.take_up(9.0)
    plan = loop.plan(8, 10.0)
    assert [t.id for t in plan.again] == [0, 1, 2]
    assert plan.ask == 1


@pytest.mark.parametrize("catch", [True, False])
def test_a_trial_that_ends_each_driver_is_given_up(catch: bool) -> None:
    trials = [finished_at(0, 5.0), left_running(1, 4, 6.0)]
    loop = make(trials, target=3, catch=catch, in_driver=True)
    (change,) = loop.take_up(9.0)
    record(loop, [change])
    assert change.trial.state is TrialState.FAILED
    assert change.trial.failure is not None
    assert change.trial.failure.type == "DriverLost"
    assert "each of the last 4 times" in change.trial.failure.message
    assert loop.remaining == 1
    assert not loop.take_up(9.0)
    assert (loop.stop is None) is catch


def test_cancelled_trials_don_t_count_and_their_ids_are_not_used_again() -> None:
    trials = [Trial(id=0, state=TrialState.CANCELLED, point={"x": 0.1}, attempt=1)]
    loop = make(trials, target=1)
    (trial,) = start(loop, 1)
    assert trial.id == 1


@pytest.mark.parametrize("catch", [True, False])
def test_an_objective_that_raises_ends_the_run_unless_caught(catch: bool) -> None:
    loop = make(target=2, catch=catch)
    (trial, _) = start(loop, 2)
    record(loop, loop.handle(raised(trial), 2.0))
    assert loop.history[0].state is TrialState.FAILED
    assert loop.done is not catch
    if not catch:
        assert loop.stop is not None
        assert isinstance(loop.stop.exception, TrialFailed)
        assert "tb" in str(loop.stop.exception)


def test_the_objective_s_own_exception_is_raised_where_it_is_known() -> None:
    loop = make(target=2, catch=False)
    (trial, _) = start(loop, 2)
    error = ValueError("no")
    loop.handle(replace(raised(trial), exception=error), 2.0)
    assert loop.stop is not None
    assert loop.stop.exception is error


@pytest.mark.parametrize("name", ["StatusFail", "NonFiniteLoss"])
def test_a_point_that_the_objective_calls_bad_never_ends_the_run(name: str) -> None:
    loop = make(target=2, catch=False)
    (trial, _) = start(loop, 2)
    failure = Failure(kind=FailureKind.REPORTED, type=name, message="")
    outcome = Outcome(trial_id=trial.id, attempt=1, state=TrialState.FAILED, failure=failure)
    loop.handle(Finished(outcome), 2.0)
    assert loop.stop is None


def test_a_crash_stops_with_its_exception() -> None:
    loop = make(target=2)
    start(loop, 2)
    error = RuntimeError("gone")
    loop.handle(Crashed(error), 2.0)
    assert loop.done
    assert loop.stop is not None
    assert loop.stop.exception is error
    assert not loop.plan(5, 1.0)


def test_the_first_reason_to_stop_stays() -> None:
    loop = make(target=2, timeout=10.0)
    loop.tick(11.0)
    loop.handle(Crashed(RuntimeError()), 12.0)
    assert loop.stop is not None
    assert loop.stop.reason == StopReason.TIMEOUT


def test_the_timeout_is_of_this_run() -> None:
    loop = make(timeout=10.0)
    loop.tick(9.9)
    assert loop.stop is None
    assert loop.seconds_left(9.0) == pytest.approx(1.0)
    loop.tick(10.0)
    assert loop.done


def test_the_loss_threshold_is_strict() -> None:
    loop = make(target=9, loss_threshold=1.0)
    first, second = start(loop, 2)
    record(loop, loop.handle(ok(first, 1.0), 2.0))
    loop.judge_best()
    assert loop.stop is None
    record(loop, loop.handle(ok(second, 0.999), 2.0))
    loop.judge_best()
    assert loop.stop is not None
    assert loop.stop.reason == StopReason.LOSS_THRESHOLD


def test_a_success_outranks_a_cancellation() -> None:
    loop = make(target=2, timeout=1.0)
    first, second = start(loop, 2)
    loop.tick(5.0)
    record(loop, loop.handle(ok(first), 6.0))
    record(loop, loop.handle(Cancelled(second.id, 1), 6.0))
    assert loop.history[0].state is TrialState.OK
    assert loop.history[1].state is TrialState.CANCELLED


def test_a_worker_lost_while_stopping_is_not_retried() -> None:
    loop = make(target=2, timeout=1.0)
    start(loop, 1)
    loop.tick(5.0)
    changes = loop.handle(Lost(0, 1, "killed"), 6.0)
    assert [c.trial.state for c in changes] == [TrialState.CANCELLED]


def test_seeds_differ_by_trial_and_by_study() -> None:
    seeds = {trial_seed(s, i) for s in range(20) for i in range(20)}
    assert len(seeds) == 400
    assert trial_seed(3, 4) == trial_seed(3, 4)


def test_reports_are_kept_while_a_trial_runs_and_after_it_failed() -> None:
    loop = make(target=1, max_retries=0)
    (trial,) = start(loop, 1)
    (change,) = loop.handle(Reported(0, 1, ((0, 0.5),), ("a",)), 2.0)
    record(loop, [change])
    assert change.trial.state is TrialState.RUNNING
    record(loop, loop.handle(Reported(0, 1, ((1, 0.25),), ("b",)), 3.0))
    assert loop.history[0].reports == ((0, 0.5), (1, 0.25))
    assert loop.history[0].log == "a\nb"
    record(loop, loop.handle(Lost(0, 1, "gone"), 4.0))
    assert loop.history[0].state is TrialState.FAILED
    assert loop.history[0].reports == ((0, 0.5), (1, 0.25))
    assert trial.reports == ()


def test_an_outcome_has_all_that_was_said() -> None:
    loop = make(target=1)
    (trial,) = start(loop, 1)
    record(loop, loop.handle(Reported(0, 1, ((0, 0.5),)), 2.0))
    outcome = replace(ok(trial).outcome, reports=((0, 0.5), (1, 0.1)), log="all")
    (change,) = loop.handle(Finished(outcome), 3.0)
    assert change.trial.reports == ((0, 0.5), (1, 0.1))
    assert change.trial.log == "all"


def test_reports_belong_to_an_attempt() -> None:
    loop = make(target=1)
    start(loop, 1)
    record(loop, loop.handle(Reported(0, 1, ((0, 0.5),), ("a",)), 2.0))
    record(loop, loop.handle(Lost(0, 1, "gone"), 3.0))
    plan = loop.plan(1, 4.0)
    assert plan.again[0].reports == ()
    assert plan.again[0].log == ""
    record(loop, plan.changes)
    assert loop.handle(Reported(0, 1, ((9, 9.0),)), 5.0) == []
    record(loop, loop.handle(Reported(0, 2, ((0, 0.4),)), 5.0))
    assert loop.history[0].reports == ((0, 0.4),)


def test_a_report_of_a_trial_that_ended_changes_nothing() -> None:
    loop = make(target=1)
    (trial,) = start(loop, 1)
    record(loop, loop.handle(ok(trial), 2.0))
    assert loop.handle(Reported(0, 1, ((0, 0.5),)), 3.0) == []
