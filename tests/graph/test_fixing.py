"""Open dimensions set for good: everywhere they are named, consistently, and judged so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto

import normonnx
from normonnx.errors import UsageError


@pytest.fixture
def model() -> ModelProto:
    return onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, seq, 8] x, int64[batch, seq] ids) => (float[rows, 4] y, float[batch, 8] z) {
            shape = Shape(x)
            one = Constant<value = int64[1] {1}>()
            two = Constant<value = int64[1] {2}>()
            four = Constant<value = int64[1] {4}>()
            seq_ = Gather<axis = 0>(shape, one)
            double = Mul(seq_, two)
            target = Concat<axis = 0>(double, four)
            first = Gather<axis = 1>(x, target0)
            target0 = Constant<value = int64 {0}>()
            flat = Reshape(first, minus)
            minus = Constant<value = int64[2] {-1, 4}>()
            ones = Expand(zero, target)
            zero = Constant<value = float[1] {0.0}>()
            y = Concat<axis = 0>(flat, ones)
            z = Relu(first)
        }"""
    )


def sizes(model: ModelProto) -> dict[str, list[int | str]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def run(model: ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: list[np.ndarray] = session.run(None, feeds)
    return found


def test_a_size_is_set_everywhere_and_what_follows_is_worked_out(model: ModelProto) -> None:
    model = onnx.load_from_string(normonnx.optimize(model, verify=False).to_bytes())
    result = normonnx.optimize(model, sizes={"seq": 6})
    assert result.passed
    assert result.report.notes[0] == "sizes set: seq = 6"
    after = onnx.load_from_string(result.to_bytes())
    assert sizes(after)["x"] == ["batch", 6, 8]
    assert sizes(after)["ids"] == ["batch", 6]
    assert "Shape" not in {node.op_type for node in after.graph.node}
    x = np.random.default_rng(0).standard_normal((3, 6, 8)).astype(np.float32)
    ids = np.zeros((3, 6), np.int64)
    for one, other in zip(run(model, x=x, ids=ids), run(after, x=x, ids=ids), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_shape_of_an_input_binds_what_it_names(model: ModelProto) -> None:
    result = normonnx.optimize(model, input_shapes={"ids": (2, 5)}, verify=False)
    after = sizes(onnx.load_from_string(result.to_bytes()))
    assert after["x"] == [2, 5, 8]
    assert after["ids"] == [2, 5]
    assert after["z"] == [2, 8]


def test_nothing_to_rewrite_is_written_with_its_sizes() -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }"""
    )
    result = normonnx.optimize(model, sizes={"n": 3})
    assert result.passed
    assert sizes(onnx.load_from_string(result.to_bytes())) == {"x": [3, 4], "y": [3, 4]}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sizes": {"time": 3}}, "no input has an open dimension 'time'"),
        ({"input_shapes": {"w": (1, 2)}}, "no such input: 'w'"),
        ({"input_shapes": {"x": (1, 2)}}, "input 'x' has 3 dimensions, not 2"),
        ({"input_shapes": {"x": (1, 2, 9)}}, "dimension 2 of input 'x' is 8, not 9"),
        ({"sizes": {"seq": 3}, "input_shapes": {"x": (1, 2, 8)}}, "dimension 1 of input 'x' is 3"),
        ({"sizes": {"seq": 0}}, "no such size of 'seq': 0"),
    ],
)
def test_what_does_not_fit_is_one_error(model: ModelProto, asked: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        normonnx.optimize(model, verify=False, **asked)


def test_command_line(
    told: Callable[..., tuple[int, str]], model: ModelProto, tmp_path: Path
) -> None:
    onnx.save(model, tmp_path / "m.onnx")
    out = tmp_path / "o.onnx"
    code, text = told(
        "optimize", tmp_path / "m.onnx", "-o", out, "--set", "seq=6", "--set", "batch=2"
    )
    assert code == 0
    assert "sizes set: seq = 6, batch = 2" in text
    assert sizes(onnx.load(out))["x"] == [2, 6, 8]
    code, text = told("optimize", tmp_path / "m.onnx", "-o", out, "--set-input", "x=2,6,8,")
    assert (code, "is not NAME=SIZE,SIZE" in text) == (2, True)
