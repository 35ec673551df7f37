"""Broadcast values on Spark Connect: files of the session, which Spark brings to each executor."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark import cloudpickle

from sparktrials.dispatch import framing

if TYPE_CHECKING:
    from sparktrials.dispatch.broadcasting import Broadcast

__all__ = ["ConnectPublication", "InQuery"]


class ConnectPublication:
    """A value that a session has; the file goes with the session, there is no way to take it back.

    Parameters
    ----------
    session
        A session of `pyspark.sql.connect`.
    key
        The handle's.
    value
        What to send.

    Attributes
    ----------
    reference
        The file's name.
    """

    def __init__(self, session: Any, key: str, value: object) -> None:  # noqa: ANN401
        self.reference = f"sparktrials-data-{key}"
        with tempfile.TemporaryDirectory(prefix="sparktrials-") as directory:
            path = Path(directory, self.reference)
            with path.open("wb") as file:
                framing.dump(value, file, cloudpickle.dump)
            session.addArtifacts(str(path), file=True)

    def unpersist(self) -> None:
        """Do nothing: it stays until the session ends."""

    def destroy(self) -> None:
        """Do nothing: it stays until the session ends."""


class InQuery:
    """A value that travels with each query, where files don't: made once, when it is first needed.

    It pickles as a plain object that `broadcasting.provide` takes.
    """

    def __init__(self, handle: Broadcast[Any]) -> None:
        self._handle = handle
        self._content: bytes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        from types import SimpleNamespace  # noqa: PLC0415

        if self._content is None:
            content = io.BytesIO()
            framing.dump(self._handle.value, content, cloudpickle.dump)
            self._content = content.getvalue()
        return SimpleNamespace, (), {"value": self._content}
