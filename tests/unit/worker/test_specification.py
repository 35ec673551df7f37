from __future__ import annotations

import pickle

import pytest

from sparktrials.dispatch.naming import Allowed, encode_argument
from sparktrials.errors import InvalidArgument
from sparktrials.study.values import dumps, loads
from sparktrials.worker.specification import Specification, named_task, pickled_task

FIELDS = {
    "point": {"x": 0.5, "c": 1},
    "seed": 7,
    "timeout_s": 2.5,
    "imports": ["sparktrials.compat.installed"],
    "argument": encode_argument({"x": 0.5}),
}


def written(**changes):
    return dumps({**FIELDS, **changes}).encode()


def test_a_specification_is_read():
    found = Specification.of(written())
    assert (found.point, found.seed, found.timeout_s) == (FIELDS["point"], 7, 2.5)
    assert found.imports == ("sparktrials.compat.installed",)


@pytest.mark.parametrize(
    "changes",
    [
        {"point": 3},
        {"point": {"x": "1"}},
        {"point": {"x": True}},
        {"seed": "7"},
        {"timeout_s": -1},
        {"timeout_s": True},
        {"imports": ["os"]},
        {"imports": "os"},
        {"imports": [["os"]]},
        {"argument": ["code", "x"]},
    ],
    ids=str,
)
def test_nothing_else_is_one(changes):
    with pytest.raises(ValueError):
        Specification.of(written(**changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b"\xff", b'{"point": {}}'])
def test_no_other_text_is_one(content):
    with pytest.raises(ValueError):
        Specification.of(content)


def test_the_argument_is_not_seen_as_a_label(tmp_path, monkeypatch):
    (tmp_path / "own_objective.py").write_text("def f(p): return p['x']")
    monkeypatch.syspath_prepend(tmp_path)
    found = Specification.of(written())
    task = named_task("own_objective:f", found, None, Allowed())
    objective, space = pickle.loads(pickle.dumps((task.objective, task.space)))
    point = dict(found.trial(3, 2).point)
    argument = space.build(point)
    assert argument == {"x": 0.5}
    assert point == FIELDS["point"]
    assert objective(argument) == 0.5


def test_an_objective_that_is_not_allowed_does_not_load():
    task = named_task("os:system", Specification.of(written()), None, Allowed())
    content = pickle.dumps(task.objective)
    with pytest.raises(InvalidArgument):
        pickle.loads(content)


def test_a_pickle_is_loaded_by_the_child_alone(capsys):
    payload = pickle.dumps(((), pickle.dumps(Loud()), pickle.dumps("space")))
    task = pickled_task(payload, Specification.of(written(argument=None)), None)
    content = pickle.dumps((task.objective, task.space))
    assert "loaded" not in capsys.readouterr().out
    assert pickle.loads(content) == (None, "space")
    assert "loaded" in capsys.readouterr().out


class Loud:
    def __reduce__(self):
        return print, ("loaded",)


def test_a_specification_has_no_objects():
    assert set(loads(written().decode())) == set(FIELDS)
