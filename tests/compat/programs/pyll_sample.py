"""Looking at a space before searching it: sample, print, evaluate parts by hand."""

import numpy as np
from hyperopt import hp, pyll, space_eval
from hyperopt.pyll import as_apply, scope
from hyperopt.pyll.stochastic import sample

space = {
    "layers": hp.choice("layers", [1, 2, 3]),
    "units": scope.int(hp.quniform("units", 16, 64, 16)),
    "rate": hp.uniform("rate", 0.0, 0.5),
}

rng = np.random.default_rng(0)
draws = [sample(space, rng=rng) for _ in range(40)]
assert {d["layers"] for d in draws} == {1, 2, 3}
assert {d["units"] for d in draws} == {16, 32, 48, 64}
assert all(isinstance(d["units"], int) for d in draws)
assert all(0 <= d["rate"] <= 0.5 for d in draws)
assert len({d["rate"] for d in draws}) == 40

# The same generator gives the same draws, and without one there is one all the same.
assert sample(space, np.random.default_rng(3)) == sample(space, np.random.default_rng(3))
assert sample(hp.uniform("x", 2, 3)) < 3

# A space is a graph of Apply nodes.
graph = as_apply(space)
text = str(graph)
print(text)
assert "hyperopt_param" in text
assert "Literal{units}" in text
names = [node.name for node in pyll.dfs(graph)]
assert names.count("hyperopt_param") == 3
assert names.count("switch") == 1
labels = [node.arg["label"].obj for node in pyll.dfs(graph) if node.name == "hyperopt_param"]
assert sorted(labels) == ["layers", "rate", "units"]

# Expressions are evaluated where everything in them is known.
assert (as_apply(3) * 4 + 2).eval() == 14
assert pyll.rec_eval(scope.sqrt(as_apply(16.0))) == 4.0
assert scope.max(as_apply([1, 5, 3])).eval() == 5
assert as_apply({"a": [1, 2, 3]})["a"][1].eval() == 2

assert space_eval(space, {"layers": 2, "units": 32.0, "rate": 0.25}) == {
    "layers": 3,
    "units": 32,
    "rate": 0.25,
}
print("OK")
