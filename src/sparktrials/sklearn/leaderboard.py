"""What a search tried and found: as a table, and in words."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from sparktrials.api.frames import pandas_frame
from sparktrials.api.table import Column
from sparktrials.sklearn.assembly import Recipe
from sparktrials.sklearn.failures import causes_of
from sparktrials.study.trial import Trial, TrialState

if TYPE_CHECKING:
    import pandas as pd

    from sparktrials.space import Space

__all__ = ["Entry", "Leaderboard", "ended", "entry_of"]

#: Characters of a message in a row, and of a pipeline in the report.
_LONGEST = 200
#: Trials after which the report says how good the best was.
_MILESTONES = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial, and what it tried.

    Attributes
    ----------
    trial
        As in the history.
    learner
        The class at the end of its pipeline.
    preprocessing
        Classes in front of it.
    """

    trial: Trial
    learner: str
    preprocessing: Sequence[str] = ()

    @property
    def loss(self) -> float | None:
        """The loss, where there is one."""
        return self.trial.loss if self.trial.state is TrialState.OK else None


def entry_of(space: Space, trial: Trial) -> Entry:
    """Return what a trial tried, as far as that can be built: else it has failed for it."""
    try:
        recipe = Recipe.of(space.build(trial.point))
    except Exception:  # noqa: BLE001 - a function of the user's: the trial says what it raised
        return Entry(trial, "?")
    return Entry(trial, recipe.learner_name, recipe.preprocessing_names)


class Leaderboard:
    """The table and the report; the search says what its trials tried."""

    def _entries(self) -> list[Entry]:
        """Return the trials that have ended, in their order."""
        raise NotImplementedError

    def _best_as_text(self) -> str:
        raise NotImplementedError

    def _score_of(self, loss: float) -> float | None:
        """Return what the scorer said, the more the better; None if there is no scorer."""
        raise NotImplementedError

    def leaderboard(self) -> pd.DataFrame:
        """Return the trials as a DataFrame of pandas, the best first and those that failed last.

        ``score`` is the loss in the scorer's own sign, ``start`` says whether the trial was one of
        those that the search begins with, ``best_so_far`` is the least loss up to the trial: over
        ``trial`` it shows what was learnt.

        Raises
        ------
        InvalidArgument
            If pandas is not installed.
        NotFittedError
            Before a fit.
        """
        check_is_fitted(self, "trials_")
        entries = self._entries()
        best = dict(zip((e.trial.id for e in entries), _best_so_far(entries), strict=True))
        rows = sorted(entries, key=lambda e: (e.loss is None, e.loss or 0.0, e.trial.id))
        judged = sum(e.loss is not None for e in rows)
        columns: list[tuple[str, str, list[Any]]] = [
            ("rank", "int", [i + 1 if i < judged else None for i in range(len(rows))]),
            ("trial", "int", [e.trial.id for e in rows]),
            ("state", "text", [e.trial.state.name.lower() for e in rows]),
            ("loss", "float", [e.loss for e in rows]),
            ("score", "float", [None if e.loss is None else self._score_of(e.loss) for e in rows]),
            ("start", "bool", [e.trial.given for e in rows]),
            ("best_so_far", "float", [best[e.trial.id] for e in rows]),
            ("learner", "text", [e.learner for e in rows]),
            ("preprocessing", "text", [", ".join(e.preprocessing) for e in rows]),
            ("duration_s", "float", [e.trial.duration_s for e in rows]),
            ("fit_s", "float", [e.trial.result.get("fit_s") for e in rows]),
            ("folds", "int", [e.trial.result.get("n_folds") for e in rows]),
            ("score_s", "float", [e.trial.result.get("score_s") for e in rows]),
            ("warnings", "int", [sum(e.trial.result.get("warnings", {}).values()) for e in rows]),
            ("failure", "text", [_failure(e.trial) for e in rows]),
        ]
        return pandas_frame([Column(name, kind, cells) for name, kind, cells in columns])

    def _of_best(self, entry: Entry) -> str:
        loss = entry.loss or 0.0
        score = self._score_of(loss)
        return (
            (", one of those to begin with" if entry.trial.given else "")
            + f", loss {loss:.6g}"
            + ("" if score is None else f", score {score:.6g}")
        )

    def report(self) -> str:
        """Return what was searched and found, as a page of Markdown.

        Raises
        ------
        NotFittedError
            Before a fit.
        """
        check_is_fitted(self, "trials_")
        entries = self._entries()
        judged = [e for e in entries if e.loss is not None]
        seconds = sum(e.trial.duration_s or 0.0 for e in entries)
        counts = f"{len(entries)} trials ended, {len(judged)} with a loss"
        starts = sum(e.trial.given for e in entries)
        begun = f" The search began with {starts} known configurations." if starts else ""
        lines = [
            f"# {type(self).__name__}",
            "",
            f"{counts}; they took {seconds:.1f} s in all.{begun}",
        ]
        if judged:
            best = min(judged, key=lambda e: (e.loss, e.trial.id))
            lines += [
                "",
                "## Found",
                "",
                f"Trial {best.trial.id}{self._of_best(best)}:",
                "",
                "    " + self._best_as_text().replace("\n", "\n    "),
                "",
                "| after trials | best loss |",
                "|---|---|",
                *_learning(entries),
            ]
        lines += ["", "## Searched", "", *_by_learner(entries)]
        causes = causes_of(e.trial for e in entries)
        if causes:
            lines += ["", "## Failed", ""]
            for cause in causes:
                message = " ".join(cause.message.split())[:_LONGEST]
                lines.append(
                    f"* {len(cause.trials)} x {cause.type}: {message} (the first: trial "
                    f"{cause.trials[0]})"
                )
        return "\n".join([*lines, ""])


def ended(history: Iterable[Trial]) -> list[Trial]:
    """Return the trials that came to an end of their own, by their ids."""
    terminal = [t for t in history if t.state.terminal and t.state is not TrialState.CANCELLED]
    return sorted(terminal, key=lambda t: t.id)


def _best_so_far(entries: Sequence[Entry]) -> list[float | None]:
    def less(best: float | None, loss: float | None) -> float | None:
        return loss if best is None else best if loss is None else min(best, loss)

    return list(accumulate((e.loss for e in entries), less))


def _learning(entries: Sequence[Entry]) -> list[str]:
    best = _best_so_far(entries)
    shown = [m * 10**k for k in range(len(str(len(best)))) for m in _MILESTONES]
    ends = [n for n in shown if n < len(best)] + [len(best)]
    return [f"| {n} | {'-' if (b := best[n - 1]) is None else f'{b:.6g}'} |" for n in ends]


def _by_learner(entries: Sequence[Entry]) -> list[str]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.learner, []).append(entry)
    rows = []
    for learner, of in groups.items():
        losses = [e.loss for e in of if e.loss is not None]
        rows.append(
            (
                min(losses, default=float("inf")),
                learner,
                f"| {learner} | {len(of)} | {len(of) - len(losses)} | "
                + (f"{min(losses):.6g} | {statistics.median(losses):.6g}" if losses else "- | -")
                + f" | {sum(e.trial.duration_s or 0.0 for e in of):.1f} |",
            )
        )
    head = [
        "| learner | trials | without a loss | best loss | median loss | s |",
        "|---|" + "---|" * 5,
    ]
    return [*head, *(row for _, _, row in sorted(rows))]


def _failure(trial: Trial) -> str | None:
    if trial.failure is None:
        return None
    return f"{trial.failure.type}: {' '.join(trial.failure.message.split())[:_LONGEST]}"
