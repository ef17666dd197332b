"""A model as onnx's shape inference gets it: without its large weights and what it merely declares.

A shape that the file declares for a value in between, or for an output, need not follow from the
inputs. Inference merges it into what it finds, so it is not told.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.graph.nesting import walk
from normonnx.operators.names import onnx_name

_STRIP_BYTES = 1000

Told = Mapping[ir.Value, tuple[Dims, ir.DataType | None]]
"""Dimensions and types of values of the main graph."""


def light_proto(model: ir.Model, told: Told) -> onnx.ModelProto:
    """The model as a proto without its large weights, which become inputs of their shape.

    Args:
        model: the model.
        told: dimensions of the inputs, and of what is computed by operators that onnx does not
            know, or whose graphs it does not follow.
    """
    proto = onnx.ModelProto(ir_version=model.ir_version)
    for domain, version in _domains(model).items():
        proto.opset_import.append(onnx.OperatorSetIdProto(domain=domain, version=version))
    for function in model.functions.values():
        ir.serde.serialize_function_into(proto.functions.add(), function)
    graph, light = model.graph, proto.graph
    light.name = graph.name or "graph"
    for value in graph.inputs:
        _add_value(light.input.add(), value, told)
    for value in graph.outputs:
        _add_value(light.output.add(), value, told)
    for name, value in graph.initializers.items():
        _add_initializer(light, name, value)
    for node in graph:
        _add_node(light, node, told)
    return proto


def _domains(model: ir.Model) -> Mapping[str, int]:
    """The operator sets that the model names, and those of new nodes: it gets them in the end.

    onnx infers nothing of a model in which one is missing.
    """
    return {node.domain: 1 for node in walk(model.graph) if node.domain} | dict(model.opset_imports)


def _add_value(info: onnx.ValueInfoProto, value: ir.Value, told: Told) -> None:
    """The value with its type, and of its dimensions those that are told."""
    ir.serde.serialize_value_into(info, value)
    if not info.type.HasField("tensor_type"):
        return
    tensor = info.type.tensor_type
    tensor.ClearField("shape")
    if value in told:
        tensor.CopyFrom(_type(told[value][0], tensor.elem_type).tensor_type)


def _type(dims: Dims, elem_type: int) -> onnx.TypeProto:
    sizes = [dim if isinstance(dim, int) else str(dim) for dim in dims]
    return onnx.helper.make_tensor_type_proto(elem_type, sizes)


def _forget(node: onnx.NodeProto) -> None:
    """Take away what the graphs of a node declare of values that they are given or compute."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            _forget_within(attribute.g)
        for graph in attribute.graphs:
            _forget_within(graph)


def _forget_within(graph: onnx.GraphProto) -> None:
    del graph.value_info[:]
    for info in (*graph.input, *graph.output):
        if info.type.HasField("tensor_type"):
            info.type.tensor_type.ClearField("shape")
    for inner in graph.node:
        _forget(inner)


def is_size(dim: int | str | None) -> bool:
    """Whether what a file says of a dimension of an input is a size, or a name for one.

    Exporters write −1, 0, "?" and the like where they mean that it is not known.
    """
    if isinstance(dim, int):
        return dim > 0
    return dim is not None and dim not in ("", "None", "-1") and not dim.startswith("?")


def _add_initializer(light: onnx.GraphProto, name: str, value: ir.Value) -> None:
    tensor = value.const_value
    if tensor is not None and tensor.nbytes <= _STRIP_BYTES:
        ir.serde.serialize_tensor_into(light.initializer.add(), from_=tensor)
        light.initializer[-1].name = name
    elif tensor is not None and not value.is_graph_input():
        light.input.append(_info(name, tensor))


def _add_node(light: onnx.GraphProto, node: ir.Node, told: Told) -> None:
    tensor = _large_constant(node)
    if tensor is not None:
        light.input.append(_info(str(node.outputs[0].name), tensor))
        return
    ir.serde.serialize_node_into(light.node.add(), from_=node)
    _forget(light.node[-1])
    for value in node.outputs:
        dims, dtype = told.get(value, ((), None))
        if value.name and dtype is not None and not value.is_graph_output():
            info = light.value_info.add(name=value.name)
            info.type.CopyFrom(_type(dims, dtype.value))


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
