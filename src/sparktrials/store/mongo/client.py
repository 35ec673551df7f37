"""A connection to MongoDB, calls that are tried again, and what its complaints mean."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import pymongo
from bson.errors import BSONError
from pymongo import ASCENDING, ReadPreference, WriteConcern, errors
from pymongo.read_concern import ReadConcern

from sparktrials.errors import InvalidArgument, StoreError
from sparktrials.store.complaints import Fault
from sparktrials.store.lease import Owner
from sparktrials.store.patience import Patience
from sparktrials.store.url import is_secret, masked, scrubbed

if TYPE_CHECKING:
    from pymongo.database import Database

__all__ = ["Client", "Document", "Place", "parsed"]

_log = logging.getLogger("sparktrials.store")
_T = TypeVar("_T")
Document = dict[str, Any]

_DATABASE = "sparktrials"
#: Where pymongo's messages go on for themselves: settings, the state of its threads.
_ASIDE = re.compile(r",? \(configured timeouts:|, Timeout: |, Topology Description: |, full error:")
#: What pymongo is told unless the URL says otherwise.
_OPTIONS: dict[str, Any] = {
    "serverselectiontimeoutms": 5_000,
    "connecttimeoutms": 10_000,
    "sockettimeoutms": 60_000,
    "appname": "sparktrials",
}
#: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_CODES = {
    13: Fault.REFUSED,  # Unauthorized
    18: Fault.REFUSED,  # AuthenticationFailed
    8000: Fault.REFUSED,  # Atlas
    24: Fault.LOCKED,  # LockTimeout
    50: Fault.LOCKED,  # MaxTimeMSExpired
    46: Fault.LOCKED,  # LockBusy
    112: Fault.CONFLICT,  # WriteConflict
    14031: Fault.FULL,  # OutOfDiskSpace
    8: Fault.OTHER,
}


class Place:
    """What a URL says: where the server is, with the secrets, and which database.

    Parameters
    ----------
    address
        For pymongo: without the path, with the options.
    database
        The name.
    """

    def __init__(self, address: str, database: str) -> None:
        self.address = address
        self.database = database

    @property
    def url(self) -> str:
        """For people: no user, no password, no options."""
        bare = self.address.partition("?")[0].rstrip("/")
        scheme, _, rest = bare.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}/{self.database}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password, and what else is secret, as it stands in the URL."""
        login = self.address.partition("://")[2].rpartition("@")[0]
        hidden = [text.partition("=")[2] for text in self._options if _is_secret(text)]
        return tuple(filter(None, [login.partition(":")[2], *hidden]))

    @property
    def _options(self) -> list[str]:
        return self.address.partition("?")[2].split("&")

    @property
    def opener(self) -> tuple[str, str]:
        """What opens it again, but for user, password and other secrets."""
        scheme, _, rest = self.address.partition("?")[0].partition("://")
        options = "&".join(text for text in self._options if text and not _is_secret(text))
        mark = "?" if options else ""
        return f"{scheme}://{rest.rpartition('@')[2]}{mark}{options}", self.database


def _is_secret(option: str) -> bool:
    """Whether an option is a password, or may have a token."""
    name = option.partition("=")[0]
    return is_secret(name) or name.lower() == "authmechanismproperties"


def parsed(text: str) -> Place:
    """Return what a URL says.

    Raises
    ------
    InvalidArgument
        If it is malformed.
    """
    shown = masked(text)
    scheme, _, rest = text.partition("://")
    rest, mark, options = rest.partition("?")
    hosts, _, path = rest.partition("/")
    if "@" in path:
        msg = (
            f"the store's URL {shown!r} is malformed: characters like @ / : in user and password "
            "are written %40 %2F %3A"
        )
        raise InvalidArgument(msg)
    database, _, collection = unquote(path).partition("/")
    if scheme.lower() == "mongo":  # Hyperopt's: the collection is named, and always this one
        scheme = "mongodb"
    elif collection:
        collection = "?"
    if collection not in {"", "jobs"} or re.search(r'[\\/. "$*<>:|?\0]', database):
        msg = (
            f"the store's URL {shown!r} names no database: mongodb://host:port/database, or "
            "Hyperopt's mongo://host:port/database/jobs"
        )
        raise InvalidArgument(msg)
    return Place(f"{scheme.lower()}://{hosts}/{mark}{options}", database or _DATABASE)


class Client:
    """Calls on one database, for the threads of a process, and for forks of it.

    Parameters
    ----------
    place
        Where.
    timeout_s
        How long a call is tried again in all.
    """

    def __init__(self, place: Place, timeout_s: float) -> None:
        self.place = place
        self.timeout_s = timeout_s
        self._owner = Owner()
        self.closed = False
        self._pid = os.getpid()
        self._client: pymongo.MongoClient[Document] | None = None
        self._inherited: pymongo.MongoClient[Document] | None = None
        self._database: Database[Document] | None = None

    @property
    def owner(self) -> Owner:
        """The name of this object in this process."""
        self._notice_fork()
        return self._owner

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():  # the connections are the parent's: kept, not closed
            self._inherited, self._client, self._database = self._client, None, None
            self._owner, self._pid = Owner(), os.getpid()

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self.place.url

    def call(self, work: Callable[[Database[Document]], _T], timeout_s: float | None = None) -> _T:
        """Return what `work`, which can be done twice, does with the database.

        Raises
        ------
        StoreError
            What is made of MongoDB's errors; duplicate keys are passed on.
        """
        patience = Patience(self.timeout_s if timeout_s is None else timeout_s)
        while True:
            try:
                return work(self._connected())
            except errors.DuplicateKeyError:
                raise
            except (errors.PyMongoError, BSONError) as error:
                fault = _fault_of(error)
                text = " ".join(scrubbed(str(error), self.place.secrets).split())
                made = fault.error(self.url, _ASIDE.split(text)[0])
                if not (fault.passes and patience.wait()):
                    raise made from None  # pymongo's own words may have the secrets, too
                if patience.is_news:
                    _log.warning("%s; trying again for %.0f s", made, patience.left_s())

    @contextmanager
    def hurried(self, timeout_s: float) -> Iterator[None]:
        """Try again for less long within a block."""
        usual, self.timeout_s = self.timeout_s, min(self.timeout_s, timeout_s)
        try:
            yield
        finally:
            self.timeout_s = usual

    def find(
        self,
        collection: str,
        query: Document,
        projection: Document | None = None,
        order: int = ASCENDING,
        limit: int = 0,
    ) -> list[Document]:
        """Return the documents that fit a query, by id."""

        def work(db: Database[Document]) -> list[Document]:
            found = db[collection].find(query, projection).sort("_id", order)
            return [*(found.limit(limit) if limit else found)]

        return self.call(work)

    def find_one(self, collection: str, identity: str) -> Document | None:
        """Return the document with an id, or None."""
        return self.call(lambda db: db[collection].find_one({"_id": identity}))

    def insert(self, collection: str, document: Document) -> bool:
        """Insert a document; False if its id is taken."""
        try:
            self.call(lambda db: db[collection].insert_one(dict(document)))
        except errors.DuplicateKeyError:
            return False
        return True

    def update(self, collection: str, query: Document, change: Document) -> bool:
        """Change the document that fits a query; False if there is none."""
        done = self.call(lambda db: db[collection].update_one(query, change))
        return bool(done.matched_count)

    def delete(self, collection: str, query: Document) -> None:
        """Remove the documents that fit a query."""
        self.call(lambda db: db[collection].delete_many(query))

    def watches(self, collection: str) -> bool:
        """Whether the server tells of changes: a replica set does, if the user may watch."""

        def work(db: Database[Document]) -> bool:
            hello = db.client.admin.command("hello")
            if "setName" not in hello and hello.get("msg") != "isdbgrid":
                return False
            try:
                with db[collection].watch(max_await_time_ms=1):
                    return True
            except errors.OperationFailure:
                return False

        return self.call(work)

    def _connected(self) -> Database[Document]:
        if self.closed:
            msg = f"{self.url} is closed: open it again with open_store"
            raise StoreError(msg)
        self._notice_fork()
        if self._database is None:
            self._database = self._opened()
        return self._database

    def _opened(self) -> Database[Document]:
        if self._client is None:
            self._client = self._made()
        hello = self._client.admin.command("hello")
        replicated = "setName" in hello or hello.get("msg") == "isdbgrid"
        # Acknowledged is on disk, on most machines where there are several.
        return self._client.get_database(
            self.place.database,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority" if replicated else 1, j=True),
            read_concern=ReadConcern("majority") if replicated else ReadConcern("local"),
        )

    def _made(self) -> pymongo.MongoClient[Document]:
        given = self.place.address.partition("?")[2].lower()
        options = {name: v for name, v in _OPTIONS.items() if f"{name}=" not in given}
        try:
            return pymongo.MongoClient(self.place.address, **options)
        except (errors.ConfigurationError, errors.InvalidURI, ValueError, TypeError) as error:
            text = scrubbed(str(error), self.place.secrets)
            msg = f"the store's URL {self.url!r} cannot be used: {text}"
            raise InvalidArgument(msg) from None

    def close(self) -> None:
        """Close all connections; idempotent."""
        client, self._client = self._client, None
        self.closed = True
        self._owner.close()
        if client is not None and self._pid == os.getpid():
            client.close()


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, errors.DocumentTooLarge):
        return Fault.TOO_BIG
    code = error.code if isinstance(error, errors.OperationFailure) else None
    if code is not None and code in _CODES:
        return _CODES[code]
    if isinstance(error, (errors.ConnectionFailure, errors.WTimeoutError)):
        return Fault.DOWN
    if isinstance(error, errors.OperationFailure) and error.has_error_label("RetryableWriteError"):
        return Fault.DOWN
    return Fault.OTHER
