"""Arguments that Hyperopt-Sklearn's components have and today's classes lack, in today's words."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from sparktrials import scope
from sparktrials.errors import InvalidArgument
from sparktrials.space.nodes import Node

__all__ = ["Translation", "passive_aggressive", "renamed"]

#: From a component's name and what it was given to what its class takes.
Translation = Callable[[str, Mapping[str, object]], dict[str, object]]


def renamed(new_names: Mapping[str, str], *without_meaning: str) -> Translation:
    """Return what gives arguments their new names, and leaves some out with a warning."""

    def translate(component: str, given: Mapping[str, object]) -> dict[str, object]:
        found = dict(given)
        for old, new in new_names.items():
            if old not in found:
                continue
            if new in found:
                msg = (
                    f"{component}: {old} is called {new} now, and both are given: give {new} alone"
                )
                raise InvalidArgument(msg)
            found[new] = found.pop(old)
        if ignored := [name for name in without_meaning if name in found]:
            msg = f"{component} ignores {', '.join(ignored)}: its class has nothing of the kind"
            warnings.warn(msg, stacklevel=3)
        return {name: value for name, value in found.items() if name not in ignored}

    return translate


def passive_aggressive(hinge: str) -> Translation:
    """Return what makes of ``C`` and ``loss`` the parameters of stochastic gradient descent.

    Parameters
    ----------
    hinge
        The loss that it has in any case; the squared one is the second learning rate.
    """
    steps = renamed({"C": "eta0"})

    def translate(component: str, given: Mapping[str, object]) -> dict[str, object]:
        found = steps(component, given)
        loss = found.get("loss")
        if isinstance(loss, Node) or loss == f"squared_{hinge}":
            if "learning_rate" in found:
                msg = f"{component}: loss={loss!r} says the learning_rate, too: give one of them"
                raise InvalidArgument(msg)
            found["loss"] = hinge
            rate = scope.call(_rate, loss) if isinstance(loss, Node) else _rate(loss)
            found["learning_rate"] = rate
        elif loss == hinge:
            found.setdefault("learning_rate", "pa1")
        return found

    return translate


def _rate(loss: Any) -> str:  # noqa: ANN401 - text
    return "pa2" if str(loss).startswith("squared_") else "pa1"
