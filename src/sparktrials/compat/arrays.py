"""Pickles of numbers and arrays, read without running anything that a pickle may name."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from sparktrials.errors import InvalidArgument

__all__ = ["array_of"]

#: What the pickles of arrays and of numpy's numbers name, in numpy 1 and in numpy 2.
_NAMES = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - one of a few
        if (module, name) not in _NAMES:
            msg = f"it names {module}.{name}"
            raise pickle.UnpicklingError(msg)
        if np.lib.NumpyVersion(np.__version__) < "2.0.0":
            module = module.replace("numpy._core", "numpy.core", 1)
        else:
            module = module.replace("numpy.core", "numpy._core", 1)
        return super().find_class(module, name)


def array_of(content: bytes, what: str) -> np.ndarray[Any, Any]:
    """Return a pickled array, or a pickled sequence of numbers as one.

    Raises
    ------
    InvalidArgument
        If it is something else: such a pickle could run any code.
    """
    try:
        found: np.ndarray[Any, Any] = np.asanyarray(_Unpickler(io.BytesIO(content)).load())
    except Exception as error:
        msg = f"{what} is no pickle of an array or of numbers alone: {error}"
        raise InvalidArgument(msg) from error
    if found.dtype.kind not in "biuf":
        msg = f"{what} holds no numbers, but an array of {found.dtype}"
        raise InvalidArgument(msg)
    return found
