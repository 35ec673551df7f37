"""``SparkTrials``: a history whose trials run on Spark executors."""

from __future__ import annotations

import logging
import sys
from numbers import Integral
from typing import TYPE_CHECKING, Any

from sparktrials.api.documents import JOB_STATE_CANCEL, JOB_STATE_DONE, JOB_STATE_ERROR
from sparktrials.api.options import checked_retries, positive_seconds, threshold
from sparktrials.api.spelling import suggests_keywords
from sparktrials.api.trials import Trials
from sparktrials.dispatch.spark import SparkDispatcher
from sparktrials.dispatch.spark_finding import find_backend, is_running
from sparktrials.errors import InvalidArgument
from sparktrials.store.url import kind_of
from sparktrials.study.trial import FailureKind

if TYPE_CHECKING:
    from sparktrials.dispatch.spark_backend import Backend
    from sparktrials.study.protocols import Dispatcher, Store

__all__ = ["SparkTrials"]

#: Hyperopt's logger, which programs set the level of.
logger = logging.getLogger("hyperopt-spark")


class SparkTrials(Trials):
    """The history of an experiment; evaluates trials as tasks of a Spark cluster.

    Parameters
    ----------
    parallelism
        Trials at once; None, or what is not positive, means as many as the cluster has slots, and
        follows it as it grows and shrinks. There is no cap.
    timeout
        Seconds for each ``fmin``; if that has one of its own, the smaller holds.
    loss_threshold
        ``fmin`` stops when the best loss is below it; if that has one of its own, the larger holds.
    spark_session
        A ``SparkSession``, classic or of Spark Connect; None takes the active one, or starts one.
    resource_profile
        A ``pyspark.resource.ResourceProfile``: what each trial's task needs (docs/how-to/
        resources.md). Without effect on ``local[...]``, which has no executors to choose from.
    store, exp_key
        As in `Trials`.
    trial_timeout
        Seconds for one trial; one that takes longer is ended and counts as failed.
    max_retries
        How often a trial whose worker was lost is run again. With 0 no trial is ever run twice,
        and trials don't share tasks, however short they are.
    channel
        Whether executors that can reach this process ask it for trial after trial, over connections
        of their own (docs/security.md). False pushes trials to them as Spark jobs. None means True,
        but False where Spark is told to encrypt its connections: these are not encrypted.
    limit_threads
        Whether libraries with thread pools of their own (BLAS, OpenMP, numexpr) keep to the cpus of
        the trial's task. Variables that are set on the executors, such as ``OPENBLAS_NUM_THREADS``,
        come first.
    nodes_per_trial
        How many tasks run each trial together, for distributed training (docs/how-to/
        distributed-training.md): all call the objective, what rank 0 returns is the result.
    tracking
        As in `Trials`; None logs to the run of MLflow's that is active where ``fmin`` is called,
        if there is one, and False does not.

    Raises
    ------
    SparkNotAvailable, SparkContextStopped
        If there is no Spark to use.
    InvalidArgument, InvalidArgumentType, StoreError
        As in `Trials`.
    """

    asynchronous = True
    catch_by_default = True
    tracks_active_run = True
    #: Hyperopt's cap on `parallelism`; here there is none.
    MAX_CONCURRENT_JOBS_ALLOWED = sys.maxsize

    @suggests_keywords
    def __init__(
        self,
        parallelism: int | None = None,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        spark_session: Any = None,  # noqa: ANN401 - pyspark is an extra
        resource_profile: Any = None,  # noqa: ANN401
        *,
        store: str | Store | None = None,
        exp_key: str | None = None,
        trial_timeout: float | None = None,
        max_retries: int = 2,
        channel: bool | None = None,
        limit_threads: bool = True,
        nodes_per_trial: int = 1,
        tracking: str | bool | None = None,
    ) -> None:
        self.user_specified_parallelism = _parallelism(parallelism)
        self.timeout = positive_seconds("timeout", timeout)
        self.loss_threshold = threshold("loss_threshold", loss_threshold)
        self.trial_timeout = positive_seconds("trial_timeout", trial_timeout)
        self.max_retries = checked_retries(max_retries)
        self.channel = None if channel is None else bool(channel)
        self.limit_threads = bool(limit_threads)
        self.nodes_per_trial = _nodes(nodes_per_trial)
        self.resource_profile = resource_profile
        self._spark = spark_session
        if isinstance(store, str):
            kind_of(store)  # by its name it is no experiment's, as the first argument of Trials is
        super().__init__(store, exp_key, tracking=tracking)
        # No Spark is an error now, not in fmin; and so is what it cannot do.
        self._found: Backend | None = self._find()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle keeps: all but the session, found anew, and what lives in it."""
        state = super().__getstate__()
        state["_spark"] = state["_found"] = state["resource_profile"] = None
        return state

    def __str__(self) -> str:
        """Return the documents, as Hyperopt's does."""
        return f"SparkTrials(trials={self.trials})"

    def ended(self) -> None:
        """Log what a run came to."""
        logger.info(
            "Total Trials: %d: %d succeeded, %d failed, %d cancelled.",
            self.count_total_trials(),
            self.count_successful_trials(),
            self.count_failed_trials(),
            self.count_cancelled_trials(),
        )

    @property
    def spark_session(self) -> Any:  # noqa: ANN401 - pyspark is an extra
        """The session that was given, or None; assign a new one where that has ended.

        Raises
        ------
        SparkNotAvailable, SparkContextStopped, InvalidArgument, InvalidArgumentType
            If trials cannot run on the session; the old one is kept.
        """
        return self._spark

    @spark_session.setter
    def spark_session(self, session: Any) -> None:  # noqa: ANN401
        self._found = find_backend(session, self.resource_profile, in_clear=self.channel is True)
        self._spark = session

    @property
    def parallelism(self) -> int:
        """Trials at once: what was asked for, or the cluster's slots now."""
        if self.user_specified_parallelism is not None:
            return self.user_specified_parallelism
        return max(1, self._backend().slots() // self.nodes_per_trial)

    def count_successful_trials(self) -> int:
        """Return how many trials came to a result, whatever its status, as Hyperopt counts."""
        return self.count_by_state_unsynced(JOB_STATE_DONE)

    def count_failed_trials(self) -> int:
        """Return how many trials raised, or lost their worker or their time."""
        return self.count_by_state_unsynced(JOB_STATE_ERROR)

    def count_cancelled_trials(self) -> int:
        """Return how many trials were cancelled."""
        return self.count_by_state_unsynced(JOB_STATE_CANCEL)

    def count_total_trials(self) -> int:
        """Return how many trials have ended in one of these ways."""
        return self.count_by_state_unsynced([JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_CANCEL])

    def count_lost_trials(self) -> int:
        """Return how many trials failed because their worker was lost."""
        return sum(
            t.failure is not None and t.failure.kind is FailureKind.WORKER_LOST
            for t in self._rows()
        )

    def _backend(self) -> Backend:
        # A session that was stopped may have a successor, but none is started behind the user's
        # back: then what uses the one that was found says that it was stopped.
        if self._found is None or (self._found.stopped() and is_running()):
            self._found = self._find()
        return self._found

    def _find(self) -> Backend:
        return find_backend(self._spark, self.resource_profile, in_clear=self.channel is True)

    def dispatcher(self, max_queue_len: int) -> Dispatcher:  # noqa: ARG002 - it never throttles
        """Return where trials run; ``fmin`` closes it."""
        return SparkDispatcher(
            self._backend(),
            parallelism=self.user_specified_parallelism,
            packing=self.max_retries > 0,
            channel=self.channel is not False,
            limit_threads=self.limit_threads,
            nodes=self.nodes_per_trial,
        )


def _parallelism(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        hint = "; for a store: SparkTrials(store=...)" if isinstance(value, str) else ""
        if type(value).__module__.startswith("pyspark."):
            hint = "; for a session: SparkTrials(spark_session=spark)"
        msg = f"parallelism must be a whole number or None, got {value!r}{hint}"
        raise InvalidArgument(msg)
    if value <= 0:
        logger.warning("parallelism=%s is not positive: using the cluster's slots instead", value)
        return None
    return int(value)


def _nodes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        msg = f"nodes_per_trial must be a positive whole number, got {value!r}"
        raise InvalidArgument(msg)
    return int(value)
