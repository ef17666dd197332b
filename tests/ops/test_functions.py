"""The operators as functions of standard ones: valid, and right, at every opset."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from nodes import SHAPES, Node, assert_close, expected, feeds, model, run, session, variants
from onnx import inliner

from normonnx.errors import UsageError
from normonnx.ops.functions import FIRST_OPSET, function_for
from normonnx.ops.operators import UNTYPED

OPSETS = (7, 8, 9, 11, 12, 13, 14, 17, 18, 21, 23)
LAYOUTS = (((3, 5, 8), (8,), 2), ((3, 5, 8), (5, 8), 1), ((2, 5, 3, 4), (5, 3), 1))


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset(op_type: str, opset: int) -> None:
    for shape, scale, axis in LAYOUTS:
        node = Node(op_type, shape=shape, scale=scale, axis=axis)
        proto = model(node, opset, function=True)
        onnx.checker.check_model(proto, full_check=True)
        ir.from_proto(proto)
        given = feeds(node)
        assert_close(node, run(node, session(proto), given), expected(node, given))


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize("dtype", ["float16", "double"])
@pytest.mark.parametrize("opset", [7, 13, 17, 23])
def test_every_type(op_type: str, dtype: str, opset: int) -> None:
    for parameters in (dtype, "float"):
        for inputs, outputs in variants(op_type):
            node = Node(op_type, dtype, parameters, inputs=inputs, outputs=outputs, axis=1)
            given = feeds(node)
            got = run(node, session(model(node, opset, function=True)), given)
            assert_close(node, got, expected(node, given))


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize("opset", [13, 17, 23])
@pytest.mark.parametrize("layout", [LAYOUTS[0], LAYOUTS[2]])
def test_bfloat16_runs_where_the_provider_has_no_arithmetic_for_it(
    op_type: str, opset: int, layout: tuple[tuple[int, ...], tuple[int, ...], int]
) -> None:
    shape, scale, axis = layout
    node = Node(op_type, "bfloat16", shape=shape, scale=scale, axis=axis)
    given = feeds(node)
    made = session(model(node, opset, function=True))
    assert_close(node, run(node, made, given), expected(node, given))


@pytest.mark.parametrize("op_type", UNTYPED)
def test_attributes_have_defaults(op_type: str) -> None:
    node = Node(op_type, axis=None, epsilon=None)
    given = feeds(node)
    assert_close(node, run(node, session(model(node, function=True)), given), expected(node, given))


def test_rows_of_nothing() -> None:
    shape, scale, axis = SHAPES[-2]
    node = Node("FusedLayerNormalization", shape=shape, scale=scale, axis=axis)
    (y,) = run(node, session(model(node, function=True)), feeds(node))
    assert y.shape == (0, 8)


def test_inlining_gives_standard_operators() -> None:
    node = Node("FusedAddLayerNormalization", inputs=4)
    inlined = inliner.inline_local_functions(model(node, function=True))
    assert {one.domain for one in inlined.graph.node} == {""}
    assert "LayerNormalization" in {one.op_type for one in inlined.graph.node}
    given = feeds(node)
    assert_close(node, run(node, session(inlined), given), expected(node, given))


def test_what_there_is_no_function_for() -> None:
    with pytest.raises(UsageError, match="no operator FusedBatchNorm"):
        function_for("FusedBatchNorm", 17, dtype=ir.DataType.FLOAT)
    with pytest.raises(UsageError, match="no function body for opset 6"):
        function_for("FusedRMSNormalization", FIRST_OPSET - 1, dtype=ir.DataType.FLOAT)
    with pytest.raises(UsageError, match="not defined for INT32"):
        function_for("FusedRMSNormalization", 17, dtype=ir.DataType.INT32)
