"""bayesmark: its wrapper suggests and observes in batches; documents are changed in place."""

import numpy as np
from bayesmark.builtin_opt.hyperopt_optimizer import HyperoptOptimizer

api_config = {
    "max_depth": {"type": "int", "space": "linear", "range": (1, 15)},
    "min_samples": {"type": "int", "space": "log", "range": (2, 64)},
    "fraction": {"type": "real", "space": "logit", "range": (0.01, 0.99)},
    "alpha": {"type": "real", "space": "linear", "range": (-1.0, 1.0)},
    "warm": {"type": "bool"},
    "batch": {"type": "int", "space": "log", "values": (8, 16, 32, 64)},
}
optimizer = HyperoptOptimizer(api_config, random=np.random.RandomState(1))
assert sorted(optimizer.domain.params) == sorted(api_config)
seen = []
for _ in range(15):
    suggestions = optimizer.suggest(n_suggestions=4)
    assert len(suggestions) == 4
    losses = []
    for guess in suggestions:
        assert set(guess) == set(api_config)
        assert isinstance(guess["max_depth"], int)
        assert 1 <= guess["max_depth"] <= 15
        assert 0.01 <= guess["fraction"] <= 0.99
        assert isinstance(guess["warm"], bool)
        assert guess["batch"] in {8, 16, 32, 64}
        losses.append(abs(guess["max_depth"] - 6) + 3 * abs(guess["alpha"] - 0.5))
    seen += losses
    optimizer.observe(suggestions, losses)
print(np.mean(seen[:20]), np.mean(seen[-20:]))
assert optimizer.trials.losses() == seen
assert optimizer.trial_id_lookup == {}
assert np.mean(seen[-20:]) < np.mean(seen[:20])
print("OK")
