"""What a job says that is to be evaluated, checked, and as a child process takes it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sparktrials.dispatch.naming import Allowed, decode_argument, imported, paths_in
from sparktrials.study.protocols import Task
from sparktrials.study.trial import Trial, TrialState
from sparktrials.study.values import loads

__all__ = ["Specification", "named_task", "pickled_task"]

#: Label under which the argument goes to the child beside the point; no user's label is like it.
_ARGUMENT = "\0argument"
#: Modules of this package that a driver may ask for.
_IMPORTS = frozenset({"sparktrials.compat.installed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What is to be evaluated.

    Attributes
    ----------
    point, seed
        The trial's.
    timeout_s
        Seconds that the driver gives it.
    imports
        Modules of this package to import first.
    argument
        What the objective is called with, as `encode_argument` made it; None beside a pickle,
        which has the search space.
    """

    point: Mapping[str, Any]
    seed: int | None
    timeout_s: float | None
    imports: tuple[str, ...]
    argument: Any

    @classmethod
    def of(cls, content: bytes) -> Specification:
        """Return what a driver wrote.

        Raises
        ------
        ValueError
            If no driver writes that.
        """
        document = loads(content.decode())
        try:
            point, seed, timeout_s = document["point"], document["seed"], document["timeout_s"]
            imports, argument = document["imports"], document.get("argument")
        except (LookupError, TypeError, AttributeError) as error:
            msg = f"not a specification: {error}"
            raise ValueError(msg) from error
        numbers = {int, float}
        fits = (
            type(point) is dict
            and all(type(k) is str and type(v) in numbers for k, v in point.items())
            and (seed is None or type(seed) is int)
            and (timeout_s is None or (type(timeout_s) in numbers and timeout_s > 0))
            and type(imports) is list
            and set(map(str, imports)) <= _IMPORTS
        )
        if not fits:
            msg = "not a specification"
            raise ValueError(msg)
        if argument is not None:
            paths_in(argument)
        return cls(
            point=point, seed=seed, timeout_s=timeout_s, imports=tuple(imports), argument=argument
        )

    def trial(self, number: int, attempt: int) -> Trial:
        """Return the trial as a child takes it."""
        more = {} if self.argument is None else {_ARGUMENT: self.argument}
        point = {**self.point, **more}
        return Trial(
            id=number, state=TrialState.RUNNING, point=point, attempt=attempt, seed=self.seed
        )


class _Imported:
    """An objective that the child process imports when it loads it."""

    def __init__(self, path: str, allowed: Allowed) -> None:
        self._how = path, allowed

    def __call__(self, *_: object) -> Any:  # noqa: ANN401 - as an objective
        raise AssertionError  # pragma: no cover - this process calls none

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return imported, self._how


class _Arguments:
    """Makes of a point what came with it."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed

    def build(self, point: Any) -> Any:  # noqa: ANN401 - as a space
        """Return the argument; takes it out of the point, which is the trial's alone then."""
        return decode_argument(point.pop(_ARGUMENT), lambda path: imported(path, self._allowed))


class _Pickled:
    """A pickle that the child process loads, and not this one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __call__(self, *_: object) -> Any:  # noqa: ANN401 - as an objective
        raise AssertionError  # pragma: no cover - this process calls none

    def build(self, point: Any) -> Any:  # noqa: ANN401, ARG002 - as a space
        raise AssertionError  # pragma: no cover - nor builds anything

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        return pickle.loads, (self._content,)


def named_task(
    path: str, specification: Specification, timeout_s: float | None, allowed: Allowed
) -> Task:
    """Return the task of an objective that is imported."""
    return Task(
        objective=_Imported(path, allowed),
        space=_Arguments(allowed),
        trial_timeout=timeout_s,
        imports=specification.imports,
    )


def pickled_task(payload: bytes, specification: Specification, timeout_s: float | None) -> Task:
    """Return the task of an objective that is pickled: to be trusted.

    Raises
    ------
    Exception
        If it is no pickle.
    """
    _, objective, space = pickle.loads(payload)  # noqa: S301 - the user said --trust-pickle
    return Task(
        objective=_Pickled(objective),
        space=_Pickled(space),
        trial_timeout=timeout_s,
        imports=specification.imports,
    )
