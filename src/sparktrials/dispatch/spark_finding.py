"""Which Spark there is: from a session, or from none, to the backend that runs trials on it."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sparktrials.dispatch import spark_session
from sparktrials.dispatch.spark_classic import ClassicBackend
from sparktrials.dispatch.spark_connect import ConnectBackend
from sparktrials.errors import SparkNotAvailable

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend

__all__ = ["find_backend", "is_running"]

#: Seconds that a Connect server gets to take a connection.
_ANSWER_S = 5.0


def find_backend(
    session: object | None, profile: object | None = None, *, in_clear: bool = False
) -> Backend:
    """Return a backend on `session`, on the running one, or on a new one.

    Parameters
    ----------
    session
        A ``SparkSession``, classic or of Spark Connect, or None.
    profile
        A ``pyspark.resource.ResourceProfile`` for the trials' tasks, or None.
    in_clear
        Whether a channel may be opened though Spark's own connections are encrypted.

    Raises
    ------
    SparkNotAvailable
        If pyspark or Java is missing, or Spark does not start.
    SparkContextStopped
        If the session was stopped.
    InvalidArgumentType
        If `session` is not a SparkSession, or `profile` none.
    InvalidArgument
        If the cluster cannot do the profile.
    """
    try:
        import pyspark.sql  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        msg = (
            "SparkTrials needs pyspark, which is not installed: pip install pyspark, "
            "or pyspark-client for a Spark Connect server, or use Trials() to evaluate in this "
            "process"
        )
        raise SparkNotAvailable(msg) from error
    ours = session is None and not is_running()
    if session is None:
        session = _running() or _session(ours=ours)
    if _is_connect(session):
        backend = ConnectBackend(session, profile)
        backend.check()
        return backend
    context = spark_session.context_of(session)
    spark_session.use_this_python(context)
    return ClassicBackend(context, profile, in_clear=in_clear)


def is_running() -> bool:
    """Whether this process has a Spark that can be used without starting one."""
    return _running_remote() is not None if _is_remote() else spark_session.is_running()


def _running() -> Any:  # noqa: ANN401 - several session classes
    """Return the session that is active in this thread, if there is one."""
    if _is_remote():
        return _running_remote()
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    return SparkSession.getActiveSession()


def _running_remote() -> Any:  # noqa: ANN401
    from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415 - an extra

    with contextlib.suppress(Exception):  # which one differs by version
        return SparkSession.active()
    return None


def _is_remote() -> bool:
    """Whether the sessions of this process are on a Connect server."""
    from pyspark.sql.utils import is_remote  # noqa: PLC0415 - an extra

    return bool(is_remote())


def _is_connect(session: object) -> bool:
    return any(c.__module__.startswith("pyspark.sql.connect.") for c in type(session).__mro__)


def _session(*, ours: bool) -> Any:  # noqa: ANN401
    """Return the session of the running context, or of a Spark that starts now."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra

    if ours and not (_is_remote() or os.environ.get("SPARK_REMOTE", "").startswith("sc:")):
        from sparktrials.dispatch.java import ensure_java  # noqa: PLC0415 - only to start Spark

        ensure_java()
    _check_answers(os.environ.get("SPARK_REMOTE", ""))
    try:
        return SparkSession.builder.getOrCreate()
    except Exception as error:
        msg = f"Spark did not start: {type(error).__name__}: {error}"
        raise SparkNotAvailable(msg) from error


def _check_answers(remote: str) -> None:
    """Refuse a Connect server that is not there: Spark's client tries it for ten minutes."""
    if not remote.startswith("sc://") or any(
        os.environ.get(name) for name in ("grpc_proxy", "https_proxy", "http_proxy")
    ):
        return
    place = urlsplit(remote.partition(";")[0])
    try:
        host, port = place.hostname or "", place.port or 15002
    except ValueError:
        return  # Spark says what is wrong with it
    try:
        socket.create_connection((host, port), timeout=_ANSWER_S).close()
    except (ConnectionRefusedError, socket.gaierror) as error:
        msg = (
            f"no Spark Connect server answers at {host}:{port} ({error}), which SPARK_REMOTE "
            "names: start it, or correct the address"
        )
        raise SparkNotAvailable(msg) from error
    except OSError:
        return  # slow, or something is in between: Spark has its own patience
