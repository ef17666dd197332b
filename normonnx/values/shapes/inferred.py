"""What onnx's shape inference says of the values of a model."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import onnx
import onnx_ir as ir

from normonnx.values.shapes.light import Told, light_proto, twins

_log = logging.getLogger(__name__)


def inferred(model: ir.Model, told: Told) -> Iterator[tuple[ir.Value, onnx.TypeProto.Tensor]]:
    """The values that nodes compute, of inner graphs too, with the types that onnx infers.

    Args:
        model: the model.
        told: dimensions that inference starts from.
    """
    proto = light_proto(model, told)
    try:
        proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except Exception as error:
        _log.info("onnx.shape_inference failed: %s", error)
    pending = [(model.graph, proto.graph)]
    while pending:
        graph, graph_proto = pending.pop()
        yield from _of_graph(graph, graph_proto)
        nodes = {node.output[0]: node for node in graph_proto.node if node.output}
        for node in graph:
            twin = nodes.get(node.outputs[0].name or "") if node.outputs else None
            if twin is not None:
                pending.extend(twins(node, twin))


def _of_graph(
    graph: ir.Graph, proto: onnx.GraphProto
) -> Iterator[tuple[ir.Value, onnx.TypeProto.Tensor]]:
    found = {
        info.name: info.type.tensor_type
        for infos in (proto.value_info, proto.output)
        for info in infos
        if info.type.HasField("tensor_type")
    }
    for value in (value for node in graph for value in node.outputs):
        if value.name in found:
            yield value, found[value.name]
