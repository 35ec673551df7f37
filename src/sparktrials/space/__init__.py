"""What may be tried: expression nodes, distributions, the compiled space and its array codec.

Imports nothing of the package but ``errors``; numpy alone outside, so that executors can load it.
"""

from sparktrials.space.compile import Condition, Parameter, Point, Space, compile_space, space_eval
from sparktrials.space.distributions import (
    Categorical,
    Distribution,
    Integer,
    Normal,
    Uniform,
)
from sparktrials.space.nodes import Node, as_node

__all__ = [
    "Categorical",
    "Condition",
    "Distribution",
    "Integer",
    "Node",
    "Normal",
    "Parameter",
    "Point",
    "Space",
    "Uniform",
    "as_node",
    "compile_space",
    "space_eval",
]
