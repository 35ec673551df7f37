"""What a space makes is tried before the first trial: names and values of parameters.

Only what is sure to fail in each trial is refused: some points of the space are drawn, many more if
these are wrong, with all options of its choices, and all of them must be. What a user's function
raises is for the trials to say.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sklearn import get_config
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from sparktrials.errors import InvalidArgument
from sparktrials.sklearn.draws import Draws
from sparktrials.sklearn.known import known_parts

__all__ = ["check_parameters", "check_values"]


def check_parameters(tree: Any, estimator: Any) -> None:  # noqa: ANN401 - a tree, an estimator
    """Refuse a space that makes no parameters of an estimator.

    Raises
    ------
    InvalidArgument
        If it never becomes a dict, or has a name that is never a parameter's.
    InvalidParameterError
        If the values are never those that the estimator takes.
    """
    draws = Draws()
    draws.check(lambda n: _check_made([made for _, made in draws.of(tree, n)[0]], estimator))


def _check_made(made: Sequence[Any], estimator: Any) -> None:  # noqa: ANN401
    if made and not any(isinstance(one, Mapping) for one in made):
        kind = type(made[0]).__name__
        msg = (
            f"space must be a dict of the estimator's parameters, but becomes a {kind}: write "
            "{'C': hp.uniform('C', 0, 1), ...}, or hp.choice('case', [...]) of such dicts"
        )
        raise InvalidArgument(msg)
    candidates = [one for one in made if isinstance(one, Mapping)]
    _check_names(candidates, estimator)
    check_values(_with(estimator, candidates))


def _check_names(candidates: Sequence[Mapping[str, Any]], estimator: Any) -> None:  # noqa: ANN401
    known = _names_of(estimator)
    if known is None:
        return
    right: set[str] = set()
    wrong: dict[str, None] = {}
    for one in candidates:
        if right.issuperset(one) or known.issuperset(one):
            right.update(one)
            continue
        other = clone(estimator)
        for name, value in one.items():  # others may put a step there that has it
            if name in known:
                _is_set(other, name, value)
        for name, value in one.items():
            if name in known or _is_set(other, name, value):
                right.add(name)
            else:
                wrong[name] = None
    if never := [name for name in wrong if name not in right]:
        meant = ", ".join(f"{name!r}{_close_to(name, known)}" for name in never)
        msg = (
            f"space: Invalid parameter {meant} for estimator {type(estimator).__name__}; "
            "estimator.get_params() has their names"
        )
        raise InvalidArgument(msg)


def _names_of(estimator: Any) -> set[str] | None:  # noqa: ANN401
    try:
        return set(estimator.get_params(deep=True))
    except Exception:  # noqa: BLE001 - not scikit-learn's; trials will say what is wrong
        return None


def _is_set(estimator: Any, name: str, value: Any) -> bool:  # noqa: ANN401
    """Whether an estimator has a parameter of that name; what else is wrong is not asked."""
    try:
        estimator.set_params(**{name: clone(value, safe=False)})
    except ValueError as error:
        return "nvalid parameter" not in str(error)
    except Exception:  # noqa: BLE001 - of the value
        return True
    return True


def _close_to(name: object, known: set[str]) -> str:
    """Return which name may have been meant, in a few words; empty if none is near."""
    said = str(name)
    by_case = [one for one in known if one.lower() == said.lower()]
    ends = sorted(one for one in known if one.lower().endswith(f"__{said.lower()}"))
    parts = [said[i + 2 :] for i in range(len(said)) if said[i : i + 2] == "__"]
    inner = [part for part in parts if part in known]
    near = difflib.get_close_matches(said, sorted(known), n=1)
    found = (by_case or ends or inner or near)[:3]
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""


def _with(estimator: Any, candidates: Sequence[Mapping[str, Any]]) -> Iterator[Any]:  # noqa: ANN401
    for one in candidates:
        try:
            yield clone(estimator).set_params(**clone(dict(one), safe=False))
        except Exception:  # noqa: BLE001, S112 - some parameter's own rules; a trial says
            continue


def check_values(models: Iterable[Any], *, of: str = "space") -> None:
    """Refuse models of which none has parameters that it takes.

    Raises
    ------
    InvalidParameterError
        With what scikit-learn says of the first.
    """
    if get_config().get("skip_parameter_validation"):
        return
    first = ""
    for model in models:
        said = _wrong_with(model)
        if not said:
            return
        first = first or said
    if not first:
        return
    msg = f"{of} makes nothing that can be fitted: {first}"
    if "must be an int" in first and ".0 instead" in first:
        msg += (
            " hp.quniform gives floats: write hp.uniformint('label', low, high), or scope.int(...) "
            "around it"
        )
    raise InvalidParameterError(msg)


def _wrong_with(model: Any) -> str:  # noqa: ANN401 - an estimator, or several
    if isinstance(model, (list, tuple)):
        return next(filter(None, map(_wrong_with, model)), "")
    for part in known_parts(model):
        try:
            part._validate_params()  # noqa: SLF001 - what its fit begins with
        except InvalidParameterError as error:
            return str(error)
        except Exception:  # noqa: BLE001, S112 - a class without constraints
            continue
    return ""
