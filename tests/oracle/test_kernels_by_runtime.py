"""What onnx.reference lacks or gets wrong, as ONNX Runtime has it, its optimisations off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from normonnx.oracle.oracle import Oracle
from tests.judge.building import Array, feeds_of, graph_model, node_model, run_ort

Given = list[Array | None]
RANDOM = np.random.default_rng(3)
IMAGE = RANDOM.standard_normal((2, 3, 6, 8)).astype(np.float32)
VOLUME = RANDOM.standard_normal((2, 3, 4, 5, 6)).astype(np.float32)
GRID = RANDOM.uniform(-1.6, 1.6, (2, 4, 5, 2)).astype(np.float32)
DEEP_GRID = RANDOM.uniform(-1.6, 1.6, (2, 4, 5, 2, 3)).astype(np.float32)
REGIONS = np.array(
    [[0, 0, 0, 7, 5], [1, 1.5, 2, 5.5, 9], [0, -1, -2, 3, 3], [1, 6, 5, 2, 1]], np.float32
)
WIDER = np.array([1, 4, 4, 4, 4], np.float32)
EMPTY = np.zeros((2, 0, 4), np.float32)
AXES = np.array([1])


def pads(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


CASES: list[tuple[str, int, Given, dict[str, Any]]] = [
    ("GlobalLpPool", 2, [IMAGE], {}),
    ("GlobalLpPool", 2, [IMAGE], {"p": 3}),
    ("GlobalLpPool", 2, [IMAGE[0]], {"p": 1}),
    ("MaxRoiPool", 1, [IMAGE, REGIONS], {"pooled_shape": [3, 2]}),
    ("MaxRoiPool", 1, [IMAGE, REGIONS * WIDER], {"pooled_shape": [2, 4], "spatial_scale": 0.25}),
    ("LpNormalization", 1, [IMAGE], {"p": 1, "axis": 1}),
    ("LpNormalization", 1, [IMAGE * (IMAGE > 9)], {}),
    ("CumSum", 14, [IMAGE, AXES], {}),
    ("CumSum", 14, [IMAGE, np.array(-1)], {"exclusive": 1, "reverse": 1}),
    ("CumSum", 11, [IMAGE, np.array(2)], {"exclusive": 1}),
    ("ReduceMax", 20, [EMPTY, AXES], {}),
    ("ReduceMin", 20, [EMPTY, AXES], {"keepdims": 0}),
    *(
        ("Pad", 19, [IMAGE, given], {"mode": mode})
        for mode in ("constant", "reflect", "edge", "wrap")
        for given in (pads(0, 0, -1, 2, 0, 0, -2, 1), pads(0, 0, 2, -1, 0, 0, -1, 2))
    ),
    *(
        (
            "GridSample",
            since,
            [x, grid],
            {"mode": mode, "padding_mode": padding, "align_corners": aligned},
        )
        for since, x, grid, modes in (
            (16, IMAGE, GRID, ("bilinear", "nearest", "bicubic")),
            (20, IMAGE, GRID, ("linear", "nearest", "cubic")),
            (20, VOLUME, DEEP_GRID, ("linear", "nearest")),
        )
        for mode in modes
        for padding in ("zeros", "border", "reflection")
        for aligned in (0, 1)
    ),
    ("GridSample", 16, [IMAGE, GRID], {}),
]
OPERATORS = {op for op, *_ in CASES} | {"CategoryMapper", "ZipMap"}


def evaluated(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    return list(Oracle(ir.from_proto(model)).run(feeds).outputs.values())


@pytest.mark.parametrize(("op_type", "opset", "inputs", "attributes"), CASES)
def test_as_the_runtime_has_it(
    op_type: str, opset: int, inputs: Given, attributes: dict[str, Any]
) -> None:
    model = node_model(op_type, inputs, opset=opset, **attributes)
    (expected,) = run_ort(model, feeds_of(inputs))
    (got,) = evaluated(model, feeds_of(inputs))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "pads": [1, 0, 2, 1]},
        {"kernel_shape": [2, 2], "dilations": [2, 1], "strides": [1, 3], "pads": [1, 1, 0, 0]},
    ],
)
def test_where_the_largest_element_of_a_window_lies(attributes: dict[str, Any], order: int) -> None:
    x = np.round(IMAGE * 2)  # many are equal: the first counts
    model = node_model("MaxPool", [x], outputs=2, storage_order=order, **attributes)
    expected, got = run_ort(model, feeds_of([x])), evaluated(model, feeds_of([x]))
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])


def of_learning(
    op_type: str, given: tuple[int, Sequence[int]], **attributes: Any
) -> onnx.ModelProto:
    node = helper.make_node(op_type, ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", *given)],
        [onnx.ValueInfoProto(name="y")],
    )
    imports = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def test_categories_become_numbers_and_back() -> None:
    known = {"cats_strings": ["cat", "dog"], "cats_int64s": [3, 5]}
    texts = np.array([["dog", "bird"], ["cat", "dog"]], dtype=object)
    given = (TensorProto.STRING, [2, 2])
    model = of_learning("CategoryMapper", given, default_int64=-7, **known)
    assert evaluated(model, {"x": texts})[0].tolist() == [[5, -7], [3, 5]]
    assert run_ort(model, {"x": texts})[0].tolist() == [[5, -7], [3, 5]]
    back = of_learning("CategoryMapper", (TensorProto.INT64, [2]), **known)
    feeds = {"x": np.array([3, 4])}
    assert evaluated(back, feeds)[0].tolist() == run_ort(back, feeds)[0].tolist()


@pytest.mark.parametrize(
    "labels", [{"classlabels_int64s": [1, 4, 9]}, {"classlabels_strings": ["a", "b", "c"]}]
)
def test_scores_become_maps(labels: dict[str, Any]) -> None:
    model = of_learning("ZipMap", (TensorProto.FLOAT, [2, 3]), **labels)
    x = np.array([[0.5, 0.25, 0.25], [0, 1, 0]], np.float32)
    (expected,), (got,) = run_ort(model, {"x": x}), evaluated(model, {"x": x})
    assert [{k: float(v) for k, v in row.items()} for row in got] == expected


def scanned(direction: int) -> onnx.ModelProto:
    return graph_model(
        f"""(int64[n] lengths, float[n,2] start, float[n,t,2] x) => (float[n,2] y, z) {{
            y, z = Scan <num_scan_inputs = 1, directions = [{direction}], body = b (
                float[2] total, float[2] next) => (float[2] sum, float[2] seen)
            {{ sum = Add(total, next) seen = Mul(sum, next) }}> (lengths, start, x)
        }}""",
        opset=8,
    )


@pytest.mark.parametrize("direction", [0, 1])
def test_scans_of_opset_8_go_through_each_sample(direction: int) -> None:
    model = scanned(direction)
    feeds = {
        "lengths": np.array([4, 2, 3]),
        "start": np.ones((3, 2), np.float32),
        "x": RANDOM.standard_normal((3, 4, 2)).astype(np.float32),
    }
    for got, wanted in zip(evaluated(model, feeds), run_ort(model, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
    whole = model.graph.node[0]
    whole.input[0] = ""
    for got, wanted in zip(evaluated(model, feeds), run_ort(model, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def test_a_map_of_a_sequence_runs_its_body_for_each_element() -> None:
    model = graph_model(
        """(seq(float[2,3]) s, float[3] t) => (seq(float[2,3]) y) {
            y = SequenceMap <body = b (float[2,3] a, float[3] c) => (float[2,3] r)
            { q = Mul(a, c) r = Add(q, c) }> (s, t)
        }"""
    )
    feeds = {"s": [IMAGE[0, 0, :2, :3], IMAGE[1, 0, :2, :3]], "t": IMAGE[0, 1, 0, :3]}
    (got,), (wanted,) = evaluated(model, feeds), run_ort(model, feeds)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_what_the_standard_does_not_allow_is_told_and_not_met() -> None:
    model = graph_model("(float[1,1,4,4] x) => (y) { y = LpPool <p = 2> (x) }", opset=18)
    oracle = Oracle(ir.from_proto(model))
    assert any("kernel_shape" in lacking for lacking in oracle.missing)
