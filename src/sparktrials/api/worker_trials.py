"""``WorkerTrials`` and ``MongoTrials``: histories whose trials are evaluated by workers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from sparktrials.api.options import checked_retries, positive_seconds, threshold
from sparktrials.api.trials import Trials
from sparktrials.dispatch.workers import WorkersDispatcher
from sparktrials.errors import InvalidArgument
from sparktrials.store import board_of, is_url
from sparktrials.store.lease import Holder

if TYPE_CHECKING:
    from sparktrials.study.protocols import Dispatcher, Store

__all__ = ["MongoTrials", "WorkerTrials", "mongo_url"]


class WorkerTrials(Trials):
    """The history of an experiment; trials are evaluated by ``sparktrials worker`` processes.

    They run on any machines that reach the store. One that dies is noticed, and its trial is
    evaluated by another. This process may end, too: workers go on with what they have, and the next
    ``fmin`` on the same experiment takes up what they did meanwhile (docs/how-to/workers.md).

    Parameters
    ----------
    store, exp_key
        As in `Trials`; a store that other processes can share.
    timeout, loss_threshold
        As in `SparkTrials`.
    trial_timeout
        Seconds for one trial; one that takes longer is ended and counts as failed.
    max_retries
        How often a trial whose worker was lost is evaluated again.
    tracking
        As in `Trials`.

    Raises
    ------
    InvalidArgument
        If the store is in this process's memory, or another argument makes no sense.
    StoreError
        If the store cannot be opened.
    """

    asynchronous = True
    catch_by_default = True

    def __init__(
        self,
        store: str | Store,
        exp_key: str | None = None,
        refresh: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
        *,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        trial_timeout: float | None = None,
        max_retries: int = 2,
        tracking: str | bool | None = None,
    ) -> None:
        self.timeout = positive_seconds("timeout", timeout)
        self.loss_threshold = threshold("loss_threshold", loss_threshold)
        self.trial_timeout = positive_seconds("trial_timeout", trial_timeout)
        self.max_retries = checked_retries(max_retries)
        super().__init__(store, exp_key, refresh, tracking=tracking)
        board_of(self._store)  # what is not shared is an error now, not in fmin

    def dispatcher(self, max_queue_len: int) -> Dispatcher:
        """Return where trials run; ``fmin`` closes it."""
        import cloudpickle  # noqa: PLC0415 - not at import

        return WorkersDispatcher(
            board_of(self._store),
            self._key,
            recorded=self._recorded,
            ended=_ended,
            dumps=cloudpickle.dumps,
            queue_ahead=max_queue_len - 1,
        )

    def _recorded(self, trial_id: int) -> bool:
        trial = self._kept.get(trial_id)
        return trial is not None and trial.state.terminal


class MongoTrials(WorkerTrials):
    """`WorkerTrials` under Hyperopt's name, with its arguments.

    Parameters
    ----------
    arg
        ``mongo://host:port/database/jobs``, as in Hyperopt, or ``host:port/database``, or the URL
        of any store that processes share.
    exp_key, refresh
        As in `WorkerTrials`.
    cmd, workdir
        Hyperopt's; workers know what to run, and are told where by ``--workdir``.
    """

    def __init__(
        self,
        arg: str | Store,
        exp_key: str | None = None,
        cmd: Any = None,  # noqa: ANN401 - not used
        workdir: Any = None,  # noqa: ANN401 - not used
        refresh: bool = True,  # noqa: FBT001, FBT002 - Hyperopt's signature
        **settings: Any,  # noqa: ANN401 - those of WorkerTrials
    ) -> None:
        for name, value in (("cmd", cmd), ("workdir", workdir)):
            if value is not None:
                warnings.warn(
                    f"MongoTrials({name}={value!r}) has no effect: workers call the objective "
                    "that fmin was given, in the directory of sparktrials worker --workdir",
                    stacklevel=2,
                )
        store = mongo_url(arg) if isinstance(arg, str) else arg
        super().__init__(store, exp_key, refresh, **settings)

    def refresh_tids(self, tids: Any) -> None:  # noqa: ANN401, ARG002 - Hyperopt's signature
        """Read what the store has that is not here yet."""
        self.refresh()

    def delete_all(self, cond: Any = None) -> None:  # noqa: ANN401 - Hyperopt's signature
        """Remove the experiment with all its trials.

        Raises
        ------
        InvalidArgument
            If a condition is given: there are none on trials here.
        """
        if cond is not None:
            msg = f"delete_all removes the whole experiment: cond must be None, got {cond!r}"
            raise InvalidArgument(msg)
        super().delete_all()


def mongo_url(text: str) -> str:
    """Return the URL that Hyperopt's users mean by ``host:port/database``."""
    return text if "://" in text or (is_url(text) and "/" not in text) else f"mongo://{text}"


def _ended(process: str) -> bool:
    """Whether a process, described by `Holder.text`, has surely ended: one of this machine."""
    try:
        holder = Holder.from_text(process, "")
    except ValueError:
        return False
    return holder.same_machine(Holder.here("")) and not holder.alive()
