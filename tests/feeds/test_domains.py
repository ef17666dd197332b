"""What an input may hold, found in the graph around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from normonnx.feeds.domains import domain_of
from normonnx.feeds.kinds import Domain, Kind
from tests.judge.building import graph_model

TABLE = np.zeros((50, 4), np.float32)


def domain(model: onnx.ModelProto, name: str = "x") -> Domain:
    loaded = ir.from_proto(model)
    value = next(v for v in loaded.graph.inputs if v.name == name)
    return domain_of(value, loaded.functions)


def test_a_token_lies_inside_the_vocabulary() -> None:
    model = graph_model("(int64[n] x) => (float[n,4] y) { y = Gather(t, x) }", t=TABLE)
    found = domain(model)
    assert (found.kind, found.low, found.high) == (Kind.INDEX, 0, 49)
    assert found.why == "Gather 'Gather_0'"


def test_the_smallest_table_counts() -> None:
    text = "(int64[n] x) => (float[n,4] y, float[n,2] z) { y = Gather(t, x) z = Gather(s, x) }"
    found = domain(graph_model(text, t=TABLE, s=np.zeros((9, 2), np.float32)))
    assert found.high == 8


def test_a_shift_on_the_way_to_the_table_is_followed() -> None:
    text = """(int32[n] x) => (float[n,4] y) {
        wide = Cast<to = 7>(x)
        shifted = Sub(wide, two)
        row = Unsqueeze(shifted, axis)
        y = GatherND(t, row)
    }"""
    model = graph_model(text, t=TABLE, two=np.array(2), axis=np.array([1]))
    found = domain(model)
    assert (found.low, found.high) == (2, 51)


def test_floats_that_become_indices() -> None:
    text = """(float[n] x) => (float[n,257] y) {
        i = Cast<to = 6>(x)
        y = OneHot(i, depth, values)
    }"""
    model = graph_model(text, depth=np.array([257]), values=np.array([0, 1], np.float32))
    found = domain(model)
    assert (found.kind, found.high) == (Kind.INDEX, 256)


def test_a_table_in_a_function_is_found() -> None:
    functions = """
    <domain: "local", opset_import: ["" : 17]>
    Look (t, i) => (r) { r = Gather(t, i) }
    """
    text = "(int64[n] x) => (float[n,4] y) { y = local.Look(t, x) }"
    loaded = ir.from_proto(graph_model(text, functions=functions, t=TABLE))
    # Inside the function the size of the table is not known: the first row always exists.
    found = domain_of(loaded.graph.inputs[0], loaded.functions)
    assert (found.kind, found.low, found.high) == (Kind.INDEX, 0, 0)


def test_positions_run_along_the_sequence() -> None:
    text = "(int64[n] position_ids) => (float[n,4] y) { y = Gather(t, position_ids) }"
    found = domain(graph_model(text, t=TABLE), "position_ids")
    assert (found.kind, found.high) == (Kind.POSITION, 49)


@pytest.mark.parametrize("name", ["attention_mask", "mask", "decoder_attention_mask"])
def test_masks_by_name(name: str) -> None:
    text = f"(int64[n] {name}) => (float[n] y) {{ y = Cast<to = 1>({name}) }}"
    assert domain(graph_model(text), name).kind is Kind.MASK


def test_masks_by_use() -> None:
    text = "(int64[n] x) => (bool[n] y) { y = Equal(x, zero) }"
    assert domain(graph_model(text, zero=np.array(0))).kind is Kind.MASK


def test_a_choice_is_one_of_what_it_is_compared_with() -> None:
    text = "(int64[1] x) => (bool[1] y, bool[1] z) { y = Equal(x, a) z = Equal(b, x) }"
    found = domain(graph_model(text, a=np.array(8000), b=np.array(16000)))
    assert found.kind is Kind.CHOICE
    assert found.choices == (8000, 16000, 7999, 15999)


@pytest.mark.parametrize(
    ("text", "weights", "high"),
    [
        ("y = Expand(one, x)", {"one": np.ones(1, np.float32)}, 4),
        ("y = ConstantOfShape(x)", {}, 4),
        ("y = Unsqueeze(one, x)", {"one": np.ones(1, np.float32)}, 0),
    ],
)
def test_operands_that_are_sizes_stay_small(
    text: str, weights: dict[str, np.ndarray], high: int
) -> None:
    found = domain(graph_model(f"(int64[2] x) => (y) {{ {text} }}", **weights))
    assert (found.kind, found.high) == (Kind.SIZE, high)


def test_lengths_of_sequences() -> None:
    text = "(float[t,2] d, int64[2] x) => (y) { y = ReverseSequence(d, x) }"
    assert domain(graph_model(text)).kind is Kind.LENGTH


@pytest.mark.parametrize(
    "text", ["y = Log(x)", "y = Sqrt(x)", "y = Div(one, x)", "y = Reciprocal(x)"]
)
def test_positive_where_it_must_be(text: str) -> None:
    model = graph_model(f"(float[3] x) => (y) {{ {text} }}", one=np.ones(1, np.float32))
    assert domain(model).kind is Kind.POSITIVE


def test_a_normalised_input_is_drawn_as_what_it_was_normalised_for() -> None:
    text = "(float[n,2] x) => (y) { y = BatchNormalization(x, s, b, m, v) }"
    ones = np.ones(2, np.float32)
    model = graph_model(
        text, s=ones, b=ones, m=np.array([5, -5], np.float32), v=np.array([4, 9], np.float32)
    )
    found = domain(model)
    assert found.kind is Kind.REAL
    assert found.centre is not None
    assert found.spread is not None
    assert found.centre.tolist() == [5, -5]
    assert found.spread.tolist() == [2, 3]


def test_types_decide_where_nothing_else_does() -> None:
    for declared, kind in (
        ("float", Kind.REAL),
        ("float16", Kind.REAL),
        ("bool", Kind.BOOL),
        ("string", Kind.STRING),
        ("uint8", Kind.INTEGER),
    ):
        found = domain(graph_model(f"({declared}[3] x) => (y) {{ y = Identity(x) }}"))
        assert found.kind is kind
    assert (found.low, found.high) == (0, 255)


def test_texts_are_those_that_the_model_knows() -> None:
    node = helper.make_node(
        "LabelEncoder",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        keys_strings=["cat", "dog"],
        values_int64s=[1, 2],
    )
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.STRING, [2])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [2])],
    )
    found = domain(helper.make_model(graph))
    assert found.choices == ("cat", "dog")


ONE, TWO, SMALL = np.float32(1), np.float32(2), np.float32(1e-7)
RANGES: list[tuple[str, dict[str, Any], tuple[float, float]]] = [
    ("a = Add(x, c) y = Log(a)", {"c": SMALL}, (-1e-7, np.inf)),
    ("a = Sub(c, x) y = Log(a)", {"c": ONE}, (-np.inf, 1)),
    ("a = Sub(c, x) b = Log(a) e = Log(x) y = Add(b, e)", {"c": ONE}, (0, 1)),
    ("a = Div(x, c) y = Pow(a, p)", {"c": TWO, "p": np.float32(2.2)}, (0, np.inf)),
    ("a = Add(x, c) y = Pow(a, p)", {"c": TWO, "p": np.float32(-1)}, (-2, np.inf)),
    ("y = Pow(x, c)", {"c": TWO}, (-np.inf, np.inf)),
    ("y = Pow(c, x)", {"c": TWO}, (-np.inf, np.inf)),
    ("a = Mul(x, c) y = Acos(a)", {"c": -TWO}, (-0.5, 0.5)),
    ("y = Asin(x)", {}, (-1, 1)),
    ("y = Acosh(x)", {}, (1, np.inf)),
    ("a = Neg(x) b = Add(a, c) y = Atanh(b)", {"c": ONE}, (0.01, 1.99)),
    ("a = Clip(x, c, d) y = Acos(a)", {"c": -ONE, "d": ONE}, (-np.inf, np.inf)),
    ("a = Clip(x, c, d) y = Acos(a)", {"c": -TWO, "d": ONE}, (-1, np.inf)),
    ("a = Max(x, c) y = Log(a)", {"c": SMALL}, (-np.inf, np.inf)),
    ("a = Min(x, c) y = Log(a)", {"c": ONE}, (0, np.inf)),
    ("a = Relu(x) y = Log(a)", {}, (0, np.inf)),
    ("a = Relu(x) b = Add(a, c) y = Log(b)", {"c": SMALL}, (-np.inf, np.inf)),
    ("a = Abs(x) y = Log(a)", {}, (-np.inf, np.inf)),
    ("a = Mul(x, x) b = Sub(c, a) y = Sqrt(b)", {"c": np.float32(4)}, (-2, 2)),
    ("a = Pow(x, p) b = Add(a, c) y = Sqrt(b)", {"p": TWO, "c": ONE}, (-np.inf, np.inf)),
    (
        "a = Pow(x, p) b = Sub(a, c) y = Log(b)",
        {"p": np.float32(3), "c": TWO},
        (2 ** (1 / 3), np.inf),
    ),
    ("a = Exp(x) b = Sub(a, c) y = Log(b)", {"c": TWO}, (np.log(2), np.inf)),
    ("a = Sqrt(x) b = Sub(a, c) y = Log(b)", {"c": TWO}, (4, np.inf)),
    ("a = Log(x) y = Sqrt(a)", {}, (1, np.inf)),
    ("a = ReduceMean(x) b = Add(a, c) y = Log(b)", {"c": ONE}, (-1, np.inf)),
    ("a = ReduceSum(x) y = Log(a)", {}, (0, np.inf)),
    ("a = ReduceSum(x) b = Sub(a, c) y = Log(b)", {"c": ONE}, (-np.inf, np.inf)),
    ("a = Add(x, c) y = Div(d, a)", {"c": ONE, "d": TWO}, (-1, np.inf)),
    ("a = Div(c, x) y = Log(a)", {"c": ONE}, (0, np.inf)),
    ("a = Sub(x, c) y = Sqrt(a)", {"c": np.array([1, 5, 3], np.float32)}, (5, np.inf)),
    ("a = Mul(x, c) y = Sqrt(a)", {"c": np.array([1, -5, 3], np.float32)}, (-np.inf, np.inf)),
    ("a = Cast<to = 10>(x) b = Add(a, c) y = Sqrt(b)", {"c": np.float16(2)}, (-2, np.inf)),
    ("a = Transpose(x) b = Reshape(a, s) y = Log(b)", {"s": np.array([-1])}, (0, np.inf)),
    ("a = Softmax(x) y = Log(a)", {}, (-np.inf, np.inf)),
    ("c = Constant<value_float = 2.0>() a = Add(x, c) y = Log(a)", {}, (-2, np.inf)),
    ("y = Bernoulli(x)", {}, (0, 1)),
    ("y = QuantizeLinear(c, x)", {"c": ONE}, (0, np.inf)),
    ("a = Log(x) b = Sub(x, c) d = Log(b) y = Add(a, d)", {"c": TWO}, (2, np.inf)),
    ("a = Sub(x, c) b = Log(a) d = Acos(x) y = Add(b, d)", {"c": TWO}, (-1, 1)),
]


@pytest.mark.parametrize(("body", "weights", "range_"), RANGES)
def test_ranges_are_followed_to_the_input(
    body: str, weights: dict[str, Any], range_: tuple[float, float]
) -> None:
    found = domain(graph_model(f"(float[3] x) => (y) {{ {body} }}", **weights))
    assert (found.least, found.most) == pytest.approx(range_, abs=1e-9)


@pytest.mark.parametrize(
    ("body", "constant", "choices"),
    [
        ("y = Equal(x, c)", 16000, (16000, 15999)),
        ("a = Cast<to = 6>(x) b = Cast<to = 7>(a) y = Equal(b, c)", 16000, (16000, 15999)),
        ("a = Sub(x, o) y = Equal(a, c)", 3, (5, 4)),
        ("a = Mul(x, o) y = Equal(c, a)", 6, (3,)),
        ("a = Mod(x, m) y = Equal(a, c)", 3, (3, 2)),
        ("y = Greater(x, c)", 3, (4, 3)),
        ("y = Greater(c, x)", 3, (2, 3)),
        ("y = LessOrEqual(x, c)", 3, (3, 4)),
    ],
)
def test_what_decides_a_comparison_and_what_does_not(
    body: str, constant: int, choices: tuple[int, ...]
) -> None:
    model = graph_model(
        f"(int64[1] x) => (bool[1] y) {{ {body} }}",
        c=np.int64(constant),
        o=np.int64(2),
        m=np.int64(7),
    )
    found = domain(model)
    assert found.kind is Kind.CHOICE
    assert found.choices[: len(choices)] == choices


def test_a_token_that_is_asked_for_is_among_the_ids() -> None:
    text = "(int64[n] x) => (float[n,4] y, bool[n] z) { y = Gather(t, x) z = Equal(x, c) }"
    found = domain(graph_model(text, t=TABLE, c=np.array(7)))
    assert (found.kind, found.high, found.choices) == (Kind.INDEX, 49, (7, 6))


def test_integers_have_ranges_too() -> None:
    text = "(int64[n] a, int64[n] x) => (y) { y = Div(a, x) }"
    found = domain(graph_model(text))
    assert (found.kind, found.low) == (Kind.INTEGER, 1)
    text = "(uint8[n] x) => (y) { a = Cast<to = 1>(x) b = Div(a, c) y = Log(b) }"
    found = domain(graph_model(text, c=np.float32(255)))
    assert (found.kind, found.low, found.high) == (Kind.INTEGER, 1, 255)
    found = domain(graph_model("(uint16[n] x) => (y) { y = Cast<to = 1>(x) }"))
    assert (found.kind, found.low, found.high) == (Kind.INTEGER, 0, 65535)
    found = domain(graph_model("(int64[n] x) => (y) { a = Cast<to = 1>(x) y = Log(a) }"))
    assert (found.kind, found.low) == (Kind.INTEGER, 1)


@pytest.mark.parametrize(
    ("text", "inverted"),
    [
        ("bool[n] keep) => (y) { y = Where(keep, s, low)", False),
        ("bool[n] pad) => (y) { y = Where(pad, low, s)", True),
        ("bool[n] keep) => (y) { a = Not(keep) y = Where(a, low, s)", False),
        ("bool[n] pad) => (y) { a = Not(pad) b = Unsqueeze(a, x) y = Where(b, s, low)", True),
        ("int64[n] mask) => (y) { a = Cast<to = 9>(mask) y = Where(a, low, s)", True),
        ("float[n] mask) => (y) { a = Mul(mask, low) y = Add(s, a)", True),
        ("float[n] mask) => (y) { a = Sub(one, mask) b = Mul(a, low) y = Add(s, b)", False),
    ],
)
def test_a_mask_may_hide_where_it_is_true(text: str, inverted: bool) -> None:
    model = graph_model(f"(float[n] s, {text} }}", low=np.float32(-1e9), one=ONE, x=np.array([0]))
    name = model.graph.input[1].name
    found = domain(model, name)
    assert found.kind in (Kind.MASK, Kind.BOOL)
    assert found.inverted is inverted


@pytest.mark.parametrize(
    ("body", "centre", "spread"),
    [
        ("a = Sub(x, m) y = Div(a, s)", [5e6, 300], [100, 5]),
        ("a = Sub(x, m) y = Mul(a, s)", [5e6, 300], [0.01, 0.2]),
        ("a = Sub(x, m) y = Relu(a)", [5e6, 300], [5e6 / 3, 100]),
    ],
)
def test_an_input_that_is_centred_first_lies_there(
    body: str, centre: list[float], spread: list[float]
) -> None:
    model = graph_model(
        f"(float[n,2] x) => (y) {{ {body} }}",
        m=np.array([5e6, 300], np.float32),
        s=np.array([100, 5], np.float32),
    )
    found = domain(model)
    assert found.centre is not None
    assert found.spread is not None
    np.testing.assert_allclose(found.centre, centre)
    np.testing.assert_allclose(found.spread, spread, rtol=1e-6)
    hidden = graph_model(
        "(float[n,2] x) => (y) { y = Add(x, m) }", m=np.array([0, -1e9], np.float32)
    )
    assert domain(hidden).centre is None


def test_sequences_are_as_long_as_they_are_read() -> None:
    text = """(seq(float[2]) s) => (y) {
        p = Constant<value_int = 6>() a = SequenceAt(s, p) y = Log(a) }"""
    found = domain(graph_model(text), "s")
    assert (found.count, found.kind) == (7, Kind.POSITIVE)
    whole = domain(graph_model("(seq(float[2]) s) => (y) { y = SequenceLength(s) }"), "s")
    assert whole.count == 3


def test_an_optional_input_that_is_asked_for_may_be_absent() -> None:
    text = "(optional(float[2]) s) => (y) { y = %s(s) }"
    assert domain(graph_model(text % "OptionalHasElement", opset=18), "s").optional
    assert not domain(graph_model(text % "OptionalGetElement", opset=18), "s").optional
