"""Builders of the small models that the tests of model_io load, bend and save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper


def weight(name: str = "w", rows: int = 8, columns: int = 64) -> TensorProto:
    values = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns) / 7
    return numpy_helper.from_array(values, name)


def model(*initializers: TensorProto, functions: tuple[onnx.FunctionProto, ...] = ()) -> ModelProto:
    """``y = x·w`` with further initializers, of every field a file may carry something in."""
    weights = initializers or (weight(),)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", weights[0].name], ["y"], name="mm", doc_string="node")],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8], "input doc")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64])],
        list(weights),
        doc_string="graph doc",
    )
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 3)],
        functions=list(functions),
        producer_name="somebody",
        producer_version="1.2",
        doc_string="model doc",
        ir_version=8,
    )
    proto.domain = "org.example"
    proto.model_version = 7
    helper.set_model_props(proto, {"author": "me", "licence": "none"})
    return proto


def external(
    name: str, location: str, *, rows: int = 8, columns: int = 64, **fields: object
) -> TensorProto:
    """An external float tensor; `fields` are further or other keys of its external data."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[rows, columns])
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, **{key: str(value) for key, value in fields.items()}}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def write_weight(path: Path, rows: int = 8, columns: int = 64) -> bytes:
    content = numpy_helper.to_array(weight("w", rows, columns)).tobytes()
    path.write_bytes(content)
    return content


def constant_function(tensor: TensorProto) -> onnx.FunctionProto:
    """A model-local function whose body holds `tensor` in a Constant."""
    attribute = AttributeProto(name="value", type=AttributeProto.TENSOR)
    attribute.t.CopyFrom(tensor)
    constant = onnx.NodeProto(op_type="Constant", output=["c"])
    constant.attribute.append(attribute)
    return helper.make_function(
        "own",
        "Shifted",
        ["a"],
        ["b"],
        [constant, helper.make_node("Add", ["a", "c"], ["b"])],
        [helper.make_opsetid("", 17)],
    )


def branch_model(tensor: TensorProto) -> ModelProto:
    """An If whose then-branch owns `tensor` as an initializer."""
    info = helper.make_tensor_value_info
    then_branch = helper.make_graph(
        [helper.make_node("Identity", [tensor.name], ["t"])],
        "then",
        [],
        [info("t", TensorProto.FLOAT, None)],
        [tensor],
    )
    else_branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["e"])],
        "else",
        [],
        [info("e", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=then_branch, else_branch=else_branch)
    graph = helper.make_graph(
        [node],
        "branches",
        [info("flag", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, [8, 64])],
        [info("y", TensorProto.FLOAT, None)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
