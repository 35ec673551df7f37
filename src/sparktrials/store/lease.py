"""Who drives an experiment: a process, described so that another one can tell whether it lives.

Nothing here depends on a clock. On its own host a process is known by its id *and* by when it
started, because ids are used again; a host is known by its name and, in containers, by the
namespace that its process ids belong to.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Holder", "log_replaced", "refusal"]

_log = logging.getLogger("sparktrials.store")

_PROC = Path("/proc")
_START_FIELD = 19  # starttime, counted from the state, which follows the name in brackets


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A driver of an experiment.

    Attributes
    ----------
    host, namespace
        The machine's name; the namespace of process ids on it, empty where there are none.
    pid, started
        The process; when it started, as opaque text, empty where that is not known.
    owner
        The store object in that process: a UUID.
    """

    host: str
    namespace: str
    pid: int
    started: str
    owner: str

    @classmethod
    def here(cls, owner: str) -> Holder:
        """Describe this process."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            namespace=_namespace(),
            pid=pid,
            started=_started(pid) or "",
            owner=owner,
        )

    def same_process(self, other: Holder) -> bool:
        """Whether both are in one process."""
        return (self.host, self.namespace, self.pid, self.started) == (
            other.host,
            other.namespace,
            other.pid,
            other.started,
        )

    def visible(self, here: Holder) -> bool:
        """Whether `here` can tell if this holder lives."""
        return (self.host, self.namespace) == (here.host, here.namespace)

    def alive(self) -> bool:
        """Whether the process exists, to be asked on its own host."""
        if self.pid <= 0 or not _exists(self.pid):
            return False
        started = _started(self.pid)
        # "" is a process that ended and was not waited for; None one that we may not look at.
        return started is None or (started != "" and self.started in {"", started})

    def __str__(self) -> str:
        """Name process and host for people."""
        return f"process {self.pid} on host {self.host}"


def refusal(key: str, url: str, holder: Holder, here: Holder) -> str:
    """Return why an experiment cannot be had, and what to do."""
    what = f"experiment {key!r} in {url} is being run by"
    if holder.same_process(here):
        return (
            f"{what} this process already ({holder}): wait for that run to end, close its store, "
            "or use another exp_key"
        )
    return (
        f"{what} {holder}: wait for it, stop it (kill {holder.pid}), or use another exp_key; "
        "a process that has died is replaced without being asked"
    )


def log_replaced(key: str, url: str, holder: Holder, here: Holder) -> None:
    """Say that a lease was taken over: loudly where nobody could look whether its holder lives."""
    what = "experiment %r in %s was being run by %s, "
    if holder.visible(here):
        _log.info(what + "which has ended: going on from there", key, url, holder)
    else:
        _log.warning(
            what + "which cannot be seen from %s: taken for a machine that was started anew. "
            "If it still runs, it will be refused from now on.",
            key,
            url,
            holder,
            here.host,
        )


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # there, signal 0 is no question
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str | None:
    """Return boot and ticks at which a process started, "" if it has ended, None if unknown."""
    try:
        # The name may hold anything, brackets too: what counts follows the last one.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return "" if fields[0] in {"Z", "X"} else f"{boot}:{fields[_START_FIELD]}"
    except (OSError, IndexError):
        return None


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""
