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
from sparktrials.space import Point, compile_space
from sparktrials.space.codec import Codec
from sparktrials.space.nodes import Call, Node, as_node, children

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Draws", "all_nodes"]

logger = logging.getLogger("sparktrials.sklearn")

#: Points that are drawn, and those to be sure by.
_SOME, _MANY = 12, 400
#: Seconds for all calls of the user's functions together: they may read files.
_SECONDS = 3.0
#: Whose functions take no time.
_QUICK = frozenset({"_operator", "builtins", "math", "numpy", "operator", "sklearn", "sparktrials"})


class Draws:
    """Points of a space, or of its parts, with what they become.

    Parameters
    ----------
    tree
        The space.
    """

    def __init__(self, tree: Any) -> None:  # noqa: ANN401
        calls = (node for node in all_nodes(as_node(tree)) if isinstance(node, Call))
        self._may_take_long = not all(_is_quick(call.function) for call in calls)
        self._seconds = 0.0
        self.cut_short = False

    def of(self, tree: Any, n: int) -> tuple[list[tuple[Point, Any]], list[Exception]]:  # noqa: ANN401
        """Return points of a tree with what they become, and what others raised instead.

        They are fewer than `n` where the user's functions take long: then it is `cut_short`.
        """
        space = compile_space(tree)
        codec = Codec.of(space)
        made: list[tuple[Point, Any]] = []
        errors: list[Exception] = []
        for point in codec.decode(codec.from_unit(_spread(codec, n if len(codec) else 1))):
            if self._may_take_long and self._seconds > _SECONDS:
                self._stop()
                break
            start = time.perf_counter()
            try:
                made.append((point, space.build(point)))
            except Exception as error:  # noqa: BLE001 - a user's function may raise anything
                errors.append(error)
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
                if not self.cut_short:
                    raise

    def _stop(self) -> None:
        if not self.cut_short:
            self.cut_short = True
            logger.warning(
                "functions in the space take long (%.1f s until now): what it makes is not looked "
                "at further before the first trial",
                self._seconds,
            )


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
