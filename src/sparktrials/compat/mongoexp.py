"""``hyperopt.mongoexp``: ``MongoTrials``, and the worker's command."""

from __future__ import annotations

from sparktrials.api.worker_trials import MongoTrials, mongo_url

__all__ = ["MongoTrials", "as_mongo_str", "main_worker"]


def as_mongo_str(s: str) -> str:
    """Return ``mongo://host:port/database`` for ``host:port/database``."""
    return mongo_url(s)


def main_worker() -> None:
    """Run ``hyperopt-mongo-worker`` with this process's arguments."""
    from sparktrials.console import mongo_worker  # noqa: PLC0415 - typer is an extra

    mongo_worker()
