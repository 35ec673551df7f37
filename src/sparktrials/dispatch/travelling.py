"""Makes an outcome fit to travel: plain data and pickles, none too large."""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.evaluation import failure_of
from sparktrials.study.values import TRIAL_LIMIT, VALUE_LIMIT, dumps, split

if TYPE_CHECKING:
    from sparktrials.study.trial import Outcome

__all__ = ["SPARKS_PICKLERS", "fit_to_travel"]

#: The cloudpickle of an executor: Spark's own where there is Spark.
SPARKS_PICKLERS = ("pyspark.cloudpickle", "cloudpickle")


def fit_to_travel(outcome: Outcome, picklers: Sequence[str] = SPARKS_PICKLERS) -> Outcome:
    """Make an outcome fit to travel, at the worst without what came beside the loss.

    Parameters
    ----------
    outcome
        Its result may hold anything.
    picklers
        Modules with a ``dumps``; the first that is there takes what is no plain data. The one that
        has pickled the objective knows the objective's own classes again.
    """
    try:
        sound = _travelling(outcome, picklers)
        if sound.result.keys() - {"loss", "status"}:
            pickle.dumps(sound.result)
            dumps(dict(sound.result))
    except BaseException as error:  # noqa: BLE001 - only looked plain; and the trial has ended
        reason = f"cannot be brought back ({_named(error)})"
        kept = {k: outcome.result[k] for k in ("status",) if k in outcome.result}
        if outcome.loss is not None:
            kept["loss"] = outcome.loss
        dropped = {**outcome.dropped, "all other values": reason}
        return replace(outcome, result=kept, attachments={}, dropped=dropped)
    return sound


def _travelling(outcome: Outcome, picklers: Sequence[str]) -> Outcome:
    """Return the outcome with values that are not plain as pickles, and none too large."""
    if not outcome.result and not outcome.attachments:
        return outcome
    plain, objects = split(outcome.result)
    dropped = dict(outcome.dropped)
    pickles: dict[str, bytes] = {}
    for key, value in objects.items():
        try:
            pickles[key] = _dumps(picklers)(value)
        except BaseException as error:  # noqa: BLE001 - somebody else's __reduce__
            dropped[key] = f"cannot be pickled ({_named(error)})"
    attachments = dict(outcome.attachments)
    _drop_large(plain, pickles, attachments, dropped)
    return replace(outcome, result=plain, objects=pickles, attachments=attachments, dropped=dropped)


def _named(error: BaseException) -> str:
    failure = failure_of(error)
    return f"{failure.type}: {failure.message}"


def _drop_large(
    plain: dict[str, Any],
    pickles: dict[str, bytes],
    attachments: dict[str, bytes],
    dropped: dict[str, str],
) -> None:
    """Drop values that are too large, and the largest ones until the others fit together."""
    sizes: list[tuple[int, str, dict[str, Any]]] = []
    if plain.keys() - {"loss", "status"}:
        sizes += [(_size(value), key, plain) for key, value in plain.items()]
    for values in (pickles, attachments):
        sizes += [(len(value), key, values) for key, value in values.items()]
    total = 0
    for size, key, values in sorted(sizes, key=lambda entry: entry[0]):
        total += size
        if size > VALUE_LIMIT or total > TRIAL_LIMIT:
            del values[key]
            dropped[key] = (
                f"too large to bring back: {size:,} bytes; the limit is {VALUE_LIMIT:,} for a "
                f"value and {TRIAL_LIMIT:,} for a trial"
            )


def _size(value: object) -> int:
    if isinstance(value, (int, float, bool, type(None))):
        return 0
    counter = io.BytesIO()
    pickle.dump(value, counter, protocol=5)
    return counter.tell()


def _dumps(picklers: Sequence[str]) -> Callable[[object], bytes]:
    from importlib import import_module  # noqa: PLC0415 - only objects of a user's own need it

    for name in picklers:
        with contextlib.suppress(ImportError):
            dumps: Callable[[object], bytes] = import_module(name).dumps
            return dumps
    return pickle.dumps
