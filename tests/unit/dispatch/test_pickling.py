"""Which variable it is that cannot be pickled."""

from __future__ import annotations

import sys
import threading
from functools import partial

import cloudpickle
import pytest

from sparktrials.dispatch.pickling import CLOSURE_LIMIT, culprit, heaviest, pickled
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


BIG = b"x" * (CLOSURE_LIMIT + 1)


def uses_big(x):
    return len(BIG) + x


LARGE = {
    "closure": (lambda: closure(BIG), "variable 'value' of <lambda>"),
    "closure in closure": (
        lambda: closure(closure(BIG)),
        "variable 'value' of <lambda> → variable",
    ),
    "global": (lambda: uses_big, "global variable 'BIG' of uses_big"),
    "default": (lambda: lambda x, data=BIG: x, "default argument 0"),
    "partial": (lambda: partial(nested, data={"a": [BIG]}), "argument 'data'"),
    "callable": (lambda: Thing(a=1, held=BIG), "attribute 'held'"),
    "method": (lambda: Thing(a=1, held=BIG).method, "self → attribute 'held'"),
    "closure over an object": (lambda: closure(Thing(held=BIG)), "variable 'value' of <lambda>"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_objective_is_warned_of_by_the_variable(name):
    make, path = LARGE[name]
    value = make()
    with pytest.warns(UserWarning, match="10 MB of it in") as caught:
        content = pickled(value, "the objective", cloudpickle.dumps)
    assert len(content) > CLOSURE_LIMIT
    (text,) = [str(w.message) for w in caught]
    assert caught[0].filename == __file__
    assert path in text
    assert "sparktrials.broadcast" in text


def test_where_no_variable_is_to_blame_alone_none_is_named():
    parts = [bytes([i]) * 3_000_000 for i in range(4)]
    a, b, c, d = parts
    with pytest.warns(UserWarning, match="takes 12 MB to be sent") as caught:
        pickled(lambda x: (a, b, c, d, x), "the objective", cloudpickle.dumps)
    assert "of it in" not in str(caught[0].message)


def test_the_variable_itself_is_named_not_what_is_inside():
    path, size = heaviest(closure({"a": {"b": BIG}, "c": 1}), cloudpickle.dumps)
    assert path == "variable 'value' of <lambda>"
    assert CLOSURE_LIMIT < size < CLOSURE_LIMIT + 1000


def test_a_small_objective_is_not_warned_of():
    pickled(closure(b"x" * 1_000_000), "the objective", cloudpickle.dumps)
