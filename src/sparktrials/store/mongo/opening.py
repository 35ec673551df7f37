"""The collections in MongoDB, and how they come to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pymongo import errors

from sparktrials.errors import StoreUnavailable
from sparktrials.store.migrating import steps_from
from sparktrials.store.mongo.journal import make_index

if TYPE_CHECKING:
    from pymongo.database import Database

    from sparktrials.store.mongo.client import Document

__all__ = ["STEPS", "VERSION", "prepare"]

#: Version of the collections; that of the documents is another.
VERSION = 1
#: Older version -> what makes the next one of it; it must do no harm when it is done twice.
STEPS: Mapping[int, Callable[[Database[Document]], None]] = {}
_STORE = "sparktrials_store"


def prepare(db: Database[Document], *, url: str, read_only: bool) -> None:
    """See that the collections are there, of the present version.

    Raises
    ------
    StoreUnavailable
        If they are not there, and must not be made.
    StoreVersionError
        If they are of a newer version, or of an older one, and must not be changed.
    StoreCorrupt
        If there never was their version.
    """
    found = db[_STORE].find_one({"_id": "store"})
    if found is None:
        if read_only:
            msg = f"{url} holds no histories: check the name of the database"
            raise StoreUnavailable(msg)
        make_index(db)
        try:
            db[_STORE].insert_one({"_id": "store", "version": VERSION})
        except errors.DuplicateKeyError:
            found = db[_STORE].find_one({"_id": "store"})
    version = VERSION if found is None else found.get("version")
    for step in steps_from(version, VERSION, STEPS, url, may_write=not read_only):
        step(db)
    if version != VERSION:
        chosen = {"_id": "store", "version": {"$lt": VERSION}}
        db[_STORE].update_one(chosen, {"$set": {"version": VERSION}})
