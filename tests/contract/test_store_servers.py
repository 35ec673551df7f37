"""The suite of all stores on real servers; one that is not installed is skipped, visibly."""

from __future__ import annotations

import pytest
from tests.contract.store_suite import StoreContract

from sparktrials.store import open_store


@pytest.fixture(scope="module")
def postgres(postgres_server):
    return postgres_server.fresh()


@pytest.fixture(scope="module")
def mariadb(mariadb_server):
    return mariadb_server.fresh()


@pytest.fixture(scope="module")
def mongo(mongo_server):
    return mongo_server.fresh()


def opened(url):
    """Open a store for one test, which leaves it empty: making tables takes longer than most."""
    with open_store(url) as store:
        yield store
    with open_store(url) as store:
        for experiment in store.experiments():
            store.delete(experiment.key)


class TestPostgres(StoreContract):
    server = "postgres"

    @pytest.fixture
    def store(self, postgres):
        yield from opened(postgres)


class TestMariaDB(StoreContract):
    server = "mariadb"

    @pytest.fixture
    def store(self, mariadb):
        yield from opened(mariadb)


class TestMongo(StoreContract):
    server = "mongo"

    @pytest.fixture
    def store(self, mongo):
        yield from opened(mongo)
