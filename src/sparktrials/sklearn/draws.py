"""What a space makes, before its first trial: some points are drawn and built.

Only what fails for all of them, and for many more then, is refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from sparktrials.errors import InvalidArgument, InvalidArgumentType
from sparktrials.sklearn.known import PACKAGES
from sparktrials.space import Point, compile_space
from sparktrials.space.codec import Codec
from sparktrials.space.nodes import Call, Node, as_node, children

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Draws", "all_nodes", "may_take_long"]

logger = logging.getLogger("sparktrials.sklearn")

#: Points that are drawn, and those to be sure by.
_SOME, _MANY = 12, 400
#: Seconds for all calls of the user's functions together: they may read files.
_SECONDS = 3.0
#: Whose functions take no time.
_QUICK = frozenset({"_operator", "builtins", "math", "numpy", "operator", "sparktrials"}) | PACKAGES


class Draws:
    """Points of a space, or of its parts, with what they become.

    Functions of the user's are called for a few seconds only: of what they make nothing is sure.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._cut_short = False

    def of(
        self,
        tree: Any,  # noqa: ANN401
        n: int,
        *,
        by_clock: bool = True,
    ) -> tuple[list[tuple[Point, Any]], list[Exception]]:
        """Return points of a tree with what they become, and what others raised instead.

        Parameters
        ----------
        tree
            The space, or a part.
        n
            How many points.
        by_clock
            Whether functions of the user's are called for a few seconds only: not where what they
            make changes the space, which is to be the same on any machine.
        """
        space = compile_space(tree)
        codec = Codec.of(space)
        timed = by_clock and may_take_long(tree)
        made: list[tuple[Point, Any]] = []
        errors: list[Exception] = []
        for point in codec.decode(codec.from_unit(_spread(codec, n if len(codec) else 1))):
            if timed and self._seconds > _SECONDS:
                errors.append(self._timed_out())
                break
            start = time.perf_counter()
            try:
                made.append((point, space.build(point)))
            except Exception as error:  # noqa: BLE001 - a user's function may raise anything
                errors.append(error)
            if timed:
                self._seconds += time.perf_counter() - start
        return made, errors

    def check(self, check: Callable[[int], None]) -> None:
        """Let a check of so many points refuse if it does so for many, too: an option may be rare.

        Raises
        ------
        InvalidArgument, InvalidArgumentType, InvalidParameterError
            What the check raises.
        """
        try:
            check(_SOME)
        except (InvalidArgument, InvalidArgumentType, InvalidParameterError):
            try:
                check(_MANY)
            except (InvalidArgument, InvalidArgumentType, InvalidParameterError):
                if not self._cut_short:
                    raise

    def _timed_out(self) -> TimeoutError:
        msg = (
            f"functions in the space take long, {self._seconds:.1f} s until now: what they make is "
            "not looked at further before the first trial"
        )
        if not self._cut_short:
            self._cut_short = True
            logger.warning("%s", msg)
        return TimeoutError(msg)


def may_take_long(tree: Any) -> bool:  # noqa: ANN401 - a tree
    """Whether a space calls functions of the user's."""
    calls = (node for node in all_nodes(as_node(tree)) if isinstance(node, Call))
    return not all(_is_quick(call.function) for call in calls)


def _is_quick(function: Any) -> bool:  # noqa: ANN401 - a callable
    return str(getattr(function, "__module__", "")).partition(".")[0] in _QUICK


def _spread(codec: Codec, n: int) -> NDArray[np.float64]:
    """Return rows for ``from_unit`` that choose all options of a choice equally often."""
    rng = np.random.default_rng(0)
    strata = np.array([rng.permutation(n) for _ in codec.labels]).reshape(len(codec), n).T
    unit: NDArray[np.float64] = (strata + rng.random((n, len(codec)))) / n
    for column, prior in enumerate(codec.probabilities):
        options = np.flatnonzero(prior)
        if len(options):
            chosen = options[(unit[:, column] * len(options)).astype(np.intp)]
            unit[:, column] = np.cumsum(prior)[chosen] - prior[chosen] / 2
    return unit


def all_nodes(root: Node) -> list[Node]:
    """Return a node and all beneath it, each once."""
    found: dict[int, Node] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) not in found:
            found[id(node)] = node
            stack.extend(children(node))
    return list(found.values())
