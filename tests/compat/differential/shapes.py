"""What values look like, as JSON: types, order, nesting, and numbers to the last digit."""

from __future__ import annotations

import re

import numpy as np

LARGE = 1e6
NUMBERS = (float, int, complex, np.number, np.bool_)


def plain(text):
    """Return a text without the addresses of objects."""
    return re.sub("0x[0-9a-f]+", "0x", text)


def shown(value, *, values=True):
    """Return what a value is; without `values`, numbers are their types only."""
    kind = type(value).__name__
    if isinstance(value, dict):
        rest = [[[shown(k), shown(v, values=values)] for k, v in value.items()]]
    elif isinstance(value, (list, tuple)):
        rest = [[shown(v, values=values) for v in value]]
    elif isinstance(value, np.ndarray):
        rest = [str(value.dtype), list(value.shape), repr(value.tolist()) if values else ""]
    elif isinstance(value, NUMBERS):
        number = value.item() if isinstance(value, np.generic) else value
        rest = [repr(number)] if values else []
    elif hasattr(value, "parts_shown"):
        rest = [shown(part, values=values) for part in value.parts_shown()]
    elif hasattr(value, "__qualname__"):
        rest = [value.__qualname__]
    else:
        rest = [plain(repr(value))]
    return [kind, *rest]


def layout(value):
    """Return the types in a document: keys sorted, elements of lists merged when equal."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return [kind, sorted(([repr(k), layout(v)] for k, v in value.items()), key=repr)]
    if isinstance(value, (list, tuple)):
        found = []
        for item in value:
            if (one := layout(item)) not in found:
                found.append(one)
        return [kind, sorted(found, key=repr)]
    return kind


def refusal(error):
    """Return an exception: the names of its classes, and its message."""
    names = [c.__name__ for c in type(error).__mro__ if c not in {BaseException, object}]
    return {"raised": names, "message": plain(str(error))[:300]}


def attempted(function, *arguments):
    """Return what a function returns, or the exception."""
    try:
        return {"value": function(*arguments)}
    except Exception as error:
        return refusal(error)


def numbers_in(value):
    """Yield the numbers of moderate size that an objective finds in its argument."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from numbers_in(one)
    elif isinstance(value, (float, int, np.floating, np.integer)) and -LARGE < value < LARGE:
        yield float(value)
