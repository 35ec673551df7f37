"""The parameters as users write them, and what each refuses."""

from __future__ import annotations

import decimal
import enum
import fractions
import inspect
import math
import warnings

import numpy as np
import pytest

from sparktrials import hp
from sparktrials.errors import (
    BadSearchSpace,
    EmptyChoice,
    InvalidArgumentType,
    InvalidBounds,
    InvalidLabel,
    InvalidProbabilities,
)
from sparktrials.space import compile_space, space_eval
from sparktrials.space.nodes import Constant

BOUNDED = ["uniform", "loguniform"]
QUANTIZED = ["quniform", "uniformint", "qloguniform"]
NORMALS = ["normal", "lognormal"]
QUANTIZED_NORMALS = ["qnormal", "qlognormal"]
ALL_BOUNDED = [*BOUNDED, *QUANTIZED]
ALL_NORMALS = [*NORMALS, *QUANTIZED_NORMALS]


def made(kind, *arguments):
    """``hp.kind('x', *arguments)``, with a step of 1 where it takes one."""
    step = (1,) if kind in QUANTIZED + QUANTIZED_NORMALS else ()
    return getattr(hp, kind)("x", *arguments, *step)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("choice", ["label", "options"]),
        ("pchoice", ["label", "p_options"]),
        ("randint", ["label", "low", "high"]),
        ("uniform", ["label", "low", "high"]),
        ("quniform", ["label", "low", "high", "q"]),
        ("uniformint", ["label", "low", "high", "q"]),
        ("loguniform", ["label", "low", "high"]),
        ("qloguniform", ["label", "low", "high", "q"]),
        ("normal", ["label", "mu", "sigma"]),
        ("qnormal", ["label", "mu", "sigma", "q"]),
        ("lognormal", ["label", "mu", "sigma"]),
        ("qlognormal", ["label", "mu", "sigma", "q"]),
    ],
)
def test_arguments_have_hyperopts_names(kind, names):
    assert list(inspect.signature(getattr(hp, kind)).parameters) == names
    assert kind in hp.__all__


def test_arguments_by_position_and_by_name_are_the_same():
    by_position = {
        "a": hp.uniform("a", 0, 1),
        "b": hp.quniform("b", 0, 10, 2),
        "c": hp.randint("c", 2, 5),
        "d": hp.qlognormal("d", 0, 1, 0.5),
        "e": hp.choice("e", [1, 2]),
        "f": hp.pchoice("f", [(0.5, 1), (0.5, 2)]),
        "g": hp.uniformint("g", 0, 3),
    }
    by_name = {
        "a": hp.uniform(label="a", low=0, high=1),
        "b": hp.quniform("b", low=0, high=10, q=2),
        "c": hp.randint("c", low=2, high=5),
        "d": hp.qlognormal("d", mu=0, sigma=1, q=0.5),
        "e": hp.choice("e", options=[1, 2]),
        "f": hp.pchoice("f", p_options=[(0.5, 1), (0.5, 2)]),
        "g": hp.uniformint("g", 0, 3, q=1),
    }
    assert compile_space(by_position).fingerprint == compile_space(by_name).fingerprint


@pytest.mark.parametrize("kind", ALL_BOUNDED)
@pytest.mark.parametrize(("low", "high"), [(1, 0), (1, 1), (0, 0), (0, -1), (2.5, 2.4)])
def test_bounds_must_grow(kind, low, high):
    with pytest.raises(InvalidBounds, match="'x': low should be less than high, got low=") as e:
        made(kind, low, high)
    assert f"low={low}, high={high}" in str(e.value)
    assert isinstance(e.value, ValueError)  # what Hyperopt raises


@pytest.mark.parametrize("kind", [*ALL_BOUNDED, *ALL_NORMALS])
@pytest.mark.parametrize(
    "value",
    ["1", None, True, np.True_, 1j, np.complex128(1), [1], np.array([1.0]), np.timedelta64(1, "s"),
     b"1", object, decimal.Decimal(1)],
)  # fmt: skip
def test_what_is_no_number_is_no_bound(kind, value):
    first, second = ("mu", "sigma") if "normal" in kind else ("low", "high")
    with pytest.raises(InvalidBounds, match=f"'x': {first} must be a number, got "):
        made(kind, value, 1)
    with pytest.raises(InvalidBounds, match=f"'x': {second} must be a number, got "):
        made(kind, 0, value)


@pytest.mark.parametrize("kind", [*ALL_BOUNDED, *ALL_NORMALS])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, 1e308])
def test_bounds_are_finite(kind, value):
    with pytest.raises(InvalidBounds, match=r"'x': .* must be finite and within"):
        made(kind, value, 1)
    with pytest.raises(InvalidBounds, match=r"'x': .* must be finite and within"):
        made(kind, 0, value)


@pytest.mark.parametrize("kind", ALL_NORMALS)
@pytest.mark.parametrize("sigma", [0, -1, -1e-300])
def test_sigma_is_positive(kind, sigma):
    with pytest.raises(InvalidBounds, match=f"'x': sigma > 0 must hold, got sigma={sigma}"):
        made(kind, 0, sigma)


@pytest.mark.parametrize("kind", [*QUANTIZED, *QUANTIZED_NORMALS])
@pytest.mark.parametrize(
    ("q", "rule"),
    [(0, "q > 0"), (-1, "q > 0"), (math.nan, "q must be finite"), (None, "q must be a number"),
     ("1", "q must be a number"), (True, "q must be a number")],
)  # fmt: skip
def test_q_is_positive(kind, q, rule):
    with pytest.raises(InvalidBounds, match=f"'x': {rule}"):
        getattr(hp, kind)("x", 0, 1, q)


@pytest.mark.parametrize("kind", ["loguniform", "qloguniform"])
def test_bounds_of_log_kinds_are_logarithms(kind):
    with pytest.raises(InvalidBounds, match=r"natural logarithms.*did you mean high=log\(1000\)"):
        made(kind, 0, 1000)


@pytest.mark.parametrize("kind", ["loguniform", "qloguniform"])
@pytest.mark.parametrize(("low", "high"), [(1e-4, 1), (0.001, 0.1), (1e-8, 0.25)])
def test_bounds_of_log_kinds_that_are_probably_values_are_warned_of(kind, low, high):
    with pytest.warns(
        UserWarning, match="'x': bounds of loguniform .* are natural logarithms"
    ) as w:
        made(kind, low, high)
    (warning,) = w
    assert f"write log({low:g}), log({high:g})" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-3, 0.1), (0.5, 1.0), (math.log(1.01), math.log(2)), (0.1, 5), (1e-4, math.log(2))],
)
def test_bounds_of_log_kinds_that_may_be_logarithms_are_not_warned_of(low, high):
    hp.loguniform("x", low, high)


@pytest.mark.parametrize("kind", [*ALL_BOUNDED, *ALL_NORMALS])
def test_a_node_is_no_bound(kind):
    other = hp.uniform("other", 0, 1)
    with pytest.raises(InvalidBounds, match=r"'x': .*known now, got a search-space node \('other'"):
        made(kind, other, 1)
    with pytest.raises(InvalidBounds, match="search-space node"):
        made(kind, 0, other + 1)
    with pytest.raises(InvalidBounds, match="search-space node"):
        hp.quniform("x", 0, 1, other)
    with pytest.raises(InvalidBounds, match="search-space node"):
        hp.randint("x", other)


@pytest.mark.parametrize(
    ("bounds", "rule"),
    [
        ((0,), "upper bound of randint must be positive, got 0"),
        ((-3,), "upper bound of randint must be positive, got -3"),
        ((5, 5), "low should be less than high, got low=5, high=5"),
        ((5, 2), "low should be less than high"),
        ((2.5,), "must be a whole number, got 2.5"),
        ((0, 2.5), "high must be a whole number"),
        ((2**53 + 1,), "within ±2\\*\\*53"),
        ((-(2**60), 0), "low must be within"),
        (("3",), "must be a number"),
        ((True,), "must be a number"),
        ((math.nan,), "must be finite"),
    ],
)
def test_randint_refuses(bounds, rule):
    with pytest.raises(InvalidBounds, match=f"'x': .*{rule}"):
        hp.randint("x", *bounds)


@pytest.mark.parametrize(
    "number", [1, 1.0, np.int64(1), np.float32(1), np.array(1.0), fractions.Fraction(1)]
)
def test_any_real_number_is_a_bound(number):
    space = compile_space([hp.uniform("a", 0, number), hp.randint("b", number)])
    assert [str(p.distribution) for p in space.parameters] == ["uniform(0, 1)", "randint(0, 1)"]
    assert all(type(x) is float for x in (space.parameters[0].distribution.high,))
    assert type(space.parameters[1].distribution.high) is int


@pytest.mark.parametrize("label", [1, None, 1.5, ("x",), object(), hp])
def test_a_label_is_a_string(label):
    for make in (hp.uniform, hp.randint, hp.normal):
        with pytest.raises(InvalidLabel, match="require string label, got"):
            make(label, 1, 2)
    with pytest.raises(InvalidLabel) as e:
        hp.choice(label, [1])
    assert isinstance(e.value, TypeError)  # what Hyperopt raises


def test_labels_in_other_kinds_of_string():
    class Name(str, enum.Enum):
        X = "x"

    for label in ("x", b"x", np.str_("x"), Name.X, Constant("x")):
        assert compile_space(hp.uniform(label, 0, 1)).labels == ["x"]
        assert type(compile_space(hp.uniform(label, 0, 1)).labels[0]) is str
    assert compile_space(hp.uniform(b"\xff", 0, 1)).labels == ["\\xff"]


@pytest.mark.parametrize("make", [hp.choice, hp.pchoice])
@pytest.mark.parametrize("options", [[], (), iter([]), np.array([])])
def test_a_choice_has_options(make, options):
    with pytest.raises(EmptyChoice, match="'x': a choice needs at least one option"):
        make("x", options)


@pytest.mark.parametrize("make", [hp.choice, hp.pchoice])
@pytest.mark.parametrize(
    "options", ["abc", b"abc", {"a": 1}, 3, None, np.array(3), {"a", "b"}, frozenset("a")]
)
def test_options_are_a_list(make, options):
    with pytest.raises(InvalidArgumentType, match=r"'x': (p_)?options must be a list"):
        make("x", options)


def test_options_are_not_a_node():
    with pytest.raises(InvalidArgumentType, match=r"'x': options .* search-space node"):
        hp.choice("x", hp.choice("y", [[1], [2]]))


@pytest.mark.parametrize("options", [range(3), (0, 1, 2), np.arange(3), (i for i in range(3))])
def test_options_may_be_any_sequence(options):
    assert space_eval(hp.choice("x", options), {"x": 2}) == 2


@pytest.mark.parametrize(
    ("pairs", "rule"),
    [
        ([(0.5, "a"), (0.6, "b")], "must sum to 1, got .* with sum 1.1"),
        ([(0.5, "a")], "must sum to 1"),
        ([(-0.5, "a"), (1.5, "b")], "must not be negative, got -0.5 for option 0"),
        ([(math.nan, "a"), (1.0, "b")], "probability 0 must be finite"),
        ([("a", 0.5), ("b", 0.5)], "probability 0 must be a number, got 'a'"),
        ([0.5, 0.5], r"takes \(probability, option\) pairs, got 0.5"),
        ([(0.5, "a", "b"), (0.5, "c")], "pairs"),
        (["ab", "cd"], "pairs, got 'ab'"),
        ([(True, "a")], "must be a number, got True"),
    ],
)
def test_pchoice_refuses(pairs, rule):
    with pytest.raises(InvalidProbabilities, match=f"'x': .*{rule}"):
        hp.pchoice("x", pairs)


def test_probabilities_that_nearly_sum_to_1_are_rescaled_with_a_warning_at_the_users_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        node = hp.pchoice("x", [(0.3333, "a"), (0.3333, "b"), (0.3333, "c")])
        line = inspect.currentframe().f_lineno - 1
    (warning,) = caught
    assert "'x': probabilities sum to 0.9999, not 1" in str(warning.message)
    assert (warning.filename, warning.lineno) == (__file__, line)
    (parameter,) = compile_space(node).parameters
    assert math.isclose(sum(parameter.distribution.probabilities), 1, rel_tol=1e-15)


def test_thirds_sum_to_1_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hp.pchoice("x", [(1 / 3, "a"), (1 / 3, "b"), (1 / 3, "c")])
        hp.pchoice("x", [(0.1, i) for i in range(10)])


def test_every_refusal_is_a_bad_search_space():
    for error in (InvalidLabel, InvalidBounds, InvalidProbabilities, EmptyChoice):
        assert issubclass(error, BadSearchSpace)
