"""The command ``sparktrials worker``, and ``hyperopt-mongo-worker`` with Hyperopt's flags."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sparktrials.errors import SparkTrialsError
from sparktrials.worker.loop import run_worker
from sparktrials.worker.settings import Settings

__all__ = ["mongo_worker", "mongo_worker_app", "worker"]

_URL = "The store, such as sqlite:///runs.db, postgresql://... or mongodb://..."
_KEY = "Only trials of this experiment; default: all."
_JOBS = "End after so many trials."
_DIRECTORY = "Directory that trials run in; made if it is missing."
_TRUST = (
    "Load objectives that are pickled in the store. Whoever can write to it can then run "
    "anything here."
)
_ALLOW = (
    "A module or package, besides your own modules, whose functions and classes trials may use; "
    "may be given again."
)


def worker(  # noqa: PLR0917 - options
    url: Annotated[str, typer.Argument(help=_URL)],
    exp_key: Annotated[str | None, typer.Option(help=_KEY)] = None,
    max_jobs: Annotated[int | None, typer.Option(help=_JOBS)] = None,
    poll: Annotated[
        float,
        typer.Option(help="Longest pause between two looks where the database tells of nothing."),
    ] = 0.05,
    workdir: Annotated[Path | None, typer.Option(help=_DIRECTORY)] = None,
    trial_timeout: Annotated[
        float | None, typer.Option(help="Seconds for one trial; it counts as failed then.")
    ] = None,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help=_TRUST)] = False,  # noqa: FBT002
    allow: Annotated[list[str] | None, typer.Option(help=_ALLOW)] = None,
    grace: Annotated[
        float,
        typer.Option(help="Seconds for a trial to end in when the worker is told to (SIGTERM)."),
    ] = 10.0,
    idle_timeout: Annotated[
        float | None, typer.Option(help="End after so many seconds without a trial.")
    ] = None,
) -> None:
    """Evaluate trials that WorkerTrials and MongoTrials put into a store.

    SIGTERM and Ctrl-C let the trial that runs end within the grace time, and hand it back
    otherwise; a second one hands it back at once. SIGUSR1 waits for it however long it takes.
    """
    _run(
        "sparktrials worker",
        url=url,
        exp_key=exp_key,
        max_jobs=max_jobs,
        poll_s=poll,
        workdir=workdir,
        trial_timeout_s=trial_timeout,
        trust_pickle=trust_pickle,
        allow=allow or (),
        grace_s=grace,
        idle_timeout_s=idle_timeout,
    )


def mongo_worker(  # noqa: PLR0917 - options
    mongo: Annotated[
        str, typer.Option(help="<host>[:port]/<database>, or the URL of any store.")
    ] = "localhost/hyperopt",
    exp_key: Annotated[str | None, typer.Option(help=_KEY)] = None,
    max_jobs: Annotated[int | None, typer.Option(help=_JOBS)] = None,
    max_consecutive_failures: Annotated[
        int, typer.Option(help="End when so many trials have failed one after the other.")
    ] = 4,
    poll_interval: Annotated[
        float, typer.Option(help="Longest pause between two looks for a trial.")
    ] = 0.05,
    reserve_timeout: Annotated[
        float, typer.Option(help="End after so many seconds without a trial.")
    ] = 120.0,
    last_job_timeout: Annotated[
        float | None, typer.Option(help="Take no trial after so many seconds.")
    ] = None,
    workdir: Annotated[Path | None, typer.Option(help=_DIRECTORY)] = None,
    no_subprocesses: Annotated[  # noqa: FBT002
        bool, typer.Option("--no-subprocesses", help="No effect: trials have a process always.")
    ] = False,
    max_jobs_in_db: Annotated[
        int | None, typer.Option(help="End at once where the database has so many trials.")
    ] = None,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help=_TRUST)] = False,  # noqa: FBT002
    allow: Annotated[list[str] | None, typer.Option(help=_ALLOW)] = None,
) -> None:
    """Evaluate trials of MongoTrials, as Hyperopt's command of this name did."""
    from sparktrials.api.worker_trials import mongo_url  # noqa: PLC0415 - one command's

    if no_subprocesses:
        typer.echo("note: --no-subprocesses has no effect", err=True)
    url = mongo_url(mongo)
    if max_jobs_in_db is not None:
        n_trials = _counted("hyperopt-mongo-worker", url, exp_key)
        if n_trials >= max_jobs_in_db:
            typer.echo(f"the database has {n_trials} trials already, at least {max_jobs_in_db}")
            return
    _run(
        "hyperopt-mongo-worker",
        url=url,
        exp_key=exp_key,
        max_jobs=max_jobs,
        max_failures=max_consecutive_failures,
        poll_s=poll_interval,
        idle_timeout_s=reserve_timeout,
        last_job_s=last_job_timeout,
        workdir=workdir,
        trust_pickle=trust_pickle,
        allow=allow or (),
    )


def mongo_worker_app() -> None:
    """Run ``hyperopt-mongo-worker`` with this process's arguments."""
    typer.run(mongo_worker)


def _counted(command: str, url: str, exp_key: str | None) -> int:
    from sparktrials.commands.terminal import opened  # noqa: PLC0415 - one option's

    try:
        with opened(url, to_write=True) as store:  # the worker makes what is not there, too
            keys = [e.key for e in store.experiments() if exp_key in {None, e.key}]
            return sum(map(store.count, keys))
    except SparkTrialsError as error:
        _fail(command, error)


def _run(command: str, **settings: object) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("sparktrials").setLevel(logging.INFO)
    try:
        run_worker(Settings(**settings))  # type: ignore[arg-type]  # as declared by the options
    except (SparkTrialsError, OSError) as error:
        _fail(command, error)


def _fail(command: str, error: Exception) -> NoReturn:
    typer.echo(f"{command}: {error}", err=True)
    raise typer.Exit(1)
