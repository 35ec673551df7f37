"""Who drives an experiment: a process, described so that another one can tell whether it lives.

Nothing here depends on a clock. On its own host a process is known by its id *and* by when it
started, because ids are used again; a host is known by its name and, in containers, by the
namespace that its process ids belong to. Of a process on another machine a database server knows,
by its own clock, how long ago it was heard of.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import uuid
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sparktrials.study.values import decode_json

__all__ = ["LEASE_S", "Holder", "Owner", "log_replaced", "refusal", "stands"]

_log = logging.getLogger("sparktrials.store")

#: Seconds after which a driver on another machine that was not heard of is replaced.
LEASE_S = 60.0

_PROC = Path("/proc")
_START_FIELD = 19  # starttime, counted from the state, which follows the name in brackets


class Owner:
    """A store object's name, as long as it is open: a UUID, and what it drives.

    A process alone can tell which of its own are in use: a lease whose store was lost, or could not
    be given back (a full disk, a server that is away), must not bind until the process ends.
    """

    _living: ClassVar[weakref.WeakSet[Owner]] = weakref.WeakSet()

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.keys: set[str] = set()
        Owner._living.add(self)

    def close(self) -> None:
        """Let others have what it holds."""
        Owner._living.discard(self)

    @classmethod
    def drives(cls, name: str, key: str) -> bool:
        """Whether a store of that name is open in this process, and drives an experiment."""
        return any(owner.name == name and key in owner.keys for owner in list(cls._living))


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

    def same_machine(self, other: Holder) -> bool:
        """Whether both surely run on one kernel, in one namespace: names of hosts repeat."""
        boots = {h.started.rpartition(":")[0] for h in (self, other)}
        return self.visible(other) and len(boots) == 1 and boots != {""}

    @property
    def text(self) -> str:
        """All but the owner, for `from_text`."""
        return json.dumps([self.host, self.namespace, self.pid, self.started])

    @classmethod
    def from_text(cls, text: object, owner: str) -> Holder:
        """Return the holder that has this text.

        Raises
        ------
        ValueError
            If no holder has it.
        """
        fields = decode_json(str(text))
        if type(fields) is not list or [type(f) for f in fields] != [str, str, int, str]:
            msg = "not a holder"
            raise ValueError(msg)
        host, namespace, pid, started = fields
        return cls(host=host, namespace=namespace, pid=pid, started=started, owner=owner)

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


def stands(key: str, holder: Holder, here: Holder, silence_s: float | None) -> bool:
    """Whether a holder of an experiment is to be taken for alive.

    `silence_s` is how long ago it was heard of by the one clock that judges this, the server's.
    None where there is no such clock: then the store is a local file, so that another name of the
    host means a container or cluster that started anew.
    """
    if holder.same_process(here):
        return Owner.drives(holder.owner, key)
    if silence_s is None:
        return holder.visible(here) and holder.alive()
    if holder.same_machine(here):
        return holder.alive()
    return silence_s < LEASE_S


def refusal(
    key: str, url: str, holder: Holder, here: Holder, silence_s: float | None = None
) -> str:
    """Return why an experiment cannot be had, and what to do."""
    what = f"experiment {key!r} in {url} is being run by"
    if holder.same_process(here):
        return (
            f"{what} this process already ({holder}): wait for that run to end, close its store, "
            "or use another exp_key"
        )
    if silence_s is not None and not holder.same_machine(here):
        return (
            f"{what} {holder}, which was heard of {max(silence_s, 0):.0f} s ago: wait for it, stop "
            f"it there, or use another exp_key; if its machine is gone it is replaced after "
            f"{LEASE_S:.0f} s of silence"
        )
    return (
        f"{what} {holder}: wait for it, stop it (kill {holder.pid}), or use another exp_key; "
        "a process that has died is replaced without being asked"
    )


def log_replaced(
    key: str, url: str, holder: Holder, here: Holder, silence_s: float | None = None
) -> None:
    """Say that a lease was taken over: loudly where nobody could look whether its holder lives."""
    what = "experiment %r in %s was being run by %s, "
    if holder.visible(here) if silence_s is None else holder.same_machine(here):
        _log.info(what + "which has ended: going on from there", key, url, holder)
    elif silence_s is not None:
        _log.warning(
            what + "which was not heard of for %.0f s: taken for dead. If it still runs, it will "
            "be refused from now on.",
            key,
            url,
            holder,
            silence_s,
        )
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
