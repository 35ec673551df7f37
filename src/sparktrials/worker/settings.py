"""What a worker was told, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparktrials.errors import InvalidArgument

__all__ = ["Settings"]

#: Longest pause between two looks for trials where the database tells nobody of news.
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a worker works.

    Attributes
    ----------
    url
        The store's.
    exp_key
        The one experiment whose trials it evaluates; None for all.
    max_jobs
        How many trials it evaluates before it ends; None for no limit.
    poll_s
        Longest pause between two looks for trials where the database tells nobody of news.
    workdir
        The directory that trials run in; None for the present one.
    trial_timeout_s
        Seconds for one trial; of this and what the driver says the smaller.
    trust_pickle
        Whether objectives that are pickled in the store are loaded, and so whatever they are.
    allow
        Modules and packages, besides the user's own, whose functions trials may call.
    grace_s
        Seconds that a trial gets to come to its end when the worker is told to.
    idle_timeout_s
        Seconds without a trial after which it ends; None for never.
    max_failures
        How many trials may fail one after the other before it ends; None for any number.
    last_job_s
        Seconds after which it takes no further trial; None for never.
    """

    url: str
    exp_key: str | None = None
    max_jobs: int | None = None
    poll_s: float = _POLL_S
    workdir: Path | None = None
    trial_timeout_s: float | None = None
    trust_pickle: bool = False
    allow: Sequence[str] = ()
    grace_s: float = 10.0
    idle_timeout_s: float | None = None
    max_failures: int | None = None
    last_job_s: float | None = None

    def __post_init__(self) -> None:
        """Check what numbers there are.

        Raises
        ------
        InvalidArgument
            Naming the setting and its value.
        """
        positive = ("max_jobs", "poll_s", "trial_timeout_s", "idle_timeout_s", "max_failures")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                msg = f"{name} must be positive, got {value!r}"
                raise InvalidArgument(msg)
        if self.grace_s < 0:
            msg = f"grace_s must not be negative, got {self.grace_s!r}"
            raise InvalidArgument(msg)
        if self.exp_key == "":
            msg = "exp_key must not be empty: leave it out to serve all experiments"
            raise InvalidArgument(msg)
