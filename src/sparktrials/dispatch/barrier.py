"""One rank of a trial that takes several tasks at once: what runs in an executor's Python."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.worker import Pack, Report, decode_pickled, run_pack
from sparktrials.study.trial import FailureKind

if TYPE_CHECKING:
    from sparktrials.study.trial import Outcome

__all__ = ["run_rank"]

#: How a trial ends whose result is not rank 0's to say.
_ENDINGS = frozenset({FailureKind.RAISED, FailureKind.TIMEOUT})


def run_rank(
    pack: Pack,
    payload: Callable[[], bytes],
    context: Any,  # noqa: ANN401 - a pyspark.BarrierTaskContext
    resources: Mapping[str, Any],
    marker: Path,
) -> tuple[bool, bytes]:
    """Run one rank of a pack of one trial.

    Parameters
    ----------
    pack, payload, resources
        As for `worker.run_pack`.
    context
        The task's.
    marker
        A file, of this trial alone, that executors of this Spark keep: Spark starts all ranks again
        when one is lost, which does not count as a task's second attempt.

    Returns
    -------
    tuple
        Whether this rank ends the trial for all, and its pickled `Report`.
    """
    seen = context.allGather("seen" if marker.exists() else "")
    if "seen" in seen:
        report = Report(socket.gethostname(), repeated=True, stage=context.stageId())
        return True, pickle.dumps(report)
    marker.touch()
    content = run_pack(pack, payload, context.attemptNumber(), context.stageId(), resources)
    report = pickle.loads(content)  # noqa: S301 - made here
    if not report.outcomes:  # a complaint
        return True, content
    outcome = decode_pickled(report.outcomes[0])
    if outcome.failure is None or outcome.failure.kind not in _ENDINGS:
        return False, content
    named = _named(outcome, context.partitionId(), len(seen))
    return True, pickle.dumps(replace(report, outcomes=(pickle.dumps(named),)))


def _named(outcome: Outcome, rank: int, ranks: int) -> Outcome:
    """Say whose failure it is."""
    failure = outcome.failure
    if failure is None:
        return outcome
    message = f"rank {rank} of {ranks} on {outcome.host}: {failure.message}"
    return replace(outcome, failure=replace(failure, message=message))
