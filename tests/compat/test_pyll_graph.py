"""Expressions, the scope, evaluation, copies and pickles."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest

from sparktrials import hp as native
from sparktrials.compat import hp
from sparktrials.compat.pyll import (
    Apply,
    Literal,
    as_apply,
    base,
    clone,
    clone_merge,
    dfs,
    rec_eval,
    scope,
    stochastic,
    toposort,
)
from sparktrials.compat.pyll.base import (
    GarbageCollected,
    Lambda,
    MissingArgument,
    PyllImportError,
    SymbolTable,
    apply,
    p0,
)
from sparktrials.errors import BadSearchSpace, InvalidArgument, InvalidArgumentType


@pytest.fixture
def defined():
    """Defines operations for one test."""
    names = []

    def define(f, **info):
        names.append(f.__name__)
        return scope.define_info(**info)(f)

    yield define
    for name in names:
        if name in scope._impls:
            scope.undefine(name)


def test_text_is_numbered_and_repeats_refer_to_lines():
    x = scope.uniform(0, high=1)
    assert str(as_apply({"a": x, "b": [x, x + 1]})) == (
        "0 dict\n"
        "1  a =\n"
        "2   uniform\n"
        "3     Literal{0}\n"
        "4    high =\n"
        "5     Literal{1}\n"
        "6  b =\n"
        "7   pos_args\n"
        "8     uniform  [line:2]\n"
        "9     add\n"
        "10       uniform  [line:2]\n"
        "11       Literal{1}"
    )


def test_pprint_counts_on():
    file, lineno = io.StringIO(), [7]
    as_apply([1]).pprint(file, lineno, indent=2)
    assert file.getvalue() == "7   pos_args\n8     Literal{1}\n"
    assert lineno == [9]


def test_arrays_are_shown_by_their_shape():
    assert str(Literal(np.arange(3.0))) == (
        "0 Literal{np.ndarray,shape=(3,),min=0.000000,max=2.000000}"
    )
    assert str(Literal(np.array(["a"]))) == "0 Literal{['a']}"
    assert str(Literal(np.array([]))) == "0 Literal{[]}"


def test_containers_become_expressions():
    assert as_apply((1, 2)).o_len == 2
    assert as_apply([1, 2]).o_len is None
    assert [k for k, _ in as_apply({"b": 1, "a": 2}).named_args] == ["a", "b"]
    assert rec_eval({2: "b", 1: [3, (4,)]}) == {1: (3, (4,)), 2: "b"}
    assert rec_eval({2: "b", "a": 1}) == {2: "b", "a": 1}
    assert as_apply(as_apply(3)) is not as_apply(3)


def test_a_container_that_contains_itself_is_refused():
    loop = [1]
    loop.append({"a": loop})
    with pytest.raises(BadSearchSpace, match="contains itself"):
        as_apply(loop)


def test_depth_is_free():
    deep = []
    for i in range(3000):
        deep = [deep, i]
    x = hp.uniform("x", 0, 1)
    for _ in range(3000):
        x = x + 1
    graph = as_apply([deep, x])
    assert len(dfs(clone(graph))) == len(dfs(graph)) == len(toposort(graph))
    assert len(str(x).splitlines()) == 6006
    value = stochastic.sample(x, np.random.default_rng(0))
    assert 3000 <= value <= 3001
    sum_ = as_apply(1)
    for _ in range(3000):
        sum_ = sum_ + 1
    assert sum_.eval() == 3001


def test_numpy_numbers_on_the_left_make_expressions():
    x = hp.uniform("x", 0, 1)
    for made in (np.float64(2) * x, np.int64(2) + x, np.arange(3) - x):
        assert isinstance(made, Apply)


def test_unpacking_needs_a_known_length(defined):
    @defined
    def unpackable():
        return 1, 2

    a, b = as_apply((1, 2))
    assert (a + b).eval() == 3
    pair = scope.unpackable()
    pair.o_len = 2
    assert [n.name for n in pair] == ["getitem", "getitem"]
    for use in (len, list, bool):
        with pytest.raises(TypeError, match=r"len of pyll\.Apply"):
            use(hp.uniform("x", 0, 1))


def test_arg_names_the_arguments(defined):
    @defined
    def f(a, b=2, *rest, c, **others):
        return a

    x = as_apply(1)
    arg = scope.f(x, 2, 3, c=4, d=5).arg
    assert arg["a"] is x
    assert [n.obj for n in arg["rest"]] == [3]
    assert arg["c"].obj == 4
    assert arg["others"]["d"].obj == 5
    assert scope.uniform(0, high=1).arg["rng"] is MissingArgument
    assert scope.getitem((1, 2), 0).arg["b"].obj == 0
    with pytest.raises(TypeError, match="Argument count exceeds"):
        _ = apply("hyperopt_param", 1, 2, 3).arg
    with pytest.raises(TypeError, match="Duplicate argument"):
        _ = scope.uniform(0, low=1).arg
    with pytest.raises(TypeError, match="Unrecognized keyword"):
        _ = scope.uniform(0, wide=1).arg
    with pytest.raises(AttributeError, match="have no names"):
        _ = scope.max(1, 2).arg


def test_set_kwarg():
    node = scope.uniform(0, high=1)
    node.set_kwarg("high", 2)
    node.set_kwarg("size", 3)
    assert [(k, v.obj) for k, v in node.named_args] == [("high", 2), ("size", 3)]
    with pytest.raises(NotImplementedError, match="'low'"):
        node.set_kwarg("low", 3)


def test_replace_input():
    a, b = as_apply(1), as_apply(2)
    node = apply("f", a, b, a, k=a)
    assert node.replace_input(a, b) == [0, 2, 3]
    assert all(arg is b for arg in node.inputs())


def test_clone_from_inputs_keeps_everything_but_the_inputs():
    node = scope.curtime(1)
    other = node.clone_from_inputs([as_apply(2)])
    assert (other.name, other.o_len, other.pure) == ("curtime", 2, node.pure)
    assert node.clone_from_inputs([as_apply(2)], o_len=None).o_len is None
    with pytest.raises(TypeError, match="1 arguments, got 0"):
        node.clone_from_inputs([])


def test_arguments_must_be_expressions():
    with pytest.raises(InvalidArgumentType, match="'add'"):
        Apply("add", [1, 2], [])
    with pytest.raises(InvalidArgumentType, match="no string"):
        Apply("add", [], [[1, as_apply(2)]])


def test_define_refuses_names_that_are_taken(defined):
    @defined
    def fresh(a):
        return a

    with pytest.raises(InvalidArgument, match="Cannot override existing symbol 'fresh'"):
        scope.define(fresh)
    scope.define_if_new(fresh)

    def other(a):
        return a

    other.__name__ = "fresh"
    with pytest.raises(ValueError, match="Cannot redefine"):
        scope.define_if_new(other)
    with pytest.raises(InvalidArgumentType, match="have a name"):
        scope.define(3)
    scope.undefine("fresh")
    with pytest.raises(AttributeError, match="no operation 'fresh'"):
        _ = scope.fresh
    with pytest.raises(KeyError, match="fresh"):
        scope.undefine(fresh)


def test_inject_and_import():
    names = {}
    scope.import_(names, "add", plus="add")
    assert names["plus"](1, 2).eval() == names["add"](1, 2).eval() == 3
    with pytest.raises(PyllImportError, match="nothing"):
        scope.inject("nothing")


def test_a_table_of_its_own():
    table = SymbolTable()
    assert not hasattr(table, "exp")
    table.define_pure(abs)
    assert table.abs(-1).pure
    assert isinstance(pickle.loads(pickle.dumps(scope)), SymbolTable)
    assert pickle.loads(pickle.dumps(scope)) is scope


def test_eval_computes_a_shared_node_once(defined):
    calls = []

    @defined
    def counted(x):
        calls.append(x)
        return x

    x = scope.counted(3)
    assert (x + x * x).eval() == 12
    assert calls == [3]
    assert x.eval({id(x): 5}) == 5


def test_rec_eval_leaves_out_options_that_are_not_taken():
    i = Literal()
    either = scope.switch(i, "a", scope.Raise(KeyError))
    assert rec_eval(either, memo={i: np.array(0)}) == "a"
    with pytest.raises(KeyError):
        rec_eval(either, memo={i: 1}, print_node_on_error=False)
    for index, error in {-1: ValueError, 2: IndexError, 0.5: TypeError, "a": TypeError}.items():
        with pytest.raises(error, match="switch"):
            rec_eval(either, memo={i: index})


def test_rec_eval_shows_where_it_failed(capsys):
    with pytest.raises(KeyError):
        rec_eval(1 + scope.Raise(KeyError, "why"))
    shown = capsys.readouterr().out
    assert "ERROR in rec_eval" in shown
    assert "0 Raise" in shown
    rec_eval(as_apply(1) + 2, print_trace=True)
    assert capsys.readouterr().out.startswith("rec_eval:print_trace 0 add\n")


def test_rec_eval_ends_on_an_endless_expression():
    a = apply("identity", 1)
    a.pos_args[0] = a + 1
    with pytest.raises(RuntimeError, match="infinite loop"):
        rec_eval(a, max_program_len=50)
    with pytest.raises(BadSearchSpace, match="contains itself"):
        toposort(a)
    assert len(dfs(a)) == 3


def test_rec_eval_copies_inputs_when_asked(defined):
    @defined
    def append(items):
        items.append(1)
        return items

    items = []
    node = scope.append(Literal(items))
    assert rec_eval([node, node], deepcopy_inputs=True) == ([1], [1])
    assert items == []
    with pytest.raises(ValueError, match="did you mean"):
        rec_eval(node, {})


def test_rec_eval_drops_what_nothing_needs(defined):
    seen = []

    @defined
    def look(x):
        seen.append(x)
        return x

    x = as_apply(1)
    memo = {x: 5}
    assert rec_eval(scope.look(x + 1) + x, memo=memo) == 11
    assert memo == {x: 5}
    assert rec_eval(scope.look(x + 1) + x, memo=memo, memo_gc=False) == 11
    assert GarbageCollected not in seen


def test_operations_that_return_expressions_are_evaluated_further(defined):
    @defined
    def twice(x):
        return as_apply(x) * 2

    assert rec_eval(scope.twice(scope.twice(1)) + 1) == 5


def test_lambdas_recurse():
    scope.define(
        Lambda("Countdown", [("n", p0)], scope.switch(p0 > 0, 0, apply("Countdown", p0 - 1) + 1))
    )
    try:
        assert rec_eval(scope.Countdown(4)) == 4
        with pytest.raises(TypeError, match="too many"):
            scope._impls["Countdown"](1, 2)
        with pytest.raises(NotImplementedError, match="by position"):
            scope._impls["Countdown"](n=2)
    finally:
        scope.undefine("Countdown")


def test_partial_leaves_no_trace_in_the_scope():
    before = set(scope._impls)
    assert rec_eval(scope.partial(scope.sub, 5)(3)) == 2
    assert rec_eval(scope.partial(scope.partial("add", 2))(3)) == 5
    assert set(scope._impls) == before


def test_an_operation_that_is_not_defined_is_named():
    with pytest.raises(BadSearchSpace, match="'nowhere' in this process"):
        rec_eval(apply("nowhere", 1))


def test_clones_are_separate():
    x = hp.uniform("x", 0, 1)
    graph = as_apply([x, x])
    other = clone(graph)
    assert str(other) == str(graph)
    assert other.pos_args[0] is other.pos_args[1]
    assert not set(dfs(other)) & set(dfs(graph))


def test_merging_is_of_pure_operations_on_the_same_arguments():
    x = scope.uniform(0, 1)
    graph = as_apply([x + 1, x + 1, scope.exp(x + 1), scope.exp(x + 1), 1.0, True])
    merged = clone_merge(graph, merge_literals=True)
    a, b, c, d, one, true = merged.pos_args
    assert a is b
    assert c is d
    assert type(one.obj) is float
    assert type(true.obj) is bool
    assert len(dfs(clone_merge(graph))) == len(dfs(graph))
    rows = clone_merge(as_apply([np.arange(2), np.arange(2)]), merge_literals=True)
    assert rows.pos_args[0] is not rows.pos_args[1]


def test_our_nodes_are_expressions_too():
    tree = {"c": native.choice("c", [native.uniform("x", 0, 1), native.uniformint("n", 0, 4)])}
    graph = as_apply(tree)
    assert {n.arg["label"].obj for n in dfs(graph) if n.name == "hyperopt_param"} == set("cxn")
    value = stochastic.sample(tree, 3)["c"]
    assert isinstance(value, (int, float))


def test_samples_take_what_draws():
    x = hp.randint("x", 100)
    drawn = {
        stochastic.sample(x, rng)
        for rng in (3, np.int64(3), np.random.default_rng(3), as_apply(np.random.default_rng(3)))
    }
    assert len(drawn) == 1
    assert 0 <= stochastic.sample(x) < 100
    assert 0 <= stochastic.sample(x, np.random.RandomState(0)) < 100
    with pytest.raises(InvalidArgumentType, match="rng"):
        stochastic.sample(x, "seed")
    with pytest.raises(BadSearchSpace, match="no generator"):
        rec_eval(x, print_node_on_error=False)


def test_sampling_does_not_change_the_expression():
    x = hp.uniform("x", 0, 1)
    before = str(x)
    stochastic.sample(x, 0)
    assert str(x) == before
    assert stochastic.recursive_set_rng_kwarg(x) is x
    assert "rng =" in str(x)
    stochastic.recursive_set_rng_kwarg(x, 0)
    assert str(x).count("rng =") == 1


def test_arrays_are_drawn_where_a_size_is_given():
    rng = np.random.default_rng(0)
    assert stochastic.sample(scope.uniform(0, 1, size=(2, 3)), rng).shape == (2, 3)
    assert stochastic.sample(scope.categorical((0.5, 0.5), size=4), rng).shape == (4,)
    assert stochastic.sample(scope.categorical((0.5, 0.5), size=0), rng).shape == (0,)
    table = np.array([[1.0, 0], [0, 1]])
    assert stochastic.categorical(table, rng, size=(2,)).tolist() == [0, 1]
    with pytest.raises(NotImplementedError, match="shape"):
        stochastic.categorical(table, rng, size=(3,))
    assert stochastic.sample(scope.one_of("a", "a"), rng) == "a"
    assert stochastic.sample(scope.choice(["a"]), rng) == "a"


def test_own_distributions_get_the_generator(defined):
    @stochastic.implicit_stochastic
    @defined
    def dice(rng=None):
        return rng.integers(1, 7)

    try:
        assert 1 <= stochastic.sample([scope.dice()], 0)[0] <= 6
    finally:
        stochastic.implicit_stochastic_symbols.discard("dice")


ELSEWHERE = """
import pickle, sys
from sparktrials.compat.pyll.stochastic import sample
print(sample(pickle.load(sys.stdin.buffer), 3))
"""


def sampled_elsewhere(data):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_expressions_carry_the_operations_of_their_users(defined, dumps):
    factor = 3

    @defined
    def scaled(x):
        return x * factor

    again = Lambda("again", [("x", p0)], scope.switch(p0 > 0, 7, apply("again", p0 - 1)))
    defined(again)
    graph = as_apply(
        {
            "a": scope.scaled(hp.uniform("x", 0, 1)),
            "b": scope.again(hp.randint("r", 3)),
            "c": scope.partial(scope.scaled)(2),
        }
    )
    data = dumps(graph)
    assert sampled_elsewhere(data) == str(stochastic.sample(graph, 3))
    for name in ("scaled", "again"):
        scope.undefine(name)
    assert stochastic.sample(pickle.loads(data), 3)["b"] == 7


def test_an_operation_that_refers_to_its_own_expression_pickles(defined):
    graphs = []

    @defined
    def knows(x):
        return x + len(graphs)

    graphs.append(scope.knows(1))
    assert sampled_elsewhere(pickle.dumps(graphs[0])) == "2"


def test_an_operation_that_cannot_travel_leaves_its_name(defined):
    lock = io.StringIO  # stands for what pickles
    unpicklable = (i for i in range(3))

    @defined
    def held(x):
        return (x, lock, unpicklable)

    assert pickle.loads(pickle.dumps(scope.held(1))).name == "held"


def test_executors_may_have_sparks_cloudpickle_only(defined, monkeypatch):
    pytest.importorskip("pyspark")
    factor = 3

    @defined
    def scaled_there(x):
        return x * factor

    data = pickle.dumps(scope.scaled_there(2))
    scope.undefine("scaled_there")
    for name in ("cloudpickle", "cloudpickle.cloudpickle"):
        monkeypatch.setitem(sys.modules, name, None)
    assert rec_eval(pickle.loads(data)) == 6


def test_copies_share_operations(defined):
    @defined
    def f(x):
        return x

    assert rec_eval(copy.deepcopy(scope.f(3))) == 3
    assert copy.deepcopy(scope) is scope


def test_define_params_are_defined_on_arrival():
    node = Apply("arrived", [], [], define_params={"f": base.identity, "pure": True})
    assert pickle.loads(pickle.dumps(node)).define_params["f"] is base.identity


def test_pickles_of_hyperopts_expressions_load_under_its_names(monkeypatch):
    for name in ("hyperopt", "hyperopt.pyll", "hyperopt.pyll.base"):
        monkeypatch.setitem(sys.modules, name, base)
    data = (
        b"\x80\x04chyperopt.pyll.base\nLiteral\n)\x81}(X\x04\x00\x00\x00nameX\x07\x00\x00\x00literal"
        b"X\x08\x00\x00\x00pos_args]X\n\x00\x00\x00named_args]X\x05\x00\x00\x00o_lenN"
        b"X\x04\x00\x00\x00pure\x88X\r\x00\x00\x00define_paramsNX\x04\x00\x00\x00_objK\x05ub."
    )
    loaded = pickle.loads(data)
    assert isinstance(loaded, Literal)
    assert (loaded + 1).eval() == 6


def test_neither_scipy_nor_networkx_is_loaded():
    code = (
        "import sys; from sparktrials.compat import graph_viz, hp, pyll, pyll_utils, rdists\n"
        "pyll.stochastic.sample(hp.uniform('x', 0, 1), 0)\n"
        "print(*{'scipy', 'networkx', 'cloudpickle', 'hyperopt'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
