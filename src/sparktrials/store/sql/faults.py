"""What databases and their drivers complain about, as this package's exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import exc

from sparktrials.store.complaints import Fault
from sparktrials.store.url import scrubbed

if TYPE_CHECKING:
    from sparktrials.errors import SparkTrialsError

__all__ = ["code_of", "fault_of", "translated"]


#: SQLSTATE, or its first two characters -> fault. https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES = {
    "40": Fault.CONFLICT,  # serialization failure, deadlock
    "23": Fault.CONFLICT,  # two made the same row: the next try finds it
    "08": Fault.DOWN,
    "57": Fault.DOWN,  # shutdown, starting up, cancelled
    "25P03": Fault.DOWN,  # it ended our idle transaction
    "55P03": Fault.LOCKED,
    "57014": Fault.LOCKED,  # cancelled by a timeout
    "53": Fault.CROWDED,
    "53100": Fault.FULL,
    "53200": Fault.CROWDED,
    "25006": Fault.READ_ONLY,
    "28": Fault.REFUSED,
    "3D": Fault.REFUSED,
    "42501": Fault.REFUSED,
    "54": Fault.TOO_BIG,
    "42": Fault.DAMAGED,  # no such table or column
    "XX": Fault.DAMAGED,
}
#: Number -> fault. https://mariadb.com/kb/en/mariadb-error-code-reference/
_NUMBERS = {
    1062: Fault.CONFLICT,  # duplicate
    1213: Fault.CONFLICT,  # deadlock
    1020: Fault.CONFLICT,  # changed since it was read
    1452: Fault.CONFLICT,
    1205: Fault.LOCKED,
    3024: Fault.LOCKED,
    1969: Fault.LOCKED,
    1040: Fault.CROWDED,
    1203: Fault.CROWDED,
    1226: Fault.CROWDED,
    1021: Fault.FULL,
    1114: Fault.FULL,
    1030: Fault.FULL,
    28: Fault.FULL,
    3: Fault.FULL,
    1290: Fault.READ_ONLY,
    1792: Fault.READ_ONLY,
    1836: Fault.READ_ONLY,
    1044: Fault.REFUSED,
    1045: Fault.REFUSED,
    1049: Fault.REFUSED,
    1142: Fault.REFUSED,
    1698: Fault.REFUSED,
    1153: Fault.TOO_BIG,
    1406: Fault.TOO_BIG,
    1118: Fault.TOO_BIG,
    1146: Fault.DAMAGED,
    1054: Fault.DAMAGED,
    1034: Fault.DAMAGED,
    1194: Fault.DAMAGED,
    1053: Fault.DOWN,  # shutdown
    1927: Fault.DOWN,  # killed
}
#: What PostgreSQL says when it lets nobody in; libpq passes no code on for that.
_REFUSALS = re.compile(
    r"authentication failed|no pg_hba\.conf entry|no password supplied|"
    r'(database|role|user) "[^"]*" does not exist|permission denied|is not permitted to log in'
)


def code_of(error: BaseException | None) -> str | int | None:
    """Return the SQLSTATE, or the number, that a driver's exception has."""
    if error is None:
        return None
    first: Any = error.args[0] if error.args else None
    if isinstance(first, int):  # MySQL's number says more than the SQLSTATE beside it
        return first
    states = (getattr(error, name, None) for name in ("sqlstate", "pgcode"))
    return next((state for state in states if isinstance(state, str)), None)


def fault_of(error: exc.SQLAlchemyError) -> Fault:
    """Return what kind of complaint it is."""
    original = getattr(error, "orig", None)
    code = code_of(original)
    if isinstance(code, str):
        found = _STATES.get(code) or _STATES.get(code[:2])
    else:
        found = None if code is None else _NUMBERS.get(code)
    if found is not None:
        return found
    if _REFUSALS.search(str(original)):
        return Fault.REFUSED
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)):
        return Fault.DOWN
    return Fault.OTHER


def translated(
    error: exc.SQLAlchemyError, url: str, secrets: Iterable[str | None]
) -> SparkTrialsError:
    """Return the exception to raise for one of SQLAlchemy's."""
    original = getattr(error, "orig", None) or error
    words = " ".join(str(a) for a in original.args) if original.args else str(original)
    text = " ".join(scrubbed(words, secrets).split()) or type(original).__name__
    return fault_of(error).error(url, text)
