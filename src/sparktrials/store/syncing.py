"""Making files durable: what is written survives a power failure once these return."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["sync", "sync_directory"]


def sync(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    with suppress(OSError):  # not everywhere can a directory be opened
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
