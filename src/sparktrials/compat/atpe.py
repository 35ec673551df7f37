"""``hyperopt.atpe``: ``atpe.suggest``, adaptive TPE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparktrials.suggest.atpe import suggest

__all__ = ["suggest"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - loaded when the algorithm is used
    if name == "suggest":
        from sparktrials.suggest.atpe import suggest  # noqa: PLC0415

        return suggest
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
