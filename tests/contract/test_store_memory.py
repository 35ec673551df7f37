from __future__ import annotations

import pytest
from tests.contract.store_suite import StoreContract

from sparktrials.store import MemoryStore, open_store


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self):
        with open_store("memory:") as store:
            yield store


def test_each_one_is_alone():
    assert open_store("memory:") is not open_store("memory://")
    assert isinstance(open_store("memory:"), MemoryStore)
