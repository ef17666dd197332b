"""Models that are equal by structure, and those that are not."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from normonnx.graph.contents import Contents
from normonnx.judge import verify
from normonnx.judge.alignment import align
from tests.judge.building import Array, graph_model, replace_weight

RANDOM = np.random.default_rng(4)
WEIGHT: Array = RANDOM.standard_normal((4, 4)).astype(np.float32)
BIAS: Array = RANDOM.standard_normal(4).astype(np.float32)

TEXT = """(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {
    a = MatMul(x, w)
    y = Add(a, b)
    c = Relu(x)
    z = Mul(c, b)
}"""


def equal(one: onnx.ModelProto, other: onnx.ModelProto) -> frozenset[str]:
    return align(ir.from_proto(one), ir.from_proto(other)).equal


def test_names_and_order_mean_nothing() -> None:
    one = graph_model(TEXT, w=WEIGHT, b=BIAS)
    other = graph_model(
        """(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {
            r = Relu(x)
            z = Mul(r, second)
            m = MatMul(x, first)
            k = Identity(m)
            y = Add(k, third)
        }""",
        first=WEIGHT,
        second=BIAS,
        third=BIAS,
    )
    assert equal(one, other) == {"y", "z"}
    verdict = verify(ir.from_proto(one), ir.from_proto(other))
    assert verdict.passed
    assert verdict.line() == "parity PASS  equal by structure: nothing to run"
    assert not verdict.outputs


def test_one_bit_of_a_weight_is_a_difference() -> None:
    one = graph_model(TEXT, w=WEIGHT, b=BIAS)
    changed = WEIGHT.copy()
    changed[2, 3] = np.nextafter(changed[2, 3], np.float32(9))
    assert equal(one, replace_weight(one, "w", changed)) == {"z"}


def test_zeros_of_both_signs_differ_and_equal_nan_do_not() -> None:
    contents = Contents()
    zeros = [ir.tensor(np.array([0.0, np.nan], np.float32)) for _ in range(2)]
    negative = ir.tensor(np.array([-0.0, np.nan], np.float32))
    numbers = [contents.number(t) for t in (*zeros, negative)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_tensors_of_other_types_and_shapes_differ() -> None:
    contents = Contents()
    arrays = [
        np.zeros(4, np.float32),
        np.zeros(4, np.int32),
        np.zeros((2, 2), np.float32),
        np.array(["", "", "", ""], object),
    ]
    assert len({contents.number(ir.tensor(a)) for a in arrays}) == 4


def test_a_difference_in_the_middle_of_a_large_tensor_is_found() -> None:
    contents = Contents()
    large = np.zeros(3_000_000, np.uint8)
    other = large.copy()
    other[1_500_000] = 1
    assert contents.number(ir.tensor(large)) != contents.number(ir.tensor(other))
    assert contents.number(ir.tensor(large)) == contents.number(ir.tensor(large.copy()))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("LeakyRelu <alpha: float = 0.01> (x)", "LeakyRelu(x)", True),  # the default
        ("LeakyRelu <alpha: float = 0.02> (x)", "LeakyRelu(x)", False),
        ("Relu(x)", "Abs(x)", False),
        ("Sub(x, x)", "Add(x, x)", False),
    ],
)
def test_attributes_and_operators_count(one: str, other: str, expected: bool) -> None:
    models = [graph_model(f"(float[4] x) => (float[4] y) {{ y = {t} }}") for t in (one, other)]
    assert (equal(models[0], models[1]) == {"y"}) is expected


@pytest.mark.parametrize(
    ("operator", "opsets", "expected"),
    [
        ("Relu", (13, 14), True),  # further types only
        ("Softmax", (11, 12), True),
        ("Softmax", (12, 13), False),  # of the last axis alone
    ],
)
def test_an_operator_means_what_its_opset_says(
    operator: str, opsets: tuple[int, int], expected: bool
) -> None:
    text = f"(float[2, 3, 4] x) => (float[2, 3, 4] y) {{ y = {operator}(x) }}"
    one, other = (graph_model(text, opset=opset) for opset in opsets)
    assert (equal(one, other) == {"y"}) is expected


def branching(factor: float, *, inner: str = "t") -> onnx.ModelProto:
    """An If over x · factor and −x."""
    scale = numpy_helper.from_array(np.float32(factor), "f")
    then = helper.make_graph(
        [
            helper.make_node("Constant", [], ["f"], value=scale),
            helper.make_node("Mul", ["x", "f"], [inner], name="scaled"),
        ],
        "then",
        [],
        [helper.make_tensor_value_info(inner, 1, ["N"])],
    )
    otherwise = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["e"])],
        "otherwise",
        [],
        [helper.make_tensor_value_info("e", 1, ["N"])],
    )
    node = helper.make_node(
        "If", ["flag"], ["y"], name="choice", then_branch=then, else_branch=otherwise
    )
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("x", 1, ["N"]),
            helper.make_tensor_value_info("flag", 9, []),
        ],
        [helper.make_tensor_value_info("y", 1, ["N"])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_subgraphs_are_compared_by_what_they_do() -> None:
    assert equal(branching(2.0), branching(2.0, inner="other")) == {"y"}
    assert equal(branching(2.0), branching(2.5)) == frozenset()


def test_calls_are_what_their_functions_do() -> None:
    plain = graph_model("(float[N] x) => (float[N] y) { a = Mul(x, x)\n y = Add(a, x) }")
    called = graph_model(
        "(float[N] x) => (float[N] y) { y = local.f(x) }",
        functions="""<domain: "local", opset_import: ["" : 17]>
        f (v) => (r) { s = Mul(v, v)\n r = Add(s, v) }""",
    )
    assert equal(plain, called) == {"y"}


def noisy(name: str, mean: float = 0.0) -> onnx.ModelProto:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["r"], name=name, mean=mean),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(n, 1, [4]) for n in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_random_numbers_are_equal_only_where_they_have_one_name() -> None:
    assert equal(noisy("draw"), noisy("draw")) == {"y"}
    assert equal(noisy("draw"), noisy("other")) == frozenset()
    assert equal(noisy("draw"), noisy("draw", mean=100.0)) == frozenset()


def test_what_is_equal_must_still_load() -> None:
    one = graph_model(TEXT, w=WEIGHT, b=BIAS)
    newer = onnx.ModelProto()
    newer.CopyFrom(one)
    newer.ir_version = 127
    verdict = verify(ir.from_proto(one), ir.from_proto(newer))
    assert verdict.status == "fail"
    assert "does not load" in verdict.first_failure


def test_weights_that_had_to_be_listed_as_inputs_are_constants() -> None:
    newer = graph_model("(float[4] x) => (float[4] y) { y = Add(x, b) }", b=BIAS)
    older = onnx.ModelProto()
    older.CopyFrom(newer)
    older.graph.input.append(helper.make_tensor_value_info("b", 1, [4]))
    assert equal(newer, older) == frozenset()  # a caller may give another b
    older.ir_version = 3
    assert equal(newer, older) == {"y"}
