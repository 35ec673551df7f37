"""What a store's URL means, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from sparktrials.errors import InvalidArgument

__all__ = ["MEMORY", "is_secret", "is_url", "kind_of", "masked", "scrubbed", "sqlite_path"]

MEMORY = "memory:"
_EXAMPLES = (
    "memory:, sqlite:///history.db, postgresql://user@host/database, mysql://user@host/database "
    "and mongodb://host/database"
)
#: Scheme, without what follows a plus -> kind of store.
_KINDS: Mapping[str, str] = {
    "memory": "memory",
    "sqlite": "sqlite",
    "postgresql": "sql",
    "postgres": "sql",
    "mysql": "sql",
    "mariadb": "sql",
    "mongodb": "mongo",
    "mongo": "mongo",
}
_REMEDIES: Mapping[str, str] = {
    "": "name a file: sqlite:///history.db, or sqlite:////data/history.db for an absolute path",
    ":memory:": f"use {MEMORY} to keep trials in memory",
}
#: Secrets up to this length are struck out as words only.
_SHORT = 4


def masked(url: str) -> str:
    """Return a URL without user, password and options, to be shown."""
    # A password may hold any character if its user forgot to quote it: up to the last @.
    shown = re.sub(r"^([^/:]*:(?://(?!/)|(?!/))).*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"\?.*", "?***", shown, flags=re.DOTALL)


def is_secret(option: str) -> bool:
    """Whether an option of a URL is a password, by its name: of a key or a proxy, too."""
    return "passw" in option.lower()


def scrubbed(text: str, secrets: Iterable[str | None]) -> str:
    """Return a message of somebody else's without the secrets that it may quote."""
    for secret in secrets:
        if secret:
            forms = {secret, unquote(secret), quote(secret, safe=""), quote_plus(secret)}
            for form in sorted(forms, key=len, reverse=True):
                # A short one may be a part of words that tell nothing of it.
                part = re.escape(form)
                text = re.sub(part if len(form) > _SHORT else rf"(?<!\w){part}(?!\w)", "***", text)
    return text


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def is_url(text: str) -> bool:
    """Whether text is meant as a store's URL, rather than as the name of an experiment."""
    return "://" in text or (":" in text and _scheme(text).partition("+")[0] in _KINDS)


def kind_of(url: str) -> str:
    """Return ``memory``, ``sqlite``, ``sql`` or ``mongo``.

    Raises
    ------
    InvalidArgument
        If it is the URL of no kind of store.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or "/" in scheme:
        msg = (
            f"a store's URL starts with its kind, such as {_EXAMPLES}, got {masked(url)!r}; "
            f"for a file write sqlite:///{masked(url)}"
        )
        raise InvalidArgument(msg)
    name, plus, driver = scheme.lower().partition("+")
    kind = _KINDS.get(name, "")
    named = rest in {"", "//"} if kind == "memory" else kind == "sqlite" or rest.startswith("//")
    drivers = {"sql": bool(driver), "mongo": name == "mongodb" and driver == "srv"}
    if not kind or not named or (plus and not drivers.get(kind)):
        msg = f"no kind of store has the URL {masked(url)!r}: there are {_EXAMPLES}"
        raise InvalidArgument(msg)
    return kind


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
