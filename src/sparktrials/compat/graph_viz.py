"""``hyperopt.graph_viz``: the parameters of a space and their conditions in Graphviz's language."""

from __future__ import annotations

from typing import Any

from sparktrials.compat.pyll.conditions import expr_to_config

__all__ = ["dot_hyperparameters"]


def dot_hyperparameters(expr: object) -> str:
    """Return a graph in Graphviz's dot language.

    Parameters are boxes; each value that others depend on is an ellipse; arrows lead from what is
    drawn first. ``dot -Tpng`` makes a picture of the text.
    """
    hps: dict[str, Any] = {}
    expr_to_config(expr, (), hps)
    lines = ["digraph {"]
    edges: set[str] = set()

    def edge(a: str, b: str) -> None:
        text = f'"{a}" -> "{b}";'
        if text not in edges:
            lines.append(text)
            edges.add(text)

    for label, found in hps.items():
        lines.append(f'"{label}" [ shape=box];')
        # Sorted: sets of text have another order in every process.
        for term in sorted(found["conditions"], key=str):
            values = [(cond.name, f"{cond.name}{cond.op}{cond.val}") for cond in term]
            if len(values) == 1:
                ((parent, value),) = values
                edge(parent, value)
                lines.append(f'"{value}" [ shape=ellipse];')
                edge(value, label)
            elif values:
                both = " & ".join(value for _, value in values)
                lines.append(f'"{both}" [ shape=ellipse];')
                edge(both, label)
                for parent, value in values:
                    lines.append(f'"{value}" [ shape=ellipse];')
                    edge(parent, value)
                    edge(value, both)
    lines.append("}")
    return "\n".join(lines) + "\n"
