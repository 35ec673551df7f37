"""The arguments of ``fmin``, checked at once and frozen."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from sparktrials.errors import InvalidArgument, InvalidArgumentType

__all__ = ["FminOptions", "positive_int", "positive_seconds", "seed_of", "threshold"]

#: Environment variable with the seed of runs that give none, as in Hyperopt.
SEED_VARIABLE = "HYPEROPT_FMIN_SEED"


@dataclass(frozen=True, slots=True, kw_only=True)
class FminOptions:
    """What ``fmin`` was asked for, each argument checked."""

    objective: Callable[..., Any]
    max_evals: int | None
    timeout: float | None
    loss_threshold: float | None
    seed: int | None
    catch: bool | None
    verbose: bool
    return_argmin: bool
    points: tuple[Mapping[str, object], ...]
    max_queue_len: int
    show_progressbar: Any
    early_stop_fn: Callable[..., tuple[bool, Sequence[Any]]] | None

    @classmethod
    def checked(
        cls,
        *,
        fn: object,
        max_evals: object,
        timeout: object,
        loss_threshold: object,
        rstate: object,
        catch_eval_exceptions: object,
        verbose: object,
        return_argmin: object,
        points_to_evaluate: object,
        max_queue_len: object,
        show_progressbar: object,
        early_stop_fn: object,
    ) -> FminOptions:
        """Check the arguments.

        Raises
        ------
        InvalidArgument, InvalidArgumentType
            Naming the argument, its value and the rule.
        """
        if not callable(fn):
            msg = f"fn must be callable with the point, got {fn!r}"
            raise InvalidArgumentType(msg)
        if early_stop_fn is not None and not callable(early_stop_fn):
            msg = f"early_stop_fn must be callable with the trials, got {early_stop_fn!r}"
            raise InvalidArgumentType(msg)
        if not isinstance(show_progressbar, (bool, int)) and not callable(show_progressbar):
            msg = (
                "show_progressbar must be True, False or a context manager taking initial and "
                f"total, got {show_progressbar!r}"
            )
            raise InvalidArgumentType(msg)
        return cls(
            objective=fn,
            max_evals=_max_evals(max_evals),
            timeout=positive_seconds("timeout", timeout),
            loss_threshold=threshold("loss_threshold", loss_threshold),
            seed=seed_of(rstate),
            catch=None if catch_eval_exceptions is None else bool(catch_eval_exceptions),
            verbose=bool(verbose),
            return_argmin=bool(return_argmin),
            points=_points(points_to_evaluate),
            max_queue_len=positive_int("max_queue_len", max_queue_len),
            show_progressbar=show_progressbar,
            early_stop_fn=early_stop_fn,
        )


def positive_int(name: str, value: object) -> int:
    """Return a whole number of 1 or more.

    Raises
    ------
    InvalidArgument
        If it is not one.
    """
    if _is_bool(value) or not isinstance(value, (Real, np.number)):
        msg = f"{name} must be a positive integer, got {value!r} of type {type(value).__name__}"
        raise InvalidArgument(msg)
    if isinstance(value, Integral):
        number = int(value)
    else:
        real = float(value)
        number = int(real) if real.is_integer() else 0
    if number < 1:
        msg = f"{name} must be a positive integer, got {value!r}"
        raise InvalidArgument(msg)
    return number


def checked_retries(max_retries: object) -> int:
    """Return how often a trial is run again whose worker was lost.

    Raises
    ------
    InvalidArgument
        If it is no whole number from 0.
    """
    if _is_bool(max_retries) or not isinstance(max_retries, Integral) or int(max_retries) < 0:
        msg = f"max_retries must be 0 or a positive whole number, got {max_retries!r}"
        raise InvalidArgument(msg)
    return int(max_retries)


def positive_seconds(name: str, value: object) -> float | None:
    """Return a positive number of seconds, or None for no limit.

    Raises
    ------
    InvalidArgument
        If it is neither.
    """
    if value is None:
        return None
    if _is_bool(value) or not isinstance(value, (Real, np.number)) or not float(value) > 0:
        # Hyperopt's words, which programs compare.
        msg = f"The {name} argument should be None or a positive value. Given value: {value!r}"
        raise InvalidArgument(msg)
    seconds = float(value)
    # No clock counts that far, and infinity is no limit.
    return seconds if seconds <= threading.TIMEOUT_MAX else None


def threshold(name: str, value: object) -> float | None:
    """Return a finite or infinite number, or None.

    Raises
    ------
    InvalidArgument
        If it is NaN or no number.
    """
    if value is None:
        return None
    if _is_bool(value) or not isinstance(value, (Real, np.number)):
        msg = f"The {name} argument should be None or a numeric value. Given value: {value!r}"
        raise InvalidArgument(msg)
    number = float(value)
    if math.isnan(number):
        msg = f"The {name} argument should be None or a numeric value. Given value: {value!r}"
        raise InvalidArgument(msg)
    return number


def seed_of(rstate: object, name: str = "rstate") -> int | None:
    """Return the seed that a user's random state stands for; None leaves it open.

    An int is the seed itself; of a ``numpy.random.Generator`` or ``RandomState`` one number is
    drawn. Without any, the environment's ``HYPEROPT_FMIN_SEED`` counts.

    Parameters
    ----------
    rstate
        The state, or None.
    name
        What the user calls it.

    Raises
    ------
    InvalidArgument
        If it is none of these.
    """
    if rstate is None:
        text = os.environ.get(SEED_VARIABLE, "")
        if not text:
            return None
        try:
            return seed_of(int(text))
        except ValueError:
            msg = f"the environment's {SEED_VARIABLE} must be a whole number, got {text!r}"
            raise InvalidArgument(msg) from None
    if isinstance(rstate, np.random.Generator):
        return int(rstate.integers(2**63))
    if isinstance(rstate, np.random.RandomState):
        return int(rstate.randint(0, 2**31 - 1))
    if isinstance(rstate, Integral) and not _is_bool(rstate):
        if int(rstate) < 0:
            msg = f"{name} must not be negative, got {rstate!r}"
            raise InvalidArgument(msg)
        return int(rstate)
    msg = (
        f"{name} must be an int, a numpy.random.Generator or a numpy.random.RandomState, got "
        f"{rstate!r}"
    )
    raise InvalidArgument(msg)


def _is_bool(value: object) -> bool:
    return isinstance(value, (bool, np.bool_))


def _max_evals(value: object) -> int | None:
    if value is None or (isinstance(value, float) and value == math.inf):
        return None
    if isinstance(value, (Integral, np.integer)) and value == 0 and not _is_bool(value):
        return 0  # what programs get by subtracting; nothing is evaluated
    return positive_int("max_evals", value)


def _points(value: object) -> tuple[Mapping[str, object], ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        msg = f"points_to_evaluate must be a list of dicts of label: value, got {value!r}"
        raise InvalidArgument(msg)
    for i, point in enumerate(value):
        if not isinstance(point, Mapping):
            msg = f"points_to_evaluate[{i}] must be a dict of label: value, got {point!r}"
            raise InvalidArgument(msg)
    return tuple(value)
