"""What every store promises: subclass `StoreContract` and give it a `store` fixture."""

from __future__ import annotations

import datetime as dt
import io
import math
import os
import pickle
import threading

import numpy as np
import pytest

from sparktrials.errors import (
    InvalidArgument,
    InvalidArgumentType,
    InvalidTrial,
    StoreError,
    StoreInUse,
)
from sparktrials.store import open_store
from sparktrials.store.checkup import examined
from sparktrials.study.protocols import Experiment
from sparktrials.study.trial import TERMINAL, Failure, FailureKind, Trial, TrialState

NEW, RUNNING, OK = TrialState.NEW, TrialState.RUNNING, TrialState.OK
CANCELLED = TrialState.CANCELLED
KEY = "default"


def experiment(key=KEY, **changes):
    fields = {
        "fingerprint": "f" * 32,
        "space": [{"label": "x", "distribution": "uniform(0, 1)", "condition": ""}],
        "seed": 2**32 - 1,
    }
    return Experiment(key=key, **{**fields, **changes})


def trial(number, state=RUNNING, *, attempt=1, **fields):
    """Return a trial as a driver writes it."""
    given = {"point": {"x": number / 7, "c": number % 3}, "created": 1.7e9 + number / 3, "seed": 1}
    if state is not NEW:
        given |= {"started": 1.7e9 + number, "host": "worker"}
    if state is OK:
        given |= {"loss": 1 / (number + 1), "result": {"loss": 1 / (number + 1), "status": "ok"}}
    if state is TrialState.FAILED:
        given["failure"] = Failure(kind=FailureKind.RAISED, type="E", message="m", traceback="t")
    return Trial(id=number, state=state, attempt=attempt, **{**given, **fields})


def same(a, b):
    """Whether two plain values are exactly equal: type, bits, NaN."""
    return exact(a) == exact(b)


def exact(value):
    """Return something to compare that tells apart what ``==`` does not."""
    if isinstance(value, dict):
        value_key = [(exact(k), exact(v)) for k, v in value.items()]
    elif isinstance(value, (list, tuple)):
        value_key = [exact(item) for item in value]
    elif isinstance(value, (np.str_, np.bytes_)):
        # All of it; as an array, numpy 1.23 sees memory of others in an empty one.
        value_key = [*value]
    elif isinstance(value, (np.ndarray, np.generic)):
        value_key = (value.dtype.str, value.shape, value.tobytes())
    elif isinstance(value, dt.datetime):
        value_key = (value.replace(tzinfo=None), value.fold, value.utcoffset())
    else:
        value_key = repr(value)
    return type(value), value_key


PLAIN = {
    "scalars": [None, True, 0, -1, 2**70, 0.1, -0.0, 5e-324, 1e308, "", "é\0\ud800😀", b"\0\xff"],
    "not finite": {"loss": math.nan, "a": [math.inf, -math.inf]},
    "numpy": {
        "scalars": (np.float32(0.1), np.float64(0.1), np.int64(-1), np.bool_(True), np.str_("é")),
        "arrays": [np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.array([b"a"]), np.array(1.5)],
        "times": [np.datetime64("2020-01-01T00:00", "ns"), np.timedelta64(3, "h")],
        "complex": np.array([1 + 2j, np.nan]),
        "foreign order": np.arange(3, dtype=">i2"),
    },
    "containers": ((), [], {}, ((1, (2,)), [{"a": ()}])),
    "keys": {1: "int", None: 0, 2.5: 0, (1, "a"): 0, "1": 0, b"b": 0},
    "times": [
        dt.datetime(2020, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 - naive on purpose
        dt.datetime(2020, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        dt.datetime(2020, 10, 25, 2, 30, fold=1),  # noqa: DTZ001 - naive on purpose
        dt.date(2020, 1, 2),
        dt.timedelta(-1, 2, 3),
    ],
    "like our own tags": {"__sparktrials__": ["tuple", []], "text": '"__sparktrials__":["float"]'},
}


class StoreContract:
    """The suite; `store` is an empty, open one."""

    #: The fixture with its URL, for stores whose own `url` leaves the user out.
    server = None

    @pytest.fixture
    def store(self):
        raise NotImplementedError

    @pytest.fixture
    def filled(self, store):
        store.create(experiment())
        return store

    # ------------------------------------------------------------------ experiments

    def test_create_returns_what_is_stored(self, store):
        first = experiment()
        assert store.create(first) == first
        assert store.create(experiment(fingerprint="other", seed=5)) == first
        assert store.experiment(KEY) == first
        assert store.experiments() == [first]

    def test_a_space_that_is_not_known_yet(self, store):
        store.create(experiment(fingerprint="", space=[], seed=1))
        store.append(KEY, [trial(0, OK)])
        bound = store.bind(experiment(seed=2))
        assert bound.fingerprint == "f" * 32
        assert store.experiment(KEY) == bound
        assert len(store.read(KEY)[0]) == 1
        other = experiment(fingerprint="e" * 32)
        assert store.bind(other) == bound, "once it is known it stays"
        assert store.bind(other, replace=True) == other
        assert store.experiment(KEY) == other
        with pytest.raises(StoreError, match="no experiment"):
            store.bind(experiment("unknown"))

    def test_experiments_by_key(self, store):
        assert store.experiments() == []
        assert store.experiment(KEY) is None
        for key in ("b", "a", "B", "é"):
            store.create(experiment(key))
        assert [e.key for e in store.experiments()] == ["B", "a", "b", "é"]

    @pytest.mark.parametrize(
        "key", ["'; DROP TABLE trial; --", "%_", "a/b", "Zürich 😀", " ", "x" * 999]
    )
    def test_keys_are_only_text(self, store, key):
        store.create(experiment(key))
        store.append(key, [trial(0)])
        assert [t.id for t in store.read(key)[0]] == [0]
        store.acquire(key)
        store.release(key)
        assert store.experiment(key).key == key

    @pytest.mark.parametrize("key", ["", "\ud800", None, 1, b"a"])
    def test_invalid_keys(self, store, key):
        error = InvalidArgument if isinstance(key, str) else InvalidArgumentType
        for call in (store.experiment, store.read, store.acquire):
            with pytest.raises(error, match="key"):
                call(key)
        with pytest.raises(error, match="key"):
            store.create(experiment(key))

    def test_unknown_experiment(self, filled):
        for call in (
            lambda: filled.append("other", [trial(0)]),
            lambda: filled.append("other", []),
            lambda: filled.read("other"),
            lambda: filled.attachment("other", 0, "a"),
            lambda: filled.acquire("other"),
        ):
            with pytest.raises(StoreError, match="other"):
                call()

    def test_delete(self, filled):
        filled.create(experiment("other"))
        for key in (KEY, "other"):
            filled.append(key, [trial(0, OK)], {0: {"a": b"1"}})
        _, position = filled.read(KEY)
        filled.delete(KEY)
        filled.delete(KEY)
        assert [e.key for e in filled.experiments()] == ["other"]
        assert filled.attachment("other", 0, "a") == b"1"
        filled.create(experiment())
        assert filled.read(KEY) == ([], 0)
        with pytest.raises(KeyError):
            filled.attachment(KEY, 0, "a")
        filled.append(KEY, [trial(0)])
        assert [t.id for t in filled.read(KEY, position)[0]] == [0], "positions never come again"

    # ------------------------------------------------------------------ trials

    @pytest.mark.parametrize("state", TrialState)
    def test_round_trip(self, filled, state):
        written = [
            trial(0, state),
            trial(1, state, host=None, created=None, seed=None, given=True, attempt=0),
            trial(2, state, point={}, duration_s=0.0, attachments=("a", "b")),
        ]
        filled.append(KEY, written)
        assert filled.read(KEY)[0] == written

    @pytest.mark.parametrize("name", PLAIN)
    def test_results_come_back_exactly(self, filled, name):
        result = {"loss": 0.5, "value": PLAIN[name]}
        filled.append(KEY, [trial(0, OK, result=result)])
        (back,), _ = filled.read(KEY)
        assert same(back.result, result)

    def test_numpy_numbers_in_a_trial(self, filled):
        written = trial(
            0, OK, loss=np.float64(0.5), point={"x": np.float64(0.25), "c": np.int64(2)}
        )
        filled.append(KEY, [written])
        assert filled.read(KEY)[0] == [written]

    def test_states_follow_each_other(self, filled):
        for state in (trial(0, NEW, attempt=0), trial(0), trial(0, OK)):
            filled.append(KEY, [state])
            assert filled.read(KEY)[0] == [state]

    def test_retry(self, filled):
        for state in (trial(0), trial(0, NEW), trial(0, attempt=2), trial(0, OK, attempt=2)):
            filled.append(KEY, [state])
            assert filled.read(KEY)[0] == [state]

    @pytest.mark.parametrize("late", TrialState)
    @pytest.mark.parametrize("last", sorted(TERMINAL))
    def test_terminal_once(self, filled, last, late):
        filled.append(KEY, [trial(0, last)], {0: {"a": b"1"}})
        before = filled.read(KEY)
        for attempt in (0, 1, 2):
            filled.append(
                KEY, [trial(0, late, attempt=attempt, host="late")], {0: {"a": b"2", "b": b"3"}}
            )
        assert filled.read(KEY) == before
        assert filled.attachment(KEY, 0, "a") == b"1"
        with pytest.raises(KeyError):
            filled.attachment(KEY, 0, "b")

    @pytest.mark.parametrize("late", TrialState)
    def test_an_earlier_attempt_is_too_late(self, filled, late):
        filled.append(KEY, [trial(0, attempt=2)])
        before = filled.read(KEY)
        filled.append(KEY, [trial(0, late)], {0: {"a": b"2"}})
        assert filled.read(KEY) == before
        with pytest.raises(KeyError):
            filled.attachment(KEY, 0, "a")

    def test_repeats_change_nothing(self, filled):
        states = [trial(0), trial(1, OK), trial(2, NEW, attempt=0)]
        filled.append(KEY, states, {1: {"a": b"1"}})
        before = filled.read(KEY)
        filled.append(KEY, states, {1: {"a": b"1"}})
        assert filled.read(KEY) == before
        assert filled.read(KEY, before[1]) == ([], before[1])

    def test_several_states_of_a_trial_at_once(self, filled):
        filled.append(KEY, [trial(0), trial(0, OK), trial(0)])
        assert filled.read(KEY)[0] == [trial(0, OK)]

    def test_nothing_to_append(self, filled):
        filled.append(KEY, [])
        assert filled.read(KEY) == ([], 0)

    # ------------------------------------------------------------------ positions

    def test_read_what_changed(self, filled):
        filled.append(KEY, [trial(n) for n in range(5)])
        first, position = filled.read(KEY)
        assert [t.id for t in first] == [0, 1, 2, 3, 4]
        filled.append(KEY, [trial(3, OK)])
        filled.append(KEY, [trial(5), trial(1, OK)])
        filled.append(KEY, [trial(1)])
        changed, after = filled.read(KEY, position)
        assert changed == [trial(1, OK), trial(3, OK), trial(5)]
        assert after > position
        assert filled.read(KEY, after) == ([], after)
        assert len(filled.read(KEY)[0]) == 6

    def test_order_is_by_id(self, filled):
        filled.append(KEY, [trial(4)])
        _, position = filled.read(KEY)
        for number in (0, 3, 1, 2):
            filled.append(KEY, [trial(number)])
        assert [t.id for t in filled.read(KEY)[0]] == [0, 1, 2, 3, 4]
        assert [t.id for t in filled.read(KEY, position)[0]] == [0, 1, 2, 3]

    def test_experiments_do_not_mix(self, filled):
        filled.create(experiment("other"))
        filled.append(KEY, [trial(0)])
        filled.append("other", [trial(0, OK), trial(1)])
        assert filled.read(KEY)[0] == [trial(0)]
        assert filled.read("other")[0] == [trial(0, OK), trial(1)]

    def test_a_position_of_the_future(self, filled):
        filled.append(KEY, [trial(0)])
        assert filled.read(KEY, 10**9) == ([], 10**9)

    # ------------------------------------------------------------------ attachments

    def test_attachments(self, filled):
        big = bytes(range(256)) * 4096
        filled.append(
            KEY,
            [trial(0, OK), trial(1, OK, attachments=("b",))],
            {0: {"big": big, "": bytearray(b"x")}, 1: {"b": memoryview(b"y"), "é/'": b""}},
        )
        assert filled.attachment(KEY, 0, "big") == big
        assert filled.attachment(KEY, 0, "") == b"x"
        assert filled.attachment(KEY, np.int64(1), "b") == b"y"
        assert filled.attachment(KEY, 1, "é/'") == b""
        assert [t.attachments for t in filled.read(KEY)[0]] == [("big", ""), ("b", "é/'")]
        for number, name in ((0, "b"), (1, "big"), (2, "b")):
            with pytest.raises(KeyError, match=name):
                filled.attachment(KEY, number, name)

    def test_attachments_of_a_running_trial_may_change(self, filled):
        for content in (b"1", b"2", b"3"):
            filled.append(KEY, [trial(0)], {0: {"a": content}})
            assert filled.attachment(KEY, 0, "a") == content
        filled.append(KEY, [trial(0, OK)])
        assert filled.attachment(KEY, 0, "a") == b"3"

    def test_files_are_attached_piece_by_piece(self, filled, tmp_path):
        filled.append(KEY, [trial(0, OK), trial(1)])
        position = filled.read(KEY)[1]
        path = tmp_path / "model.bin"
        path.write_bytes(bytes(range(256)) * 10_000)  # more than two pieces
        with path.open("rb") as file:
            file.read(7)  # wherever it stands
            filled.attach(KEY, 0, "model", file)
        assert filled.read(KEY, position)[0] == [trial(0, OK, attachments=("model",))]
        position = filled.read(KEY)[1]
        with filled.open_attachment(KEY, 0, "model") as stream:
            assert stream.read(300) == (bytes(range(256)) * 2)[:300]
            assert stream.read() == path.read_bytes()[300:]
            assert stream.read() == b""
        assert filled.attachment(KEY, 0, "model") == path.read_bytes()
        filled.attach(KEY, 0, "model", b"")
        filled.attach(KEY, 1, "note", b"x")
        assert filled.open_attachment(KEY, 0, "model").read() == b""
        assert filled.read(KEY, position)[0] == [trial(1, attachments=("note",))]
        filled.append(KEY, [trial(1, OK, attachments=("note",))], {1: {"b": b"y"}})
        assert filled.attachment(KEY, 1, "note") == b"x"
        with pytest.raises(KeyError):
            filled.open_attachment(KEY, 0, "other")

    def test_files_come_with_their_trials(self, filled, tmp_path):
        path = tmp_path / "model"
        path.write_bytes(os.urandom(2_500_000))
        with path.open("rb") as file:
            file.seek(7)  # it is read from its beginning all the same
            filled.append(KEY, [trial(0, OK)], {0: {"model": file, "a": b"1"}})
            filled.append(KEY, [trial(0, OK)], {0: {"model": file, "a": b"2"}})
        assert filled.attachment(KEY, 0, "model") == path.read_bytes()
        assert filled.attachment(KEY, 0, "a") == b"1", "it had ended"
        assert sorted(filled.read(KEY)[0][0].attachments) == ["a", "model"]

    def test_what_cannot_be_attached(self, filled, tmp_path):
        filled.append(KEY, [trial(0, OK)])
        for number, name, content in (
            (0, "a", "text"),
            (0, "a", io.StringIO("text")),
            (0, 1, b""),
            (0, "\ud800", b""),
            (7, "a", b""),
        ):
            with pytest.raises((InvalidArgument, InvalidArgumentType, StoreError)):
                filled.attach(KEY, number, name, content)
        reading, writing = os.pipe()
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe, pytest.raises(InvalidArgument, match="twice"):
            filled.attach(KEY, 0, "a", pipe)
        assert filled.read(KEY)[0] == [trial(0, OK)]

    def test_wrong_attachments(self, filled):
        for wrong, error, text in (
            ({1: {"a": b""}}, InvalidArgument, r"\[1\]"),
            ({0: {"a": "text"}}, InvalidArgumentType, "'a' of trial 0.*str"),
            ({0: {1: b""}}, InvalidArgumentType, "name"),
            ({0: {"\ud800": b""}}, InvalidArgument, "name"),
        ):
            with pytest.raises(error, match=text):
                filled.append(KEY, [trial(0)], wrong)
        assert filled.read(KEY) == ([], 0)

    # ------------------------------------------------------------------ what cannot be kept

    def test_what_is_not_plain_is_refused_as_a_whole(self, filled):
        if not filled.durable:
            model = object()
            filled.append(KEY, [trial(0, OK, result={"model": model})])
            assert filled.read(KEY)[0][0].result["model"] is model
            return
        for wrong, text in (
            (
                trial(1, OK, result={"loss": 1, "model": object()}),
                r"trial 1.*result\['model'\].*object",
            ),
            (trial(1, OK, result={"a": [np.array([None])]}), r"trial 1.*result\['a'\]"),
            (trial(1, OK, loss=math.nan), "trial 1.*loss"),
            (trial(1, point={"x": math.inf}), "trial 1"),
            (trial(1, point={1: 0.5}), "trial 1.*label"),
            (trial(1, point={"x": "a"}), "trial 1.*x"),
            (trial(-1), "trial -1.*id"),
            (trial(2**63), "id"),
        ):
            with pytest.raises(InvalidTrial, match=text):
                filled.append(KEY, [trial(0), wrong])
        assert filled.read(KEY) == ([], 0)

    # ------------------------------------------------------------------ leases

    def test_one_driver(self, filled):
        filled.create(experiment("other"))
        filled.acquire(KEY)
        filled.acquire("other")
        with pytest.raises(StoreInUse, match=rf"'default'.*process {os.getpid()} on host"):
            filled.acquire(KEY)
        filled.release("other")
        with pytest.raises(StoreInUse):
            filled.acquire(KEY)
        filled.release(KEY)
        filled.acquire(KEY)
        filled.append(KEY, [trial(0)])

    def test_release_is_idempotent(self, filled):
        filled.release(KEY)
        filled.release("unknown")
        filled.acquire(KEY)
        filled.release(KEY)
        filled.release(KEY)

    def test_the_driver_may_delete(self, filled):
        filled.acquire(KEY)
        filled.delete(KEY)
        filled.create(experiment())
        filled.acquire(KEY)

    # ------------------------------------------------------------------ the object

    def test_url(self, store):
        assert store.url
        assert "@" not in store.url

    def test_closed(self, filled):
        filled.acquire(KEY)
        filled.close()
        filled.close()
        with pytest.raises(StoreError, match="closed"):
            filled.read(KEY)
        with pytest.raises(StoreError, match="closed"):
            filled.create(experiment())

    def test_pickle(self, filled):
        filled.append(KEY, [trial(0, OK), trial(1, CANCELLED)], {0: {"a": b"1"}})
        filled.acquire(KEY)
        with pickle.loads(pickle.dumps(filled)) as copy:
            assert copy.read(KEY) == filled.read(KEY)
            assert copy.experiments() == filled.experiments()
            assert copy.attachment(KEY, 0, "a") == b"1"
            assert copy.url == filled.url

    def test_threads(self, filled):
        n_threads, n_trials = 4, 8
        failures = []

        def write(first):
            try:
                for number in range(first, first + n_trials):
                    filled.append(KEY, [trial(number)])
                    filled.append(KEY, [trial(number, OK)], {number: {"a": b"%d" % number}})
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(n_trials * k,)) for k in range(n_threads)]
        for thread in threads:
            thread.start()
        known, position = {}, 0
        while any(thread.is_alive() for thread in threads) or len(known) < n_threads * n_trials:
            changed, position = filled.read(KEY, position)
            for t in changed:
                assert known.get(t.id) is not OK
                known[t.id] = t.state
            if failures:
                break
        for thread in threads:
            thread.join()
        assert not failures
        trials, _ = filled.read(KEY)
        assert trials == [trial(n, OK, attachments=("a",)) for n in range(n_threads * n_trials)]

    def test_labels_and_names_are_only_text(self, filled):
        """Whoever names parameters, results or attachments commands no database."""
        texts = [
            "'; DROP TABLE trial; --",
            "$where",
            "a.b",
            "__proto__",
            "../../x",
            "%s{0}",
            "\0",
            "é" * 99,
        ]
        for number, text in enumerate(texts):
            result = {text: {text: 1}, "loss": 1.0}
            given = trial(number, OK, point={text: 1.5}, result=result, host=text)
            filled.append(KEY, [given], {number: {text: text.encode()}})
        found = filled.read(KEY)[0]
        assert [t.point for t in found] == [{text: 1.5} for text in texts]
        assert [t.result[text] for t, text in zip(found, texts, strict=True)] == [
            {text: 1} for text in texts
        ]
        for number, text in enumerate(texts):
            assert filled.attachment(KEY, number, text) == text.encode()
            with pytest.raises(KeyError):
                filled.attachment(KEY, number, texts[number - 1])

    # ------------------------------------------------------------------ reading, looking after

    @pytest.fixture
    def reader(self, filled, request):
        """Yield the same store, opened to be read."""
        if not filled.durable:
            pytest.skip("a store in memory is its program's own")
        url = request.getfixturevalue(self.server) if self.server else filled.url
        with open_store(url, read_only=True) as reader:
            yield reader

    def test_a_reader_writes_nothing(self, filled, reader):
        filled.append(KEY, [trial(0, OK)], {0: {"a": b"b"}})
        assert reader.experiments() == filled.experiments()
        assert reader.read(KEY) == filled.read(KEY)
        assert reader.attachment(KEY, 0, "a") == b"b"
        assert [c.trial for c in reader.records(KEY)] == [0]
        assert reader.driver(KEY) is None
        for call in (
            lambda: reader.create(experiment("other")),
            lambda: reader.bind(experiment(), replace=True),
            lambda: reader.append(KEY, [trial(1)]),
            lambda: reader.acquire(KEY),
            lambda: reader.delete(KEY),
            reader.compact,
        ):
            with pytest.raises(StoreError, match="read_only"):
                call()
        filled.append(KEY, [trial(1)])
        assert [t.id for t in reader.read(KEY)[0]] == [0, 1], "and sees what others write"

    def test_trials_are_counted_without_being_read(self, filled, monkeypatch):
        if not filled.durable:
            pytest.skip("a store in memory has them at hand")
        filled.create(experiment("other"))
        filled.append("other", [trial(n) for n in range(3)])
        filled.append("other", [trial(1, OK)], {1: {"a": b"1"}})
        monkeypatch.setattr("sparktrials.store.durable.trial_from", None)
        assert [filled.count(KEY), filled.count("other")] == [0, 3]
        with pytest.raises(StoreError, match="no experiment 'third'"):
            filled.count("third")

    def test_compact(self, filled, monkeypatch):
        if not filled.durable:
            filled.append(KEY, [trial(0, OK)])
            assert filled.compact() == (1, 1)
            return
        if "mongo" in filled.url:
            monkeypatch.setattr("sparktrials.store.mongo.sweeping.HOLD_S", 0.0)
        for attempt in range(1, 5):
            filled.append(KEY, [trial(0, attempt=attempt)], {0: {"a": b"%d" % attempt}})
        filled.append(KEY, [trial(0, OK, attempt=5)])
        kept = filled.read(KEY)
        before, after = filled.compact()
        assert 0 < after <= before
        assert filled.read(KEY) == kept

    def test_who_drives(self, filled, reader):
        filled.acquire(KEY)
        name, alive = reader.driver(KEY)
        assert str(os.getpid()) in name
        assert alive
        filled.release(KEY)
        assert reader.driver(KEY) is None

    def test_its_condition(self, filled, reader):
        filled.append(KEY, [trial(0, OK)], {0: {"a": b"b"}})
        found = list(examined(reader))
        assert [f for f in found if f.wrong] == []
        assert any("1 ok" in f.what for f in found)
