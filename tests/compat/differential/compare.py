"""What two runs of probe.py disagree on, as a list of differences."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from tests.compat.differential.spaces import Made, Param, make_space

Answer = dict[str, Any]
#: All tests on draws together are wrong once in a thousand sets of spaces; the seeds are fixed.
ERROR = 1e-3
#: Arithmetic of two versions of numpy may differ in the last digits.
CLOSE = 1e-12
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
FEW = 40  # values of a discrete parameter that are counted one by one


@dataclass(frozen=True)
class Difference:
    """One disagreement: a snippet's name or a part of the generated spaces, and both answers."""

    where: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        one, other = _apart(self.theirs, self.ours)
        return f"{self.where}\n      theirs: {one}\n      ours:   {other}"


def snippets(theirs: dict[str, Answer], ours: dict[str, Answer]) -> list[Difference]:
    """Compare what the snippets of both ended in."""
    assert list(theirs) == list(ours)
    return [
        Difference(name, _text(theirs[name]), _text(ours[name]))
        for name in theirs
        if not _agree(theirs[name], ours[name])
    ]


def spaces(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[Difference]:
    """Compare everything about the generated spaces but the draws."""
    found: list[Difference] = []
    for a, b in zip(theirs, ours, strict=True):
        assert a["seed"] == b["seed"]
        made = make_space(a["seed"])
        for part, differ in PARTS.items():
            at = f"generated/{part}"
            if "value" not in a[part] or "value" not in b[part]:
                if not _agree(a[part], b[part]):
                    text = f"seed {a['seed']}: "
                    found.append(Difference(at, text + _text(a[part]), text + _text(b[part])))
                continue
            for what, mine, yours in differ(made, a[part]["value"], b[part]["value"]):
                one, other = (f"seed {a['seed']}: {json.dumps(x)}" for x in (mine, yours))
                found.append(Difference(f"{at}/{what}", one, other))
    return found


Found = Iterator[tuple[str, Any, Any]]


def _points(_made: Made, theirs: Answer, ours: Answer) -> Found:
    for what in ("received", "space_eval"):
        for mine, yours in zip(theirs[what], ours[what], strict=True):
            if not same(mine, yours):
                yield what, mine, yours


def _random(made: Made, theirs: Answer, ours: Answer) -> Found:
    for key in sorted(theirs["by_branch"].keys() & ours["by_branch"].keys()):
        mine, yours = theirs["by_branch"][key], ours["by_branch"][key]
        if mine != yours:
            yield "received", mine, yours
    yield from _active(made, theirs, ours)
    known: dict[str, set[str]] = defaultdict(set)
    seen = [*theirs["by_branch"].values(), *ours["by_branch"].values(), *theirs["sampled"]]
    for value in seen:
        _kinds(value, "", known)
    for value in ours["sampled"]:
        kinds: dict[str, set[str]] = defaultdict(set)
        _kinds(value, "", kinds)
        for path, types in kinds.items():
            if not types <= known[path]:
                yield f"sampled at {path}", sorted(known[path]), sorted(types)


def _active(made: Made, theirs: Answer, ours: Answer) -> Found:
    """The labels of each trial are those that the space's text asks for, on both sides."""
    for side in (theirs, ours):
        for point in side["active"]:
            wanted = made.active(defaultdict(float, point))
            if wanted != set(point):
                yield "active", sorted(wanted), sorted(point)
    for point in ours["active"]:
        for label, value in point.items():
            if not allowed(made.params[label], np.array([value])).all():
                yield "values", f"{made.params[label]}", f"{label} = {value}"


def _fields(made: Made, theirs: Answer, ours: Answer) -> Found:
    for what in theirs.keys() - {"active", "value types"}:
        if not same(theirs[what], ours[what]):
            yield what, theirs[what], ours[what]
    for label, mine in theirs.get("value types", {}).items():
        yours = ours["value types"].get(label)
        if mine and yours and mine != yours:  # active in both
            yield "value types", mine, yours
    if "active" in theirs:
        yield from _active(made, theirs, ours)


PARTS: dict[str, Callable[[Made, Any, Any], Found]] = {
    "points": _points,
    "random": _random,
    "batch": _fields,
    "tpe": _fields,
    "graph": _fields,
    "domain": _fields,
    "config": _fields,
}


# -------------------------------------------------------------------------------------- draws


def draws(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> list[Difference]:
    """Compare the draws of each parameter by their distribution, and those of each kind."""
    found = []
    keys = sorted(theirs.keys() & ours.keys())
    made: dict[int, Made] = {}
    kinds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for key in keys:
        seed, label, path = key.split("|")
        params = made.setdefault(int(seed), make_space(int(seed))).params
        at = f"draws/{path}"
        text = f"{params[label]} of seed {seed}"
        # the reference is all that Hyperopt drew, by either way
        ways = [f"{seed}|{label}|{way}" for way in ("fmin", "batch")]
        reference = np.concatenate([theirs[way] for way in ways if way in theirs])
        sample = ours[key]
        wrong = sample[~allowed(params[label], sample)]
        if wrong.size:
            found.append(Difference(f"{at}/values", text, f"{wrong[:5]}"))
        if not sample.size or not reference.size:
            # a branch that was never taken by some; that it could have been is another test
            if abs(sample.size - reference.size) > FEW:
                found.append(Difference(at, f"{reference.size} of {text}", f"{sample.size}"))
            continue
        p = likelihood(reference, sample)
        if p < ERROR / len(keys):
            found.append(
                Difference(at, _moments(reference, text), _moments(sample, f"p = {p:.1e}"))
            )
        if len(sample) > FEW:
            kinds[f"{path}/{params[label].kind}"].append(scores(reference, sample))
    for kind, values in sorted(kinds.items()):
        for what, score in zip(("location", "spread"), np.sum(values, axis=0), strict=True):
            z = score / math.sqrt(len(values))
            if 2 * stats.norm.sf(abs(z)) < ERROR / (2 * len(kinds)):
                text = f"{len(values)} parameters, {what}"
                found.append(Difference(f"draws/{kind}", text, f"z = {z:.2f}"))
    return found


def allowed(param: Param, values: np.ndarray) -> np.ndarray:
    """Tell which values a parameter may have: within its bounds, and on its grid."""
    low, high = param.bounds
    slack = 1e-9 * np.maximum(1.0, np.abs(values))
    fine = (values >= low - slack) & (values <= high + slack)
    if param.step:
        fine &= np.abs(values - np.round(values / param.step) * param.step) <= slack
    return fine


def likelihood(a: np.ndarray, b: np.ndarray) -> float:
    """Return the probability that samples of one distribution differ as much as `a` and `b`."""
    a, b = _on_grid(a), _on_grid(b)
    values = np.unique(np.concatenate([a, b]))
    if len(values) == 1:
        return 1.0
    if len(values) > FEW:
        return float(stats.ks_2samp(a, b, method="asymp").pvalue)
    counts = np.array([[(x == value).sum() for value in values] for x in (a, b)])
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    rare = expected.min(axis=0) < 5
    if rare.any():
        counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    if counts.shape[1] == 1:
        return 1.0
    return float(stats.chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue)


def scores(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return two standard normal scores: of where `b` lies beside `a`, and of how far it spreads.

    Each is a rank sum (ties count half): one sees a shift of all, the other one of the tails.
    """
    a, b = _on_grid(a), _on_grid(b)
    middle = np.median(np.concatenate([a, b]))
    return _rank_sum(a, b), _rank_sum(np.abs(a - middle), np.abs(b - middle))


def _rank_sum(a: np.ndarray, b: np.ndarray) -> float:
    together = np.concatenate([a, b])
    n, m, total = len(a), len(b), len(a) + len(b)
    ranks = stats.rankdata(together)
    _, ties = np.unique(together, return_counts=True)
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    if variance == 0:
        return 0.0
    return float((ranks[n:].sum() - m * (total + 1) / 2) / math.sqrt(variance))


def _on_grid(values: np.ndarray) -> np.ndarray:
    return np.round(values, 9)  # 0.1 * 3 and 0.3 are one value


def _moments(values: np.ndarray, text: str) -> str:
    quantiles = ", ".join(f"{q:.4g}" for q in np.quantile(values, [0, 0.1, 0.5, 0.9, 1]))
    return (
        f"{text}: n {len(values)}, mean {values.mean():.4g}, sd {values.std():.4g}, at {quantiles}"
    )


# -------------------------------------------------------------------------------------- answers


def same(a: Any, b: Any) -> bool:
    """Tell whether two answers are equal, up to the last digits of numbers in their texts."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, str) and isinstance(b, str) and a != b:
        if NUMBER.sub("#", a) != NUMBER.sub("#", b):
            return False
        pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
        return all(
            math.isclose(float(x), float(y), rel_tol=CLOSE, abs_tol=1e-300) for x, y in pairs
        )
    return type(a) is type(b) and a == b


def _agree(theirs: Answer, ours: Answer) -> bool:
    if "raised" in theirs and "raised" in ours:
        return theirs["raised"][0] in ours["raised"]
    return "raised" not in theirs and "raised" not in ours and same(theirs["value"], ours["value"])


def _text(answer: Answer) -> str:
    if "raised" in answer:
        names = " < ".join(answer["raised"][: 1 if len(answer["raised"]) < 3 else -1])
        return f"raises {names}: {answer['message']!r}"
    return f"gives {json.dumps(answer['value'])}"


def _apart(one: str, other: str) -> tuple[str, str]:
    """Return the parts of two texts around the place where they begin to differ."""
    start = next((i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), 0)
    start = max(0, start - 60)
    lead = "... " if start else ""
    return lead + one[start : start + 200], lead + other[start : start + 200]


def _kinds(value: Any, path: str, found: dict[str, set[str]]) -> None:
    """Note the types that stand at each path of a `shown` value."""
    kind, *rest = value
    found[path].add(kind)
    if len(rest) == 1 and isinstance(rest[0], list):
        for i, part in enumerate(rest[0]):
            is_pair = isinstance(part[0], list)
            key, inside = (part[0][-1], part[1]) if is_pair else (i, part)
            _kinds(inside, f"{path}/{kind}.{key}", found)


def read(directory: Path) -> tuple[list[Any], dict[str, np.ndarray], dict[str, Answer]]:
    """Read what probe.py wrote."""
    with np.load(directory / "draws.npz") as held:
        numbers = dict(held)
    return (
        json.loads((directory / "spaces.json").read_text()),
        numbers,
        json.loads((directory / "snippets.json").read_text()),
    )
