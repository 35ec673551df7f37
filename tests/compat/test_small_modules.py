"""progress, criteria, utils, early_stop, exceptions and the modules that are not rebuilt."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from sparktrials import STATUS_FAIL, Trials, errors, fmin, hp, rand
from sparktrials.compat import criteria, early_stop, exceptions, progress, utils
from sparktrials.compat.std_out_err_redirect_tqdm import DummyTqdmFile, std_out_err_redirect_tqdm
from sparktrials.errors import InvalidArgument

# ---------------------------------------------------------------------- exceptions, ipy, main


def test_exceptions_are_those_of_sparktrials():
    for name in exceptions.__all__:
        assert getattr(exceptions, name) is getattr(errors, name)


@pytest.mark.parametrize(("name", "instead"), [("ipy", "SparkTrials"), ("main", "fmin")])
def test_modules_that_are_not_rebuilt_say_what_to_use(name, instead):
    with pytest.raises(ImportError, match=instead):
        importlib.import_module(f"sparktrials.compat.{name}")


# ---------------------------------------------------------------------- progress


def test_lines_appear_whole():
    beneath = io.StringIO()
    stream = DummyTqdmFile(beneath)
    print("a", "b", file=stream)
    print(file=stream)
    print("no end", end="", file=stream)
    assert beneath.getvalue() == "a b\n\n"
    stream.close()
    assert beneath.getvalue() == "a b\n\nno end"
    assert not beneath.closed
    assert not stream.isatty()


def test_a_redirected_stream_has_what_the_one_beneath_has():
    beneath = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    stream = DummyTqdmFile(beneath)
    assert stream.encoding == "latin-1"
    assert stream.buffer is beneath.buffer
    stream.writelines(["x\n", "y\n"])
    stream.flush()
    assert beneath.buffer.getvalue() == b"x\ny\n"


def test_streams_are_restored_whatever_happens():
    before = sys.stdout, sys.stderr

    def work():
        with std_out_err_redirect_tqdm() as original:
            assert original is before[0]
            assert sys.stdout is not before[0]
            assert sys.stderr is not before[1]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert (sys.stdout, sys.stderr) == before


def test_the_bar_and_what_is_printed_below_it(capsys):
    before = sys.stdout
    with progress.tqdm_progress_callback(initial=1, total=4) as bar:
        assert sys.stdout is not before
        print("from", "the objective")
        bar.postfix = "best loss: 4711"
        bar.update(3)
    assert sys.stdout is before
    captured = capsys.readouterr()
    assert captured.out == "from the objective\n"
    assert "4/4" in captured.err
    assert "4711" in captured.err
    assert progress.default_callback is progress.tqdm_progress_callback


def test_no_progress_shows_nothing(capsys):
    with progress.no_progress_callback(initial=0, total=None) as bar:
        bar.update(1)
        bar.postfix = "x"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["tqdm_progress_callback", "no_progress_callback"])
def test_fmin_takes_the_callbacks(name):
    found = fmin(
        lambda x: x**2,
        hp.uniform("x", -1, 1),
        algo=rand.suggest,
        max_evals=3,
        rstate=0,
        show_progressbar=getattr(progress, name),
    )
    assert set(found) == {"x"}


# ---------------------------------------------------------------------- criteria


@pytest.mark.parametrize(("mean", "var"), [(0, 1), (-4, 9), (2.5, 0.04)])
def test_expected_improvement_is_the_integral(mean, var):
    normal = stats.norm(mean, np.sqrt(var))
    for score in np.arange(-3, 5.5, 0.5):
        thresh = mean + score * np.sqrt(var)
        expected, _ = integrate.quad(
            lambda x, t=thresh: (x - t) * normal.pdf(x), thresh, mean + 12 * np.sqrt(var)
        )
        assert criteria.EI_gaussian(mean, var, thresh) == pytest.approx(expected, rel=1e-6)
        sampled = criteria.EI_gaussian_empirical(
            mean, var, thresh, np.random.default_rng(0), 100_000
        )
        assert sampled == pytest.approx(expected, abs=0.02 * np.sqrt(var))


def test_log_improvement_is_smooth_where_its_formula_changes():
    for edge in (1.0, 300.0):
        around = edge + np.array([-1e-9, 0.0, 1e-9])
        values = criteria.logEI_gaussian(0, 1, around)
        assert np.ptp(values) < 1e-6 * abs(values[1])
        assert (np.diff(values) < 0).all()


def test_log_improvement_is_finite_and_falls_far_out():
    thresholds = np.concatenate([np.linspace(-500, 50, 200), np.geomspace(50.1, 1e6, 200)])
    values = criteria.logEI_gaussian(0, 1, thresholds)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()
    # log φ(z) - 2 log z is what is left of it
    assert criteria.logEI_gaussian(0, 1, 5e4) == pytest.approx(
        stats.norm.logpdf(5e4) - 2 * np.log(5e4), rel=1e-12
    )
    assert criteria.EI_gaussian(0, 1, 50.0) == 0.0


def test_criteria_broadcast_and_give_numbers_for_numbers():
    found = criteria.logEI_gaussian([0.0, 1.0], 1.0, [[0.5], [2.0]])
    assert found.shape == (2, 2)
    assert found[1, 0] == criteria.logEI_gaussian(0.0, 1.0, 2.0)
    assert np.isscalar(criteria.EI_gaussian(0, 1, 0))
    assert np.isscalar(criteria.UCB(0, 4, 1))
    assert criteria.UCB(1, 4, 1) == 3
    assert list(criteria.UCB([0, 1], [4, 9], 2)) == [4, 7]


def test_without_variance_improvement_is_certain():
    assert criteria.EI_gaussian(3.0, 0.0, 1.0) == pytest.approx(2.0)
    assert criteria.EI_gaussian(1.0, 0.0, 3.0) == 0
    assert list(criteria.EI_gaussian([3.0, 0.0], [0.0, 1.0], 1.0)) == pytest.approx(
        [2.0, criteria.EI_gaussian(0, 1, 1)]
    )


def test_negative_variance_is_refused():
    with pytest.raises(InvalidArgument, match="var must not be negative"):
        criteria.EI_gaussian(0, -1, 0)


# ---------------------------------------------------------------------- utils


def test_coarse_utcnow():
    now = utils.coarse_utcnow()
    assert now.tzinfo is None
    assert now.microsecond % 1000 == 0
    true = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    assert abs(true - now) < dt.timedelta(minutes=1)


def test_names_are_looked_up():
    assert utils.import_tokens(["os", "path", "join"]) == (os.path, ["join"])
    assert utils.import_tokens(["os", "path"]) == (os.path, [])
    assert utils.import_tokens(["no_such_module", "x"]) == (None, ["no_such_module", "x"])
    assert utils.load_tokens(["os", "path", "join"]) is os.path.join
    assert utils.json_lookup("collections.OrderedDict").__name__ == "OrderedDict"
    assert utils.json_call("builtins.dict", args=([("a", 1)],), kwargs={"b": 2}) == {"a": 1, "b": 2}
    assert utils.json_call(b"builtins.int", args=("7",)) == 7


def test_names_that_are_not_there():
    with pytest.raises(ImportError, match="no_such_module"):
        utils.json_lookup("no_such_module.x")
    with pytest.raises(AttributeError, match="no_such_function"):
        utils.json_lookup("os.path.no_such_function")
    with pytest.raises(NotImplementedError, match="dotted name"):
        utils.json_call({"name": "x"})
    with pytest.raises(TypeError, match="dotted name"):
        utils.json_call(3)


def test_what_a_module_lacks_is_named(tmp_path, monkeypatch):
    (tmp_path / "lacking_module.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        utils.json_lookup("lacking_module.x")


def test_get_obj(tmp_path):
    arguments = {"args": ([("b", 2)],), "kwargs": {"c": 3}}
    given = {"c": 0}
    assert utils.get_obj("builtins.dict", argstr=pickle.dumps(arguments), kwargs=given) == {
        "b": 2,
        "c": 3,
    }
    assert given == {"c": 0}
    (tmp_path / "arguments").write_bytes(pickle.dumps(arguments))
    assert utils.get_obj("builtins.dict", argfile=tmp_path / "arguments") == {"b": 2, "c": 3}
    assert utils.get_obj("builtins.list") == []


def test_pmin_sampled():
    mean, var = np.array([0.0, 1.0, 5.0]), np.array([1.0, 1.0, 0.01])
    found = utils.pmin_sampled(mean, var, n_samples=20_000, rng=np.random.default_rng(0))
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.02)
    assert found[2] == 0
    assert (utils.pmin_sampled(mean, var) == utils.pmin_sampled(mean, var)).all()


def test_fast_isin():
    rng = np.random.default_rng(0)
    X, Y = rng.integers(0, 100, 40), rng.integers(0, 100, 60)
    assert list(utils.fast_isin(X, Y)) == [x in Y for x in X]
    assert not utils.fast_isin(X, np.array([], dtype=int)).any()
    # Hyperopt takes 0 for found when it is larger than all of Y
    assert not utils.fast_isin(np.array([0]), np.array([-5, -3])).any()


def test_get_most_recent_inds():
    def found(*pairs):
        return utils.get_most_recent_inds([{"_id": i, "version": v} for i, v in pairs]).tolist()

    assert found((0, 1)) == [0]
    assert found((0, 1), (0, 2)) == [1]
    assert found((0, 2), (0, 1), (-1, 1)) == [2, 0]
    assert found((-1, 1), (0, 1), (0, 2), (0, 2)) == [0, 3]
    assert found() == []


def test_working_dir_returns_also_after_an_error(tmp_path):
    before = Path.cwd()

    def work():
        with utils.working_dir(tmp_path):
            assert Path.cwd() == tmp_path.resolve()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert Path.cwd() == before


def test_path_split_all():
    assert list(utils.path_split_all("foo/bar/baz")) == ["foo", "bar", "baz"]
    assert list(utils.path_split_all("/foo/bar/")) == ["foo", "bar"]


def test_get_closest_dir(tmp_path, monkeypatch):
    assert utils.get_closest_dir(tmp_path / "a" / "b") == (str(tmp_path), "a")
    with pytest.raises(InvalidArgument, match="does not exist yet"):
        utils.get_closest_dir(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert utils.get_closest_dir("new/b") == ("", "new")
    assert utils.get_closest_dir("there/new/b") == ("there", "new")


def test_temp_dir(tmp_path):
    path = tmp_path / "a" / "b"
    with utils.temp_dir(path):
        assert path.is_dir()
    assert path.is_dir()  # it is kept unless asked otherwise
    with utils.temp_dir(path, erase_after=True):
        pass
    assert path.is_dir()  # it was there before


@pytest.mark.parametrize("raises", [False, True])
def test_temp_dir_erases_what_it_made(tmp_path, raises):
    path = tmp_path / "a" / "b"
    sentinel = tmp_path / "a.inuse"
    try:
        with utils.temp_dir(path, erase_after=True):
            assert sentinel.exists()
            (path / "file").touch()
            if raises:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert raises
    assert list(tmp_path.iterdir()) == []


def test_temp_dir_leaves_the_directories_of_others(tmp_path):
    with utils.temp_dir(tmp_path / "a" / "b", erase_after=True):
        (tmp_path / "a" / "other").mkdir()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["other"]
    with utils.temp_dir(tmp_path / "c" / "d", erase_after=True, with_sentinel=False):
        pass
    assert (tmp_path / "c").is_dir()


def test_temp_dir_refuses(tmp_path):
    with pytest.raises(RuntimeError, match=r"'\.\.'"), utils.temp_dir("../no_such_directory"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match="directory"), utils.temp_dir(tmp_path / "file"):
        pass


def test_use_obj_for_literal_in_memo():
    pyll = pytest.importorskip("sparktrials.compat.pyll")
    mark, ctrl = object(), object()
    expr = pyll.as_apply([1, mark, {"a": mark, "b": np.arange(3)}])
    memo = utils.use_obj_for_literal_in_memo(expr, ctrl, mark, {})
    assert [value is ctrl for value in memo.values()] == [True] * len(memo)
    assert pyll.rec_eval(expr, memo=memo)[1] is ctrl


# ---------------------------------------------------------------------- early_stop


class Documents:
    """Trials as another loop has them: documents that it changes itself."""

    def __init__(self, results):
        self.trials = [self.done(i, result) for i, result in enumerate(results)]

    @staticmethod
    def done(tid, result):
        if result is None:
            return {"tid": tid, "state": 1, "result": {"status": "new"}}
        return {"tid": tid, "state": 2, "result": result}


def ok(loss):
    return {"status": "ok", "loss": loss}


def calls_until_stop(stop_fn, losses):
    """Return how many trials, one after the other, `stop_fn` lets run."""
    args = ()
    for i in range(1, len(losses) + 1):
        stop, args = stop_fn(Documents([ok(loss) for loss in losses[:i]]), *args)
        if stop:
            return i
    return None


def hyperopt_says(losses, count, percent):
    """Return the same of Hyperopt: how many trials its function lets run."""
    best, without = None, 0
    for i, loss in enumerate(losses, start=1):
        if best is None:
            best, without = loss, without + 1
            continue
        if loss < best - abs(best * percent / 100):
            best, without = loss, 0
        else:
            without += 1
        if without >= count:
            return i
    return None


@pytest.mark.parametrize("seed", range(20))
def test_no_progress_loss_counts_as_hyperopts_does(seed):
    rng = np.random.default_rng(seed)
    losses = list(rng.normal(size=60) - np.linspace(0, rng.choice([0, 3]), 60))
    count, percent = int(rng.integers(2, 12)), float(rng.choice([0, 5, 50]))
    stop_fn = early_stop.no_progress_loss(count, percent)
    assert calls_until_stop(stop_fn, losses) == hyperopt_says(losses, count, percent)


def test_no_progress_loss_by_default_stops_after_twenty():
    assert calls_until_stop(early_stop.no_progress_loss(), [1.0] * 50) == 20


def test_one_function_serves_several_runs():
    stop_fn = early_stop.no_progress_loss(3)
    assert calls_until_stop(stop_fn, [1.0] * 9) == calls_until_stop(stop_fn, [1.0] * 9) == 3


def test_trials_that_run_or_failed_are_no_progress_and_no_error():
    stop_fn = early_stop.no_progress_loss(4)
    assert stop_fn(Documents([]))[0] is False
    assert stop_fn(Documents([None, None]))[0] is False
    documents = Documents([None, ok(1.0), None])
    stop, args = stop_fn(documents)
    assert (stop, args[:2]) == (False, [1.0, 1])
    assert stop_fn(documents, *args) == (False, args)  # nothing new
    documents.trials[0] = documents.done(0, {"status": STATUS_FAIL})
    documents.trials[2] = documents.done(2, ok(float("nan")))
    stop, args = stop_fn(documents, *args)
    assert (stop, args[:2]) == (False, [1.0, 3])
    documents.trials.append(documents.done(3, ok(2.0)))
    assert stop_fn(documents, *args)[0] is True


def test_progress_by_a_trial_that_is_not_the_last_is_seen():
    stop_fn = early_stop.no_progress_loss(2)
    documents = Documents([None, ok(5.0)])
    _, args = stop_fn(documents)
    documents.trials[0] = documents.done(0, ok(1.0))
    stop, args = stop_fn(documents, *args)
    assert (stop, args[:2]) == (False, [1.0, 0])


def test_state_as_hyperopts_function_has_it_is_taken():
    stop_fn = early_stop.no_progress_loss(5)
    stop, args = stop_fn(Documents([ok(3.0), ok(4.0)]), 3.0, 4)
    assert stop
    assert args[:2] == [3.0, 5]


@pytest.mark.parametrize("n_jobs_like", [1, 4])
def test_fmin_stops_when_there_is_no_progress(n_jobs_like):
    trials = Trials()
    fmin(
        lambda x: 1.0,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=100,
        max_queue_len=n_jobs_like,
        trials=trials,
        rstate=0,
        verbose=False,
        early_stop_fn=early_stop.no_progress_loss(7),
    )
    assert len([d for d in trials.trials if d["state"] == 2]) == 7


def test_fmin_with_failures_stops_too():
    trials = Trials()

    def objective(x):
        return {"status": STATUS_FAIL} if x < 0.5 else 1.0

    fmin(
        objective,
        hp.uniform("x", 0, 1),
        algo=rand.suggest,
        max_evals=100,
        trials=trials,
        rstate=0,
        verbose=False,
        early_stop_fn=early_stop.no_progress_loss(7),
    )
    assert 7 <= len(trials) < 20


@pytest.mark.parametrize("arguments", [("20",), (None,), (20, "x"), (20, float("nan")), (True,)])
def test_no_progress_loss_refuses_what_is_no_number(arguments):
    with pytest.raises(InvalidArgument, match="must be a number"):
        early_stop.no_progress_loss(*arguments)
