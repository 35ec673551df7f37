"""Tools on spaces: expr_to_config, Domain, clone, toposort, graph_viz."""

import numpy as np
from hyperopt import Domain, Trials, hp, pyll, rand
from hyperopt.base import Ctrl
from hyperopt.graph_viz import dot_hyperparameters
from hyperopt.pyll import as_apply, clone, rec_eval, toposort
from hyperopt.pyll_utils import expr_to_config

inner = hp.uniform("inner", 0, 1)
space = {
    "a": hp.choice("a", [1, {"b": hp.choice("b", [inner, 7])}, inner]),
    "c": hp.randint("c", 3),
}

configs = {}
expr_to_config(as_apply(space), (True,), configs)
assert set(configs) == {"a", "b", "c", "inner"}
assert configs["a"]["conditions"] == {(True,)}
assert configs["c"]["node"].name == "randint"
inner_conditions = configs["inner"]["conditions"]
assert len(inner_conditions) == 2  # reached in two ways
assert {len(c) for c in inner_conditions} == {2, 3}

domain = Domain(lambda p: float(p["c"]), space)
assert sorted(domain.params) == ["a", "b", "c", "inner"]
assert domain.params["inner"].name == "uniform"
assert domain.params["inner"].arg["low"].obj == 0
assert domain.params["inner"].arg["high"].obj == 1
assert domain.new_result() == {"status": "new"}
assert domain.workdir is None

trials = Trials()
docs = rand.suggest(trials.new_trial_ids(5), domain, trials, seed=3)
assert len(docs) == 5
for doc in docs:
    assert set(doc["misc"]["vals"]) == {"a", "b", "c", "inner"}
trials.insert_trial_docs(docs)
trials.refresh()
config = {"a": 1, "b": 0, "inner": 0.5, "c": 2}
memo = domain.memo_from_config(config)
assert rec_eval(domain.expr, memo=memo) == {"a": {"b": 0.5}, "c": 2}
ctrl = Ctrl(trials, current_trial=trials.trials[0])
result = domain.evaluate(config, ctrl)
assert result == {"loss": 2.0, "status": "ok"}
assert domain.loss(result) == 2.0
assert domain.status(result) == "ok"

graph = as_apply(space)
copied = clone(graph)
assert copied is not graph
assert str(copied) == str(graph)
order = toposort(graph)
assert order[-1] is graph
place = {id(node): i for i, node in enumerate(order)}
assert all(place[id(child)] < place[id(node)] for node in order for child in node.inputs())
assert len(pyll.dfs(graph)) == len(order)

dot = dot_hyperparameters(graph)
assert dot.lstrip().startswith("digraph")
assert all(label in dot for label in ("a", "b", "c", "inner"))
assert isinstance(np.random.default_rng(0), np.random.Generator)
print("OK")
