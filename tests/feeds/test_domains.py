"""What an input may hold, found in the graph around it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from normonnx.feeds.domains import Domain, Kind, domain_of
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
    assert (found.kind, found.choices) == (Kind.CHOICE, (8000, 16000))


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
