"""Users' own algorithms, ``algo(new_ids, domain, trials, seed)``, as suggesters of this package."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparktrials.api.adoption import renumbered
from sparktrials.compat.control import made_by_hyperopt
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
    at_once
        How many ids it gets in one call: ``max_queue_len``. Many take one only, also where many
        slots are free.
    """

    adaptive = True

    def __init__(
        self,
        algo: Callable[..., Any],
        domain: Any,  # noqa: ANN401 - a Domain
        trials: Trials,
        at_once: int = 1,
    ) -> None:
        self.algo = algo
        self.domain = domain
        self.trials = trials
        self.at_once = at_once

    @classmethod
    def of(
        cls,
        algo: Callable[..., Any],
        objective: Callable[..., Any],
        tree: Any,  # noqa: ANN401 - the space as the user made it
        trials: Trials,
        at_once: int = 1,
    ) -> ForeignAlgorithm:
        """Return the algorithm for a space of any kind.

        Raises
        ------
        InvalidArgumentType
            If the algorithm is Hyperopt's own, and the space is not.
        """
        hyperopt = sys.modules.get("hyperopt.base")
        if hyperopt is not None and hyperopt.__name__ == "hyperopt.base":  # the real one
            if made_by_hyperopt(tree):
                return cls(algo, hyperopt.Domain(objective, tree), trials, at_once)
            if _inner(algo).__module__.partition(".")[0] == "hyperopt":
                msg = (
                    f"{algo!r} is Hyperopt's own, which cannot search a space that is made with "
                    "sparktrials' hp: use sparktrials' tpe.suggest, or Hyperopt's hp"
                )
                raise InvalidArgumentType(msg)
        return cls(algo, Domain(objective, tree), trials, at_once)

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
        ids = list(context.ids[: min(n, self.at_once)])
        seed = int(context.rng(ids[0]).integers(2**31 - 1))
        documents = self.algo(ids, self.domain, self.trials, seed)
        if not isinstance(documents, (list, tuple)) or len(documents) > len(ids):
            msg = (
                f"algo must return a list of at most {len(ids)} trial documents, for the ids "
                f"{ids}, got {documents!r}"
            )
            raise InvalidArgument(msg)
        known = space.index
        points = [
            space.checked(
                {k: v for k, v in _point_of(d).items() if k in known}, name="algo's trial"
            )
            for d in documents
        ]
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
