"""sparktrials beside the real Hyperopt: generated spaces and small programs, run by both.

Every difference must be one of ``differential/known_differences.py``, which docs/compat.md shows;
and each of those must still be real. The real Hyperopt runs in the Python that the environment
variable SPARKTRIALS_PEERS names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from tests.compat.differential import compare
from tests.compat.differential.known_differences import KNOWN, rows
from tests.compat.differential.spaces import Param, make_space

ROOT = Path(__file__).parents[2]
PROBE = Path(__file__).parent / "differential" / "probe.py"
SPACES = 200


def probed(command, directory):
    done = subprocess.run(
        [*command, str(PROBE), str(directory), "0", str(SPACES)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return compare.read(directory)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    python = os.environ.get("SPARKTRIALS_PEERS")
    if not python:
        pytest.skip("SPARKTRIALS_PEERS names no Python with Hyperopt (make setup-peers makes one)")
    version = "import hyperopt, numpy; print(numpy.__version__)"
    found = subprocess.run(
        [python, "-W", "ignore", "-c", version], capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.skip("the Python that SPARKTRIALS_PEERS names has no Hyperopt")
    if found.stdout.split(".")[0] != np.__version__.split(".")[0]:
        pytest.skip(f"numpy {np.__version__} here and {found.stdout.strip()} there: other types")
    return probed([python], tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def ours(theirs, tmp_path_factory):
    return probed([sys.executable, "-m", "sparktrials.compat"], tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def differences(theirs, ours):
    return [
        *compare.spaces(theirs[0], ours[0]),
        *compare.draws(theirs[1], ours[1]),
        *compare.snippets(theirs[2], ours[2]),
    ]


def no_other(differences, start):
    """Fail with those at places that begin with `start` and are not in the table."""
    found = [d for d in differences if d.where.startswith(start)]
    by_place = defaultdict(list)
    for difference in found:
        if not any(known.explains(difference) for known in KNOWN):
            by_place[difference.where].append(difference)
    if by_place:
        texts = [f"{len(some)} x {some[0]}" for some in by_place.values()]
        pytest.fail("\n".join(["differences that are not in the table:", *texts]), pytrace=False)


@pytest.mark.slow
@pytest.mark.parametrize("part", sorted(compare.PARTS))
def test_generated_spaces(differences, part):
    no_other(differences, f"generated/{part}")


@pytest.mark.slow
def test_draws_are_distributed_alike(differences):
    no_other(differences, "draws")


@pytest.mark.slow
@pytest.mark.parametrize("area", ["space", "objective", "argument", "trials", "other"])
def test_small_programs(differences, area):
    no_other(differences, f"{area}/")


@pytest.mark.slow
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.id)
def test_a_known_difference_is_real(differences, known):
    idle = known.idle(differences)
    assert not idle, f"{idle} is no difference any more: take it out of the table"


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.id)
def test_a_known_difference_is_documented(known):
    page = (ROOT / "docs" / "compat.md").read_text(encoding="utf-8")
    command = "python -m tests.compat.differential.known_differences docs/compat.md"
    assert rows([known])[0] in page, f"the table lacks it; this writes it: {command}"


@pytest.mark.slow
def test_every_space_was_drawn_from(theirs, ours):
    for answers in (theirs[0], ours[0]):
        assert len(answers) == SPACES
        ran = sum("value" in answer["random"] for answer in answers)
        assert ran > 0.95 * SPACES
    labels = {key.rpartition("|")[0] for key in ours[1]}
    assert len(labels) > 4 * SPACES


# ------------------------------------------------------------- the comparison sees what it should


def test_texts_are_the_same_in_every_run():
    assert make_space(7).text == make_space(7).text
    assert len({make_space(seed).text for seed in range(SPACES)}) > 0.95 * SPACES


def test_every_kind_is_generated():
    kinds = {p.kind for seed in range(SPACES) for p in make_space(seed).params.values()}
    assert len(kinds) == 11  # pchoice is a choice
    text = "".join(make_space(seed).text for seed in range(SPACES))
    assert all(f"hp.{kind}(" in text for kind in (*kinds, "pchoice"))


def drawn(shift=0.0, scale=1.0, seed=1, n=1000):
    return {
        f"{seed}|{label}|batch": np.random.default_rng([seed, i]).normal(shift, scale, n)
        for i, label in enumerate("abcdefgh")
    }


def compared(monkeypatch, theirs, ours):
    made = make_space(1)
    made.params = {k: Param(k, "normal", {"mu": 0, "sigma": 1}) for k in "abcdefgh"}
    monkeypatch.setattr(compare, "make_space", lambda _: made)
    return compare.draws(theirs, ours)


def test_equal_distributions_pass(monkeypatch):
    theirs = {k: v[::-1] * -1 for k, v in drawn().items()}
    assert not compared(monkeypatch, theirs, drawn())


@pytest.mark.parametrize("how", [{"shift": 0.12}, {"scale": 1.15}])
def test_small_faults_of_a_kind_are_seen(monkeypatch, how):
    theirs = {k: v[::-1] * -1 for k, v in drawn().items()}
    assert compared(monkeypatch, theirs, drawn(**how))


def test_a_value_beside_the_grid_is_seen():
    param = Param("x", "quniform", {"low": 0, "high": 10, "q": 3})
    assert compare.allowed(param, np.array([0.0, 3.0, 9.0])).all()
    assert not compare.allowed(param, np.array([-3.0, 10.0, 4.0, 12.0])).any()


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (["float", "0.1"], ["float", "0.10000000000000002"], True),
        (["float", "0.1"], ["float", "0.1001"], False),
        (["float", "1.0"], ["int", "1"], False),
        (["list", [["int", "1"]]], ["tuple", [["int", "1"]]], False),
        (["dict", [["a", 1], ["b", 2]]], ["dict", [["b", 2], ["a", 1]]], False),
    ],
)
def test_what_counts_as_equal(a, b, equal):
    assert compare.same(a, b) is equal


def test_an_exception_must_be_one_of_hyperopts():
    theirs = {"s": {"raised": ["InvalidLoss", "ValueError", "Exception"], "message": ""}}
    ours = {"raised": ["MissingLoss", "InvalidLoss", "ValueError", "Exception"], "message": ""}
    assert not compare.snippets(theirs, {"s": ours})
    assert compare.snippets({"s": ours}, theirs)
    assert compare.snippets(theirs, {"s": {"value": ["int", "1"]}})
