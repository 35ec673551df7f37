"""nevergrad: its optimizer "HyperOpt" asks and tells with Domain, Trials and tpe.suggest.

It names the bounds of hp.randint (`low=1, high=12`); Hyperopt 0.3.0 then draws outside of them as
soon as TPE has a model, and this program fails there.
"""

import warnings

import nevergrad as ng
import numpy as np
from nevergrad.optimization.externalbo import HyperOpt, ParametrizedHyperOpt

assert ng.optimizers.registry["HyperOpt"] is HyperOpt

# A structured space becomes one of Hyperopt's.
parametrization = ng.p.Instrumentation(
    ng.p.Log(lower=1e-4, upper=1.0),
    width=ng.p.Scalar(lower=1, upper=12).set_integer_casting(),
    shift=ng.p.Scalar(lower=-2.0, upper=2.0),
    kind=ng.p.Choice(["linear", "cubic"]),
)
parametrization.random_state.seed(12)


def loss(rate, width, shift, kind):
    assert 1 <= width <= 12
    assert 1e-4 <= rate <= 1
    return (np.log10(rate) + 2) ** 2 + abs(width - 7) + shift**2 + (kind == "linear")


optimizer = HyperOpt(parametrization, budget=70)
assert set(optimizer.domain.params) == {"0", "width", "shift", "kind"}
recommendation = optimizer.minimize(loss)
value = loss(*recommendation.args, **recommendation.kwargs)
print(recommendation.kwargs, value)
assert value < 5
assert recommendation.kwargs["kind"] == "cubic"
losses = optimizer.trials.losses()
assert len(losses) == 70
assert value == min(losses)
assert np.median(losses[-25:]) < np.median(losses[:20])
assert optimizer.trials.statuses() == ["ok"] * 70
assert optimizer.trials.argmin["width"] + 0 in range(1, 13)

# Points that were not asked for are told, too; several are pending at a time.
warnings.simplefilter("ignore")
parametrization = ng.p.Instrumentation(
    x=ng.p.Scalar(lower=-1.0, upper=1.0), y=ng.p.Scalar(lower=-1.0, upper=1.0)
)
parametrization.random_state.seed(3)
optimizer = ParametrizedHyperOpt(n_startup_jobs=5, gamma=0.3)(
    parametrization, budget=30, num_workers=3
)
outsider = parametrization.spawn_child(new_value=((), {"x": 0.25, "y": -0.25}))
optimizer.tell(outsider, 0.0)
assert optimizer.trials.losses() == [0.0]
assert optimizer.trials.vals == {"x": [0.25], "y": [-0.25]}
for _ in range(8):
    candidates = [optimizer.ask() for _ in range(3)]
    for candidate in reversed(candidates):
        x, y = candidate.kwargs["x"], candidate.kwargs["y"]
        optimizer.tell(candidate, (x - 0.25) ** 2 + (y + 0.25) ** 2)
assert len(optimizer.trials) == 25
best = optimizer.provide_recommendation().kwargs
assert abs(best["x"] - 0.25) < 0.3

# Arrays have no counterpart: the cube [0, 1]^n stands for them.
optimizer = HyperOpt(4, budget=40)
optimizer.parametrization.random_state.seed(0)
best = optimizer.minimize(lambda v: float(((v - 0.5) ** 2).sum()))
assert set(optimizer.trials.vals) == {"x_0", "x_1", "x_2", "x_3"}
assert float(((best.value - 0.5) ** 2).sum()) < 2
print("OK")
