"""What users pass as ``algo``: a named algorithm with checked settings."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparktrials.errors import EmptySpace, InvalidArgument, InvalidArgumentType
from sparktrials.study.protocols import Suggester
from sparktrials.suggest.blas import one_thread

if TYPE_CHECKING:
    from sparktrials.space import Point, Space
    from sparktrials.study.history import History
    from sparktrials.study.protocols import SuggestContext

__all__ = ["Algorithm", "Configured", "is_native", "suggester_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Algorithm:
    """A suggestion function with its settings: what ``tpe.suggest`` and ``rand.suggest`` are.

    Attributes
    ----------
    name
        For people.
    propose
        ``propose(space, history, n, context, settings) -> list of points``, pure.
    settings
        A frozen dataclass: the keywords that ``functools.partial(tpe.suggest, ...)`` may set, with
        defaults; its ``__post_init__`` refuses values that make no sense.
    adaptive
        Whether results steer the next points.
    """

    name: str
    propose: Callable[..., list[Point]]
    settings: type
    adaptive: bool = True

    def configured(self, **keywords: object) -> Configured:
        """Return the algorithm with settings.

        Raises
        ------
        InvalidArgumentType
            If a keyword is unknown.
        InvalidArgument
            If its value makes no sense.
        """
        known = [f.name for f in dataclasses.fields(self.settings)]
        for keyword in keywords:
            if keyword not in known:
                msg = f"{self.name}.suggest has no setting {keyword!r}; it has {', '.join(known)}"
                raise InvalidArgumentType(msg)
        return Configured(self, self.settings(**keywords))

    def __call__(
        self,
        new_ids: Sequence[int],
        domain: Any = None,  # noqa: ANN401 - compat's
        trials: Any = None,  # noqa: ANN401
        seed: int = 0,
        **keywords: object,
    ) -> Any:  # noqa: ANN401 - trial documents
        """Return trial documents, as Hyperopt's algorithms do when users' own call them.

        Raises
        ------
        InvalidArgumentType
            If `domain` is not one that ``fmin`` passes to an algorithm.
        """
        if not hasattr(domain, "documents_by"):
            msg = (
                f"{self.name}.suggest is passed to fmin as algo={self.name}.suggest, or with "
                f"settings as algo=functools.partial({self.name}.suggest, ...); called directly it "
                f"takes (new_ids, domain, trials, seed) with a sparktrials.compat.Domain, got "
                f"{domain!r}"
            )
            raise InvalidArgumentType(msg)
        return domain.documents_by(self, keywords, new_ids, trials, seed)

    def __get__(self, obj: object, owner: type | None = None) -> Algorithm:
        """Return itself: as an attribute it is as a function is, of an enumeration no member."""
        return self

    def __getattr__(self, name: str) -> str:
        """Return what a function would say of itself."""
        if name in {"__name__", "__qualname__"}:
            return "suggest"
        msg = f"{self!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_module, (self.propose.__module__,)

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` shows: Hyperopt's arguments, and the settings."""
        call = inspect.signature(type(self).__call__).parameters
        kind = inspect.Parameter.KEYWORD_ONLY
        own = [p for p in call.values() if p.name not in {"self", "keywords"}]
        settings = [
            inspect.Parameter(f.name, kind, default=f.default)
            for f in dataclasses.fields(self.settings)
        ]
        return inspect.Signature([*own, *settings])

    def __repr__(self) -> str:
        """Return it as users write it."""
        return f"{self.name}.suggest"


@dataclass(frozen=True, slots=True, eq=False)
class Configured:
    """An algorithm with its settings: a `Suggester`."""

    algorithm: Algorithm
    settings: Any

    @property
    def adaptive(self) -> bool:
        """Whether results steer the next points."""
        return self.algorithm.adaptive

    def suggest(
        self, space: Space, history: History, n: int, context: SuggestContext
    ) -> list[Point]:
        """Return up to `n` points.

        Raises
        ------
        EmptySpace
            If the space has no parameter.
        """
        if not space.parameters:
            msg = f"the space has no parameter, so {self.algorithm!r} has nothing to choose"
            raise EmptySpace(msg)
        with one_thread():
            return self.algorithm.propose(space, history, n, context, self.settings)


def _of_module(name: str) -> Algorithm:
    """Return the algorithm that a module is about: what a pickled one names."""
    found: Algorithm = importlib.import_module(name).suggest
    return found


def is_native(algo: object) -> bool:
    """Whether an ``algo`` is an algorithm of this package with members of this package."""
    while isinstance(algo, functools.partial):
        members = algo.keywords.get("p_suggest", ())
        if isinstance(members, (list, tuple)) and not all(
            is_native(member[1])
            for member in members
            if isinstance(member, (list, tuple)) and len(member) == 2  # noqa: PLR2004 - a pair
        ):
            return False
        algo = algo.func
    return isinstance(algo, (Algorithm, Suggester))


def suggester_of(algo: object) -> Suggester:
    """Return the suggester that a user's ``algo`` stands for.

    Parameters
    ----------
    algo
        ``tpe.suggest``, ``functools.partial(tpe.suggest, gamma=0.3)``, or any object with
        ``suggest(space, history, n, context)`` and ``adaptive``.

    Raises
    ------
    InvalidArgument
        If a setting is wrong.
    InvalidArgumentType
        If it is none of these.
    """
    keywords: dict[str, object] = {}
    inner: Any = algo
    while isinstance(inner, functools.partial):
        if inner.args:
            msg = (
                f"algo: settings are passed by keyword, got partial({inner.func!r}, {inner.args!r})"
            )
            raise InvalidArgument(msg)
        keywords = {**inner.keywords, **keywords}
        inner = inner.func
    if isinstance(inner, Algorithm):
        return inner.configured(**keywords)
    if not keywords and isinstance(inner, Suggester):
        return inner
    msg = (
        f"algo must be an algorithm such as tpe.suggest or rand.suggest, or an object with "
        f"suggest(space, history, n, context) and adaptive; got {algo!r}"
    )
    raise InvalidArgumentType(msg)
