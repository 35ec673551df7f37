"""Which variable it is that cannot be pickled."""

from __future__ import annotations

import sys
import threading
from functools import partial

import cloudpickle
import pytest

from sparktrials.dispatch.pickling import culprit, pickled
from sparktrials.errors import ObjectiveNotPicklable

LOCK = threading.Lock()


class Thing:
    def __init__(self, **attributes):
        self.__dict__ |= attributes

    def method(self, x):
        return x

    def __call__(self, x):
        return x


class Slotted:
    __slots__ = ("lock",)

    def __init__(self):
        self.lock = threading.Lock()


def closure(value):
    return lambda x: (value, x)


def nested(value):
    def outer(x):
        def inner():
            return value

        return inner()

    return outer


def uses_global(x):
    return LOCK.locked()


def empty_cell():
    def objective(x):
        return later

    copy = closure(threading.Lock())
    keep = (objective, copy)
    if copy is None:
        later = 1
    return lambda x: keep


cloudpickle.register_pickle_by_value(sys.modules[__name__])

CASES = {
    "closure": (lambda: closure(threading.Lock()), ["'value'", "lock"]),
    "closure in closure": (lambda: closure(closure(threading.Lock())), ["'value'"]),
    "nested": (lambda: nested(threading.Lock()), ["'value'"]),
    "in containers": (lambda: closure({"a": [0, (LOCK,)]}), ["'value'", "'a'", "item 1", "item 0"]),
    "attribute": (lambda: Thing(a=1, held=LOCK), ["'held'"]),
    "method": (lambda: Thing(held=LOCK).method, ["self", "'held'"]),
    "global": (lambda: uses_global, ["'LOCK'", "uses_global"]),
    "partial": (lambda: partial(closure(1), LOCK), ["argument 0"]),
    "partial's function": (lambda: partial(closure(LOCK), 1), ["the function", "'value'"]),
    "slots": (lambda: closure(Slotted()), ["'value'"]),
    "empty cell": (empty_cell, ["'keep'", "'value'"]),
    "generator": (lambda: closure(i for i in range(3)), ["generator"]),
    "open file": (lambda: closure(sys.stdout.buffer), ["'value'"]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_message_names_the_culprit(name):
    make, words = CASES[name]
    with pytest.raises(ObjectiveNotPicklable) as caught:
        pickled(make(), "the objective", cloudpickle.dumps)
    text = str(caught.value)
    assert text.startswith("the objective cannot be pickled")
    for word in words:
        assert word in text
    assert caught.value.__cause__ is not None


def test_what_pickles_is_pickled():
    assert cloudpickle.loads(pickled(closure(3), "it", cloudpickle.dumps))(4) == (3, 4)
    assert culprit(closure(3), cloudpickle.dumps) is None


def test_objects_that_contain_themselves_end():
    thing = Thing(lock=LOCK)
    thing.me = thing
    thing.deep = [[[[[[[[[[thing]]]]]]]]]]
    assert "'lock'" in culprit(thing, cloudpickle.dumps)


def test_an_object_that_refuses_by_itself_is_named_by_its_type():
    class Refuses:
        def __reduce__(self):
            raise RuntimeError("not me")

    with pytest.raises(ObjectiveNotPicklable, match=r"Refuses.*not me"):
        pickled(closure(Refuses()), "the objective", cloudpickle.dumps)
