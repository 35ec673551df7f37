"""Any sequence of calls leaves a durable store with what memory has: late, repeated, reopened."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.contract.store_suite import experiment, trial

from sparktrials.errors import StoreError
from sparktrials.store import MemoryStore, SQLiteStore, open_store
from sparktrials.study.trial import TrialState

keys = st.sampled_from(["a", "b"])
states = st.builds(
    trial,
    st.integers(0, 4),
    st.sampled_from(TrialState),
    attempt=st.integers(0, 2),
    host=st.sampled_from(["h", "g"]),
)
contents = st.dictionaries(st.sampled_from(["m", "n"]), st.binary(max_size=2), max_size=2)


def outcome(call, *arguments):
    try:
        return call(*arguments)
    except (StoreError, KeyError) as error:
        return type(error)


class Stores(RuleBasedStateMachine):
    url = None

    @initialize()
    def start(self):
        self.directory = tempfile.mkdtemp()
        self.memory, self.durable = MemoryStore(), self.opened()
        for found in self.durable.experiments():
            self.durable.delete(found.key)
        self.written = []
        self.seen = {}  # key -> what a reader of changes knows, and its two positions

    def opened(self):
        return open_store(self.url or f"sqlite:///{self.directory}/history.db")

    def both(self, method, *arguments):
        expected = outcome(getattr(self.memory, method), *arguments)
        assert outcome(getattr(self.durable, method), *arguments) == expected
        return expected

    @rule(key=keys, seed=st.integers(0, 3))
    def create(self, key, seed):
        self.both("create", experiment(key, seed=seed))

    @rule(key=keys, trials=st.lists(states, max_size=4), attached=st.lists(contents, max_size=4))
    def append(self, key, trials, attached):
        attachments = {t.id: files for t, files in zip(trials, attached, strict=False)}
        self.written.append((key, trials, attachments))
        self.both("append", key, trials, attachments)

    @rule(data=st.data())
    def append_again(self, data):
        if self.written:
            self.both("append", *data.draw(st.sampled_from(self.written)))

    @rule(key=keys)
    def delete(self, key):
        self.both("delete", key)
        self.seen.pop(key, None)

    @rule(key=keys)
    def follow(self, key):
        if self.memory.experiment(key) is None:
            return
        known, position, other = self.seen.get(key, ({}, 0, 0))
        changed, position = self.memory.read(key, position)
        other_changed, other = self.durable.read(key, other)
        assert other_changed == changed
        known = {**known, **{t.id: t for t in changed}}
        self.seen[key] = known, position, other
        assert sorted(known.values(), key=lambda t: t.id) == self.durable.read(key)[0]

    @rule()
    def reopen(self):
        self.durable.close()
        self.durable = self.opened()

    @rule(key=keys)
    def acquire_and_release(self, key):
        self.both("acquire", key)
        self.both("acquire", key)
        self.both("release", key)

    @invariant()
    def agree(self):
        self.both("experiments")
        for key in ("a", "b"):
            trials = outcome(lambda key=key: self.memory.read(key)[0])
            assert outcome(lambda key=key: self.durable.read(key)[0]) == trials
            for number in range(5):
                self.both("attachment", key, number, "m")

    def teardown(self):
        if hasattr(self, "directory"):
            self.durable.close()
            shutil.rmtree(self.directory)


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, derandomize=True
)


@pytest.mark.parametrize("server", ["postgres_server", "mariadb_server", "mongo_server"])
def test_servers(server, request):
    class OnServer(Stores):
        url = request.getfixturevalue(server).fresh()

    few = settings(max_examples=6, stateful_step_count=15, deadline=None, derandomize=True)
    run_state_machine_as_test(OnServer, settings=few)


def test_the_machine_can_tell_stores_apart(tmp_path):
    with SQLiteStore(tmp_path / "history.db") as sqlite, MemoryStore() as memory:
        for store in (sqlite, memory):
            store.create(experiment("a"))
        sqlite.append("a", [trial(0)])
        memory.append("a", [replace(trial(0), host="other")])
        assert sqlite.read("a")[0] != memory.read("a")[0]
