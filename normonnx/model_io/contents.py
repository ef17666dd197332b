"""What a ModelProto holds, found in one walk: graphs at any depth, attributes and tensors."""

from __future__ import annotations

from typing import TypeAlias

import onnx
from msgspec import Struct, field
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

from normonnx.model_io.limits import refuse_many

TopBody: TypeAlias = "GraphProto | FunctionProto"


class Contents(Struct):
    """The messages of a model that are looked at one by one.

    Attributes:
        graphs: the main graph and every subgraph, those inside functions among them.
        functions: the model-local functions.
        nodes: by the main graph and the functions, those of the graphs inside them included.
        attributes: the attributes of those nodes and the defaults of function attributes.
        tensors: initializers and dense tensors in attributes, those of the main graph first.
    """

    graphs: list[GraphProto] = field(default_factory=list)
    functions: list[FunctionProto] = field(default_factory=list)
    nodes: list[tuple[TopBody, list[NodeProto]]] = field(default_factory=list)
    attributes: list[AttributeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)


def contents_of(model: ModelProto, where: str = "") -> Contents:
    """Walk `model` once, without recursion: a model may nest as deep as it likes.

    Args:
        model: only read.
        where: what an error should name.

    Raises:
        InvalidModelError: it has more nodes than a model may have; they are not looked at then.
    """
    found = Contents()
    count = 0
    for top in (model.graph, *model.functions):
        nodes: list[NodeProto] = []
        found.nodes.append((top, nodes))
        pending: list[TopBody] = [top]
        while pending:
            body = pending.pop()
            attributes: list[AttributeProto] = []
            if isinstance(body, onnx.GraphProto):
                found.graphs.append(body)
                found.tensors.extend(body.initializer)
            else:
                found.functions.append(body)
                attributes.extend(body.attribute_proto)
            count += len(body.node)
            refuse_many(count, where)
            for node in body.node:
                nodes.append(node)
                attributes.extend(node.attribute)
            for attribute in attributes:
                pending.extend(_looked_at(attribute, found.tensors))
            found.attributes.extend(attributes)
    return found


def _looked_at(attribute: AttributeProto, tensors: list[onnx.TensorProto]) -> list[onnx.GraphProto]:
    """The graphs of an attribute; its tensors are added to the others."""
    if attribute.HasField("t"):
        tensors.append(attribute.t)
    tensors.extend(attribute.tensors)
    own = [attribute.g] if attribute.HasField("g") else []
    return [*own, *attribute.graphs]
