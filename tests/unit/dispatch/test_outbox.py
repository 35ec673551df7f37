"""What a task sends of a batch while it evaluates it: no sockets, no Spark."""

from __future__ import annotations

import threading

import pytest

from sparktrials.dispatch.messages import decode_outcomes, decode_returned
from sparktrials.dispatch.outbox import Outbox, TooLarge
from sparktrials.errors import ChannelClosed, InvalidArgument
from sparktrials.study.trial import Outcome, TrialState

PATIENCE_S = 30.0


class Driver:
    """Takes note of what arrives, in order."""

    def __init__(self):
        self.got = []
        self.changed = threading.Condition()
        self.fault = None
        self.largest = 100

    def send(self, header, blobs=()):
        with self.changed:
            if self.fault is not None:
                raise self.fault
            if header["kind"] == "returned":
                self.got.append(("back", [i for i, _ in decode_returned(header)]))
            else:
                ids = [o.trial_id for o in decode_outcomes(header, blobs)]
                if len(ids) > self.largest:
                    raise InvalidArgument("too large")
                self.got.append(("done", ids))
            self.changed.notify_all()

    def wait_for(self, *messages):
        with self.changed:
            assert self.changed.wait_for(
                lambda: all(m in self.got for m in messages), PATIENCE_S
            ), self.got


def batch(*ids):
    return [[i, 1, None, {}] for i in ids]


def done(spec):
    return Outcome(trial_id=spec[0], attempt=1, state=TrialState.OK, loss=1.0)


@pytest.fixture
def driver():
    return Driver()


@pytest.fixture
def outbox_of(driver):
    """Return a function that makes an outbox; none leaves a thread behind."""
    made = []

    def make(**settings):
        made.append(Outbox(driver, **settings))
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()
        assert outbox._thread is None or not outbox._thread.is_alive()


def test_short_trials_go_together(driver, outbox_of):
    outbox = outbox_of(tell_s=PATIENCE_S, time_box_s=PATIENCE_S)
    outbox.evaluate(batch(0, 1, 2), done)
    assert driver.got == [("done", [0, 1, 2])]
    outbox.evaluate(batch(3, 4), done)
    assert driver.got[1:] == [("done", [3, 4])]
    assert [o.trial_id for o in outbox.unknown] == [3, 4]


def test_a_single_trial_needs_no_thread(driver, outbox_of):
    outbox = outbox_of()
    outbox.evaluate(batch(0), done)
    assert driver.got == [("done", [0])]
    assert outbox._thread is None


def test_an_outcome_does_not_wait_for_the_trial_that_runs(driver, outbox_of):
    outbox = outbox_of(tell_s=0.001, time_box_s=PATIENCE_S)

    def run(spec):
        if spec[0] == 1:
            driver.wait_for(("done", [0]))  # while this trial runs
        return done(spec)

    outbox.evaluate(batch(0, 1), run)
    assert driver.got == [("done", [0]), ("done", [1])]


def test_what_is_behind_a_long_trial_goes_back_while_it_runs(driver, outbox_of):
    outbox = outbox_of(tell_s=0.001, time_box_s=0.0)

    def run(spec):
        driver.wait_for(("back", [1, 2]))
        return done(spec)

    for first in (True, False):  # and so it does in the next batch
        driver.got.clear()
        outbox.evaluate(batch(0, 1, 2), run)
        assert driver.got == [("back", [1, 2]), ("done", [0])], first


def test_the_first_is_always_started_and_the_rest_goes_back_after_its_time(driver, outbox_of):
    outbox = outbox_of(tell_s=PATIENCE_S, time_box_s=0.0)  # without the thread's help
    outbox.evaluate(batch(0, 1, 2), done)
    assert driver.got == [("done", [0]), ("back", [1, 2])]


def test_a_driver_that_is_gone_ends_the_batch_and_nothing_is_forgotten(driver, outbox_of):
    outbox = outbox_of(tell_s=0.001, time_box_s=PATIENCE_S)
    ran = []
    driver.fault = ChannelClosed("gone")

    def run(spec):
        ran.append(spec[0])
        if spec[0] == 1:
            outbox._thread.join(PATIENCE_S)  # it ends when it cannot send
        return done(spec)

    with pytest.raises(ChannelClosed):
        outbox.evaluate(batch(0, 1, 2), run)
    assert ran in ([0], [0, 1])
    assert [o.trial_id for o in outbox.unknown] == ran


def test_outcomes_too_large_together_go_one_by_one(driver, outbox_of):
    driver.largest = 1
    outbox = outbox_of(tell_s=PATIENCE_S, time_box_s=PATIENCE_S)
    outbox.evaluate(batch(0, 1), done)
    assert driver.got == [("done", [0]), ("done", [1])]


def test_one_that_is_too_large_by_itself_is_left_to_spark(driver, outbox_of):
    driver.largest = 0
    outbox = outbox_of(tell_s=PATIENCE_S, time_box_s=PATIENCE_S)
    with pytest.raises(TooLarge):
        outbox.evaluate(batch(0), done)
    assert [o.trial_id for o in outbox.unknown] == [0]
