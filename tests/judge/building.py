"""Models and runs for the tests of the judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from normonnx.judge import Verdict, VerifyOptions, verify

Array = np.ndarray[Any, Any]


def tensor_type(array: Array) -> int:
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def node_model(
    op_type: str,
    inputs: Sequence[Array | None],
    *,
    outputs: int = 1,
    opset: int = 17,
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node whose inputs are the inputs of the model."""
    names = [f"x{i}" if a is not None else "" for i, a in enumerate(inputs)]
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op_type, names, made, name="node", domain=domain, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(name, tensor_type(a), a.shape)
            for name, a in zip(names, inputs, strict=True)
            if a is not None
        ],
        [onnx.ValueInfoProto(name=name) for name in made],
    )
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def feeds_of(inputs: Sequence[Array | None]) -> dict[str, Array]:
    return {f"x{i}": a for i, a in enumerate(inputs) if a is not None}


def run_ort(model: onnx.ModelProto | ir.Model, feeds: Mapping[str, Any]) -> list[Any]:
    proto = ir.to_proto(model) if isinstance(model, ir.Model) else model
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(feeds)))


def graph_model(
    text: str, *, opset: int = 17, functions: str = "", **weights: Any
) -> onnx.ModelProto:
    """A model in ONNX's text form with weights by name; nodes are named by operator and place."""
    local = ', "local" : 1' if functions else ""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}{local}]>\ng {text}\n{functions}'
    )
    for name, weight in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(weight), name))
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model


def replace_weight(model: onnx.ModelProto, name: str, weight: Array) -> onnx.ModelProto:
    """A copy of a model with another value of one initializer."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(weight, name))
            return result
    raise KeyError(name)


def respelled(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model that computes the same, with a Cast to its own type behind each output."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for output in result.graph.output:
        for node in result.graph.node:
            node.output[:] = [f"{n} inside" if n == output.name else n for n in node.output]
            node.input[:] = [f"{n} inside" if n == output.name else n for n in node.input]
        kind = output.type.tensor_type.elem_type
        made = helper.make_node("Cast", [f"{output.name} inside"], [output.name], to=kind)
        result.graph.node.append(made)
    return result


FLOAT = TensorProto.FLOAT


def judge(before: onnx.ModelProto, after: onnx.ModelProto, **options: Any) -> Verdict:
    exact = options.pop("exact", None)
    certified = options.pop("certified", None)
    return verify(
        ir.from_proto(before),
        ir.from_proto(after),
        exact=exact,
        certified=certified,
        options=VerifyOptions(**options),
    )
