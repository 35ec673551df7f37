"""aqua-blue-hyperopt: algorithms as members of an Enum, spaces at import time."""

import warnings

import numpy as np
from aqua_blue.readouts import LinearReadout
from aqua_blue.time_series import TimeSeries
from aqua_blue_hyperopt.hyper import Algo, ModelParams, Optimizer, default_loss, default_space
from hyperopt import Trials

warnings.simplefilter("ignore")
t = np.linspace(0, 20, 200)
values = np.vstack((np.cos(t), np.sin(t))).T
series = TimeSeries(dependent_variable=values[:150], times=t[:150])
params = ModelParams(
    time_series=series,
    input_dimensionality=2,
    reservoir_dimensionality=20,
    horizon=50,
    actual_future=values[150:],
    readout=LinearReadout,
)
assert set(default_space) == {"spectral_radius", "leaking_rate", "sparsity", "rcond"}

for algo in (Algo.TREE_PARZEN_ESTIMATOR, Algo.GRID_SEARCH, Algo.SIMULATED_ANNEALING):
    trials = Trials()
    optimizer = Optimizer(max_evals=6, fn=default_loss(params), algo=algo, trials=trials)
    best = optimizer.optimize()
    assert set(best) == set(default_space)
    assert len(trials) == 6
    assert min(loss for loss in trials.losses() if loss is not None) >= 0
    print(algo, best)
print("OK")
