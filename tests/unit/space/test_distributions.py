"""Distributions as text: what messages and stores show."""

from __future__ import annotations

import pytest

from sparktrials import hp
from sparktrials.space import compile_space


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (hp.uniform("x", 0, 1), "uniform(0, 1)"),
        (hp.uniform("x", 0, 1.0000001), "uniform(0, 1.0000001)"),
        (hp.quniform("x", 0, 1, 0.1), "quniform(0, 1, q=0.1)"),
        (hp.loguniform("x", -5, 0), "loguniform(-5, 0)"),
        (hp.qloguniform("x", -5, 0, 2), "qloguniform(-5, 0, q=2)"),
        (hp.uniformint("x", 0, 9), "uniformint(0, 9)"),
        (hp.uniformint("x", 0, 9, q=3), "uniformint(0, 9, q=3)"),
        (hp.normal("x", 0, 1), "normal(0, 1)"),
        (hp.qnormal("x", 0, 1, 0.5), "qnormal(0, 1, q=0.5)"),
        (hp.lognormal("x", 0, 1e-300), "lognormal(0, 1e-300)"),
        (hp.qlognormal("x", 0, 1, 1), "qlognormal(0, 1, q=1)"),
        (hp.randint("x", 5), "randint(0, 5)"),
        (hp.randint("x", -5, 2**53), "randint(-5, 9007199254740992)"),
        (hp.choice("x", [1, 2, 3]), "choice of 3"),
        (hp.pchoice("x", [(0.25, 1), (0.75, 2)]), "pchoice(0.25, 0.75)"),
    ],
)
def test_text(node, text):
    assert str(compile_space(node).parameters[0].distribution) == text
