"""What is said of a space that is not the stored one stays short."""

from __future__ import annotations

import pytest

from sparktrials import Trials, fmin, hp, rand
from sparktrials.errors import SpaceMismatch


def test_the_first_differences_are_shown(tmp_path):
    def space(high):
        return {f"x{i:03}": hp.uniform(f"x{i:03}", 0, high) for i in range(100)}

    given = {"algo": rand.suggest, "max_evals": 1, "show_progressbar": False}
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    fmin(lambda _: 0.0, space(1), trials=Trials(url), **given)
    with pytest.raises(SpaceMismatch) as caught:
        fmin(lambda _: 0.0, space(2), trials=Trials(url), **given)
    lines = str(caught.value).splitlines()
    assert len(lines) < 10
    assert lines[1] == "  'x000': stored uniform(0, 1); given uniform(0, 2)"
    assert "  and 95 more" in lines
    assert "The stored space has 100 parameters, the given one 100." in lines
