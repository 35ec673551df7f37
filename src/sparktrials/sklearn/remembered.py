"""What a frame that was fitted on was like, and what is said where another one is unlike it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.validation import is_frame, listed

__all__ = ["Remembered", "unlike_is_said"]

#: How the names of types begin that are numbers, in small letters.
_NUMBERS = ("int", "uint", "float", "sparse[int", "sparse[float", "decimal")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A frame without its cells.

    Attributes
    ----------
    package
        Whose frame it was.
    dtypes
        The types of its columns, by their names.
    """

    package: str
    dtypes: Mapping[Any, str]

    @classmethod
    def of(cls, X: Any) -> Remembered | None:  # noqa: ANN401 - any data
        """Return what is remembered of data; nothing if it is no frame of pandas or polars."""
        package = type(X).__module__.partition(".")[0]
        if not is_frame(X) or package not in {"pandas", "polars"}:
            return None
        types = X.dtypes if package == "pandas" else X.schema
        return cls(package, {name: str(dtype) for name, dtype in types.items()})

    def unlike(self, other: Remembered) -> str:
        """Return how another frame differs in what pipelines depend on, or nothing."""
        if other.package != self.package:
            made = "X.to_pandas()" if self.package == "pandas" else f"{self.package}.from_pandas(X)"
            return f"fitted on a {self.package} frame, got a {other.package} one: {made}"
        others = {
            name: f"{dtype}, now {other.dtypes[name]}"
            for name, dtype in self.dtypes.items()
            if name in other.dtypes and _kind(dtype) != _kind(other.dtypes[name])
        }
        if not others:
            return ""
        several = "columns" if len(others) > 1 else "column"
        return (
            f"X has other types than in fit in the {several} {listed(list(others))} "
            f"({next(iter(others.values()))}): make them what they were"
        )


def _kind(dtype: str) -> str:
    return "number" if dtype.lower().startswith(_NUMBERS) else dtype


@contextlib.contextmanager
def unlike_is_said(fitted: Remembered | None, X: Any) -> Iterator[None]:  # noqa: ANN401 - any data
    """Say how `X` differs from the frame that was fitted on, where a pipeline fails for it.

    Raises
    ------
    TypeError, ValueError
        Where it differs; what the pipeline raised is its cause.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        now = Remembered.of(X)
        said = "" if fitted is None or now is None else fitted.unlike(now)
        if not said or isinstance(error, InvalidArgument):
            raise
        msg = f"{said} ({error})"
        raise (ValueError if isinstance(error, ValueError) else TypeError)(msg) from error
