"""``hyperopt.utils``: the small functions that Hyperopt's users import from there."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import logging
import os
import pickle
import shutil
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "coarse_utcnow",
    "fast_isin",
    "get_closest_dir",
    "get_most_recent_inds",
    "get_obj",
    "import_tokens",
    "json_call",
    "json_lookup",
    "load_tokens",
    "path_split_all",
    "pmin_sampled",
    "temp_dir",
    "use_obj_for_literal_in_memo",
    "working_dir",
]

logger = logging.getLogger(__name__)

# ---------------------------------------------------------------------- names of things


def import_tokens(tokens: Sequence[str]) -> tuple[Any, list[str]]:
    """Import the longest module that a dotted name begins with.

    Parameters
    ----------
    tokens
        The name, split at its dots.

    Returns
    -------
        The module, None if there is none, and the tokens that are left.
    """
    found = None
    for i in range(len(tokens)):
        name = ".".join(tokens[: i + 1])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and lacks another one
            return found, list(tokens[i:])
    return found, []


def load_tokens(tokens: Sequence[str]) -> Any:  # noqa: ANN401 - anything that has a name
    """Return what a dotted name, split at its dots, names.

    Raises
    ------
    ImportError
        If it does not begin with a module.
    AttributeError
        If what comes after the module is not there.
    """
    found, rest = import_tokens(tokens)
    if found is None:
        msg = f"{'.'.join(tokens)!r} does not begin with the name of a module"
        raise ModuleNotFoundError(msg)
    for name in rest:
        found = getattr(found, name)
    return found


def json_lookup(json: str) -> Any:  # noqa: ANN401 - anything that has a name
    """Return what a dotted name such as ``"package.module.Class"`` names."""
    return load_tokens(json.split("."))


def json_call(
    json: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> Any:  # noqa: ANN401 - whatever it returns
    """Call what a dotted name names, and return its result.

    Parameters
    ----------
    json
        The dotted name, such as ``"package.module.Class"``.
    args, kwargs
        What it is called with.

    Raises
    ------
    NotImplementedError
        For a dict or a sequence: as in Hyperopt they have no meaning.
    TypeError
        For anything else that is not text.
    """
    if isinstance(json, (dict, list, tuple)):
        msg = f"json must be a dotted name such as 'package.module.function', got {json!r}"
        raise NotImplementedError(msg)
    if not isinstance(json, (str, bytes)):
        msg = f"json must be a dotted name such as 'package.module.function', got {json!r}"
        raise TypeError(msg)
    name = json.decode() if isinstance(json, bytes) else json
    return json_lookup(name)(*args, **(kwargs or {}))


def get_obj(
    f: str,
    argfile: str | os.PathLike[str] | None = None,
    argstr: bytes | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:  # noqa: ANN401 - whatever it returns
    """Call what a dotted name names, with arguments from a pickle.

    Parameters
    ----------
    f
        The dotted name.
    argfile
        A file with a pickled ``{"args": ..., "kwargs": ...}``. A pickle can run any code: name
        only files that you trust.
    argstr
        The pickle itself; `argfile` comes first.
    args, kwargs
        Further arguments: these positional ones come first, the pickle's keyword ones win.
    """
    if argfile is not None:
        argstr = Path(argfile).read_bytes()
    pickled = {} if argstr is None else pickle.loads(argstr)  # noqa: S301 - the user's own
    return json_call(
        f,
        args=(*args, *pickled.get("args", ())),
        kwargs={**(kwargs or {}), **pickled.get("kwargs", {})},
    )


# ---------------------------------------------------------------------- arrays


def pmin_sampled(
    mean: ArrayLike,
    var: ArrayLike,
    n_samples: int = 1000,
    rng: np.random.Generator | None = None,
) -> NDArray[np.float64]:
    """Estimate for each of independent Gaussians the probability that it is the smallest.

    Parameters
    ----------
    mean, var
        Of the Gaussians, ``(n,)`` each.
    n_samples
        How often all are drawn.
    rng
        Where randomness comes from; None takes the same seed each time.
    """
    if rng is None:
        rng = np.random.default_rng(232342)
    mean = np.asarray(mean, dtype=float)
    draws = rng.standard_normal((n_samples, len(mean))) * np.sqrt(var) + mean
    smallest = draws == draws.min(axis=1, keepdims=True)
    counts = smallest.sum(axis=0).astype(float)
    return np.asarray(counts / counts.sum())


def fast_isin(X: ArrayLike, Y: ArrayLike) -> NDArray[np.bool_]:
    """Return for each element of `X` whether it is in `Y`."""
    return np.isin(X, Y)


def get_most_recent_inds(obj: Iterable[Mapping[str, Any]]) -> NDArray[np.intp]:
    """Return where in `obj` the highest ``version`` of each ``_id`` stands, ordered by ``_id``."""
    recent: dict[Any, tuple[int, int]] = {}
    for i, document in enumerate(obj):
        version = int(document["version"])
        if document["_id"] not in recent or version >= recent[document["_id"]][0]:
            recent[document["_id"]] = version, i
    return np.array([recent[key][1] for key in sorted(recent)], dtype=np.intp)


# ---------------------------------------------------------------------- expressions


def use_obj_for_literal_in_memo(
    expr: Any,  # noqa: ANN401 - a pyll expression
    obj: Any,  # noqa: ANN401
    lit: Any,  # noqa: ANN401
    memo: MutableMapping[Any, Any],
) -> MutableMapping[Any, Any]:
    """Let `obj` stand for every literal of an expression that equals `lit`.

    Parameters
    ----------
    expr
        A pyll expression.
    obj
        What the literals are to be evaluated to, such as the ``Ctrl`` of a trial.
    lit
        What the literals hold.
    memo
        The memo for ``rec_eval``, which is changed and returned.
    """
    from sparktrials.compat.pyll import dfs  # noqa: PLC0415 - most callers want coarse_utcnow

    nodes: Iterable[Any] = dfs(expr)
    for node in nodes:
        try:
            same = bool(node.obj == lit)
        except (AttributeError, ValueError):  # no literal; an array, which has no one truth
            continue
        if same:
            memo[node] = obj
    return memo


# ---------------------------------------------------------------------- time


def coarse_utcnow() -> dt.datetime:
    """Return the time in UTC, without a zone, in whole milliseconds: what MongoDB can store."""
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


# ---------------------------------------------------------------------- directories


@contextlib.contextmanager
def working_dir(dir: str | os.PathLike[str]) -> Iterator[None]:
    """Work in another directory for a while; return also if the body raises."""
    before = Path.cwd()
    os.chdir(dir)
    try:
        yield
    finally:
        os.chdir(before)


def path_split_all(path: str | os.PathLike[str]) -> Iterator[str]:
    """Return an iterator over the parts of a path, without the root."""
    pure = Path(path)
    return iter(pure.parts[1:] if pure.anchor else pure.parts)


def get_closest_dir(workdir: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the deepest directory of a path that exists, and the name of the next part.

    Raises
    ------
    InvalidArgument
        If all of the path exists.
    """
    path = Path(workdir)
    for part, parent in zip((path, *path.parents), path.parents, strict=False):
        if parent.is_dir() and not part.exists():
            return "" if parent == Path() else str(parent), part.name
    msg = f"workdir must be a path that does not exist yet, got {str(workdir)!r}"
    raise InvalidArgument(msg)


@contextlib.contextmanager
def temp_dir(
    dir: str | os.PathLike[str],
    erase_after: bool = False,  # noqa: FBT001, FBT002 - Hyperopt's signature
    with_sentinel: bool = True,  # noqa: FBT001, FBT002
) -> Iterator[None]:
    """Make sure that a directory exists for a while.

    Parameters
    ----------
    dir
        The directory; what is missing above it is made, too.
    erase_after
        Remove it afterwards if it was made here, also if the body raises.
    with_sentinel
        While it exists mark with a file ``NAME.inuse`` how far up directories were made, and remove
        all of those that are empty, too.

    Raises
    ------
    RuntimeError
        If the directory would have to be made and its path contains ``..``.
    InvalidArgument
        If the path exists and is no directory.
    """
    path = Path(dir)
    if path.exists():
        if not path.is_dir():
            msg = f"dir must be a directory, got the file {str(dir)!r}"
            raise InvalidArgument(msg)
        yield
        return
    if os.pardir in path.parts:
        msg = f"dir must not contain '..' where it is to be made, got {str(dir)!r}"
        raise RuntimeError(msg)
    stop, first = get_closest_dir(path)
    sentinel = Path(stop) / f"{first}.inuse"
    if erase_after and with_sentinel:
        sentinel.touch()
    path.mkdir(parents=True)
    try:
        yield
    finally:
        if erase_after:
            shutil.rmtree(path)
            if with_sentinel:
                _remove_empty(path.parent, Path(stop))
                sentinel.unlink()


def _remove_empty(path: Path, stop: Path) -> None:
    """Remove a directory and those above it, as far as they are empty, up to `stop`."""
    while path != stop:
        try:
            path.rmdir()
        except OSError:  # another run works there
            return
        path = path.parent
