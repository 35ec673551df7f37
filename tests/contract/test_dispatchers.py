"""Every dispatcher keeps the contract."""

from __future__ import annotations

import logging
import sys
import time
import uuid

import cloudpickle
import pytest
from tests.contract import dispatcher_suite
from tests.contract.dispatcher_suite import DispatcherContract, drain, open_with, trial
from tests.workers import worker

from sparktrials.dispatch.inline import InlineDispatcher
from sparktrials.dispatch.processes import ProcessDispatcher
from sparktrials.dispatch.spark import SparkDispatcher
from sparktrials.dispatch.spark_classic import ClassicBackend
from sparktrials.dispatch.spark_connect import ConnectBackend
from sparktrials.dispatch.threads import ThreadDispatcher
from sparktrials.dispatch.workers import WorkersDispatcher
from sparktrials.store import board_of, open_store
from sparktrials.study.protocols import Cancelled, Finished


@pytest.fixture
def opened():
    """Return a function that opens a dispatcher; all are closed in the end."""
    dispatchers = []

    def add(dispatcher, objective):
        dispatchers.append(dispatcher)
        return open_with(dispatcher, objective)

    yield add
    for dispatcher in dispatchers:
        dispatcher.close()


@pytest.fixture(scope="module")
def store_with_workers(tmp_path_factory):
    """Return a store on which a worker lives."""
    url = f"sqlite:///{tmp_path_factory.mktemp('workers')}/runs.db"
    with open_store(url) as store, worker(url, "--trust-pickle"):
        yield store


class TestInline(DispatcherContract):
    @pytest.fixture(params=[1, 5])
    def make(self, request, opened):
        return lambda objective: opened(InlineDispatcher(request.param), objective)


class TestThreads(DispatcherContract):
    @pytest.fixture(params=[1, 3])
    def make(self, request, opened):
        return lambda objective: opened(ThreadDispatcher(request.param), objective)


class TestProcesses(DispatcherContract):
    @pytest.fixture
    def make(self, opened):
        import cloudpickle

        # The processes have no tests, either.
        cloudpickle.register_pickle_by_value(dispatcher_suite)
        return lambda objective: opened(ProcessDispatcher(2), objective)


class TestSpark(DispatcherContract):
    @pytest.fixture(params=["pulling", "alone", "narrow", "pushing", "pushing alone"])
    def make(self, request, opened, spark_local):
        from pyspark import cloudpickle

        # Executors have no tests: the objectives of the suite travel with what they refer to.
        cloudpickle.register_pickle_by_value(dispatcher_suite)
        settings = {
            "pulling": {},
            "alone": {"packing": False},
            "narrow": {"parallelism": 1},
            "pushing": {"channel": False},
            "pushing alone": {"channel": False, "packing": False},
        }[request.param]
        context = spark_local.sparkContext
        return lambda objective: opened(
            SparkDispatcher(ClassicBackend(context), **settings), objective
        )


class TestWorkers(DispatcherContract):
    @pytest.fixture
    def make(self, opened, store_with_workers, caplog):
        caplog.set_level(logging.ERROR, "sparktrials")
        return lambda objective: opened(
            WorkersDispatcher(
                board_of(store_with_workers),
                uuid.uuid4().hex,
                recorded=lambda _: False,
                ended=lambda _: False,
                dumps=cloudpickle.dumps,
            ),
            objective,
        )


class TestConnect(DispatcherContract):
    @pytest.fixture(params=["packs", "alone", "narrow"])
    def make(self, request, opened, connect_session):
        from pyspark import cloudpickle

        cloudpickle.register_pickle_by_value(dispatcher_suite)
        settings = {"packs": {}, "alone": {"packing": False}, "narrow": {"parallelism": 1}}
        backend = ConnectBackend(connect_session)
        return lambda objective: opened(
            SparkDispatcher(backend, **settings[request.param]), objective
        )


def test_spark_cancels_one_trial_and_leaves_the_others_alone(opened, spark_local, tmp_path):
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    go = str(tmp_path / "go")

    def objective(p):
        import os

        while not os.path.exists(go):  # noqa: PTH110
            time.sleep(0.01)
        return p["x"]

    dispatcher = opened(SparkDispatcher(ClassicBackend(spark_local.sparkContext)), objective)
    dispatcher.submit([trial(0)])
    dispatcher.submit([trial(1)])
    dispatcher.cancel([0])
    (first,) = drain(dispatcher, 1)
    assert first == Cancelled(0, 1)
    (tmp_path / "go").touch()
    (second,) = drain(dispatcher, 1)
    assert isinstance(second, Finished)
    assert second.outcome.trial_id == 1
