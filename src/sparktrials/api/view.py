"""Trials as Hyperopt's users read them: documents, losses, the best; built on each read."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

import numpy as np

from sparktrials.api.documents import (
    JOB_STATE_CANCEL,
    JOB_STATE_ERROR,
    JOB_STATES,
    document_of,
    job_state_of,
)
from sparktrials.errors import AllTrialsFailed, InvalidArgument, InvalidArgumentType
from sparktrials.study.trial import Trial, TrialState

if TYPE_CHECKING:
    from sparktrials.space import Space

__all__ = ["TrialsView", "all_failed", "is_hidden", "trial_id_of"]


def is_hidden(trial: Trial) -> bool:
    """Whether Hyperopt's ``trials.trials`` leaves a trial out: an error, or cancelled."""
    return job_state_of(trial) in (JOB_STATE_ERROR, JOB_STATE_CANCEL)


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial with the lowest loss, of several the first; None if none has a loss."""
    ok = [t for t in trials if t.state is TrialState.OK and t.loss is not None]
    return min(ok, key=lambda t: (t.loss, t.id), default=None)


def all_failed(trials: Iterable[Trial]) -> AllTrialsFailed:
    """Return the error that says that no trial has a loss, and why."""
    over = [t for t in trials if t.state.terminal]
    ended = [t for t in over if t.state is not TrialState.CANCELLED]
    cancelled = f" ({len(over)} were cancelled)" if over else ""
    text = (
        f"no trial has ended{cancelled}. There are no evaluation tasks, cannot return argmin of "
        "task losses."
        if not ended
        else f"all {len(ended)} trials failed, so there is no best one"
    )
    first = next((t for t in ended if t.failure is not None), None)
    if first is not None and first.failure is not None:
        kinds: dict[str, int] = {}
        for trial in ended:
            if trial.failure is not None:
                kinds[trial.failure.type] = kinds.get(trial.failure.type, 0) + 1
        causes = ", ".join(
            f"{name} x {n}" for name, n in sorted(kinds.items(), key=lambda k: -k[1])
        )
        text += (
            f" ({causes}). There are no evaluation tasks, cannot return argmin of task losses.\n"
            f"The first was trial {first.id} on {first.host}, point {dict(first.point)}:\n"
            f"{first.failure}\n{first.failure.traceback}"
        )
    return AllTrialsFailed(text.rstrip())


class TrialsView:
    """What can be read of trials; subclasses say which trials those are."""

    asynchronous = False

    # ------------------------------------------------------------------ what subclasses know

    def _rows(self) -> Sequence[Trial]:
        """Return the trials by id."""
        raise NotImplementedError

    def _labels(self) -> list[str]:
        """Return the labels of the space."""
        raise NotImplementedError

    def _space(self) -> Space | None:
        """Return the space, if it is known."""
        raise NotImplementedError

    @property
    def _exp_key(self) -> str | None:
        """What documents call the experiment."""
        return None

    # ------------------------------------------------------------------ documents

    def _visible(self) -> list[Trial]:
        ok = TrialState.OK
        return [t for t in self._rows() if t.state is ok or not is_hidden(t)]

    def _documents(self, trials: Iterable[Trial]) -> list[dict[str, Any]]:
        """Return the documents of trials."""
        labels = self._labels()
        return [document_of(t, labels, self._exp_key) for t in trials]

    @property
    def _dynamic_trials(self) -> list[dict[str, Any]]:
        """All documents, those of errors and cancelled trials too."""
        return self._documents(self._rows())

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Documents of the trials that are new, running or done."""
        return self._documents(self._visible())

    @property
    def _trials(self) -> list[dict[str, Any]]:
        return self.trials

    def __len__(self) -> int:
        return len(self._visible())

    def __getitem__(self, item: object) -> NoReturn:
        msg = f"trials[{item!r}] is not offered, as in Hyperopt: say trials.trials[position]"
        raise NotImplementedError(msg)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.trials)

    @property
    def tids(self) -> list[int]:
        """Ids of the documents in `trials`."""
        return [t.id for t in self._visible()]

    @property
    def specs(self) -> list[Any]:
        """``spec`` of the documents in `trials`."""
        return [d["spec"] for d in self.trials]

    @property
    def results(self) -> list[dict[str, Any]]:
        """``result`` of the documents in `trials`."""
        return [d["result"] for d in self.trials]

    @property
    def miscs(self) -> list[dict[str, Any]]:
        """``misc`` of the documents in `trials`."""
        return [d["misc"] for d in self.trials]

    @property
    def idxs(self) -> dict[str, list[int]]:
        """``label -> ids`` of the trials in which it is active."""
        return self.idxs_vals[0]

    @property
    def vals(self) -> dict[str, list[Any]]:
        """``label -> raw values`` of the trials in which it is active."""
        return self.idxs_vals[1]

    @property
    def idxs_vals(self) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
        """Both `idxs` and `vals`."""
        labels = self._labels()
        idxs: dict[str, list[int]] = {label: [] for label in labels}
        vals: dict[str, list[Any]] = {label: [] for label in labels}
        for document in self.trials:
            for label, values in document["misc"]["vals"].items():
                idxs.setdefault(label, []).extend([document["tid"]] * len(values))
                vals.setdefault(label, []).extend(values)
        return idxs, vals

    def losses(self, bandit: Any = None) -> list[Any]:  # noqa: ANN401 - a Domain
        """Losses of `trials`; None where there is none. A domain may judge results itself."""
        if bandit is not None:
            return list(map(bandit.loss, self.results, self.specs))
        return [r.get("loss") for r in self.results]

    def statuses(self, bandit: Any = None) -> list[Any]:  # noqa: ANN401 - a Domain
        """Statuses of `trials`. A domain may judge results itself."""
        if bandit is not None:
            return list(map(bandit.status, self.results, self.specs))
        return [r.get("status", "new") for r in self.results]

    def count_by_state_synced(
        self,
        arg: int | Iterable[int],
        trials: Iterable[Mapping[str, Any]] | None = None,
    ) -> int:
        """Return how many of `trials`, or of given documents, are in one of some job states."""
        wanted = _states(arg)
        if trials is not None:
            return sum(d["state"] in wanted for d in trials)
        return sum(job_state_of(t) in wanted for t in self._visible())

    def count_by_state_unsynced(self, arg: int | Iterable[int]) -> int:
        """Return how many of all trials are in a job state, or in any of several."""
        wanted = _states(arg)
        return sum(job_state_of(t) in wanted for t in self._rows())

    # ------------------------------------------------------------------ the best

    def _best(self) -> Trial:
        rows = self._rows()
        best = best_of(rows)
        if best is None:
            raise all_failed(rows)
        return best

    @property
    def best_trial(self) -> dict[str, Any]:
        """Document of the trial with the lowest loss.

        Raises
        ------
        AllTrialsFailed
            If no trial has a loss; the message shows the first failure.
        """
        return self._documents([self._best()])[0]

    @property
    def argmin(self) -> dict[str, Any]:
        """``label -> raw value`` of the best trial; a choice is its branch index.

        Raises
        ------
        AllTrialsFailed
            If no trial has a loss.
        """
        vals = self.best_trial["misc"]["vals"]
        return {label: values[0] for label, values in vals.items() if len(values)}

    @property
    def best_params(self) -> dict[str, Any]:
        """``label -> value`` of the best trial: of a choice the option, not its index.

        Raises
        ------
        AllTrialsFailed
            If no trial has a loss.
        InvalidArgument
            If the space is not known here, as in a history that was just opened: options are the
            program's, not the history's.
        """
        space = self._space()
        if space is None:
            msg = (
                "best_params needs the search space, which a history does not keep: call fmin "
                "with it first, or use space_eval(space, trials.argmin)"
            )
            raise InvalidArgument(msg)
        return space.values(self._best().point)

    def average_best_error(self, bandit: Any = None) -> Any:  # noqa: ANN401 - a Domain; np.float64
        """Return the true loss averaged over the trials that noise cannot tell from the best.

        Source: Bergstra et al., Hyperopt ``base.Trials.average_best_error``: each trial whose loss
        is within its variance of the best counts, weighted by its chance to be the best.
        """
        if bandit is None:
            rows = [
                (
                    float(r["loss"]),
                    float(r.get("loss_variance", 0) or 0),
                    float(r.get("true_loss", r["loss"])),
                )
                for r in self.results
                if r.get("status") == "ok"
            ]
        else:
            rows = [
                (bandit.loss(r, s), bandit.loss_variance(r, s), bandit.true_loss(r, s))
                for r, s in zip(self.results, self.specs, strict=True)
                if bandit.status(r) == "ok"
            ]
        if not rows:
            msg = "Empty loss vector: no trial has a loss"
            raise InvalidArgument(msg)
        loss, variance, true = (np.array(column) for column in zip(*rows, strict=True))
        if not variance.any():
            return np.float64(true[np.argmin(loss)])
        best = int(np.argmin(loss))
        cutoff = loss[best] + 3 * math.sqrt(variance[best])
        near = loss <= cutoff
        weights = _chance_to_be_best(loss[near], np.sqrt(np.maximum(variance[near], 1e-300)))
        return np.float64(np.dot(true[near], weights))


def trial_id_of(trial: Mapping[str, Any] | SupportsIndex) -> int:
    """Return the id of a trial that is given by its document or its id."""
    return int(trial["tid"]) if isinstance(trial, Mapping) else operator.index(trial)


def _states(state: SupportsIndex | Iterable[int]) -> set[int]:
    states = set(state) if isinstance(state, Iterable) else {operator.index(state)}
    if not states <= set(JOB_STATES):
        msg = f"job states are {', '.join(map(str, JOB_STATES))}, got {state!r}"
        raise InvalidArgumentType(msg)
    return states


def _chance_to_be_best(mean: Any, deviation: Any) -> Any:  # noqa: ANN401 - (n,) arrays
    """Return for each of independent normals the probability that it is the smallest.

    By integration over a grid: P(i smallest) = ∫ p_i(x) ∏_{j≠i} (1 - F_j(x)) dx.
    """
    from scipy.special import log_ndtr  # noqa: PLC0415 - not at import

    low, high = (mean - 6 * deviation).min(), (mean + 6 * deviation).max()
    x = np.linspace(low, high, 2001)
    z = (x[None, :] - mean[:, None]) / deviation[:, None]
    survival = log_ndtr(-z)
    log_p = -0.5 * z * z - np.log(deviation)[:, None]
    weights = np.exp(log_p + survival.sum(axis=0) - survival).sum(axis=1)
    return weights / weights.sum()
