"""MLflow: a study as a run, each trial as a run beneath it.

`Writer` runs in the threads of a backlog: each call may take as long as the server does.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparktrials.study.trial import TrialState
from sparktrials.tracking.values import metrics_of, parameters_of, tags_of

if TYPE_CHECKING:
    from sparktrials.study.history import History
    from sparktrials.study.trial import Trial

__all__ = ["END", "STUDY", "News", "Writer", "active_run", "is_refusal", "tracking_uri"]

#: Keys of news of the study itself: its best trial, its end.
STUDY = "study"
END = "end"
#: Metric of what running trials report.
REPORTED = "reported"
#: MLflow's limits on one request.
_PARAMETERS_AT_ONCE = 100
_METRICS_AT_ONCE = 800
#: Context that children have from their parent: who, from which notebook.
_INHERITED = ("mlflow.user", "mlflow.source.", "mlflow.databricks.")
#: Answers of HTTP that say nothing of the record: not let in, too slow, too much.
_MAY_PASS = frozenset({401, 403, 407, 408, 429})
_STATUS = {
    TrialState.OK: "FINISHED",
    TrialState.FAILED: "FAILED",
    TrialState.CANCELLED: "KILLED",
    TrialState.PRUNED: "KILLED",  # as MLflow's own Optuna storage has it
}


@dataclass(frozen=True, slots=True)
class News:
    """How a study does: its best trial, how many trials are in which state, and when."""

    best: Trial | None
    counts: Mapping[TrialState, int]
    at: float


def tracking_uri() -> str:
    """Return where MLflow logs to."""
    import mlflow  # noqa: PLC0415 - an extra

    return str(mlflow.get_tracking_uri())


def active_run() -> str | None:
    """Return the id of the run that the calling thread is in, if any."""
    import mlflow  # noqa: PLC0415 - an extra

    run = mlflow.active_run()
    # Where `mlflow run` has started the program, its run becomes active at the first use.
    return os.environ.get("MLFLOW_RUN_ID") or None if run is None else str(run.info.run_id)


def is_refusal(error: Exception) -> bool:
    """Whether the server does not want this record, rather than being out of order.

    Whom it does not let in at all (401, 403) may be let in later: tokens are renewed.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - an extra

    if not isinstance(error, MlflowException):
        return not isinstance(error, OSError)
    code = int(error.get_http_status_code())  # type: ignore[no-untyped-call]
    return 400 <= code < 500 and code not in _MAY_PASS  # noqa: PLR2004 - HTTP's


@dataclass(slots=True)
class _Child:
    """A trial's run."""

    run_id: str
    attempt: int = 0
    ended: bool = False
    described: bool = False
    reported: set[tuple[int, float]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Parent:
    """The study's run."""

    run_id: str
    experiment_id: str
    ours: bool
    context: Mapping[str, str]
    suffix: str


class Writer:
    """Writes news of one study.

    Parameters
    ----------
    history
        The study's.
    key
        The experiment's name.
    uri
        Where MLflow logs to.
    active
        Id of the run that is open already; None makes one.
    resumed
        Whether an earlier program may have logged some of the trials.
    """

    def __init__(
        self, history: History, key: str, uri: str, active: str | None, *, resumed: bool
    ) -> None:
        self.uri = uri
        self._history = history
        self._space = history.space
        self._key = key
        self._active = active
        self._resumed = resumed
        self._opening = threading.Lock()
        self._client: Any = None
        self._opened: _Parent | None = None
        self._failure: Exception | None = None  # the last one of those to open
        self._failures = 0
        self._children: dict[int, _Child] = {}
        self._asked_for: dict[int | None, int] = {}  # runs that may be made, by trial: since when

    def write(self, key: Hashable, news: Any) -> None:  # noqa: ANN401 - by key
        """Write news of a trial or of the study."""
        parent = self._parent()
        if key == STUDY:
            self._study(parent, news)
        elif key == END:
            self._end(parent, *news)
        else:
            self._trial(parent, news)

    # ------------------------------------------------------------------ the study

    def _study_id(self) -> str:
        """Return what tells this study from others of its name, wherever its store is moved."""
        first = self._history.trials[0]
        text = f"{self._key}|{self._space.fingerprint}|{first.id}|{first.created!r}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _parent(self) -> _Parent:
        """Return the study's run, found or made at the first call that succeeds.

        One that has waited for another's try takes its failure, too: threads do not ask a server
        that is away one after the other.
        """
        failures = self._failures
        with self._opening:
            if self._opened is None:
                from mlflow import MlflowClient  # noqa: PLC0415 - an extra

                if self._failure is not None and self._failures != failures:
                    raise self._failure
                try:
                    self._client = MlflowClient(self.uri)
                    self._opened = self._open()
                except Exception as error:
                    self._failure, self._failures = error, self._failures + 1
                    raise
            return self._opened

    def _open(self) -> _Parent:
        from mlflow.tracking.context.registry import resolve_tags  # noqa: PLC0415
        from mlflow.tracking.fluent import _get_experiment_id  # noqa: PLC0415 - there is no other

        study = self._study_id()
        own = {"sparktrials.study": study, "sparktrials.experiment": self._key}
        run = None if self._active is None else self._client.get_run(self._active)
        experiment = str(_get_experiment_id() if run is None else run.info.experiment_id)
        if self._resumed:
            earlier = self._find_children(experiment, study)
            if run is None and earlier is None:
                earlier = self._find_childless(experiment, study)
            if run is None and earlier is not None:
                run = self._reopened(earlier)
        ours = self._active is None
        if run is None:
            name = f"sparktrials {self._key}"
            run = self._create(None, experiment, resolve_tags(own), name, time.time())
        # A run of the user's may hold several studies: the first has the plain names.
        known = run.data.tags.get("sparktrials.study", study)
        if known == study:
            for name, text in own.items():
                if run.data.tags.get(name) != text:
                    self._client.set_tag(run.info.run_id, name, text)
        context = {k: v for k, v in run.data.tags.items() if k.startswith(_INHERITED)}
        suffix = "" if known == study else f"_{study[:8]}"
        return _Parent(run.info.run_id, experiment, ours, {**context, **own}, suffix)

    def _create(
        self, trial: int | None, experiment: str, tags: Mapping[str, str], name: str, started: float
    ) -> Any:  # noqa: ANN401 - a Run
        """Make a run, of a trial or of the study; one that an earlier try has made is taken.

        The server may have made it and the answer been lost.
        """
        since = self._asked_for.get(trial)
        if since is not None:
            study = f"tags.`sparktrials.study` = '{tags['sparktrials.study']}'"
            for run in self._client.search_runs(
                [experiment], f"{study} and attributes.start_time = {since}"
            ):
                if run.data.tags.get("sparktrials.trial") == tags.get("sparktrials.trial"):
                    return run
        since = self._asked_for[trial] = _ms(started)
        run = self._client.create_run(experiment, start_time=since, tags=tags, run_name=name)
        del self._asked_for[trial]
        return run

    def _find_children(self, experiment: str, study: str) -> str | None:
        """Take up the runs of trials that an earlier program has logged; return their parent."""
        parent, token = None, None
        while True:
            page = self._client.search_runs(
                [experiment],
                f"tags.`sparktrials.study` = '{study}' and tags.`sparktrials.trial` != ''",
                max_results=1000,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for run in page:
                tags = run.data.tags
                self._children[int(tags["sparktrials.trial"])] = _Child(
                    run.info.run_id, ended=run.info.status != "RUNNING"
                )
                parent = tags.get("mlflow.parentRunId", parent)
            token = page.token
            if not token:
                return parent

    def _find_childless(self, experiment: str, study: str) -> str | None:
        """Return the study's run of a program that could log none of its trials."""
        found = self._client.search_runs([experiment], f"tags.`sparktrials.study` = '{study}'")
        return found[0].info.run_id if found else None

    def _reopened(self, run_id: str) -> Any:  # noqa: ANN401 - a Run
        run = self._client.get_run(run_id)
        if run.info.lifecycle_stage != "active":
            return None
        self._client.update_run(run_id, status="RUNNING")
        return run

    def _study(self, parent: _Parent, news: News) -> None:
        if news.best is None:
            return
        ended = sum(n for state, n in news.counts.items() if state.terminal)
        metric = self._metrics({f"best_loss{parent.suffix}": news.best.loss}, news.at, ended)
        self._client.log_batch(parent.run_id, metrics=metric)

    def _end(self, parent: _Parent, status: str, news: News) -> None:
        from mlflow.entities import RunTag  # noqa: PLC0415 - an extra

        tags = {"trials": str(sum(news.counts.values()))}
        tags |= {f"trials.{s.value}": str(n) for s, n in news.counts.items() if s.terminal and n}
        if news.best is not None:
            best = self._children.get(news.best.id)
            tags["best.trial"] = str(news.best.id)
            if best is not None:
                tags["best.run"] = best.run_id
        named = [RunTag(f"sparktrials.{k}{parent.suffix}", v) for k, v in tags.items()]
        self._client.log_batch(parent.run_id, tags=named)
        if parent.ours:
            self._client.set_terminated(parent.run_id, status, end_time=_ms(news.at))

    # ------------------------------------------------------------------ trials

    def _trial(self, parent: _Parent, trial: Trial) -> None:
        child = self._children.get(trial.id)
        if child is None:
            tags = {
                **parent.context,
                **tags_of(trial),
                "mlflow.parentRunId": parent.run_id,
                "sparktrials.trial": str(trial.id),
            }
            started = trial.started or trial.created or time.time()
            run = self._create(trial.id, parent.experiment_id, tags, f"trial {trial.id}", started)
            child = self._children[trial.id] = _Child(run.info.run_id, attempt=trial.attempt)
        if child.ended:
            return
        self._describe(child, trial)
        if trial.state.terminal:
            at = trial.finished or time.time()
            self._client.set_terminated(child.run_id, _STATUS[trial.state], end_time=_ms(at))
            child.ended = True
            child.reported.clear()

    def _describe(self, child: _Child, trial: Trial) -> None:
        """Log what is new of a trial."""
        from mlflow.entities import Param, RunTag  # noqa: PLC0415 - an extra

        at = trial.finished or time.time()
        metrics = self._metrics(metrics_of(trial), at)
        for step, value in trial.reports:
            if (step, value) not in child.reported:
                child.reported.add((step, value))
                metrics += self._metrics({REPORTED: value}, time.time(), step)
        params: list[Any] = []
        if not child.described:
            params = [Param(k, v) for k, v in parameters_of(self._space, trial).items()]
        tags: list[Any] = []
        if trial.state.terminal or trial.attempt != child.attempt:
            tags = [RunTag(k, v) for k, v in tags_of(trial).items()]
        while metrics or params or tags:
            self._client.log_batch(
                child.run_id,
                metrics=metrics[:_METRICS_AT_ONCE],
                params=params[:_PARAMETERS_AT_ONCE],
                tags=tags,
            )
            metrics, params = metrics[_METRICS_AT_ONCE:], params[_PARAMETERS_AT_ONCE:]
            tags = []
        child.described = True
        child.attempt = trial.attempt

    def _metrics(self, values: Mapping[str, Any], at: float, step: int = 0) -> list[Any]:
        from mlflow.entities import Metric  # noqa: PLC0415 - an extra

        return [Metric(k, float(v), _ms(at), step) for k, v in values.items()]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
