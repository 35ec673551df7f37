"""Ask and tell, as Ray Tune's HyperOptSearch does it: Domain, suggest, documents by hand.

The calls are those of a searcher that lives in another framework: it asks for configurations,
trials end in any order, some fail, and it is pickled and restored half-way.
"""

import copy
import pickle
from functools import partial

import hyperopt as hpo
import numpy as np
from hyperopt.fmin import generate_trials_to_calculate
from hyperopt.pyll import Apply


class Searcher:
    def __init__(self, space, points=None, n_initial_points=5, gamma=0.25, seed=0):
        self.algo = partial(hpo.tpe.suggest, n_startup_jobs=n_initial_points)
        self.algo = partial(self.algo, gamma=gamma)
        self.space = space
        self.rstate = np.random.RandomState(seed)
        self.live = {}
        if points is None:
            self.trials = hpo.Trials()
            self.points = 0
        else:
            points = [self.with_indices(point) for point in points]
            self.trials = generate_trials_to_calculate(list(reversed(points)))
            self.trials.refresh()
            self.points = len(points)
        self.domain = hpo.Domain(lambda config: config, space)

    def with_indices(self, point):
        """Replace the values of choices by their positions."""
        point = copy.deepcopy(point)
        for key, value in point.items():
            node = self.space[key]
            if isinstance(node, Apply) and node.name == "switch":
                options = [arg.obj for arg in node.pos_args[1:] if arg.name == "literal"]
                point[key] = options.index(value)
        return point

    def suggest(self, trial_id):
        if self.points > 0:
            new_trial = self.trials.trials[self.points - 1]
            self.points -= 1
        else:
            new_ids = self.trials.new_trial_ids(1)
            self.trials.refresh()
            seed = self.rstate.randint(2**31 - 1)
            new_trials = self.algo(new_ids, self.domain, self.trials, seed)
            self.trials.insert_trial_docs(new_trials)
            self.trials.refresh()
            new_trial = new_trials[0]
        self.live[trial_id] = new_trial["tid"]

        config = hpo.base.spec_from_misc(new_trial["misc"])
        ctrl = hpo.base.Ctrl(self.trials, current_trial=new_trial)
        memo = self.domain.memo_from_config(config)
        hpo.utils.use_obj_for_literal_in_memo(self.domain.expr, ctrl, hpo.base.Ctrl, memo)
        suggested = hpo.pyll.rec_eval(
            self.domain.expr,
            memo=memo,
            print_node_on_error=self.domain.rec_eval_print_node_on_error,
        )
        return copy.deepcopy(suggested)

    def document(self, trial_id):
        return next(t for t in self.trials.trials if t["tid"] == self.live[trial_id])

    def complete(self, trial_id, loss=None):
        document = self.document(trial_id)
        now = hpo.utils.coarse_utcnow()
        document["book_time"] = now
        document["refresh_time"] = now
        if loss is None:
            document["state"] = hpo.base.JOB_STATE_ERROR
            document["misc"]["error"] = ("RuntimeError", "it broke")
        else:
            document["state"] = hpo.base.JOB_STATE_DONE
            document["result"] = {"loss": loss, "status": "ok"}
        self.trials.refresh()
        del self.live[trial_id]


space = {
    "width": hpo.hp.uniform("width", 0, 20),
    "height": hpo.hp.uniform("height", -100, 100),
    "activation": hpo.hp.choice("activation", ["relu", "tanh"]),
}
given = [
    {"width": 1.0, "height": 2.0, "activation": "relu"},
    {"width": 4.0, "height": 50.0, "activation": "tanh"},
]


def evaluated(config):
    return (config["width"] - 10) ** 2 + abs(config["height"]) + (config["activation"] == "relu")


searcher = Searcher(space, points=given)
losses = []

# The given points come first, and in this order.
assert searcher.suggest("a") == given[0]
assert searcher.suggest("b") == given[1]
searcher.complete("b", evaluated(given[1]))
searcher.complete("a", evaluated(given[0]))
assert searcher.trials.losses() == [evaluated(given[1]), evaluated(given[0])]

# Batches of three under way at a time, told in another order; every tenth trial breaks.
for batch in range(20):
    names = [f"{batch}-{i}" for i in range(3)]
    configs = {name: searcher.suggest(name) for name in names}
    assert {type(c["width"]) for c in configs.values()} <= {float, np.float64}
    for n, name in enumerate(reversed(names)):
        if (3 * batch + n) % 10 == 9:
            searcher.complete(name)
        else:
            losses.append(evaluated(configs[name]))
            searcher.complete(name, losses[-1])
    if batch == 10:
        state = pickle.dumps({"trials": searcher.trials, "rstate": searcher.rstate.get_state()})
        searcher = Searcher(space)
        restored = pickle.loads(state)
        searcher.trials = restored["trials"]
        searcher.rstate.set_state(restored["rstate"])

assert not searcher.live
assert len(searcher.trials.losses()) == 2 + len(losses) == 56
tids = [t["tid"] for t in searcher.trials._dynamic_trials]
assert len(set(tids)) == len(tids) == 62  # those that broke are in there
assert min(searcher.trials.losses()) == min(*losses, 46.0 + 41)
print(np.mean(losses[:20]), np.mean(losses[-20:]))
assert np.mean(losses[-20:]) < np.mean(losses[:20])
print("OK")
