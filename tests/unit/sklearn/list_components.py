"""Writes docs/sklearn-components.md: what each component searches, and how many of 20 samples fit.

    python tests/unit/sklearn/list_components.py

It takes minutes; run it with the newest scikit-learn when a row of the tables has changed.
"""

from __future__ import annotations

from pathlib import Path

from tests.unit.sklearn.test_components import fit_one

from sparktrials.sklearn.component import SKLEARN, Component, New, OneOf, Real, Whole
from sparktrials.sklearn.menus import COMPONENTS

PAGE = Path(__file__).parents[3] / "docs" / "sklearn-components.md"
SAMPLES = 20
TITLES = {
    "classifier": "Classifiers",
    "regressor": "Regressors",
    "detector": "Outliers, clusters and mixtures: they learn no target",
    "preprocessor": "Transformers",
    "text": "Text",
}
HEAD = f"""\
# Components

Made by `python tests/unit/sklearn/list_components.py` with scikit-learn \
{SKLEARN[0]}.{SKLEARN[1]}; do not edit.

What `name(label)` searches: `a..b` is a range, with *log* where orders of magnitude count; `a, b` \
are options; {{...}} or {{...}} are cases of which one holds; the rest are constants. Parameters \
that are not named keep scikit-learn's defaults. *fit* says how many of {SAMPLES} random \
configurations fit a small data set of the kind that the component takes; the others failed for \
the reason in *may fail*. How to use them: [how-to](how-to/sklearn.md).
"""


def entry(value: object) -> str:
    """Return what may be tried of a parameter."""
    if isinstance(value, (Real, Whole)):
        return f"{value.low:g}..{value.high:g}" + (" log" if value.log else "")
    if isinstance(value, OneOf):
        return ", ".join(map(entry, value.options))
    if isinstance(value, New):
        given = ", ".join(f"{name} {entry(e)}" for name, e in value.table.items())
        return f"{value.path.rpartition('.')[2]}({given})"
    return repr(value) if not callable(value) else value.__name__


def table(entries) -> str:
    return "; ".join(f"`{name}` {entry(value)}" for name, value in entries.items())


def searched(component: Component) -> str:
    """Return what a component searches."""
    cases = [" or ".join(f"{{{table(t)}}}" for t in case.tables) for case in component.cases]
    plain = [table(component.table)] if component.table else []
    return "; ".join([*plain, *cases]).replace("|", "\\|") or "nothing"


def row(component: Component) -> str:
    """Return a component's row, but the last cell."""
    made = component.path.removeprefix("sklearn.")
    cells = [f"`{component.name}`", f"`{made}`", searched(component), component.needs]
    return f"| {' | '.join([*cells, component.fails])} |"


def fitted(component: Component) -> str:
    """Return how many samples fit."""
    if not component.available:
        return "not installed"
    return f"{sum(not fit_one(component, seed) for seed in range(SAMPLES))} of {SAMPLES}"


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    for kind, title in TITLES.items():
        lines += [f"## {title}", "", "| name | class | searches | needs | may fail | fit |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [f"{row(c)} {fitted(c)} |" for c in COMPONENTS if c.kind == kind]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
