"""``sparktrials ls``, ``show`` and ``best``: what a store has; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparktrials.api.constants import options_of
from sparktrials.api.table import values_by_options
from sparktrials.api.view import all_failed, best_of
from sparktrials.commands.terminal import (
    AsJson,
    ExpKey,
    StoreUrl,
    complaining,
    experiment_of,
    for_people,
    opened,
    print_json,
    print_table,
    trial_fields,
    when,
)
from sparktrials.errors import InvalidArgument
from sparktrials.study.trial import TrialState

if TYPE_CHECKING:
    from sparktrials.store.durable import DurableStore
    from sparktrials.study.protocols import Experiment
    from sparktrials.study.trial import Trial

__all__ = ["best", "ls", "show"]


def ls(url: StoreUrl, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """List the experiments of a store."""
    with complaining("ls"), opened(url) as store:
        rows = [_summary(store, experiment) for experiment in store.experiments()]
    if as_json:
        print_json(rows)
        return
    # Those that most histories have; others where there are some.
    usual = ("ok", "failed", "running")
    there = {state for row in rows for state in row["states"]}
    states = [s.value for s in TrialState if s.value in there.union(usual)]
    states.sort(key=lambda s: usual.index(s) if s in usual else len(usual))
    print_table(
        ("experiment", "trials", *states, "best loss", "last", "driver"),
        [
            (
                row["exp_key"],
                row["trials"],
                *(row["states"].get(state, 0) for state in states),
                row["best_loss"],
                when(row["last"]),
                row["driver"],
            )
            for row in rows
        ],
    )


def _summary(store: DurableStore, experiment: Experiment) -> dict[str, Any]:
    trials, _ = store.read(experiment.key)
    found = best_of(trials)
    driver = store.driver(experiment.key)
    times = [t for trial in trials for t in (trial.created, trial.started, trial.finished) if t]
    return {
        "exp_key": experiment.key,
        "trials": len(trials),
        "states": dict(Counter(t.state.value for t in trials)),
        "best_loss": None if found is None else found.loss,
        "last": max(times, default=None),
        "driver": driver[0] if driver is not None and driver[1] else None,
    }


def show(
    url: StoreUrl,
    exp_key: ExpKey = None,
    trial: Annotated[
        int | None, typer.Option(help="Id of a trial, to be shown whole.", min=0)
    ] = None,
    last: Annotated[int, typer.Option(help="How many trials to list.", min=0)] = 20,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Show an experiment: its search space and its last trials; or one trial."""
    with complaining("show"), opened(url) as store:
        experiment = experiment_of(store, exp_key)
        trials, _ = store.read(experiment.key)
        if trial is not None:
            found = next((t for t in trials if t.id == trial), None)
            if found is None:
                msg = f"experiment {experiment.key!r} in {store.url} has no trial {trial}"
                raise InvalidArgument(msg)
            _show_trial(found, experiment, as_json=as_json)
            return
        summary = _summary(store, experiment)
    shown = trials[max(0, len(trials) - last) :]
    if as_json:
        space = [dict(row) for row in experiment.space]
        rows = [trial_fields(t, experiment) for t in shown]
        print_json({**summary, "space": space, "seed": experiment.seed, "last_trials": rows})
        return
    states = ", ".join(f"{n} {state}" for state, n in sorted(summary["states"].items()))
    typer.echo(f"experiment {experiment.key}: {summary['trials']} trials ({states or 'none'})")
    if summary["driver"]:
        typer.echo(f"driven by {summary['driver']}")
    typer.echo("")
    print_table(
        ("parameter", "distribution", "if"),
        [(row["label"], row["distribution"], row["condition"]) for row in experiment.space],
    )
    typer.echo("")
    print_table(
        ("id", "state", "loss", "seconds", "finished", "host", "values or error"),
        [
            (
                t.id,
                t.state.value,
                t.loss,
                t.duration_s,
                when(t.finished),
                t.host,
                _what(t, experiment),
            )
            for t in shown
        ],
    )


def _what(trial: Trial, experiment: Experiment) -> str:
    if trial.failure is not None:
        return str(trial.failure)
    return _values(trial, experiment)


def _values(trial: Trial, experiment: Experiment) -> str:
    params = _params(trial, experiment)
    return ", ".join(f"{label}={for_people(value)}" for label, value in params.items())


def _params(trial: Trial, experiment: Experiment) -> Mapping[str, Any]:
    return values_by_options(options_of(experiment))(trial)


def _show_trial(trial: Trial, experiment: Experiment, *, as_json: bool) -> None:
    fields = trial_fields(trial, experiment)
    if as_json:
        print_json(fields)
        return
    rows = [
        (name, when(value) if name in {"created", "started", "finished"} else value)
        for name, value in fields.items()
        if name not in {"v", "point", "params", "result", "failure", "log", "reports"}
    ]
    rows += [(f"params {label}", value) for label, value in _params(trial, experiment).items()]
    rows += [(f"result {key}", value) for key, value in trial.result.items()]
    print_table(("field", "value"), rows)
    if trial.reports:
        typer.echo("")
        print_table(("step", "reported"), trial.reports)
    for text in (trial.log, _failure(trial)):
        if text:
            typer.echo("")
            typer.echo("".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text))


def _failure(trial: Trial) -> str:
    return "" if trial.failure is None else f"{trial.failure}\n{trial.failure.traceback}".rstrip()


def best(
    url: StoreUrl,
    exp_key: ExpKey = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Show the trial with the lowest loss."""
    with complaining("best"), opened(url) as store:
        experiment = experiment_of(store, exp_key)
        trials, _ = store.read(experiment.key)
        found = best_of(trials)
        if found is None:
            raise all_failed(trials)
    _show_trial(found, experiment, as_json=as_json)
