"""``hyperopt.pyll_utils``: the parameters of ``hp``, and which conditions they stand under.

Arguments are checked as `sparktrials.hp` checks them; the expressions have Hyperopt's shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from sparktrials import hp as native
from sparktrials.compat.pyll.conditions import EQ, Cond, expr_to_config
from sparktrials.compat.pyll.graph import Apply, Literal, scope
from sparktrials.compat.pyll.operations import hyperopt_param
from sparktrials.errors import InvalidArgumentType, InvalidBounds, InvalidLabel
from sparktrials.space.distributions import as_float
from sparktrials.space.nodes import Draw, Switch

__all__ = [
    "EQ",
    "Cond",
    "expr_to_config",
    "hp_choice",
    "hp_lognormal",
    "hp_loguniform",
    "hp_normal",
    "hp_pchoice",
    "hp_qlognormal",
    "hp_qloguniform",
    "hp_qnormal",
    "hp_quniform",
    "hp_randint",
    "hp_uniform",
    "hp_uniformint",
    "hyperopt_param",
    "validate_distribution_range",
    "validate_label",
]

#: Probabilities whose sum is off by more than this make numpy refuse to draw.
_ROUNDING = 1e-9


def validate_label(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of a label refuse what is not a string; a decorator."""

    @wraps(f)
    def wrapper(label: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if not isinstance(_plain(label), (str, bytes)):
            msg = f"require string label, got {label!r} of type {type(label).__name__}"
            raise InvalidLabel(msg)
        return f(label, *args, **kwargs)

    return wrapper


def validate_distribution_range(f: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of a label and two bounds refuse bounds that are swapped; a decorator."""

    @wraps(f)
    def wrapper(label: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        low = _plain(args[0] if args else kwargs.get("low"))
        high = _plain(args[1] if len(args) > 1 else kwargs.get("high"))
        lower, upper = as_float(low), as_float(high)
        if lower is not None and upper is not None and not lower < upper:
            msg = (
                f"{_plain(label)!r}: low should be less than high: {low} is not smaller than {high}"
            )
            raise InvalidBounds(msg)
        return f(label, *args, **kwargs)

    return wrapper


def _plain(value: object) -> Any:  # noqa: ANN401
    return value.obj if isinstance(value, Literal) else value


def _check(
    function: Callable[..., Any], label: object, args: Iterable[object], kwargs: dict[str, object]
) -> None:
    """Refuse what `sparktrials.hp` refuses."""
    plain = [_plain(a) for a in args]
    named = {k: _plain(v) for k, v in kwargs.items()}
    if any(isinstance(v, Apply) for v in (*plain, *named.values())):
        # Known when a sample is taken: pyll can do that, though a search cannot.
        native.uniform(_plain(label), 0, 1)
    else:
        function(_plain(label), *plain, **named)


def _listed(label: object, name: str, options: Any) -> Any:  # noqa: ANN401
    """Return options as a list where they are a sequence of any kind, else as they are."""
    if isinstance(options, Apply):
        if options.o_len is None:
            msg = f"{_plain(label)!r}: {name} must be a list, got an expression of unknown length"
            raise InvalidArgumentType(msg)
        return list(options)
    if isinstance(options, (str, bytes, dict, set, frozenset)):
        kind = type(options).__name__
        warnings.warn(
            f"{_plain(label)!r}: {name} is a {kind}, taken for {list(options)!r}"
            + (", in an order that another run may not have" if "set" in kind else "")
            + ": write a list",
            stacklevel=3,
        )
    return list(options) if hasattr(options, "__iter__") else options


def hp_choice(label: str, options: Iterable[Any]) -> Apply:
    """One of `options`, each equally likely; the parameter is the option's index."""
    listed = _listed(label, "options", options)
    # The options themselves are checked when the space is read as a whole.
    # A choice without any is refused then, too: programs make some and leave them out.
    outline = [None] * max(1, len(listed)) if isinstance(listed, list) else listed
    native.choice(_plain(label), outline)
    index = scope.hyperopt_param(label, scope.randint(len(listed)))
    found: Apply = scope.switch(index, *listed)
    return found


def hp_pchoice(label: str, p_options: Iterable[tuple[float, Any]]) -> Apply:
    """One of the options of ``(probability, option)`` pairs."""
    listed = _listed(label, "p_options", p_options)
    outline: Any = listed
    if isinstance(listed, list):
        listed = [_listed(label, "p_options", pair) for pair in listed]
        outline = [
            [_plain(pair[0]), *([None] * (len(pair) - 1))]
            if isinstance(pair, list) and pair
            else pair
            for pair in listed
        ]
    node = native.pchoice(_plain(label), outline)
    p = tuple(pair[0] for pair in listed)
    if abs(sum(map(_plain, p)) - 1) > _ROUNDING:
        assert isinstance(node, Switch)  # noqa: S101 - for type checkers
        assert isinstance(node.index, Draw)  # noqa: S101
        p = node.index.distribution.probabilities  # type: ignore[union-attr]  # a Categorical
    index = scope.hyperopt_param(label, scope.categorical(p))
    found: Apply = scope.switch(index, *[pair[1] for pair in listed])
    return found


def hp_randint(label: str, *args: Any, **kwargs: Any) -> Apply:  # noqa: ANN401
    """An integer of ``[0, low)``, or of ``[low, high)`` when both are given."""
    _check(native.randint, label, args, kwargs)
    found: Apply = scope.int(scope.hyperopt_param(label, scope.randint(*args, **kwargs)))
    return found


def hp_uniformint(label: str, *args: Any, **kwargs: Any) -> Apply:  # noqa: ANN401
    """``int(round(uniform(low, high) / q) * q)``; `q` is 1 unless given."""
    _check(native.uniformint, label, args, kwargs)
    if len(args) < 3:  # noqa: PLR2004 - low, high, q
        kwargs.setdefault("q", 1.0)
    found: Apply = scope.int(hp_quniform(label, *args, **kwargs))
    return found


def _number(name: str, doc: str) -> Callable[..., Apply]:
    check = getattr(native, name)

    def make(label: str, *args: Any, **kwargs: Any) -> Apply:  # noqa: ANN401
        _check(check, label, args, kwargs)
        drawn = getattr(scope, name)(*args, **kwargs)
        found: Apply = scope.float(scope.hyperopt_param(label, drawn))
        return found

    make.__name__ = make.__qualname__ = f"hp_{name}"
    make.__doc__ = doc
    return validate_distribution_range(make) if "uniform" in name else make


hp_uniform = _number("uniform", "A float, uniform on ``[low, high]``.")
hp_quniform = _number("quniform", "``round(uniform(low, high) / q) * q``, a float.")
hp_loguniform = _number("loguniform", "``exp(uniform(low, high))``.")
hp_qloguniform = _number("qloguniform", "``round(exp(uniform(low, high)) / q) * q``.")
hp_normal = _number("normal", "A float, normal with mean `mu` and deviation `sigma`.")
hp_qnormal = _number("qnormal", "``round(normal(mu, sigma) / q) * q``.")
hp_lognormal = _number("lognormal", "``exp(normal(mu, sigma))``.")
hp_qlognormal = _number("qlognormal", "``round(exp(normal(mu, sigma)) / q) * q``.")
