"""Search spaces as text, made from a seed: the same text in every Python, whatever is installed.

A `Made` knows its parameters, what values they can take, and which labels a point must hold, so a
program under test is compared with this file, too, and not only with another program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

# What the text of a space may refer to, besides hp, scope, np and math; probe.py defines it.
CONSTANTS = (
    "None", "'text'", "''", "True", "False", "0", "3", "-7", "2.5", "float('inf')", "1e-300",
    "b'bytes'", "10**30", "1j", "np.int64(3)", "np.int32(-2)", "np.float64(1.5)",
    "np.float32(0.25)", "np.bool_(True)", "np.str_('np text')", "np.array([1, 2, 3])",
    "np.array([[0.5], [1.5]])", "double", "len", "math.sqrt", "Plain", "int", "PLAIN",
    "PLAIN.twice", "Colour.RED", "frozenset({1})", "range(3)", "DAY", "...",
)  # fmt: skip
EMPTY = ("{}", "[]", "()", "[[]]", "({},)", "{'e': {}}")
KEYS = (
    "z",
    "a",
    "lr",
    "C",
    "max_depth",
    "kernel",
    "B",
    "_x",
    "self",
    "name",
    "0",
    "ä",
    "two words",
)
DEPTH = 3


@dataclass(frozen=True)
class Param:
    """A parameter: `kind` is Hyperopt's name of it, `args` its arguments by name."""

    label: str
    kind: str
    args: dict[str, float]

    @property
    def bounds(self) -> tuple[float, float]:
        """What its values never leave."""
        low, high = self.args.get("low", -math.inf), self.args.get("high", math.inf)
        if self.kind == "choice":
            return 0, self.args["n"] - 1
        if self.kind == "randint":
            return (low, high - 1) if "low" in self.args else (0, high - 1)
        if self.kind in {"loguniform", "qloguniform"}:
            low, high = math.exp(low), math.exp(high)
        if self.kind in {"lognormal", "qlognormal"}:
            low = 0.0
        if self.step:
            # the multiples of q nearest to the bounds
            low = round(low / self.step) * self.step if math.isfinite(low) else low
            high = round(high / self.step) * self.step if math.isfinite(high) else high
        return low, high

    @property
    def step(self) -> float:
        """The grid that its values lie on; 0 for none."""
        return self.args.get("q", 1.0 if self.kind in {"randint", "choice", "uniformint"} else 0.0)

    def drawn(self, random: Random) -> float:
        """One value."""
        if self.kind == "choice":
            return random.randrange(int(self.args["n"]))
        if self.kind == "randint":
            low, high = self.bounds
            return random.randint(int(low), int(high))
        if "sigma" in self.args:
            value = random.gauss(self.args["mu"], self.args["sigma"])
        else:
            value = random.uniform(self.args["low"], self.args["high"])
        if "log" in self.kind:
            value = math.exp(value)
        return float(round(value / self.step) * self.step) if self.step else value


@dataclass
class Piece:
    """A piece of a space: its text, its parameters, and how to find the active ones."""

    text: str
    label: str = ""  # of a parameter, or of the index of a switch
    parts: tuple[Piece, ...] = ()  # all of them are evaluated
    branches: tuple[Piece, ...] = ()  # one of them is evaluated: that of the index

    def active(self, point: dict[str, float], found: set[str]) -> None:
        if self.label:
            found.add(self.label)
        for part in self.parts:
            part.active(point, found)
        if self.branches:
            self.branches[int(point[self.label])].active(point, found)


@dataclass
class Made:
    """A space: lines that define names, the expression, and its parameters by label."""

    seed: int
    lines: list[str] = field(default_factory=list)
    root: Piece = field(default_factory=lambda: Piece("None"))
    params: dict[str, Param] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join([*self.lines, f"space = {self.root.text}"])

    def active(self, point: dict[str, float]) -> set[str]:
        """The labels that take part when `point` holds a value for all of them."""
        found: set[str] = set()
        self.root.active(point, found)
        return found

    def points(self, n: int) -> list[dict[str, float]]:
        """Points with values for the active labels only."""
        random = Random(self.seed + 1_000_000)
        points = []
        for _ in range(n):
            point = {label: param.drawn(random) for label, param in self.params.items()}
            active = self.active(point)
            points.append({label: value for label, value in point.items() if label in active})
        return points


class Maker:
    """Makes one space."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.made = Made(seed)
        self.shared: list[Piece] = []

    def make(self) -> Made:
        random, made = self.random, self.made
        for _ in range(random.choice([0, 0, 0, 1, 2])):
            piece = self.number() if random.random() < 0.7 else self.choice(2)
            name = f"shared{len(self.shared)}"
            made.lines.append(f"{name} = {piece.text}")
            self.shared.append(Piece(name, piece.label, piece.parts, piece.branches))
        kinds = [self.mapping, self.mapping, self.mapping, self.sequence, self.choice, self.choice]
        kinds += [lambda _: self.number(), self.mapping]
        made.root = random.choice(kinds)(0)
        reached = reachable(made.root)
        if not reached:
            made.root = Piece(f"[{made.root.text}, {(one := self.number()).text}]", parts=(one,))
            reached = reachable(made.root)
        made.params = {k: v for k, v in made.params.items() if k in reached}
        return made

    # ---------------------------------------------------------------- parameters

    def new_label(self) -> str:
        pattern = self.random.choice(["p{}", "x{}", "lr {}", "a.b{}", "Ünï{}", "z-{}"])
        return pattern.format(len(self.made.params))

    def param(self, kind: str, args: dict[str, float]) -> Param:
        param = Param(self.new_label(), kind, args)
        self.made.params[param.label] = param
        return param

    def number(self) -> Piece:
        """A parameter that is no choice."""
        random = self.random
        low = random.choice([-5, -1.5, 0, 0.5, 1, 2])
        width = random.choice([0.25, 1, 3, 10])
        log_low = random.choice([-7, -3.0, -0.5, 0, 1])
        q = random.choice([0.1, 0.5, 1, 2, 3])
        mu, sigma = random.choice([-3, 0, 0.5, 10]), random.choice([0.1, 1, 4])
        log_normal = {"mu": random.choice([-1, 0, 1.5]), "sigma": random.choice([0.1, 0.5, 1])}
        whole = int(low) + random.choice([1, 2, 7, 30])
        kind, args = random.choice([
            ("uniform", {"low": low, "high": low + width}),
            ("quniform", {"low": low, "high": low + width, "q": q}),
            ("uniformint", {"low": int(low), "high": whole}),
            ("loguniform", {"low": log_low, "high": log_low + width / 2}),
            ("qloguniform", {"low": log_low, "high": log_low + width / 2, "q": q}),
            ("normal", {"mu": mu, "sigma": sigma}),
            ("qnormal", {"mu": mu, "sigma": sigma, "q": q}),
            ("lognormal", log_normal),
            ("qlognormal", {**log_normal, "q": q}),
            ("randint", {"high": random.choice([1, 2, 5, 40])}),
            ("randint", {"low": int(low), "high": whole}),
        ])  # fmt: skip
        param = self.param(kind, args)
        words = random.choices(["positional", "keyword", "mixed", "all"], [8, 2, 1, 1])[0]
        if kind == "randint" and "low" not in args:
            text = f"hp.randint({param.label!r}, {args['high']})"
        else:
            given = [f"{name}={value!r}" for name, value in args.items()]
            keep = {"positional": len(args), "keyword": 0, "mixed": 1, "all": 0}[words]
            given[:keep] = [repr(value) for value in list(args.values())[:keep]]
            label = f"label={param.label!r}" if words == "all" else repr(param.label)
            text = f"hp.{kind}({label}, {', '.join(given)})"
        return Piece(text, param.label)

    def choice(self, depth: int) -> Piece:
        random = self.random
        options = tuple(self.piece(depth + 1) for _ in range(random.choice([1, 2, 2, 3, 4])))
        n = len(options)
        param = self.param("choice", {"n": n})
        label = repr(param.label)
        if random.random() < 0.3:
            shares = {1: [1.0], 2: [0.3, 0.7], 3: [0.5, 0.25, 0.25], 4: [0.1, 0.2, 0.3, 0.4]}[n]
            pairs = ", ".join(f"({p}, {o.text})" for p, o in zip(shares, options, strict=True))
            text = f"hp.pchoice({label}, [{pairs}])"
        else:
            inner = ", ".join(option.text for option in options)
            text = random.choice(
                [f"hp.choice({label}, [{inner}])"] * 3
                + [
                    f"hp.choice({label}, ({inner},))",
                    f"hp.choice(label={label}, options=[{inner}])",
                ]
            )
        return Piece(text, param.label, branches=options)

    # ---------------------------------------------------------------- what holds them

    def piece(self, depth: int) -> Piece:
        random = self.random
        if self.shared and random.random() < 0.2:
            return random.choice(self.shared)
        deep = depth >= DEPTH or len(self.made.params) > 7
        kind = random.choices(
            [
                "number",
                "constant",
                "expression",
                "empty",
                "choice",
                "mapping",
                "sequence",
                "switch",
            ],
            [5, 4, 3, 1] + ([0, 0, 0, 0] if deep else [3, 3, 3, 0.5]),
        )[0]
        if kind == "number":
            return self.number()
        if kind == "constant":
            return Piece(random.choice(CONSTANTS))
        if kind == "empty":
            return Piece(random.choice(EMPTY))
        return getattr(self, kind)(depth)

    def mapping(self, depth: int) -> Piece:
        random = self.random
        parts = tuple(self.piece(depth + 1) for _ in range(random.choice([1, 2, 3, 4])))
        style = random.choices(["text", "number", "tuple", "ordered", "call"], [10, 1, 1, 1, 1])[0]
        if style == "number":
            keys = [repr(k) for k in random.sample([3, 1, -2, 0, 2.5], len(parts))]
        elif style == "tuple":
            keys = [repr(k) for k in random.sample([(1, "b"), (1, "a"), (0,), ()], len(parts))]
        else:
            keys = [repr(k) for k in random.sample(KEYS, len(parts))]
        pairs = list(zip(keys, parts, strict=True))
        if style == "call" and all(key.strip("'").isidentifier() for key in keys):
            inner = ", ".join(f"{key[1:-1]}={part.text}" for key, part in pairs)
            made = "dict" if "'self'" in keys else random.choice(["dict", "scope.dict"])
            return Piece(f"{made}({inner})", parts=parts)
        text = "{" + ", ".join(f"{key}: {part.text}" for key, part in pairs) + "}"
        return Piece(f"OrderedDict({text})" if style == "ordered" else text, parts=parts)

    def sequence(self, depth: int) -> Piece:
        random = self.random
        parts = tuple(self.piece(depth + 1) for _ in range(random.choice([1, 2, 3])))
        inner = ", ".join(part.text for part in parts)
        n = len(parts)
        text = random.choice([f"[{inner}]", f"[{inner}]", f"({inner},)", f"({inner},)"])
        if random.random() < 0.1:
            text = {1: "Single", 2: "Pair", 3: "Triple"}[n] + f"({inner})"
        return Piece(text, parts=parts)

    def switch(self, depth: int) -> Piece:
        """A switch that is no choice: its index is computed."""
        options = tuple(self.piece(depth + 1) for _ in range(self.random.choice([2, 3])))
        param = self.param("randint", {"high": len(options)})
        inner = ", ".join(option.text for option in options)
        index = self.random.choice(["hp.randint({!r}, {})", "scope.int(hp.randint({!r}, {}))"])
        text = f"scope.switch({index.format(param.label, len(options))}, {inner})"
        return Piece(text, param.label, branches=options)

    def expression(self, depth: int) -> Piece:
        random = self.random
        use = [p for p in self.shared if not p.branches]
        x = random.choice(use) if use and random.random() < 0.3 else self.number()
        if random.random() < 0.35:
            template = random.choice(BINARY)
            y = self.number()
            return Piece(f"({template.format(x=x.text, y=y.text)})", parts=(x, y))
        if depth < DEPTH and random.random() < 0.2:
            y = self.number()
            param = self.param("choice", {"n": 2})
            template = random.choice([
                "hp.choice({c!r}, [(1, {x}), ({y}, 2)])[1]",
                "hp.choice({c!r}, [{{'k': {x}, 'l': 0}}, {{'k': {y}}}])['k']",
                "[{x}, hp.choice({c!r}, [{y}, 5])][0]",
                "scope.getitem(hp.choice({c!r}, [[{x}], [{y}]]), 0)",
            ])  # fmt: skip
            if template.startswith("["):
                # a list of Python's is indexed at once: only its first element is in the space
                del self.made.params[param.label]
                return Piece(template.format(c=param.label, x=x.text, y=y.text), parts=(x,))
            text = template.format(c=param.label, x=x.text, y=y.text)
            return Piece(text, param.label, branches=(x, y))
        template = random.choice(UNARY)
        if template.startswith("pair:"):
            names = f"first{len(self.made.lines)}", f"second{len(self.made.lines)}"
            self.made.lines.append(f"{', '.join(names)} = {template[5:].format(x=x.text)}")
            return Piece(f"[{names[1]}, {names[0]}]", parts=(x,))
        return Piece(f"({template.format(x=x.text)})", parts=(x,))


UNARY = (
    "{x} + 1", "2 * {x}", "1 - {x}", "-{x}", "{x} ** 2", "{x} / 4", "{x} // 0.5", "{x} < 0.5",
    "{x} >= 1", "3.5 - {x} * 2", "scope.int({x})", "scope.float({x})", "scope.int({x}) + 1",
    "scope.exp(-({x} ** 2))", "scope.log(1 + {x} ** 2)", "scope.sqrt({x} ** 2)", "scope.sin({x})",
    "scope.cos({x})", "scope.tan({x} * 0)", "scope.max(scope.float({x}), 1.0)",
    "scope.min([scope.float({x}), 1.0])", "scope.minimum({x}, 1)", "scope.maximum(1, {x})",
    "scope.sum([{x}, 1, 2])",
    "scope.len([{x}, 2])", "scope.asarray([{x}, 2])", "[scope.str_join('-', ['a', 'b']), {x}]",
    "scope.repeat(3, {x})", "scope.identity({x})", "scope.list(({x}, 2))",
    "scope.plus(scope.int({x}), b=2)", "scope.doubled({x})", "scope.call(double, ({x},))",
    "scope.call(double, args=({x},), kwargs={{}})", "scope.made_plain({x}, name='n')",
    "scope.getattr({x}, 'real')", "scope.call_method({x}, '__abs__')",
    "scope.call_method_pure(scope.float({x}), 'is_integer')", "scope.identity(double)({x})",
    "scope.range(scope.len([{x}, 1]))", "scope.kwswitch('b', a=1, b={x})",
    "scope.array_union([1, 2], [2, {x}])", "scope.bincount([0, 1, 1], minlength=4) * {x}",
    "scope.getattr(scope.made_plain({x}), 'value')", "scope.pow({x}, 2)",
    "pair:scope.pair({x})", "pair:({x}, 3)", "scope.pair({x})[0]",
)  # fmt: skip
BINARY = (
    "{x} + {y}", "{x} - {y}", "{x} * {y}", "{x} / (1 + {y} ** 2)", "{x} < {y}", "{x} > {y}",
    "scope.maximum({x}, {y})", "scope.plus({x}, {y})", "scope.sum([{x}, {y}])",
    "scope.max(scope.float({x}), scope.float({y}))",
)  # fmt: skip


def reachable(piece: Piece) -> set[str]:
    """The labels that some point makes active."""
    found = {piece.label} if piece.label else set()
    return found.union(*(reachable(p) for p in (*piece.parts, *piece.branches)))


def make_space(seed: int) -> Made:
    """The space of a seed."""
    return Maker(seed).make()
