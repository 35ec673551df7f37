"""``hyperopt.mix``: ``partial(mix.suggest, p_suggest=[(.1, rand.suggest), (.9, tpe.suggest)])``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparktrials.suggest.mix import suggest

__all__ = ["suggest"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - loaded when the algorithm is used
    if name == "suggest":
        from sparktrials.suggest.mix import suggest  # noqa: PLC0415

        return suggest
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
