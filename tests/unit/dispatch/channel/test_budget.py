from __future__ import annotations

import gc
from dataclasses import dataclass

from sparktrials.dispatch.channel.budget import Intake
from sparktrials.dispatch.channel.frames import Frame, Kind

KIB = 1024


@dataclass(eq=False)
class Line:
    """What an intake knows of a connection."""

    held: int = 0
    wanted: int = 0
    paused: bool = False
    closed: bool = False


class Bench:
    def __init__(self, limit):
        self.resumed, self.woken = [], 0
        self.intake = Intake(limit, self.resumed.append, self.wake)

    def wake(self):
        self.woken += 1


def frame(n):
    return Frame(Kind.MESSAGE, {}, (bytes(n),))


def test_a_large_message_takes_room_when_it_begins_and_keeps_it_until_it_is_dropped():
    bench = Bench(100 * KIB)
    line = Line()
    bench.intake.settle(line, 50 * KIB, fresh=False)
    assert line.held == bench.intake.used == 50 * KIB
    receipt = bench.intake.receipt(frame(50 * KIB))
    bench.intake.settle(line, 0, fresh=True)
    assert line.held == 0
    assert bench.intake.used == 51 * KIB
    del receipt
    assert bench.intake.used == 0


def test_who_finds_no_room_waits_and_goes_on_in_turn():
    bench = Bench(100 * KIB)
    first, second, third = Line(), Line(), Line()
    bench.intake.settle(first, 60 * KIB, fresh=False)
    bench.intake.settle(second, 60 * KIB, fresh=False)
    bench.intake.settle(third, 20 * KIB, fresh=False)
    assert [x.paused for x in (first, second, third)] == [False, True, False]
    bench.intake.settle(third, 0, fresh=True)
    assert second.paused
    bench.intake.settle(first, 0, fresh=True)
    assert bench.resumed == [second]
    assert (second.paused, second.held) == (False, 60 * KIB)


def test_one_is_let_in_whatever_its_size():
    bench = Bench(10 * KIB)
    line = Line()
    bench.intake.settle(line, 100 * KIB, fresh=False)
    assert line.held == 100 * KIB
    assert bench.intake.full


def test_small_messages_are_counted_when_they_are_there():
    bench = Bench(10 * KIB)
    kept = []
    while not bench.intake.full:
        kept.append(bench.intake.receipt(frame(100)))
    assert 9 <= len(kept) <= 11
    line = Line()
    bench.intake.settle(line, 0, fresh=True)
    assert line.paused
    assert bench.woken == 0
    kept.clear()  # by the owner, in a thread of its own
    assert bench.woken > 0
    assert line.paused  # only the server's thread lets it go on
    bench.intake.go_on()
    assert not line.paused
    assert bench.resumed == [line]


def test_json_counts_for_what_it_becomes():
    bench = Bench(2**20)
    receipt = bench.intake.receipt(Frame(Kind.MESSAGE, {}, (), header_bytes=1000))
    assert bench.intake.used > 16_000
    del receipt


def test_two_messages_of_one_size_are_two():
    bench = Bench(100 * KIB)
    line = Line()
    bench.intake.settle(line, 60 * KIB, fresh=False)
    receipt = bench.intake.receipt(frame(60 * KIB))
    bench.intake.settle(line, 60 * KIB, fresh=True)
    assert line.paused
    del receipt
    bench.intake.go_on()
    assert line.held == 60 * KIB


def test_connections_that_end_give_their_room_and_their_place_back():
    bench = Bench(100 * KIB)
    first, second, third = Line(), Line(), Line()
    for line in (first, second, third):
        bench.intake.settle(line, 80 * KIB, fresh=False)
    second.closed = True
    first.closed = True
    bench.intake.release(first)
    assert bench.resumed == [third]
    bench.intake.release(first)
    assert bench.intake.used == 80 * KIB


def test_receipts_in_cycles_come_back_with_the_collection():
    bench = Bench(100 * KIB)
    cycle = [bench.intake.receipt(frame(10))]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert bench.intake.used == 0
