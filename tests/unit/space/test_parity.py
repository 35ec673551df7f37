"""What Hyperopt itself gives for the same text: values, types, conditions, draws and refusals.

Runs the real Hyperopt in the Python that the environment variable SPARKTRIALS_PEERS names.
"""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from scipy import stats

from sparktrials import hp, scope
from sparktrials.space import compile_space, space_eval
from sparktrials.space.codec import Codec

TREES = [
    """hp.choice('a', [('case 1', 1 + hp.lognormal('c1', 0, 1)),
                       ('case 2', hp.uniform('c2', -10, 10))])""",
    "{'z': hp.uniform('z', 0, 1), 'a': hp.randint('a', 5), 'm': hp.uniformint('m', 0, 9)}",
    "[hp.quniform('q', 0, 10, 3), scope.int(hp.quniform('i', 1, 9, 1)), hp.randint('r', 2, 7)]",
    """(hp.loguniform('a', -5, 0), hp.qloguniform('b', -1, 3, 2), hp.normal('c', 0, 1),
        hp.qnormal('d', 0, 9, 2))""",
    """[hp.lognormal('a', 0, 1), hp.qlognormal('b', 0, 1, 0.5),
        hp.pchoice('p', [(0.2, 'x'), (0.8, ['y', 1])])]""",
    """{'b': [1, [2, {'d': 3, 'c': [hp.uniform('x', 0, 1)]}]],
        'a': (), 'n': None, 'e': {}, 'l': []}""",
    """hp.choice('m', [
        {'k': 'svm', 'C': hp.lognormal('C', 0, 1),
         'kernel': hp.choice('kernel', ['linear', {'rbf': hp.lognormal('width', 0, 1)}])},
        {'k': 'tree', 'd': hp.qlognormal('d', 3, 1, 1)}, 5])""",
    "(lambda x: [hp.choice('c', [{'x': x}, [x, 1], 'none']), 2])(hp.uniform('x', 0, 1))",
    "(lambda x: [hp.choice('c', [x, [x]]), hp.choice('d', [x, 0])])(hp.uniform('x', 0, 1))",
    """(lambda x: {'x': x, 'neg': -x, 'pow': x ** 2, 'div': 1 / x, 'sub': 1 - x, 'mul': 2 * x + x,
                   'floor': x // 0.3, 'lt': x < 0.5, 'ge': x >= 0.5})(hp.uniform('x', 0.1, 1))""",
    """[scope.exp(hp.uniform('x', 0, 1)), scope.log(hp.uniform('y', 1, 2)), scope.sqrt(4.0),
        scope.sin(1.0), scope.cos(1.0), scope.tan(1.0), scope.pow(2, 3), scope.sum([1, 2]),
        scope.minimum(1, hp.uniform('z', 0, 2)), scope.maximum(1, 2), scope.max([1, 3]),
        scope.min([1, 3])]""",
    "hp.choice('c', [(1, 2, 3), (4, 5, 6)])[1]",
    """{'n': scope.len([1, hp.uniform('x', 0, 1)]), 'f': scope.float(hp.randint('r', 3)),
        's': 'text'}""",
    "{1: hp.uniform('x', 0, 1), 0: 'zero'}",
    "hp.choice('a', [hp.choice('b', [hp.choice('c', [hp.uniform('x', 0, 1), 1]), 2]), 3])",
    "hp.choice('c', [True, False, None, 1.5, b'bytes', 'text', 3])",
    "hp.uniform('x', 0, 1)",
    "hp.randint('x', 3) + hp.uniformint('y', 0, 3)",
    "hp.choice(label='c', options=[hp.uniform('x', low=0, high=1), hp.normal('y', mu=0, sigma=1)])",
    """hp.pchoice('p', p_options=[(0.5, hp.randint('r', low=1, high=3)),
                                  (0.5, hp.quniform('q', 0, high=9, q=2))])""",
]

NUMBERS = [
    "hp.uniform('x', -3, 5)",
    "hp.quniform('x', 1, 10, 4)",
    "hp.quniform('x', 0.5, 3.4, 1)",
    "hp.uniformint('x', 0, 3)",
    "hp.loguniform('x', -5, 2)",
    "hp.qloguniform('x', -2, 2, 0.5)",
    "hp.normal('x', 2, 3)",
    "hp.qnormal('x', 0, 1, 1)",
    "hp.lognormal('x', 1, 0.5)",
    "hp.qlognormal('x', 0, 0.5, 1)",
    "hp.randint('x', 7)",
    "hp.randint('x', -2, 3)",
]

REFUSED = [
    "hp.uniform('x', 2, 1)",
    "hp.quniform('x', 2, 1, 1)",
    "hp.loguniform('x', 2, 1)",
    "hp.uniform(3, 0, 1)",
    "hp.choice(None, [1])",
    "hp.choice('x', 3)",
    "bool([][hp.uniform('x', 0, 1)])",
    "float(hp.uniform('x', 0, 1))",
    "int(hp.uniform('x', 0, 1))",
    "len(hp.uniform('x', 0, 1))",
]

N = 800

PEER = """
import json, sys
import numpy as np
from hyperopt import hp, space_eval
from hyperopt.pyll import scope, as_apply
from hyperopt.pyll.stochastic import sample
from hyperopt.pyll_utils import _expr_to_config
job = json.loads(sys.stdin.read())
exec(job["shown"])
def conditions(tree):
    found = {}
    _expr_to_config(as_apply(tree), (), found)  # expr_to_config fails on pchoice
    return {k: sorted(sorted([c.name, c.val] for c in term) for term in v["conditions"])
            for k, v in found.items()}
def refusal(text):
    try:
        eval(text)
    except Exception as error:
        return [c.__name__ for c in type(error).__mro__]
rng = np.random.default_rng(0)
print(json.dumps({
    "values": [[shown(space_eval(eval(tree), p)) for p in points] for tree, points in job["trees"]],
    "conditions": [conditions(eval(tree)) for tree, _ in job["trees"]],
    "numbers": [[float(sample(eval(text), rng)) for _ in range(job["n"])]
                for text in job["numbers"]],
    "refused": [refusal(text) for text in job["refused"]],
}))
"""

SHOWN = """
def shown(value):
    if isinstance(value, dict):
        return ["dict", [[shown(k), shown(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [shown(v) for v in value]]
    text = format(value, ".12g") if isinstance(value, float) else str(value)
    return [type(value).__name__, text]
"""


def made(text):
    return eval(text, {"hp": hp, "scope": scope})


def points_of(text):
    codec = Codec.of(compile_space(made(text)))
    return codec.decode(codec.from_unit(np.random.default_rng(0).random((12, len(codec)))))


@pytest.fixture(scope="module")
def peer():
    python = os.environ.get("SPARKTRIALS_PEERS")
    if not python:
        pytest.skip("SPARKTRIALS_PEERS names no Python with Hyperopt (make setup-peers makes one)")
    found = subprocess.run(
        [python, "-c", "import hyperopt; print(hyperopt.__version__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(
            f"the Python that SPARKTRIALS_PEERS names has no Hyperopt: {found.stderr[-200:]}"
        )
    job = {
        "shown": SHOWN,
        "trees": [[text, points_of(text)] for text in TREES],
        "numbers": NUMBERS,
        "refused": REFUSED,
        "n": N,
    }
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PEER],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("i", range(len(TREES)))
def test_the_objective_receives_what_hyperopt_gives_it(peer, i):
    namespace = {}
    exec(SHOWN, namespace)
    tree = made(TREES[i])
    ours = [namespace["shown"](space_eval(tree, p)) for p in points_of(TREES[i])]
    assert json.loads(json.dumps(ours)) == peer["values"][i]


@pytest.mark.parametrize("i", range(len(TREES)))
def test_the_same_labels_are_active(peer, i):
    space = compile_space(made(TREES[i]))
    theirs = peer["conditions"][i]
    assert sorted(space.labels) == sorted(theirs)
    for point in points_of(TREES[i]):
        active = [
            label
            for label, terms in theirs.items()
            if any(all(point.get(name) == value for name, value in term) for term in terms)
        ]
        assert sorted(active) == sorted(point)


@pytest.mark.parametrize("i", range(len(NUMBERS)))
def test_draws_are_distributed_alike(peer, i):
    space = compile_space(made(NUMBERS[i]))
    codec = Codec.of(space)
    U = np.random.default_rng(1).random((N, 1))
    ours = np.array([space.build(p) for p in codec.decode(codec.from_unit(U))])
    theirs = np.array(peer["numbers"][i])
    assert stats.ks_2samp(ours, theirs).pvalue > 0.005
    if space.parameters[0].distribution.__class__.__name__ == "Integer" or codec.step[0] > 0:
        common = [v for v in np.unique(theirs) if (theirs == v).mean() > 0.02]
        assert set(common) <= set(ours)


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_hyperopt_refuses_raises_a_subclass_here(peer, i):
    theirs = peer["refused"][i]
    with pytest.raises(Exception, match=r".") as e:
        made(REFUSED[i])
    ours = [c.__name__ for c in type(e.value).__mro__]
    assert theirs is not None
    assert theirs[0] in ours
