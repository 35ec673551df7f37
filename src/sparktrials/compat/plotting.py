"""``hyperopt.plotting``: four plots of trials, on matplotlib.

Each draws into the current figure, shows it if `do_show`, and returns None, as in Hyperopt. They
take our trials and Hyperopt's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparktrials.compat.arrays import array_of
from sparktrials.errors import InvalidArgument
from sparktrials.space import Space
from sparktrials.space.distributions import Categorical, Integer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "default_status_colors",
    "main_plot_1D_attachment",
    "main_plot_histogram",
    "main_plot_history",
    "main_plot_vars",
]

#: Status of a trial: its colour.
default_status_colors = {"new": "k", "running": "g", "ok": "b", "fail": "r"}

#: Job states that Hyperopt's ``trials.trials`` leaves out.
_ERROR, _CANCELLED = 3, 4
#: More lines than this get no legend.
_MOST_IN_LEGEND = 10
#: Longest name of a choice's option on an axis.
_LONGEST_NAME = 16
_NO_LOSS = "no trial has a loss"


@dataclass(frozen=True, slots=True)
class _Row:
    """What is plotted of one trial."""

    tid: int
    status: str
    loss: float | None
    vals: Mapping[str, Sequence[Any]]


def _pyplot() -> Any:  # noqa: ANN401 - the module
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        msg = "plots need matplotlib: pip install matplotlib"
        raise ModuleNotFoundError(msg, name=error.name) from error
    return plt


def main_plot_history(
    trials: Any,  # noqa: ANN401 - Trials, Hyperopt's too
    do_show: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    status_colors: Mapping[str, Any] | None = None,
    title: str = "Loss History",
) -> None:
    """Plot the losses in the order of the trials, and the average best error.

    Trials that failed have no loss: they are crosses at the lower edge.

    Parameters
    ----------
    trials
        The trials.
    do_show
        Whether to call ``matplotlib.pyplot.show``.
    status_colors
        ``status -> colour``; what it lacks is taken from `default_status_colors`.
    title
        Above the plot.
    """
    plt = _pyplot()

    colors = {**default_status_colors, **(status_colors or {})}
    rows = _rows(trials)
    with_loss = [(x, r.loss, r.status) for x, r in enumerate(rows) if r.loss is not None]
    failed = [x for x, r in enumerate(rows) if r.status == "fail"]
    axes = plt.gca()
    if with_loss:
        axes.scatter(
            [x for x, _, _ in with_loss],
            [loss for _, loss, _ in with_loss],
            c=[colors.get(status, colors["new"]) for _, _, status in with_loss],
        )
    else:
        _say(axes, _NO_LOSS)
    if failed:
        axes.scatter(
            failed,
            [0.02] * len(failed),
            c=[colors["fail"]] * len(failed),
            marker="x",
            transform=axes.get_xaxis_transform(),
            label="failed",
        )
        axes.legend()
    axes.set_xlabel("time")
    axes.set_ylabel("loss")
    if any(status == "ok" for _, _, status in with_loss):
        best = trials.average_best_error()
        print("avg best error:", best)  # noqa: T201 - as Hyperopt does
        axes.axhline(best, c="g")
    axes.set_title(title)
    if do_show:
        plt.show()


def main_plot_histogram(
    trials: Any,  # noqa: ANN401 - Trials, Hyperopt's too
    do_show: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    title: str = "Loss Histogram",
) -> None:
    """Plot how often which losses came; trials without one are left out.

    Parameters
    ----------
    trials
        The trials.
    do_show
        Whether to call ``matplotlib.pyplot.show``.
    title
        Above the plot.
    """
    plt = _pyplot()

    losses = [r.loss for r in _rows(trials) if r.loss is not None]
    print(f"Showing Histogram of {len(losses)} jobs")  # noqa: T201 - as Hyperopt does
    axes = plt.gca()
    if losses:
        axes.hist(losses)
    else:
        _say(axes, _NO_LOSS)
    axes.set_xlabel("loss")
    axes.set_ylabel("frequency")
    axes.set_title(title)
    if do_show:
        plt.show()


def main_plot_vars(  # noqa: PLR0917 - Hyperopt's signature
    trials: Any,  # noqa: ANN401 - Trials, Hyperopt's too
    do_show: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    fontsize: float = 10,
    colorize_best: int | None = None,
    columns: int = 5,
    arrange_by_loss: bool = False,  # noqa: FBT001, FBT002 - Hyperopt's signature
) -> None:
    """Plot the values of each parameter over the trials in which it is active.

    The darker a point, the lower its loss; trials that failed are crosses. Parameters on a
    logarithmic scale have a logarithmic axis, choices the names of their options.

    Parameters
    ----------
    trials
        The trials.
    do_show
        Whether to call ``matplotlib.pyplot.show``.
    fontsize
        Of the labels above the plots.
    colorize_best
        How many of the best trials to draw in green.
    columns
        Plots side by side.
    arrange_by_loss
        Whether the horizontal axis is the loss and not the trial's id. Trials without a loss are
        left out then.

    Raises
    ------
    InvalidArgument
        If `columns` is not positive.
    """
    plt = _pyplot()

    if columns < 1:
        msg = f"columns must be a positive number, got {columns!r}"
        raise InvalidArgument(msg)
    rows = _rows(trials)
    labels = sorted({label for row in rows for label in row.vals})
    if not labels:
        _say(plt.gca(), "no trial has parameters")
    losses = sorted(row.loss for row in rows if row.loss is not None)
    if losses:
        print("finite loss range", losses[0], losses[-1])  # noqa: T201 - as Hyperopt does
    n_best = min(colorize_best or 0, len(losses))
    threshold = losses[n_best - 1] if n_best else -math.inf
    shades = {row.tid: _shade(row.loss, losses, threshold) for row in rows if row.loss is not None}
    space = _space_of(trials)
    n_columns = max(1, min(columns, len(labels)))
    n_rows = math.ceil(len(labels) / n_columns)
    for i, label in enumerate(labels, start=1):
        axes = plt.subplot(n_rows, n_columns, i)
        active = [row for row in rows if row.vals.get(label)]
        _plot_parameter(axes, label, active, shades, arrange_by_loss=arrange_by_loss)
        _scale(axes, label, [row.vals[label][0] for row in active], space)
        axes.set_title(label, fontsize=fontsize)
        axes.tick_params(labelbottom=False)
    if do_show:
        plt.show()


def main_plot_1D_attachment(  # noqa: N802, PLR0917 - Hyperopt's name and signature
    trials: Any,  # noqa: ANN401 - Trials, Hyperopt's too
    attachment_name: str,
    do_show: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
    colorize_by_loss: bool = True,  # noqa: FBT001, FBT002
    max_darkness: float = 0.5,
    num_trails: int | None = None,
    preprocessing_fn: Callable[[Any], Any] = lambda x: x,
    line_width: float = 0.1,
) -> None:
    """Plot an attachment that holds one-dimensional data, a line for each trial that has it.

    Attachments are unpickled, as in Hyperopt, but nothing that a pickle may name is run: arrays and
    numbers only. What is not one-dimensional is left out, with a warning. Fewer than ten lines get
    a legend.

    Parameters
    ----------
    trials
        The trials.
    attachment_name
        The attachment: a pickled array or sequence of numbers.
    do_show
        Whether to call ``matplotlib.pyplot.show``.
    colorize_by_loss
        Whether lines are the darker, the lower the loss.
    max_darkness
        Opacity of the line of the best trial, up to 1.
    num_trails
        How many trials to plot, evenly chosen from those with a loss, by loss; None plots all.
    preprocessing_fn
        Called with each array, returns what is plotted.
    line_width
        Of the lines.
    """
    plt = _pyplot()

    axes = plt.gca()
    axes.set_title(attachment_name)
    losses = sorted(row.loss for row in _rows(trials) if row.loss is not None)
    for document in _chosen(list(trials.trials), num_trails):
        attachments = trials.trial_attachments(document)
        if attachment_name not in attachments:
            continue
        what = f"the attachment {attachment_name!r} of trial {document['tid']}"
        data = np.squeeze(array_of(attachments[attachment_name], what))
        if data.ndim != 1:
            warnings.warn(
                f"{what} has the shape {data.shape} and is left out: only one-dimensional data is "
                "plotted",
                stacklevel=2,
            )
            continue
        loss = _loss_of(document)
        color = None
        if colorize_by_loss:
            # A trial without a loss is as pale as the worst one; even that can be seen.
            darkness = 0.0 if loss is None else 1 - _relative(loss, losses)
            color = (0.0, 0.0, 0.0, max_darkness * (0.1 + 0.9 * darkness))
        axes.plot(
            preprocessing_fn(data),
            color=color,
            linewidth=line_width,
            label="no loss" if loss is None else f"loss: {loss:.5}",
        )
    if do_show:
        if 0 < len(axes.get_lines()) < _MOST_IN_LEGEND:
            axes.legend()
        plt.show()


# ---------------------------------------------------------------------- what is plotted


def _rows(trials: Any) -> list[_Row]:  # noqa: ANN401 - Trials, Hyperopt's too
    """Return the trials that ended or run, those that raised too."""
    return [
        _Row(
            document["tid"],
            "fail" if document["state"] == _ERROR else document["result"].get("status", "new"),
            _loss_of(document),
            document["misc"]["vals"],
        )
        # trials.trials leaves out those that raised
        for document in getattr(trials, "_dynamic_trials", trials.trials)
        if document["state"] != _CANCELLED
    ]


def _loss_of(document: Mapping[str, Any]) -> float | None:
    """Return a loss that can be drawn, or None."""
    loss = document["result"].get("loss")
    if loss is None or document["state"] == _ERROR or document["result"].get("status") == "fail":
        return None
    return float(loss) if math.isfinite(loss) else None


def _chosen(documents: list[Any], n: int | None) -> list[Any]:
    """Return `n` of the documents that have a loss, evenly by loss; all of them for None."""
    if n is None:
        return documents
    by_loss = sorted(
        (d for d in documents if _loss_of(d) is not None), key=lambda d: d["result"]["loss"]
    )
    n = max(0, min(n, len(by_loss)))
    return [by_loss[i * len(by_loss) // n] for i in range(n)]


def _relative(loss: float, losses: Sequence[float]) -> float:
    """Return where a loss stands between the best, 0, and the worst, 1, of sorted losses."""
    low, high = losses[0], losses[-1]
    return (loss - low) / (high - low) if high > low else 0.0


def _shade(loss: float, losses: Sequence[float], threshold: float) -> tuple[float, float, float]:
    """Return a grey, the darker the better, or a green for the best ones."""
    t = 0.9 * _relative(loss, losses)  # the worst one is not white: it can be seen
    return (0.0, 1.0 - t, 0.0) if loss <= threshold else (t, t, t)


# ---------------------------------------------------------------------- how


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)


def _plot_parameter(
    axes: Axes,
    label: str,
    rows: Sequence[_Row],
    shades: Mapping[int, tuple[float, float, float]],
    *,
    arrange_by_loss: bool,
) -> None:
    good = [(row.loss, row) for row in rows if row.loss is not None]
    if good:
        axes.scatter(
            [loss if arrange_by_loss else row.tid for loss, row in good],
            [row.vals[label][0] for _, row in good],
            c=[shades[row.tid] for _, row in good],
            edgecolors="0.5",
            linewidths=0.3,
        )
    failed = [row for row in rows if row.status == "fail"]
    if failed and not arrange_by_loss:
        axes.scatter(
            [row.tid for row in failed],
            [row.vals[label][0] for row in failed],
            c=[default_status_colors["fail"]] * len(failed),
            marker="x",
        )


def _scale(axes: Axes, label: str, values: Sequence[Any], space: Space | None) -> None:
    """Give the vertical axis a logarithmic scale, or the names of options, where they belong."""
    positive = bool(values) and min(values) > 0
    if space is None or label not in space.index:  # as Hyperopt guesses
        if "log" in label and positive:
            axes.set_yscale("log")
        return
    distribution = space.parameters[space.index[label]].distribution
    if isinstance(distribution, Categorical):
        names = _option_names(space, label)
        axes.set_yticks(range(len(names)), names)
    elif not isinstance(distribution, Integer) and distribution.log and positive:
        axes.set_yscale("log")


def _space_of(trials: Any) -> Space | None:  # noqa: ANN401 - Trials, Hyperopt's too
    space = trials._space() if hasattr(trials, "_space") else None  # noqa: SLF001 - ours
    return space if isinstance(space, Space) else None


def _option_names(space: Space, label: str) -> list[str]:
    """Return for each option of a choice its text if it is a constant, and its index if not."""
    return [_name(option) for option in space.options(label)]


def _name(constant: object) -> str:
    name = getattr(constant, "__name__", None)
    text = name if isinstance(name, str) else str(constant)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
