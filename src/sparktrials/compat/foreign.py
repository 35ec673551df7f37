"""Users' own algorithms, ``algo(new_ids, domain, trials, seed)``, as suggesters of this package."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sparktrials.api.adoption import renumbered
from sparktrials.compat.domain import Domain
from sparktrials.errors import InvalidArgument, InvalidArgumentType, InvalidTrial

if TYPE_CHECKING:
    from sparktrials.api.trials import Trials
    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["ForeignAlgorithm"]


class ForeignAlgorithm:
    """An algorithm in Hyperopt's calling convention.

    Parameters
    ----------
    algo
        ``algo(new_ids, domain, trials, seed)`` returns trial documents, none to end the search.
    domain
        Hyperopt's own where the space is made of Hyperopt's own graphs, else `Domain`.
    trials
        What it is shown: those of the run.
    """

    adaptive = True

    def __init__(self, algo: Callable[..., Any], domain: Any, trials: Trials) -> None:  # noqa: ANN401
        self.algo = algo
        self.domain = domain
        self.trials = trials

    @classmethod
    def of(
        cls,
        algo: Callable[..., Any],
        objective: Callable[..., Any],
        tree: Any,  # noqa: ANN401 - the space as the user made it
        trials: Trials,
    ) -> ForeignAlgorithm:
        """Return the algorithm for a space of any kind.

        Raises
        ------
        InvalidArgumentType
            If the algorithm is Hyperopt's own, and the space is not.
        """
        hyperopt = sys.modules.get("hyperopt.base")
        if hyperopt is not None and hyperopt.__name__ == "hyperopt.base":  # the real one
            if _made_by_hyperopt(tree):
                return cls(algo, hyperopt.Domain(objective, tree), trials)
            if _inner(algo).__module__.partition(".")[0] == "hyperopt":
                msg = (
                    f"{algo!r} is Hyperopt's own, which cannot search a space that is made with "
                    "sparktrials' hp: use sparktrials' tpe.suggest, or Hyperopt's hp"
                )
                raise InvalidArgumentType(msg)
        return cls(algo, Domain(objective, tree), trials)

    def suggest(
        self, space: Space, history: History, n: int, context: SuggestContext
    ) -> list[Point]:
        """Return the points of the documents that the algorithm returns.

        Raises
        ------
        InvalidArgument
            If it returns something else, or too many.
        InvalidPoint
            If a document does not fit the space.
        """
        ids = list(context.ids[:n])
        seed = int(context.rng(ids[0]).integers(2**31 - 1))
        documents = self.algo(ids, self.domain, self.trials, seed)
        if not isinstance(documents, (list, tuple)) or len(documents) > n:
            msg = (
                f"algo must return a list of at most {n} trial documents for the ids {ids}, got "
                f"{documents!r}"
            )
            raise InvalidArgument(msg)
        points = [space.checked(_point_of(d), name="algo's document") for d in documents]
        # Where it took ids for itself, the trials come after them.
        for tid, document in enumerate(documents, start=history.next_id):
            self.trials.expect(document if document["tid"] == tid else renumbered(document, tid))
        return list(points)


def _point_of(document: Any) -> dict[str, Any]:  # noqa: ANN401 - checked
    try:
        vals = document["misc"]["vals"]
        return {label: values[0] for label, values in vals.items() if len(values)}
    except (TypeError, KeyError, AttributeError, IndexError):
        msg = f"algo must return trial documents with misc.vals of label: [value], got {document!r}"
        raise InvalidTrial(msg, document) from None


def _inner(algo: Any) -> Any:  # noqa: ANN401
    while isinstance(algo, functools.partial):
        algo = algo.func
    return algo if hasattr(algo, "__module__") else type(algo)


def _made_by_hyperopt(tree: Any) -> bool:  # noqa: ANN401
    """Whether a tree holds a graph of the real Hyperopt's."""
    stack = [tree]
    while stack:
        item = stack.pop()
        if any(kind.__module__ == "hyperopt.pyll.base" for kind in type(item).__mro__):
            return True
        if isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
    return False
