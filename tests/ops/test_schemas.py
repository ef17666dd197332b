"""The operators as onnx knows them once they are registered."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import pytest
from nodes import Node, model

from normonnx.ops.operators import DOMAIN, OPERATORS, UNTYPED
from normonnx.ops.schemas import deregister_schemas, register_schemas


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    register_schemas()
    yield
    deregister_schemas()


@pytest.mark.parametrize("op_type", UNTYPED)
def test_shapes_are_inferred_with_symbols(op_type: str) -> None:
    proto = model(Node(op_type))
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    inferred = onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    for output in inferred.graph.output:
        dims = output.type.tensor_type.shape.dim
        assert [dims[0].dim_param, dims[1].dim_value] == ["rows", 64]


def test_the_checker_knows_the_attributes() -> None:
    proto = model(Node("FusedRMSNormalization"))
    onnx.checker.check_model(proto, full_check=True)
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("eps", 1.0))
    with pytest.raises(onnx.checker.ValidationError, match="eps"):
        onnx.checker.check_model(proto, full_check=True)


def test_registering_again_and_forgetting() -> None:
    register_schemas()
    assert all(onnx.defs.has(name, DOMAIN) for name in OPERATORS)
    deregister_schemas()
    assert not any(onnx.defs.has(name, DOMAIN) for name in OPERATORS)
