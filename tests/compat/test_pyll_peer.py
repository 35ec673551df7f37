"""Hyperopt itself beside ours: the same text gives the same expressions, draws and values.

Both run in one process, in the Python that the environment variable SPARKTRIALS_PEERS names.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

SOURCES = Path(__file__).parents[2] / "src"

WRITTEN = [
    "hp.uniform('x', 0, 1)",
    "hp.choice('a', [('one', 1 + hp.lognormal('c1', 0, 1)), ('two', hp.uniform('c2', -9, 9))])",
    "{'z': hp.uniformint('z', 0, 9), 'a': hp.randint('a', 5), 'm': [hp.randint('m', 2, 7)]}",
    "hp.pchoice('p', [(0.2, 'x'), (0.3, ['y', hp.quniform('q', 0, 10, 3)]), (0.5, None)])",
    "{1: hp.uniform('x', 0, 1), 0: 'zero', 2: {}}",
    "(lambda x: [hp.choice('c', [{'x': x}, [x, 1], 'none']), x, (x,)])(hp.uniform('x', 0, 1))",
    "(lambda x: [hp.choice('c', [x, [x]]), hp.choice('d', [x, 0])])(hp.normal('x', 0, 1))",
    "(lambda x: hp.choice('c', [x, x + 1, 2 - x]))(hp.uniform('x', 0, 1))",
    """(lambda x: {'neg': -x, 'pow': x ** 2, 'rpow': 2 ** x, 'div': 1 / x, 'sub': 1 - x,
                   'lt': x < 1, 'mul': 2 * x + x,
                   'floor': x // 0.3, 'rfloor': 7 // x, 'ge': x >= 0.5,
                   'le': x <= 1, 'gt': x > 1})(hp.uniform('x', 0.1, 1))""",
    """[scope.exp(hp.uniform('x', 0, 1)), scope.log(hp.uniform('y', 1, 2)), scope.sqrt(4.0),
        scope.sin(1.0), scope.cos(1.0), scope.tan(1.0), scope.pow(2, 3), scope.sum([1, 2]),
        scope.minimum(1, hp.uniform('z', 0, 2)), scope.maximum(1, 2), scope.max([1, 3], [2]),
        scope.min(1, 3), scope.asarray([1, 2], dtype='float'), scope.str_join('-', ['a', 'b']),
        scope.identity(4), scope.repeat(2, 'ab'), scope.array_union([2, 1], [3, 1]),
        scope.bincount([0, 1, 1]), scope.len([1, 2]), scope.range(3), scope.list((1, 2)),
        scope.dict(b=1, a=2), scope.getattr(1 + 2j, 'imag'), scope.int(2.7), scope.float(2),
        scope.call_method('ab', 'upper'), scope.copy_call_method_pure([1], 'count', 1)]""",
    "hp.choice('c', [(1, 2, 3), (4, 5, 6)])[1]",
    "scope.switch(hp.choice('c', [0, 1]), hp.uniform('x', 0, 1), 'other')",
    "scope.switch(scope.hyperopt_param('i', scope.randint(3)), 'a', hp.normal('n', 0, 1), 'c')",
    "scope.kwswitch(hp.choice('k', ['b', 'a']), a=hp.uniform('x', 0, 1), b='B')",
    "hp.choice('f', [len, sum])([1, 2, 3])",
    "hp.choice(label='c', options=[hp.uniform('x', low=0, high=1), hp.normal('y', mu=0, sigma=1)])",
    "hp.randint('r', low=2, high=5) + hp.quniform('q', 0, high=9, q=2)",
    "scope.int(hp.qloguniform('b', -1, 3, 2)) + scope.float(hp.randint('r', 4))",
    "[hp.qnormal('d', 0, 9, 2), hp.qlognormal('e', 0, 1, 0.5), hp.loguniform('l', -5, 0)]",
    "scope.callpipe1([scope.partial('add', 2), lambda v: scope.mul(v, 3)], hp.uniform('x', 0, 1))",
    "scope.partial('sub', 5)(hp.uniform('x', 0, 1))",
    "scope.triple(hp.uniform('x', 0, 1)) + scope.lazy(hp.randint('r', 3))",
    "hp.choice('c', [True, None, 1.5, b'bytes', 'text', np.arange(3.0), {1, 2}, complex(1)])",
]

REFUSED = [
    "hp.uniform('x', 2, 1)",
    "hp.quniform('x', 2, 1, 1)",
    "hp.loguniform('x', 2, 2)",
    "hp.uniform(3, 0, 1)",
    "hp.choice(None, [1])",
    "hp.choice('x', 3)",
    "bool(hp.uniform('x', 0, 1))",
    "float(hp.uniform('x', 0, 1))",
    "len(hp.uniform('x', 0, 1))",
    "[][hp.uniform('x', 0, 1)]",
    "scope.no_such_operation(1)",
    "scope.define(scope._impls['exp'])",
    "scope.import_({}, 'no_such_operation')",
    "scope.uniform(0, 1, wide=3).arg",
    "scope.switch(-1, 'a').eval.__self__ and rec_eval(scope.switch(-1, 'a'))",
    "rec_eval(scope.switch('one', 'a'))",
    "rec_eval(scope.switch(3, 'a'))",
    "rec_eval(1, {})",
    "scope.uniform(0, 1).set_kwarg('low', 3)",
    "scope.uniform(0, 1).clone_from_inputs([])",
    "as_apply((1, 2))[2]",
    "np.exp(hp.uniform('x', 0, 1))",
]

PEER = r"""
import json, sys, types
import numpy as np
import hyperopt, hyperopt.pyll, hyperopt.pyll_utils, hyperopt.graph_viz
import sparktrials.compat as ours
from sparktrials.compat import graph_viz, pyll_utils
from sparktrials.compat.pyll.convert import graph_of, is_graph, node_of
from sparktrials.space import compile_space
from sparktrials.space.codec import Codec

job = json.loads(sys.stdin.read())

def triple(x):
    return 3 * x

def surroundings(package, pyll):
    def lazy(x):
        return pyll.as_apply(x) + 1
    for f in (triple, lazy):
        pyll.scope.define(f)
    return {"hp": package.hp, "scope": pyll.scope, "as_apply": pyll.as_apply, "np": np,
            "rec_eval": lambda *a: pyll.rec_eval(*a, print_node_on_error=False)}

THEIRS = surroundings(hyperopt, hyperopt.pyll)
OURS = surroundings(ours, ours.pyll)

def shown(value):
    if isinstance(value, dict):
        return ["dict", [[shown(k), shown(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [shown(v) for v in value]]
    if isinstance(value, np.ndarray):
        return ["ndarray", str(value.dtype), value.shape, value.tolist()]
    return [type(value).__name__, str(value)]

def memo_of(pyll, graph, point):
    return {node: point[node.arg["label"].obj] for node in pyll.dfs(graph)
            if node.name == "hyperopt_param" and node.arg["label"].obj in point}

def conditions(module, graph):
    found = {}
    module.expr_to_config(graph, (), found)
    return {k: sorted(sorted(map(str, term)) for term in v["conditions"])
            for k, v in found.items()}

def attempt(f, *args):
    try:
        return f(*args)
    except Exception as error:
        return "refused", type(error).__name__

def compared(text):
    wrong = []
    def same(what, a, b):
        if a != b:
            wrong.append([what, repr(a), repr(b)])
    theirs = hyperopt.pyll.as_apply(eval(text, dict(THEIRS)))
    mine = ours.pyll.as_apply(eval(text, dict(OURS)))
    if "<" not in str(theirs):  # no function, which shows its address
        same("text", str(theirs), str(mine))
    same("order", [(n.name, n.o_len) for n in hyperopt.pyll.dfs(theirs)],
         [(n.name, n.o_len) for n in ours.pyll.dfs(mine)])
    for seed in range(3):
        same("sample",
             shown(hyperopt.pyll.stochastic.sample(theirs, np.random.default_rng(seed))),
             shown(ours.pyll.stochastic.sample(mine, np.random.default_rng(seed))))
    their_conditions = attempt(conditions, hyperopt.pyll_utils, theirs)
    if their_conditions[:1] != ("refused",) if isinstance(their_conditions, tuple) else True:
        same("conditions", their_conditions, conditions(pyll_utils, mine))
        same("dot", sorted(set(hyperopt.graph_viz.dot_hyperparameters(theirs).split("\n"))),
             sorted(set(graph_viz.dot_hyperparameters(mine).split("\n"))))
    spaces = {}
    trees = {"theirs": theirs, "mine": mine, "returned": graph_of(node_of(mine))}
    if "partial" not in text:  # it makes expressions, which must be the package's own
        trees["adopted"] = ours.pyll.as_apply(theirs)
    for name, tree in trees.items():
        same(f"is_graph {name}", is_graph({"a": [tree]}), True)
        spaces[name] = compile_space(node_of(tree))
    prints = {s.fingerprint for s in spaces.values()}
    same("one fingerprint", len(prints), 1)
    space = spaces["mine"]
    codec = Codec.of(space)
    for point in codec.decode(codec.from_unit(np.random.default_rng(0).random((8, len(codec))))):
        expected = shown(hyperopt.pyll.rec_eval(theirs, memo=memo_of(hyperopt.pyll, theirs, point)))
        same("rec_eval", expected,
             shown(ours.pyll.rec_eval(mine, memo=memo_of(ours.pyll, mine, point))))
        for name, s in spaces.items():
            same(f"built from {name}", expected, shown(s.build(point)))
    return wrong

def refusals(text):
    found = []
    for names in (THEIRS, OURS):
        try:
            eval(text, dict(names))
            found.append([])
        except Exception as error:
            found.append([c.__name__ for c in type(error).__mro__])
    return found

print(json.dumps({
    "compared": [compared(text) for text in job["spaces"]],
    "refused": [refusals(text) for text in job["refused"]],
}))
"""


class Writer:
    """Writes random spaces as text."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def one_of(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def number(self):
        self.count += 1
        low = float(np.round(self.rng.normal(), 2))
        high = low + float(np.round(self.rng.uniform(0.5, 4), 2))
        q = self.one_of(0.1, 0.5, 1, 2)
        return self.one_of(
            "hp.uniform({0!r}, {1}, {2})",
            "hp.loguniform({0!r}, {1}, {2})",
            "hp.quniform({0!r}, {1}, {2}, {3})",
            "hp.qloguniform({0!r}, low={1}, high={2}, q={3})",
            "hp.normal({0!r}, {1}, {3})",
            "hp.lognormal({0!r}, mu={1}, sigma={3})",
            "hp.qnormal({0!r}, {1}, 2, {3})",
            "hp.qlognormal({0!r}, {1}, 1, {3})",
            "hp.randint({0!r}, 5)",
            "hp.randint({0!r}, -3, 4)",
            "hp.uniformint({0!r}, {1}, {2})",
            "scope.int(hp.quniform({0!r}, 0, 9, {3}))",
        ).format(f"p{self.count}", low, high, q)

    def space(self, depth):
        if not depth:
            return self.one_of(self.number(), self.number(), "'text'", "None", "[1, 'a']", "{}")
        kind = self.one_of("number", "choice", "pchoice", "list", "dict", "sum", "shared", "pair")
        if kind == "number":
            return self.number()
        if kind == "sum":
            return f"({self.number()} * 2 + {self.number()})"
        parts = [self.space(depth - 1) for _ in range(int(self.rng.integers(1, 4)))]
        rest = ", ".join(parts)
        p = self.rng.dirichlet(np.ones(len(parts))).round(3)
        p[0] += 1 - p.sum()
        self.count += 1
        label = f"p{self.count}"
        x = self.number()
        return {
            "choice": f"hp.choice({label!r}, [{rest}])",
            "pchoice": f"hp.pchoice({label!r}, ["
            + ", ".join(f"({v:.3f}, {part})" for v, part in zip(p, parts, strict=True))
            + "])",
            "dict": "{" + ", ".join(f"'k{9 - i}': {part}" for i, part in enumerate(parts)) + "}",
            "shared": f"(lambda x: hp.choice({label!r}, [x, {{'x': x, 'rest': [{rest}]}}]))({x})",
            "pair": f"scope.pos_args({rest})",
            "list": f"[{rest}]",
        }[kind]


SPACES = [*WRITTEN, *(f"{{'s': {Writer(seed).space(3)}}}" for seed in range(60))]


@pytest.fixture(scope="module")
def peer():
    python = os.environ.get("SPARKTRIALS_PEERS")
    if not python:
        pytest.skip("SPARKTRIALS_PEERS names no Python with Hyperopt (make setup-peers makes one)")
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PEER],
        input=json.dumps({"spaces": SPACES, "refused": REFUSED}),
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named 'hyperopt'" in done.stderr:
        pytest.skip("the Python that SPARKTRIALS_PEERS names has no Hyperopt")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("i", range(len(SPACES)))
def test_expressions_draws_conditions_and_values_are_hyperopts(peer, i):
    assert peer["compared"][i] == [], SPACES[i]


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_hyperopt_refuses_raises_a_subclass_here(peer, i):
    theirs, ours = peer["refused"][i]
    assert theirs, "Hyperopt takes this"
    assert theirs[0] in ours
