"""Handles of large values: small pickles, values in files that processes share."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest

import sparktrials
from sparktrials import Trials, broadcast, fmin, hp, rand
from sparktrials.dispatch import framing
from sparktrials.dispatch.broadcasting import collecting, provide
from sparktrials.errors import BroadcastDestroyed, ObjectiveNotPicklable


@pytest.fixture(autouse=True)
def fresh():
    """A process that has no values yet."""
    provide([])
    yield
    provide([])


# --------------------------------------------------------------------- files


def written(value, path):
    with path.open("wb") as file:
        framing.dump(value, file, cloudpickle.dump)
    return str(path)


def test_what_is_written_is_read(tmp_path):
    pandas = pytest.importorskip("pandas")
    value = {
        "a": np.arange(1000.0).reshape(10, 100),
        "f": np.asfortranarray(np.ones((3, 4), np.float32)),
        "strided": np.arange(100)[::3],
        "empty": np.zeros((0, 3)),
        "text": ["x" * 1000, b"y"],
        "frame": pandas.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]}),
        "function": lambda x: x + 1,
    }
    found = framing.load(written(value, tmp_path / "file"))
    for name in ("a", "f", "strided", "empty"):
        np.testing.assert_array_equal(found[name], value[name])
    assert found["text"] == value["text"]
    assert found["frame"].equals(value["frame"])
    assert found["function"](1) == 2


def test_arrays_are_aligned_and_stay_in_the_file(tmp_path):
    value = [np.ones(3, np.int8), np.arange(10_000.0), np.ones((100, 100))]
    path = written(value, tmp_path / "file")
    found = framing.load(path)
    for array in found:
        assert array.ctypes.data % 64 == 0
        assert not array.flags.owndata


def test_what_one_reader_writes_is_its_own(tmp_path):
    path = written(np.zeros(1000), tmp_path / "file")
    first, second = framing.load(path), framing.load(path)
    first[:] = 1
    assert second.sum() == 0
    assert framing.load(path).sum() == 0


def test_an_array_that_cannot_be_written_to_stays_so(tmp_path):
    array = np.zeros(10)
    array.flags.writeable = False
    assert not framing.load(written(array, tmp_path / "file")).flags.writeable


@pytest.mark.parametrize("wrong", [b"", b"x", b"x" * 100, pickle.dumps(3) + bytes(50)])
def test_a_file_that_is_not_whole_is_refused(tmp_path, wrong):
    path = tmp_path / "file"
    path.write_bytes(wrong)
    with pytest.raises(ValueError, match=r"broadcast|empty"):
        framing.load(str(path))
    whole = io.BytesIO()
    framing.dump([1, np.ones(100)], whole, pickle.dump)
    with pytest.raises(ValueError, match="broadcast"):
        framing.load_from(bytearray(whole.getvalue()[:-1]))


# --------------------------------------------------------------------- handles


@dataclass
class Publication:
    """As a Spark keeps a value."""

    reference: object
    log: list = field(default_factory=list)

    def unpersist(self):
        self.log.append("unpersist")

    def destroy(self):
        self.log.append("destroy")


def sent(objective):
    """Return the handles of an objective and what a worker makes of it."""
    with collecting() as handles:
        content = cloudpickle.dumps(objective)
    return handles, content


def test_a_handle_pickles_small_and_loads_where_the_value_is(tmp_path):
    data = broadcast(np.arange(1_000_000.0))

    def objective(x):
        return data.value.sum() + x

    handles, content = sent([lambda: objective])
    assert len(content) < 5_000
    assert list(handles.values()) == [data]
    provide([(key, written(h.value, tmp_path / key)) for key, h in handles.items()])
    (make,) = pickle.loads(content)
    assert make()(1) == data.value.sum() + 1


class Model:
    def __init__(self, data):
        self.data = data

    def __call__(self, x):
        return self.data.value["k"] + x


NEST = broadcast({"k": 1})


@pytest.mark.parametrize(
    "objective",
    [
        Model(NEST),
        Model(NEST).__call__,
        lambda x: NEST.value["k"] + x,
        lambda x, d=NEST: d.value["k"] + x,
        lambda x, d=({"deep": [NEST]},): d[0]["deep"][0].value["k"] + x,
    ],
    ids=["callable", "method", "global", "default", "deep"],
)
def test_handles_are_found_wherever_they_are(tmp_path, objective):
    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["x"]))
    handles, content = sent(objective)
    assert set(handles.values()) == {NEST}
    provide([(key, written(h.value, tmp_path / key)) for key, h in handles.items()])
    assert pickle.loads(content)(1) == 2


def test_studies_share_a_value_and_lose_it_when_it_is_not_theirs(tmp_path):
    data = broadcast(list(range(10)))
    handles, content = sent(lambda: data)
    sources = [(key, written(h.value, tmp_path / key)) for key, h in handles.items()]
    provide(sources)
    first, second = pickle.loads(content)(), pickle.loads(content)()
    assert first is second
    assert first.value is second.value
    value = first.value
    provide(sources)
    assert first.value is value
    provide([])
    provide(sources)
    assert first.value == value
    assert first.value is not value


def test_a_value_that_spark_encrypts_comes_in_memory():
    data = broadcast(np.arange(10.0))
    handles, content = sent(lambda: data)
    whole = io.BytesIO()
    framing.dump(data.value, whole, pickle.dump)
    ((key, _),) = handles.items()
    provide([(key, SimpleNamespace(value=whole.getvalue()))])
    found = pickle.loads(content)().value
    found += 1
    assert found.tolist() == list(range(1, 11))


def test_by_itself_a_handle_does_not_pickle_but_copies_are_the_same():
    data = broadcast([1])
    with pytest.raises(ObjectiveNotPicklable, match="with an objective"):
        pickle.dumps(data)
    assert copy.copy(data) is data
    assert copy.deepcopy({"a": data})["a"] is data
    assert repr(data) == "<sparktrials.broadcast of list>"


def test_a_value_is_published_once_for_each_spark():
    data = broadcast([1])
    first, second = (type("Spark", (), {})() for _ in range(2))
    made = []

    def publish(value):
        made.append(Publication(value))
        return made[-1]

    assert data.published(first, publish) is data.published(first, publish)
    assert data.published(second, publish) is made[1]
    data.unpersist()
    data.destroy()
    assert [p.log for p in made] == [["unpersist", "destroy"]] * 2
    assert repr(data) == "<sparktrials.broadcast of destroyed>"
    with pytest.raises(BroadcastDestroyed, match="make a new one"):
        _ = data.value
    with pytest.raises(BroadcastDestroyed):
        data.published(first, publish)
    data.destroy()


def test_a_value_is_freed_with_its_handle():
    data = broadcast([1])
    spark = type("Spark", (), {})()
    made = data.published(spark, Publication)
    del data
    gc.collect()
    assert made.log == ["destroy"]


def test_with_plain_trials_it_is_the_value_itself():
    value = {"offset": 3.0}
    data = sparktrials.broadcast(value)
    assert data.value is value
    trials = Trials()
    fmin(
        lambda x: x + data.value["offset"],
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=3,
        trials=trials,
        verbose=False,
    )
    assert min(trials.losses()) >= 3


def test_a_process_without_the_value_says_so():
    data = broadcast([1])
    _, content = sent(lambda: data)
    with pytest.raises(LookupError, match="not in this process"):
        _ = pickle.loads(content)().value
