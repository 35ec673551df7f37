"""What a store's URL means, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sparktrials.errors import InvalidArgument

__all__ = ["MEMORY", "is_url", "masked", "parse_url", "sqlite_path"]

MEMORY = "memory:"
_EXISTING = "memory: and sqlite:///history.db"
_PLANNED = frozenset({"postgresql", "postgres", "mysql", "mariadb", "mongodb", "mongo"})
_REMEDIES: Mapping[str, str] = {
    "": "name a file: sqlite:///history.db, or sqlite:////data/history.db for an absolute path",
    ":memory:": f"use {MEMORY} to keep trials in memory",
}


def masked(url: str) -> str:
    """Return a URL without user, password and options, to be shown."""
    shown = re.sub(r"(?<=://)[^/]*@", "***@", url)
    return re.sub(r"\?.*", "?***", shown, flags=re.DOTALL)


def is_url(text: str) -> bool:
    """Whether text is meant as a store's URL, rather than as the name of an experiment."""
    kind = text.partition(":")[0].lower().partition("+")[0]
    return "://" in text or (":" in text and kind in {"memory", "sqlite", *_PLANNED})


def parse_url(url: str) -> Path | None:
    """Return the file that a store's URL names, None for memory.

    Raises
    ------
    InvalidArgument
        If it is no URL of a store that there is in this version.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme:
        msg = (
            f"a store's URL starts with its kind, {_EXISTING}, got {masked(url)!r}; "
            f"for a file write sqlite:///{masked(url)}"
        )
        raise InvalidArgument(msg)
    kind = scheme.lower().partition("+")[0]
    if kind == "memory" and rest in {"", "//"}:
        return None
    if scheme.lower() == "sqlite":
        return sqlite_path(url)
    if kind in _PLANNED:
        msg = f"{kind} stores are not available in this version: use {_EXISTING}"
        raise InvalidArgument(msg)
    msg = f"no kind of store has the URL {masked(url)!r}: there are {_EXISTING}"
    raise InvalidArgument(msg)


def sqlite_path(url: str) -> Path:
    """Return the absolute path of ``sqlite:///relative`` or ``sqlite:////absolute``.

    A leading ``~`` is the home directory; everything else is taken as it stands.

    Raises
    ------
    InvalidArgument
        If the URL names a host, no file, or options.
    """
    host, slash, path = url.partition(":")[2].removeprefix("//").partition("/")
    remedy = _REMEDIES.get(path, "")
    if not url.lower().startswith("sqlite://") or host or not slash:
        remedy = _REMEDIES[""]
    elif "?" in path:
        remedy = "it takes no options"
    elif path.endswith("/") or "\0" in path:
        remedy = _REMEDIES[""]
    if remedy:
        msg = f"the URL {masked(url)!r} names no SQLite file: {remedy}"
        raise InvalidArgument(msg)
    return Path(path).expanduser().absolute()
