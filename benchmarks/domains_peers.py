"""Hyperopt's own benchmark domains, and runs on them: what ``domains.py`` shares with the peers.

    python domains_peers.py '{"algo": "tpe", "domains": ["branin"], "seeds": [0, 1]}'

Prints one JSON object: the version of Hyperopt, and by domain the losses of each seed's trials in
their order; or ``{"missing": reason}``. The domains are those of Hyperopt's ``test_domains.py``
(Bergstra et al.): spaces are made by the ``hp`` of either system, and losses by the same functions.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Domain(NamedTuple):
    """A space, a loss to minimize, and for how many trials.

    Attributes
    ----------
    space
        ``space(hp)`` makes it with the functions of either system.
    loss
        ``loss(values, noise)``: `noise` is a standard normal draw, by the seed and the number of
        the trial alone.
    budget
        Trials: those of Hyperopt's ``test_tpe.py``, 200 at most.
    optimum
        The smallest loss without noise.
    noisy
        Whether `noise` is used.
    """

    space: Callable[[Any], Any]
    loss: Callable[[Any, float], float]
    budget: int
    optimum: float
    noisy: bool = False


def _q1_lognormal(values: Any, _: float) -> float:
    return min(0.1 * (values["x"] - 10) ** 2, 10.0)


def _distractor(values: Any, _: float) -> float:
    x = values["x"]
    return -1 / (1 + math.exp(-x)) - 2 * math.exp(-((x + 10) ** 2))


def _gauss_wave(values: Any, _: float) -> float:
    t = values["t"]
    return -(math.sin(t) + 2 * math.exp(-((t / 5) ** 2)))


def _gauss_wave2(values: Any, noise: float) -> float:
    x = values["x"]
    return -(0.1 * noise + 2 * math.exp(-((x / 5) ** 2)) + math.sin(x) * values["hf"])


def _branin(values: Any, _: float) -> float:
    x, y = values["x"], values["y"]
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 * x / math.pi - 6
    return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def _many_dists(values: Any, _: float) -> float:
    return math.log(1e-12 + float(sum(values.values())) ** 2)


def _wave_space(hp: Any) -> Any:
    x = hp.uniform("x", -20, 20)
    return {"t": hp.choice("curve", [x, x + math.pi])}


def _many_space(hp: Any) -> Any:
    return {
        "a": hp.choice("a", [0, 1, 2]),
        "b": hp.randint("b", 10),
        "bb": hp.randint("bb", 12, 25),
        "c": hp.uniform("c", 4, 7),
        "d": hp.loguniform("d", -2, 0),
        "e": hp.quniform("e", 0, 10, 3),
        "f": hp.qloguniform("f", 0, 3, 2),
        "g": hp.normal("g", 4, 7),
        "h": hp.lognormal("h", -2, 2),
        "i": hp.qnormal("i", 0, 10, 2),
        "j": hp.qlognormal("j", 0, 2, 1),
        "k": hp.pchoice("k", [(0.1, 0), (0.9, 1)]),
    }


DOMAINS = {
    "quadratic1": Domain(
        lambda hp: {"x": hp.uniform("x", -5, 5)}, lambda v, _: (v["x"] - 3) ** 2, 200, 0.0
    ),
    "q1_lognormal": Domain(lambda hp: {"x": hp.lognormal("x", 0, 2)}, _q1_lognormal, 200, 0.0),
    "q1_choice": Domain(
        lambda hp: hp.choice(
            "o_x", [(-3, hp.uniform("x_neg", -5, 5)), (3, hp.uniform("x_pos", -5, 5))]
        ),
        lambda v, _: (v[0] - v[1]) ** 2,
        50,
        0.0,
    ),
    "n_arms": Domain(
        lambda hp: {"x": hp.choice("x", [0, 1])},
        lambda v, noise: noise - (v["x"] == 0),
        50,
        -1.0,
        noisy=True,
    ),
    "distractor": Domain(lambda hp: {"x": hp.uniform("x", -15, 15)}, _distractor, 100, -2.000045),
    "gauss_wave": Domain(_wave_space, _gauss_wave, 50, -2.835261),
    "gauss_wave2": Domain(
        lambda hp: {
            "x": hp.uniform("x", -20, 20),
            "hf": hp.choice("hf", [0, hp.uniform("amp", 0, 1)]),
        },
        _gauss_wave2,
        75,
        -2.835261,
        noisy=True,
    ),
    "many_dists": Domain(_many_space, _many_dists, 200, math.log(1e-12)),
    "branin": Domain(
        lambda hp: {"x": hp.uniform("x", -5.0, 10.0), "y": hp.uniform("y", 0.0, 15.0)},
        _branin,
        200,
        0.397887,
    ),
}


def losses_of(system: Any, algo: Any, name: str, seed: int) -> list[float]:
    """Return the losses of one study's trials; `system` has fmin, hp and Trials."""
    domain = DOMAINS[name]
    noise = np.random.default_rng([123, seed])
    losses: list[float] = []

    def objective(values: Any) -> float:
        losses.append(float(domain.loss(values, float(noise.standard_normal()))))
        return losses[-1]

    system.fmin(
        objective,
        domain.space(system.hp),
        algo=algo,
        max_evals=domain.budget,
        trials=system.Trials(),
        rstate=np.random.default_rng(seed),
        verbose=False,
        show_progressbar=False,
    )
    return losses


def main() -> None:
    warnings.simplefilter("ignore")
    request = json.loads(sys.argv[1])
    try:
        hyperopt = importlib.import_module("hyperopt")
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    algo = getattr(hyperopt, request["algo"]).suggest
    losses = {
        name: [losses_of(hyperopt, algo, name, seed) for seed in request["seeds"]]
        for name in request["domains"]
    }
    print(json.dumps({"version": hyperopt.__version__, "losses": losses}))


if __name__ == "__main__":
    main()
