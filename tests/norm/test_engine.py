"""The engine on whole models: opsets, subgraphs, functions, shared statistics, the journal."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from normonnx.journal import Journal
from normonnx.norm import find_sites, fuse_norms, wanted_opset
from normonnx.rewrite import Context

from .fusing import Fused, context_of, difference, fuse, random_feeds
from .graphs import Graph
from .text import EPSILON, LAYER, RMS, TWO, WHOLE, layer, model

LN, RN = "LayerNormalization", "RMSNormalization"
RMS_SCALED = f"{RMS} y = Mul (n, g)"


def run(proto: onnx.ModelProto, **journal: object) -> Fused:
    """The engine as it is, at the opset of the model."""
    context = context_of(ir.from_proto(proto))
    context.journal = Journal(**journal)  # type: ignore[arg-type]
    fuse_norms(context)
    return Fused(ir.to_proto(context.model), context.journal)


# -- opsets ------------------------------------------------------------------------------------


def test_the_wanted_opset() -> None:
    both = layer(f"{WHOLE.replace('y = Add', 'z = Add')} {rms_of('z')}")
    assert wanted(layer(WHOLE)) == 17
    assert wanted(layer(RMS_SCALED)) == 23
    assert wanted(both) == 23
    assert wanted(both, cap=22) == 17
    assert wanted(layer(RMS_SCALED), cap=22) == 0
    assert wanted(layer("y = Sqrt (x)")) == 0


def test_a_rule_that_is_off_wants_nothing() -> None:
    context = context_of(ir.from_proto(model(layer(RMS_SCALED), opset=13)))
    context.rules_off = frozenset({"NX102"})
    assert wanted_opset(context) == 0


def rms_of(value: str) -> str:
    return (f"p2 = Mul ({value}, {value}) v2 = ReduceMean <axes=[-1]> (p2) e2 = Add (v2, eps)"
            f" r2 = Sqrt (e2) y = Div ({value}, r2)")  # fmt: skip


def wanted(graph: str, **options: int) -> int:
    return wanted_opset(context_of(ir.from_proto(model(graph, opset=13))), **options)


@pytest.mark.parametrize(("nodes", "operator", "needed"), [
    (WHOLE, LN, 17), (RMS_SCALED, RN, 23),
])  # fmt: skip
def test_below_the_first_opset_of_bodies_a_norm_is_a_near_miss(
    nodes: str, operator: str, needed: int
) -> None:
    fused = run(model(layer(nodes), opset=6))
    assert not fused.norms
    [miss] = fused.journal.near_misses.values()
    assert miss.reason == f"{operator} needs opset {needed}, the model has 6"
    assert f"--opset {needed}" in miss.remedy


@pytest.mark.parametrize("opset", [11, 13, 16, 17, 18, 21, 22, 23])
def test_every_opset(opset: int) -> None:
    graph = Graph(opset)
    x = graph.input("x", [2, 3, 8])
    mean = graph.over_axes("ReduceMean", x, [2])
    centred = graph.op("Sub", x, mean)
    variance = graph.over_axes("ReduceMean", graph.op("Mul", centred, centred), [-1])
    root = graph.op("Sqrt", graph.op("Add", variance, graph.constant(1e-5)))
    graph.output(graph.op("Div", centred, root), [2, 3, 8])
    proto = graph.model()
    fused = fuse(proto)
    assert [op for op in fused.operators if op != "Constant"] == [LN]
    assert fused.proto.opset_import[0].version == max(opset, 17)
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6


# -- what is shared or read elsewhere ------------------------------------------------------------


def two_outputs(nodes: str, other: str, shape: str = "float[2,3,8]") -> onnx.ModelProto:
    return model(f"(float[2,3,8] x) => (float[2,3,8] y, {shape} {other}) {{ {nodes} }}",
                 {"h": (8,), "c": (8,)})  # fmt: skip


def check(proto: onnx.ModelProto, operators: list[str], *, apart: bool = False) -> None:
    fused = fuse(proto, allow_duplicate=apart)
    assert sorted(op for op in fused.operators if op != "Constant") == sorted(operators)
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6


def test_two_scales_share_their_statistics() -> None:
    nodes = f"{WHOLE} l = Mul (n, h) z = Add (l, c)"
    check(two_outputs(nodes, "z"), [LN, "Mul", "Add", "Mul", "Add"])
    check(two_outputs(nodes, "z"), [LN, LN], apart=True)


def test_the_normalised_value_is_an_output_too() -> None:
    check(two_outputs(WHOLE, "n"), [LN, "Mul", "Add"])
    check(two_outputs(WHOLE, "n"), [LN, LN], apart=True)


@pytest.mark.parametrize("target", ["onnx", "normonnx"])
def test_two_readers_behind_a_transpose_share_their_norm(target: str) -> None:
    """Its statistics are taken once, unless a copy is asked for."""
    nodes = (
        f"{LAYER} t = Transpose <perm=[0,2,1]> (n)"
        " k = Mul (t, g) y = Add (k, b) l = Mul (t, h) z = Add (l, c)"
    )
    proto = model(f"(float[2,3,8] x) => (float[2,8,3] y, float[2,8,3] z) {{ {nodes} }}",
                  {"g": (8, 1), "b": (8, 1), "h": (8, 1), "c": (8, 1)})  # fmt: skip
    fused = fuse(proto, target=target)
    assert len(fused.norms) == 1
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6
    apart = fuse(proto, target=target, allow_duplicate=True)
    assert len(apart.norms) == 2
    assert difference(proto, apart.proto, random_feeds(proto, 0)) < 1e-6


def test_one_more_scale_is_cheaper_as_a_node() -> None:
    check(two_outputs(f"{LAYER} y = Mul (n, g) z = Mul (n, h)", "z"), [LN, "Mul", "Mul"])
    check(two_outputs(f"{LAYER} y = Mul (n, g) z = Mul (n, h)", "z"), [LN, LN], apart=True)
    check(two_outputs(f"{LAYER} y = Mul (n, g) z = Relu (n)", "z"), [LN, "Mul", "Relu"])


def test_a_mean_that_is_an_output_stays() -> None:
    check(two_outputs(WHOLE, "m", "float[2,3,1]"), [LN, "ReduceMean"])


def test_a_root_that_is_an_output_keeps_what_it_needs() -> None:
    nodes = ["ReduceMean", "Sub", "Pow", "ReduceMean", "Add", "Sqrt"]
    check(two_outputs(WHOLE, "r", "float[2,3,1]"), [*nodes, LN])


@pytest.mark.parametrize("target", ["onnx", "normonnx"])
def test_nothing_is_gained_if_all_but_the_quotient_stays(target: str) -> None:
    proto = model(f"(float[2,3,8] x) => (float[2,3,8] y, float[2,3,1] r, float[2,3,8] d)"
                  f" {{ {LAYER.replace('n = Div', 'y = Div')} }}")  # fmt: skip
    fused = fuse(proto, target=target)
    assert not fused.norms
    assert fused.reasons == ["it would not make the graph smaller"]


def test_a_norm_of_a_norm() -> None:
    check(model(layer(f"{WHOLE.replace('y = Add', 'z = Add')} {rms_of('z')}")), [LN, RN])


def test_the_residual_is_the_input_of_the_next() -> None:
    second = WHOLE.replace("x)", "z)").replace("(x,", "(z,")
    for name in "mdpvernky":
        second = second.replace(f"{name} =", f"{name}2 =").replace(f"({name},", f"({name}2,")
        second = second.replace(f", {name})", f", {name}2)").replace(f"({name})", f"({name}2)")
    nodes = f"{WHOLE.replace('y = Add', 'o = Add')} z = Add (o, x) {second} y = Relu (y2)"
    check(model(layer(nodes)), [LN, "Add", LN, "Relu"])


# -- scales and shifts ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behind", "scale", "shift"),
    [
        ("y = Mul (z, g)", lambda g, b: g * g, lambda g, b: b * g),
        ("z1 = Mul (z, g) y = Mul (z1, g)", lambda g, b: g**3, lambda g, b: b * g * g),
        ("z1 = Add (z, b) y = Mul (z1, two)", lambda g, b: 2 * g, lambda g, b: 4 * b),
        ("z1 = Sub (z, b) y = Neg (z1)", lambda g, b: -g, lambda g, b: 0 * b),
    ],
)
def test_what_is_done_behind_a_norm_is_in_its_scale_and_shift(
    behind: str, scale: Callable[..., np.ndarray], shift: Callable[..., np.ndarray]
) -> None:
    proto = model(layer(f"{WHOLE.replace('y = Add', 'z = Add')} {behind}"))
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    g, b = (weights[name].astype(np.float64) for name in "gb")
    fused = fuse(proto)
    assert fused.operators == [LN]
    given = [fused.array(name) for name in fused.node(LN).input[1:]]
    given += [np.zeros(8)] * (2 - len(given))
    for found, expected in zip(given, (scale, shift), strict=True):
        np.testing.assert_allclose(found, expected(g, b), rtol=1e-6)


# -- subgraphs and functions ---------------------------------------------------------------------


def test_inside_the_branches_of_an_if() -> None:
    inner = f"() => (float[2,3,8] o) {{ {WHOLE.replace('y = Add', 'o = Add')} }}"
    proto = model(
        "(bool c, float[2,3,8] x) => (float[2,3,8] y) { y = If (c) <"
        f" then_branch = t {inner}, else_branch = e {_prefixed(inner)} > }}"
    )
    fused = fuse(proto)
    assert fused.norms == [LN, LN]
    for truth in (True, False):
        feeds = {"c": np.array(truth), "x": random_feeds(proto, 0)["x"]}
        assert difference(proto, fused.proto, feeds) < 1e-6


def _prefixed(graph: str) -> str:
    """The graph with names of its own, but for what it reads from outside."""
    return (
        re.sub(r"\b([mdpverkn])\b", r"f\1", graph).replace(" o)", " fo)").replace(" o =", " fo =")
    )


def test_inside_the_body_of_a_loop() -> None:
    body = helper.make_graph(
        model(layer(WHOLE.replace("(x", "(s").replace("y = Add", "t = Add"))).graph.node,
        "body",
        [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
         helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
         helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, [2, 3, 8])],
        [helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
         helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, [2, 3, 8])],
    )  # fmt: skip
    proto = model(layer("y = Identity (x)"), {"count": np.array(3)})
    constants = {"two": TWO, "eps": EPSILON, "g": np.ones(8) + np.arange(8) / 9, "b": np.ones(8)}
    for name, array in {**constants, "count": np.array(3), "on": np.array(True)}.items():
        kept = array.dtype if array.dtype.kind in "ib" else np.float32
        tensor = onnx.numpy_helper.from_array(np.asarray(array, kept), name)
        proto.graph.initializer.append(tensor)
    del proto.graph.node[:]
    proto.graph.node.append(helper.make_node("Loop", ["count", "on", "x"], ["y"], body=body))
    fused = fuse(proto)
    assert fused.operators == ["Loop", LN]
    assert difference(proto, fused.proto, random_feeds(proto, 0)) < 1e-6


def test_statistics_outside_a_branch_are_not_drawn_in() -> None:
    inner = "() => (float[2,3,8] o) { d = Sub (x, m) o = Div (d, r) }"
    proto = model(
        "(bool c, float[2,3,8] x) => (float[2,3,8] y) { m = ReduceMean <axes=[-1]> (x)"
        " d2 = Sub (x, m) p = Mul (d2, d2) v = ReduceMean <axes=[-1]> (p) e = Add (v, eps)"
        f" r = Sqrt (e) y = If (c) < then_branch = t {inner},"
        " else_branch = f () => (float[2,3,8] q) { q = Identity (x) } > }"
    )
    assert not fuse(proto).norms


def test_a_function_without_shapes_is_a_near_miss() -> None:
    body = WHOLE.replace("(d, two)", "(d, d)").replace("Pow", "Mul")
    functions = (
        f'<domain: "local", opset_import: ["" : 17]> norm (x, eps, g, b) => (y) {{ {body} }}'
    )
    proto = model(
        "(float[2,3,8] x) => (float[2,3,8] y) { y = local.norm (x, eps, g, b) }",
        functions=functions,
    )
    fused = run(proto)
    assert not fused.norms
    [near] = fused.journal.near_misses.values()
    assert "the body of the function local::norm" in near.reason
    assert "inline" in near.remedy


# -- the journal ---------------------------------------------------------------------------------


def test_keys_are_the_rule_and_the_output() -> None:
    [rewrite] = run(model(layer(WHOLE))).journal.rewrites
    assert (rewrite.key, rewrite.rule, rewrite.site) == ("NX101:y", "NX101", "r")
    assert rewrite.summary == "decomposed LayerNorm → LayerNormalization"
    assert [op for op, _ in rewrite.added] == [LN]


def test_a_key_may_be_skipped() -> None:
    fused = run(model(layer(WHOLE)), skip=frozenset({"NX101:y"}))
    assert not fused.norms
    assert "taken back" in fused.reasons[0]


def test_what_was_taken_back_is_written_otherwise() -> None:
    image = WHOLE.replace("-1", "2,3")
    shape = {"x": "float[2,3,4,5] x", "y": "float[2,3,4,5] y"}
    proto = model(layer(image, **shape), {"g": (3, 1, 1), "b": (3, 1, 1)})
    assert run(proto).operators == ["InstanceNormalization"]
    again = run(proto, skip=frozenset({"NX104:y"}))
    assert again.operators[0] == LN
    assert again.operators[1:] == ["Mul", "Add"]


def test_the_limit_stops_the_engine() -> None:
    proto = model(layer(f"{WHOLE.replace('y = Add', 'z = Add')} {rms_of('z')}"), opset=23)
    assert run_at_23(proto, limit=1).norms == [LN]
    assert run_at_23(proto, limit=2).norms == [LN, RN]


def run_at_23(proto: onnx.ModelProto, **journal: object) -> Fused:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in copy.graph.node:  # axes are an input from opset 18 on
        for attribute in list(node.attribute):
            if attribute.name == "axes":
                axes = onnx.numpy_helper.from_array(np.array(attribute.ints), f"{node.output[0]}a")
                copy.graph.initializer.append(axes)
                node.input.append(axes.name)
                node.attribute.remove(attribute)
    return run(copy, **journal)


def test_success_takes_back_the_near_miss_of_an_earlier_run() -> None:
    journal = Journal()
    for opset in (6, 17):
        context = context_of(ir.from_proto(model(layer(WHOLE), opset=opset)))
        context.journal = journal
        fuse_norms(context)
        assert len(journal.near_misses) == (opset == 6)
    assert len(journal.rewrites) == 1


def test_overridable_scale_is_a_runtime_value() -> None:
    fused = run(model(layer(WHOLE), listed=["g", "b"]))
    assert list(fused.node(LN).input) == ["x", "g", "b"]
    assert [value.name for value in fused.proto.graph.input] == ["x", "g", "b"]


def test_an_overridable_epsilon_stays() -> None:
    fused = run(model(layer(WHOLE), listed=["eps"]))
    assert not fused.norms
    assert fused.reasons == ["what is under the root depends on 'eps'"]


def test_two_runs_are_alike() -> None:
    proto = two_outputs(f"{WHOLE} l = Mul (n, h) z = Add (l, c)", "z")
    first, second = run(proto), run(proto)
    assert first.journal.rewrites == second.journal.rewrites
    assert first.proto.SerializeToString(deterministic=True) == (
        second.proto.SerializeToString(deterministic=True)
    )


def test_find_sites_changes_nothing() -> None:
    original = ir.from_proto(model(layer(WHOLE)))
    before = ir.to_proto(original).SerializeToString(deterministic=True)
    [site] = find_sites(context_of(original))
    assert (site.kind, site.x.name, site.output.name) == ("LayerNorm", "x", "y")
    assert (site.axes, site.key, site.needs_opset) == ((2,), "NX101:y", 17)
    assert site.saves == 8
    assert ir.to_proto(original).SerializeToString(deterministic=True) == before


def chained(norms: int) -> Context:
    """Norms one behind the other, with forty operators before each."""
    graph = Graph(17)
    x = graph.input("x", [2, 3, 8])
    eps = graph.constant(1e-5)
    for _ in range(norms):
        for _ in range(40):
            x = graph.op("Tanh", x)
        mean = graph.over_axes("ReduceMean", x, [-1])
        centred = graph.op("Sub", x, mean)
        square = graph.over_axes("ReduceMean", graph.op("Mul", centred, centred), [-1])
        root = graph.op("Sqrt", graph.op("Add", square, eps))
        x = graph.op("Add", x, graph.op("Div", centred, root))
    graph.output(x, [2, 3, 8])
    return context_of(ir.from_proto(graph.model()))


def calls_to_find(norms: int) -> int:
    """How many functions are called until all of them are found."""
    context, calls = chained(norms), itertools.count()
    sys.setprofile(lambda *_: next(calls) and None)
    try:
        sites = find_sites(context)
    finally:
        sys.setprofile(None)
    assert len(sites) == norms
    return next(calls)


def test_the_work_grows_with_the_nodes() -> None:
    few = calls_to_find(15)
    assert calls_to_find(60) < 5 * few
