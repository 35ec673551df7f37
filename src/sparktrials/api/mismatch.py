"""What to tell the user whose experiment has another search space than the one given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparktrials.study.protocols import Experiment

__all__ = ["difference"]

#: Parameters that a message shows.
_SHOWN = 5


def difference(found: Experiment, wanted: Experiment, url: str) -> str:
    """Say how two spaces differ."""

    def table(experiment: Experiment) -> dict[str, str]:
        return {
            row["label"]: row["distribution"]
            + (f" if {row['condition']}" if row["condition"] else "")
            for row in experiment.space
        }

    stored, given = table(found), table(wanted)
    lines = [
        f"  {label!r}: stored {stored.get(label, 'nothing')}; given {given.get(label, 'nothing')}"
        for label in sorted({*stored, *given})
        if stored.get(label) != given.get(label)
    ]

    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"  and {len(lines) - _SHOWN} more"]
    return (
        f"the experiment {found.key!r} in {url} has another search space than the one given:\n"
        + "\n".join(lines or ["  (the same text, other numbers)"])
        + f"\nThe stored space has {len(stored)} parameters, the given one {len(given)}.\n"
        "Use another exp_key, give the stored space, or remove the experiment with "
        "trials.delete_all()"
    )
