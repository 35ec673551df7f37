"""The four plots: what they draw, of which trials, and what they survive."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sparktrials import STATUS_FAIL, STATUS_OK, Trials, fmin, hp, rand
from sparktrials.errors import InvalidArgument

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: plots)")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

from sparktrials.compat import plotting  # noqa: E402 - after the backend is set

SPACE = {
    "x": hp.uniform("x", 0, 1),
    "m": hp.choice("model", ["svm", {"rate": hp.loguniform("rate", -5, 0)}, np.sum, "a" * 50]),
    "k": hp.randint("k", 3),
}


def objective(config):
    if config["x"] > 0.8:
        return {"status": STATUS_FAIL}
    if config["x"] < 0.1:
        raise ValueError
    curve = np.linspace(1, config["x"], 5)
    return {
        "status": STATUS_OK,
        "loss": config["x"] ** 2,
        "attachments": {"curve": pickle.dumps(curve), "square": pickle.dumps(np.eye(3))},
    }


def run(fn, space, max_evals, **kwargs):
    trials = Trials()
    kwargs = {"algo": rand.suggest, "rstate": 0, "verbose": False, "return_argmin": False} | kwargs
    fmin(fn, space, max_evals=max_evals, trials=trials, **kwargs)
    return trials


@pytest.fixture(scope="module")
def trials():
    return run(objective, SPACE, 60, catch_eval_exceptions=True)


@pytest.fixture(autouse=True)
def figure():
    yield plt.figure()
    plt.close("all")


def drawn():
    """Draw the figure, so that what matplotlib refuses comes out; return its axes."""
    plt.gcf().canvas.draw()
    return plt.gcf().axes


def points_of(axes):
    return [np.asarray(c.get_offsets()) for c in axes.collections]


ALL = [
    plotting.main_plot_history,
    plotting.main_plot_histogram,
    plotting.main_plot_vars,
    lambda trials, **kwargs: plotting.main_plot_1D_attachment(trials, "curve", **kwargs),
]
NAMES = ["history", "histogram", "vars", "attachment"]


@pytest.mark.parametrize("plot", ALL, ids=NAMES)
def test_show_is_called_if_it_is_asked_for(plot, trials, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    assert plot(trials, do_show=False) is None
    assert shown == []
    assert plot(trials) is None
    assert shown == [1]


@pytest.mark.parametrize("plot", ALL, ids=NAMES)
def test_no_trials_are_no_error(plot):
    plot(Trials(), do_show=False)
    assert len(drawn()) == 1


@pytest.mark.parametrize("plot", ALL, ids=NAMES)
def test_all_failed_is_no_error(plot):
    plot(run(lambda x: {"status": STATUS_FAIL}, SPACE, 5), do_show=False)
    assert drawn()


@pytest.mark.parametrize("plot", ALL, ids=NAMES)
@pytest.mark.parametrize("loss", [1.0, float("nan"), float("inf")])
def test_one_loss_for_all_is_no_error(plot, loss):
    def constant(_):
        return {
            "status": STATUS_OK,
            "loss": loss,
            "attachments": {"curve": pickle.dumps([1.0, 2.0])},
        }

    plot(run(constant, SPACE, 5), do_show=False)
    assert drawn()


def test_history_shows_losses_failures_and_the_best(trials, capsys):
    plotting.main_plot_history(trials, do_show=False, title="T")
    (axes,) = drawn()
    good, failed = points_of(axes)
    losses = [x for x in trials.losses() if x is not None]
    assert list(good[:, 1]) == losses
    assert len(good) + len(failed) == 60  # those that raised, too
    assert axes.get_lines()[0].get_ydata()[0] == trials.average_best_error()
    assert "avg best error" in capsys.readouterr().out
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("T", "time", "loss")


def test_history_takes_colours_for_some_statuses(trials):
    plotting.main_plot_history(trials, do_show=False, status_colors={"ok": "m"})
    (axes,) = drawn()
    assert tuple(axes.collections[0].get_facecolors()[0]) == matplotlib.colors.to_rgba("m")
    assert tuple(axes.collections[1].get_edgecolors()[0]) == matplotlib.colors.to_rgba("r")


def test_histogram_counts_the_losses(trials, capsys):
    plotting.main_plot_histogram(trials, do_show=False)
    (axes,) = drawn()
    n = sum(x is not None for x in trials.losses())
    assert sum(patch.get_height() for patch in axes.patches) == n
    assert f"Histogram of {n} jobs" in capsys.readouterr().out


def test_vars_has_a_plot_for_each_parameter(trials):
    plotting.main_plot_vars(trials, do_show=False, columns=3, fontsize=7)
    axes = {a.get_title(): a for a in drawn()}
    assert list(axes) == ["k", "model", "rate", "x"]
    assert axes["x"].title.get_fontsize() == 7
    assert axes["rate"].get_yscale() == "log"
    assert axes["x"].get_yscale() == "linear"
    names = [t.get_text() for t in axes["model"].get_yticklabels()]
    assert names == ["svm", "1", "sum", "a" * 15 + "…"]


def test_vars_draws_a_parameter_where_it_is_active(trials):
    plotting.main_plot_vars(trials, do_show=False)
    axes = {a.get_title(): a for a in drawn()}
    for label in ("rate", "x"):
        values = [
            d["misc"]["vals"][label][0] for d in trials._dynamic_trials if d["misc"]["vals"][label]
        ]
        shown = np.concatenate(points_of(axes[label]))[:, 1]
        assert sorted(shown) == pytest.approx(sorted(values))


def test_vars_by_loss_leaves_out_what_has_none(trials):
    plotting.main_plot_vars(trials, do_show=False, arrange_by_loss=True)
    axes = {a.get_title(): a for a in drawn()}
    (points,) = points_of(axes["x"])
    assert points[:, 0] == pytest.approx(points[:, 1] ** 2)


@pytest.mark.parametrize("n", [0, 3, 1000])
def test_vars_colours_the_best(trials, n):
    plotting.main_plot_vars(trials, do_show=False, colorize_best=n)
    axes = {a.get_title(): a for a in drawn()}
    colours = axes["x"].collections[0].get_facecolors()
    green = colours[:, 1] != colours[:, 0]
    assert green.sum() == min(n, len(colours))


def test_vars_of_a_label_that_says_log_but_is_negative():
    plotting.main_plot_vars(run(lambda x: x, hp.uniform("logit", -1, 1), 5), do_show=False)
    (axes,) = drawn()
    assert axes.get_yscale() == "linear"


def test_vars_refuses_no_columns(trials):
    with pytest.raises(InvalidArgument, match="columns"):
        plotting.main_plot_vars(trials, do_show=False, columns=0)


def test_attachment_draws_a_line_for_each_trial(trials):
    plotting.main_plot_1D_attachment(trials, "curve", do_show=False)
    (axes,) = drawn()
    lines = axes.get_lines()
    losses = [x for x in trials.losses() if x is not None]
    assert len(lines) == len(losses)
    opacity = {line.get_ydata()[-1] ** 2: line.get_color()[3] for line in lines}
    assert max(opacity.values()) == opacity[min(opacity)] == 0.5
    assert min(opacity.values()) == opacity[max(opacity)] > 0


def test_attachment_takes_some_trials_by_loss(trials, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    plotting.main_plot_1D_attachment(
        trials, "curve", num_trails=4, preprocessing_fn=lambda y: 2 * y, line_width=3
    )
    (axes,) = drawn()
    lines = axes.get_lines()
    ends = [line.get_ydata()[-1] / 2 for line in lines]
    assert len(ends) == 4
    assert ends == sorted(ends)
    assert lines[0].get_linewidth() == 3
    assert len(axes.get_legend().get_texts()) == 4


def test_attachment_takes_all_when_more_are_wanted(trials):
    plotting.main_plot_1D_attachment(trials, "curve", do_show=False, num_trails=1000)
    (axes,) = drawn()
    assert len(axes.get_lines()) == sum(x is not None for x in trials.losses())


def test_attachment_without_shades(trials):
    plotting.main_plot_1D_attachment(trials, "curve", do_show=False, colorize_by_loss=False)
    (axes,) = drawn()
    assert len({str(line.get_color()) for line in axes.get_lines()}) > 1


def test_attachment_that_is_no_line_is_left_out_with_a_warning(trials):
    with pytest.warns(UserWarning, match=r"'square' of trial \d+ has the shape \(3, 3\)"):
        plotting.main_plot_1D_attachment(trials, "square", do_show=False)
    assert not drawn()[0].get_lines()


def test_attachment_that_nobody_has(trials):
    plotting.main_plot_1D_attachment(trials, "no such attachment", do_show=False)
    assert not drawn()[0].get_lines()
