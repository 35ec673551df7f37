"""``hyperopt.pyll.stochastic``: the distributions as operations, and ``sample``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from sparktrials.compat.pyll.evaluation import rec_eval
from sparktrials.compat.pyll.graph import Apply, as_apply, scope
from sparktrials.compat.pyll.walks import clone, dfs
from sparktrials.errors import BadSearchSpace, InvalidArgumentType

__all__ = [
    "ERR",
    "categorical",
    "choice",
    "implicit_stochastic",
    "implicit_stochastic_symbols",
    "lognormal",
    "loguniform",
    "normal",
    "one_of",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "randint_via_categorical",
    "recursive_set_rng_kwarg",
    "rng_from_seed",
    "sample",
    "uniform",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def ERR(msg: object) -> None:  # noqa: N802 - Hyperopt's name
    """Write a line to the standard error stream."""
    sys.stderr.write(f"{msg}\n")


#: Operations that draw, and get their generator when a sample is taken. Users add theirs.
implicit_stochastic_symbols: set[str] = set()


def implicit_stochastic(f: _F) -> _F:
    """Let ``sample`` hand an operation its generator, as ``rng``; a decorator."""
    implicit_stochastic_symbols.add(f.__name__)
    return f


@scope.define
def rng_from_seed(seed: Any) -> np.random.Generator:  # noqa: ANN401 - what numpy takes
    """Make a generator."""
    return np.random.default_rng(seed)


def _generator(rng: Any) -> Any:  # noqa: ANN401 - anything that draws as numpy's do
    if rng is None:
        msg = (
            "a draw has no generator: evaluate the expression with "
            "pyll.stochastic.sample(expr, rng), or give its parameters values"
        )
        raise BadSearchSpace(msg)
    return rng


@implicit_stochastic
@scope.define
def uniform(low: Any, high: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw uniformly between two bounds."""
    return _generator(rng).uniform(low, high, size=size)


@implicit_stochastic
@scope.define
def loguniform(low: Any, high: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw a value whose logarithm is uniform between the bounds."""
    return np.exp(_generator(rng).uniform(low, high, size=size))


@implicit_stochastic
@scope.define
def quniform(low: Any, high: Any, q: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw as `uniform`, rounded to a multiple of `q`."""
    return np.round(_generator(rng).uniform(low, high, size=size) / q) * q


@implicit_stochastic
@scope.define
def qloguniform(low: Any, high: Any, q: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw as `loguniform`, rounded to a multiple of `q`."""
    return np.round(np.exp(_generator(rng).uniform(low, high, size=size)) / q) * q


@implicit_stochastic
@scope.define
def normal(mu: Any, sigma: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw from a normal distribution."""
    return _generator(rng).normal(mu, sigma, size=size)


@implicit_stochastic
@scope.define
def qnormal(mu: Any, sigma: Any, q: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw as `normal`, rounded to a multiple of `q`."""
    return np.round(_generator(rng).normal(mu, sigma, size=size) / q) * q


@implicit_stochastic
@scope.define
def lognormal(mu: Any, sigma: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw a value whose logarithm is normal."""
    return np.exp(_generator(rng).normal(mu, sigma, size=size))


@implicit_stochastic
@scope.define
def qlognormal(mu: Any, sigma: Any, q: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw as `lognormal`, rounded to a multiple of `q`."""
    return np.round(np.exp(_generator(rng).normal(mu, sigma, size=size)) / q) * q


@implicit_stochastic
@scope.define
def randint(low: Any, high: Any = None, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw an integer of ``[low, high)``, or of ``[0, low)``."""
    generator = _generator(rng)
    draw = generator.randint if isinstance(rng, np.random.RandomState) else generator.integers
    return draw(low, high, size)


@implicit_stochastic
@scope.define
def randint_via_categorical(p: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw as `categorical`: a name of its own for the posterior of a `randint`."""
    return categorical(p, rng, size)


@implicit_stochastic
@scope.define
def categorical(p: Any, rng: Any = None, size: Any = ()) -> Any:  # noqa: ANN401
    """Draw ``i`` with probability ``p[i]``; of a table, one draw for each row.

    Returns
    -------
    ndarray
        Of one draw where no size is given.
    """
    generator = _generator(rng)
    if len(p) == 1 and isinstance(p[0], np.ndarray):
        p = p[0]
    p = np.asarray(p)
    if isinstance(size, (int, np.number)):
        shape: tuple[int, ...] = (int(size),)
    else:
        shape = tuple(size) or (1,)
    if shape == (0,):
        return np.asarray([])
    if p.ndim == 1:
        drawn = generator.multinomial(n=1, pvals=p, size=int(np.prod(shape)))
        return np.dot(drawn, np.arange(len(p))).reshape(shape)
    if p.ndim == 2 and shape == p.shape[:1]:  # noqa: PLR2004 - a table
        rows = [np.where(generator.multinomial(n=1, pvals=row))[0][0] for row in p]
        return np.asarray(rows).reshape(shape)
    msg = f"probabilities of shape {p.shape} give no draws of shape {shape}"
    raise NotImplementedError(msg)


def choice(args: Sequence[object]) -> Apply:
    """Return a switch over the options, without a label."""
    return one_of(*args)


def one_of(*args: object) -> Apply:
    """Return a switch over the options, without a label."""
    found: Apply = scope.switch(scope.randint(len(args)), *args)
    return found


scope.choice = choice  # type: ignore[attr-defined]
scope.one_of = one_of  # type: ignore[attr-defined]


def recursive_set_rng_kwarg(expr: Apply, rng: Any = None) -> Apply:  # noqa: ANN401
    """Give every draw in an expression the generator; the expression is changed and returned."""
    generator = as_apply(np.random.default_rng() if rng is None else rng)
    for node in dfs(expr):
        if node.name not in implicit_stochastic_symbols:
            continue
        for pair in node.named_args:
            if pair[0] == "rng":
                pair[1] = generator
                break
        else:
            node.named_args.append(["rng", generator])
    return expr


def sample(expr: object, rng: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401
    """Return a random value of an expression.

    Parameters
    ----------
    expr
        A search space, labelled or not.
    rng
        A generator of numpy's; also a seed.
    **kwargs
        For `rec_eval`.

    Raises
    ------
    InvalidArgumentType
        If `rng` is something else.
    """
    if rng is None or (isinstance(rng, (int, np.integer)) and not isinstance(rng, bool)):
        rng = np.random.default_rng(rng)
    if not (isinstance(rng, Apply) or hasattr(rng, "uniform")):
        msg = f"rng must be a numpy.random.Generator, got {rng!r}"
        raise InvalidArgumentType(msg)
    return rec_eval(recursive_set_rng_kwarg(clone(as_apply(expr)), rng), **kwargs)
