"""What unit tests of several folders share."""

from __future__ import annotations

import pytest

from sparktrials.store import board_of, open_store


@pytest.fixture
def board(tmp_path):
    """Return the notes of an SQLite file."""
    with open_store(f"sqlite:///{tmp_path}/board.db") as store:
        yield board_of(store)
