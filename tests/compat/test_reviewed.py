"""What a review found: programs that lost something, or never ended."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sparktrials
from sparktrials import Trials, fmin, hp, rand, tpe
from sparktrials.compat import Domain, FMinIter
from sparktrials.compat.fmin import fmin_pass_expr_memo_ctrl
from sparktrials.errors import StoreInUse

SPACE = {"x": hp.uniform("x", -5, 5), "k": hp.choice("k", ["a", "b"])}


def objective(point):
    return (point["x"] - 1) ** 2


def ran(n=4, trials=None, **settings):
    trials = Trials() if trials is None else trials
    settings = {"algo": rand.suggest, "rstate": 0, "verbose": False, **settings}
    fmin(objective, SPACE, max_evals=n, trials=trials, **settings)
    return trials


# ---------------------------------------------------------------------- edits


def test_a_state_that_is_set_on_an_ended_trial_counts_after_refresh():
    trials = ran()
    trials.trials[1]["state"] = 3
    trials.refresh()
    assert len(trials) == 3
    assert [d["tid"] for d in trials.trials] == [0, 2, 3]
    best = trials.best_trial
    best["result"]["status"] = "fail"
    trials.refresh()
    assert trials.best_trial is not best


def test_a_trial_that_is_set_back_is_evaluated_again():
    trials = ran()
    trials.trials[2]["result"] = {"status": "new"}
    trials.trials[2]["state"] = 0
    trials.refresh()
    fmin(lambda p: -7.0, SPACE, rand.suggest, 4, trials=trials, rstate=0, verbose=False)
    assert trials.losses()[2] == -7.0
    assert len(trials) == 4


@pytest.mark.parametrize("copied", [lambda t: pickle.loads(pickle.dumps(t)), copy.deepcopy])
def test_notes_survive(copied):
    trials = ran()
    trials.trials[0]["note"] = "mine"
    trials.trials[0]["owner"] = "me"
    trials.trials[1]["spec"] = {"a": 1}
    trials.trials[1]["misc"]["extra"] = [1]
    trials.trials[2]["result"]["seen"] = True
    trials.trials[3]["misc"]["vals"]["x"] = [0.125]
    ids = trials.new_trial_ids(5)
    again = copied(trials)
    assert again.trials[0]["note"] == "mine"
    assert again.trials[0]["owner"] == "me"
    assert again.specs[1] == {"a": 1}
    assert again.miscs[1]["extra"] == [1]
    assert again.results[2]["seen"] is True
    assert again.vals["x"][3] == 0.125
    assert again.new_trial_ids(1) == [ids[-1] + 1]


def test_notes_of_an_algorithm_survive():
    def noting(new_ids, domain, trials, seed):
        documents = rand.suggest(new_ids, domain, trials, seed)
        documents[0]["misc"]["generation"] = 7
        return documents

    trials = ran(3, algo=noting)
    assert [m["generation"] for m in pickle.loads(pickle.dumps(trials)).miscs] == [7, 7, 7]


def test_a_save_file_has_what_was_changed_while_it_ran(tmp_path):
    trials = Trials()

    def judging(_):
        for document in trials.trials[:-1]:
            document["result"]["seen"] = 1
        return 1.0

    path = tmp_path / "trials.pkl"
    settings = {"trials": trials, "rstate": 0, "verbose": False, "trials_save_file": str(path)}
    fmin(judging, SPACE, rand.suggest, 4, **settings)
    saved = pickle.loads(path.read_bytes())
    assert [r.get("seen") for r in saved.results] == [1, 1, 1, None]


def test_views_share_everything():
    trials = ran()
    trials.attachments["m"] = "mine"
    trials.trials[1]["result"]["loss"] = -9.0
    view = trials.view()
    assert view.attachments["m"] == "mine"
    assert view.best_trial is trials.best_trial


# ---------------------------------------------------------------------- two writers


def test_two_programs_that_ask_and_tell_do_not_overwrite_each_other(tmp_path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    domain = Domain(objective, SPACE)
    a, b = Trials(url), Trials(url)
    asked = []
    for trials in (a, b):
        trials.refresh()
        (tid,) = trials.new_trial_ids(1)
        asked.append(rand.suggest([tid], domain, trials, 0))
    a.insert_trial_docs(asked[0])
    assert asked[1][0]["tid"] == 0
    with pytest.raises(StoreInUse, match="take new ids"):
        b.insert_trial_docs(asked[1])
    b.refresh()
    b.insert_trial_docs(rand.suggest(b.new_trial_ids(1), domain, b, 0))
    assert Trials(url).tids == [0, 1]


def test_nobody_writes_beside_a_run(tmp_path):
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    other = []

    def disturbing(point):
        if not other:
            other.append(Trials(url))
            document = copy.deepcopy(other[0].trials[0])
            document["tid"] = document["misc"]["tid"] = 50
            document["misc"]["idxs"] = {k: [50] for k in document["misc"]["idxs"]}
            with pytest.raises(StoreInUse):
                other[0].insert_trial_docs([document])
        return objective(point)

    trials = Trials(url)
    fmin(disturbing, SPACE, rand.suggest, 5, trials=trials, rstate=0, verbose=False)
    assert Trials(url).losses() == trials.losses()
    assert len(trials) == 5


# ---------------------------------------------------------------------- early_stop_fn


def test_trials_that_are_pickled_while_a_run_goes_on_go_on(tmp_path):
    path = tmp_path / "trials.pkl"

    def saving(trials, *args):
        path.write_bytes(pickle.dumps(trials))
        trials.trials[-1]["result"]["seen"] = 1
        return len(trials) >= 4, args

    trials = ran(10, early_stop_fn=saving)
    assert [r["seen"] for r in trials.results] == [1] * 4
    again = pickle.loads(path.read_bytes())
    assert type(again) is Trials
    ran(8, again)
    assert len(again) == 8


# ---------------------------------------------------------------------- stepping


def test_steps_end_when_there_is_nothing_to_do():
    steps = FMinIter(
        rand.suggest,
        Domain(objective, SPACE),
        Trials(),
        np.random.default_rng(0),
        loss_threshold=100,
    )
    assert len(list(steps)) <= 2
    steps = FMinIter(
        lambda *_: [], Domain(objective, SPACE), Trials(), np.random.default_rng(0), max_evals=9
    )
    assert list(steps) == []


def test_a_domains_own_evaluate_has_the_real_trials():
    class Nosy(Domain):
        def evaluate(self, config, ctrl, attach_attachments=True):
            seen.append((ctrl.current_trial["tid"], len(ctrl.trials.tids)))
            return {"status": "ok", "loss": config["x"]}

    seen = []
    steps = FMinIter(
        rand.suggest, Nosy(objective, SPACE), Trials(), np.random.default_rng(0), max_evals=3
    )
    steps.exhaust()
    assert seen == [(0, 1), (1, 2), (2, 3)]


def test_objects_that_a_ctrl_attaches_stay_in_memory():
    @fmin_pass_expr_memo_ctrl
    def attaching(expr, memo, ctrl):
        ctrl.attachments["object"] = {"a": 1}
        ctrl.attachments["bytes"] = b"1"
        return 1.0

    trials = Trials()
    fmin(attaching, SPACE, rand.suggest, 2, trials=trials, rstate=0, verbose=False)
    assert dict(trials.trial_attachments(1)) == {"object": {"a": 1}, "bytes": b"1"}


# ---------------------------------------------------------------------- subclasses and names


def test_a_subclass_with_a_fmin_of_its_own():
    class Own(Trials):
        def fmin(self, fn, space, **settings):
            self.called = True
            return super().fmin(fn, space, **settings)

    trials = ran(3, Own())
    assert trials.called
    assert len(trials) == 3
    trials = ran(3, Own(), allow_trials_fmin=False)
    assert not hasattr(trials, "called")


def test_algorithms_are_as_functions_are():
    assert tpe.suggest.__name__ == tpe.suggest.__qualname__ == "suggest"
    for algo in (tpe.suggest, rand.suggest, sparktrials.atpe.suggest, sparktrials.mix.suggest):
        assert pickle.loads(pickle.dumps(algo)) is algo
    with pytest.raises(AttributeError):
        tpe.suggest.nothing  # noqa: B018


def test_names_with_a_colon_are_names():
    trials = Trials("2026-01-01 10:00")
    assert trials._exp_key == "2026-01-01 10:00"
    assert trials.store.url == "memory:"


# ---------------------------------------------------------------------- files and processes


def test_a_save_file_keeps_its_mode_and_its_link(tmp_path):
    target, link = tmp_path / "target.pkl", tmp_path / "link.pkl"
    before = os.umask(0o022)
    try:
        ran(2, trials_save_file=str(target))
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    target.chmod(0o664)
    link.symlink_to(target)
    trials = Trials()
    ran(4, trials, trials_save_file=str(link))
    assert link.is_symlink()
    assert len(pickle.loads(target.read_bytes())) == 4
    assert stat.S_IMODE(target.stat().st_mode) == 0o664


PROGRAM = """\
import atexit, os, pickle, subprocess, sys
import hyperopt
class Kept:
    pass
def at_the_end():
    pickle.dumps(Kept())
    print("saved")
atexit.register(at_the_end)
print(os.environ["PYTHONPATH"].split(os.pathsep)[0].endswith("shim"))
child = "import sys, hyperopt; print(hyperopt.__name__, sys.path[-1])"
subprocess.run([sys.executable, "-S", "-c", child], check=False)
"""


def test_a_programs_last_words_and_its_children(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    source = Path(sparktrials.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "sparktrials.compat", str(tmp_path / "program.py")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "True"
    assert done.stdout.splitlines()[-1] == "saved", done.stderr


def test_what_a_failed_import_of_hyperopt_leaves_is_no_obstacle(tmp_path):
    (tmp_path / "hyperopt").mkdir()
    (tmp_path / "hyperopt" / "__init__.py").write_text("from hyperopt import part\nimport nothing_")
    (tmp_path / "hyperopt" / "part.py").write_text("")
    code = (
        "try:\n    import hyperopt\n"
        "except ImportError:\n    import sparktrials.compat\n    sparktrials.compat.install()\n"
        "import hyperopt\nassert hyperopt is sparktrials.compat\n"
    )
    source = Path(sparktrials.__file__).parents[1]
    path = os.pathsep.join([str(tmp_path), str(source)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
