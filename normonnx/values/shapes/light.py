"""A model as onnx's shape inference gets it: without its large weights."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from normonnx.operators.names import onnx_name

_STRIP_BYTES = 1000


def light_proto(model: ir.Model) -> onnx.ModelProto:
    """The model as a proto without its large weights, which become inputs of their shape."""
    proto = onnx.ModelProto(ir_version=model.ir_version)
    for domain, version in model.opset_imports.items():
        proto.opset_import.append(onnx.OperatorSetIdProto(domain=domain, version=version))
    for function in model.functions.values():
        ir.serde.serialize_function_into(proto.functions.add(), function)
    graph, light = model.graph, proto.graph
    light.name = graph.name or "graph"
    for value in graph.inputs:
        ir.serde.serialize_value_into(light.input.add(), value)
    for value in graph.outputs:
        ir.serde.serialize_value_into(light.output.add(), value)
    for name, value in graph.initializers.items():
        _add_initializer(light, name, value)
    for node in graph:
        _add_node(light, node)
    return proto


def _add_initializer(light: onnx.GraphProto, name: str, value: ir.Value) -> None:
    tensor = value.const_value
    if tensor is not None and tensor.nbytes <= _STRIP_BYTES:
        ir.serde.serialize_tensor_into(light.initializer.add(), from_=tensor)
        light.initializer[-1].name = name
    elif tensor is not None and not value.is_graph_input():
        light.input.append(_info(name, tensor))


def _add_node(light: onnx.GraphProto, node: ir.Node) -> None:
    tensor = _large_constant(node)
    if tensor is not None:
        light.input.append(_info(str(node.outputs[0].name), tensor))
        return
    ir.serde.serialize_node_into(light.node.add(), from_=node)
    for value in node.outputs:
        if value.name and value.type is not None and not value.is_graph_output():
            ir.serde.serialize_value_into(light.value_info.add(), value)


def _info(name: str, tensor: ir.TensorProtocol) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, tensor.dtype.value, tensor.shape.numpy())


def _large_constant(node: ir.Node) -> ir.TensorProtocol | None:
    """The tensor of a Constant node that is too large to be handed on, if it is one."""
    attribute = node.attributes.get("value")
    if onnx_name(node) != "Constant" or attribute is None or attribute.is_ref():
        return None
    tensor: ir.TensorProtocol = attribute.value
    if tensor.nbytes <= _STRIP_BYTES or node.outputs[0].is_graph_output():
        return None
    return tensor


def twins(node: ir.Node, proto: onnx.NodeProto) -> list[tuple[ir.Graph, onnx.GraphProto]]:
    """The graphs of a node, each with what it is in the proto."""
    pairs: list[tuple[ir.Graph, onnx.GraphProto]] = []
    for attribute in proto.attribute:
        mine = node.attributes.get(attribute.name)
        if mine is None or mine.is_ref():
            continue
        if attribute.type == onnx.AttributeProto.GRAPH:
            pairs.append((mine.as_graph(), attribute.g))
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            pairs.extend(zip(mine.as_graphs(), attribute.graphs, strict=True))
    return pairs
