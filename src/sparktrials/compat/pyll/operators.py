"""Operators on expressions: each makes a new expression, named as Hyperopt names it."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Operators"]


class _Graph(Protocol):
    """What the operators need of the class that they are mixed into."""

    def _operation(self, name: str, *operands: object) -> Any:  # noqa: ANN401 - an Apply
        ...


class Operators:
    """Arithmetic and order, on the left and on the right, for a class with ``_operation``.

    ``==`` stays identity, as in Hyperopt: expressions are keys of dicts.
    """

    #: numpy leaves ``np.float64(2) * expression`` to us, and refuses ``np.exp(expression)``.
    __array_ufunc__ = None

    def __add__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("add", self, other)

    def __radd__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("add", other, self)

    def __sub__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("sub", self, other)

    def __rsub__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("sub", other, self)

    def __mul__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("mul", self, other)

    def __rmul__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("mul", other, self)

    def __truediv__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("truediv", self, other)

    def __rtruediv__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("truediv", other, self)

    def __floordiv__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("floordiv", self, other)

    def __rfloordiv__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("floordiv", other, self)

    def __pow__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("pow", self, other)

    def __rpow__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("pow", other, self)

    def __neg__(self: _Graph) -> Any:  # noqa: ANN401
        return self._operation("neg", self)

    def __lt__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("lt", self, other)

    def __le__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("le", self, other)

    def __gt__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("gt", self, other)

    def __ge__(self: _Graph, other: object) -> Any:  # noqa: ANN401
        return self._operation("ge", self, other)
