"""Pickles of Hyperopt's Trials, as its releases wrote them, go on here."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparktrials import Trials, fmin, hp, rand, space_eval
from sparktrials.api.saving import load_trials
from sparktrials.errors import SpaceMismatch, StoreError, StoreUnavailable

FOLDER = Path(__file__).parent / "pickles"
RELEASES = ("0.2.5", "0.2.7", "0.3.0")


def space():
    """The space of pickles/make.py."""
    inner = {"n": hp.quniform("n", 1, 9, 2), "i": hp.randint("i", 4)}
    return {"x": hp.uniform("x", -5, 5), "kind": hp.choice("kind", ["plain", inner])}


def objective(point):
    return (point["x"] - 1) ** 2


def goes_on(trials):
    best = fmin(
        objective, space(), algo=rand.suggest, max_evals=20, trials=trials, rstate=1, verbose=False
    )
    assert len(trials) == 19, "20 in all, the one that raised is hidden"
    assert trials.trials[-1]["tid"] == 19
    given = next(d for d in trials.trials if d["tid"] == 11)
    assert given["result"]["loss"] == 0.0, "the trial that was waiting has been evaluated"
    assert best["x"] == 1.0
    assert space_eval(space(), best) == {"kind": "plain", "x": 1.0}


@pytest.fixture(params=RELEASES)
def file(request):
    return FOLDER / f"hyperopt-{request.param}.pkl"


def test_what_is_in_it(file):
    trials = load_trials(file)
    assert [d["state"] for d in trials._dynamic_trials] == [2, 2, 2, 3, 2, 2, 2, 2, 2, 2, 2, 0]
    assert len(trials) == 11
    assert trials.statuses() == ["ok"] * 3 + ["ok", "fail"] + ["ok"] * 5 + ["new"]
    assert trials.losses()[-1] is None
    assert trials.best_trial["result"]["loss"] == min(x for x in trials.losses() if x is not None)
    assert trials.results[0]["extra"] == [1, 2.5]
    assert trials.trial_attachments(trials.trials[0])["note"] == b"about x"
    error = trials._dynamic_trials[3]["misc"]["error"]
    assert error == ("<class 'RuntimeError'>", "the fourth goes wrong")
    assert trials.history[3].failure.type == "RuntimeError"
    assert isinstance(trials.argmin["x"], float)
    assert int(trials.argmin["kind"]) == 1


def test_it_goes_on(file):
    goes_on(load_trials(file))


def test_it_goes_on_after_another_pickle(file):
    trials = pickle.loads(pickle.dumps(load_trials(file)))
    assert trials.trial_attachments(0)["note"] == b"about x"
    goes_on(trials)


def test_it_loads_under_hyperopts_name(file):
    if "0.3.0" in file.name and np.__version__ < "2":
        pytest.skip("it was written with numpy 2, which numpy 1 does not read by itself")
    code = (
        "import pickle, sys\n"
        "with open(sys.argv[1], 'rb') as file:\n"
        "    trials = pickle.load(file)\n"
        "import hyperopt\n"
        "assert type(trials) is hyperopt.Trials, type(trials)\n"
        "assert len(trials) == 11\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sparktrials.compat as c; c.install()\n{code}", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_import_makes_it_durable(file, tmp_path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    command = [Path(sys.executable).parent / "sparktrials", "import", "--trust-pickle", file, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 trials" in done.stdout
    assert "9 with a loss" in done.stdout
    trials = Trials(url)
    assert trials.statuses() == ["ok"] * 4 + ["fail"] + ["ok"] * 5 + ["new"]
    assert trials.trial_attachments(0)["note"] == b"about x"
    goes_on(trials)
    assert len(Trials(url)) == 19
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "has 20 trials already" in again.stderr
    other = subprocess.run([*command, "--exp-key", "b"], capture_output=True, text=True, check=True)
    assert "'b'" in other.stdout


def test_another_space(file):
    """What ended stays and counts; what waits must fit."""
    trials = load_trials(file)
    other = {"x": hp.uniform("x", -5, 5), "new": hp.uniform("new", 0, 1)}
    with pytest.raises(ValueError, match="trial 11 lacks 'new'"):
        fmin(objective, other, trials=trials, max_evals=15)
    goes_on(trials)
    with pytest.warns(UserWarning, match="20 of 20 trials do not fit"):
        fmin(objective, other, rand.suggest, 22, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 21
    assert trials.trials[0]["misc"]["vals"]["kind"]
    assert len(trials.vals["new"]) == 2
    narrower = {"x": hp.uniform("x", 0, 2)}
    fmin(objective, narrower, rand.suggest, 24, trials=trials, rstate=0, verbose=False)
    assert len(trials) == 23
    assert len(trials.vals["x"]) == 23
    assert trials.argmin["x"] == 1.0


def test_a_durable_history_is_of_one_space(file, tmp_path):
    trials = Trials(f"sqlite:///{tmp_path / 'runs.db'}")
    trials.adopt(load_trials(file))
    goes_on(trials)
    with pytest.raises(SpaceMismatch, match="kind"):
        fmin(objective, {"x": hp.uniform("x", -5, 5)}, trials=trials, max_evals=30)
    assert len(Trials(trials.store.url)) == 19


def test_files_that_are_none(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"no\.pkl"):
        load_trials(tmp_path / "no.pkl")
    (tmp_path / "text.pkl").write_text("hello")
    with pytest.raises(StoreError, match="does not load as trials"):
        load_trials(tmp_path / "text.pkl")
    (tmp_path / "dict.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(StoreError, match="holds dict, not Trials"):
        load_trials(tmp_path / "dict.pkl")
