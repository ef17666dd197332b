"""Raising the opset of a whole model, exactly, or not at all.

Where every operator of the model only gained element types and optional attributes on the way, the
number is all that changes, and the axes of reductions become inputs. Else onnx's own converter does
the work. It wants the whole proto, so large weights are taken out first and put back afterwards;
and what it wrote is only taken if the model's interface is what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TypeGuard

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import walk
from normonnx.operators import meaning
from normonnx.operators.names import onnx_name
from normonnx.runtime import installed

_STAND_IN_BYTES = 1024

_IR_VERSION_OF_OPSET = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13}
"""The lowest IR version whose readers know the opset (onnx's versioning table)."""

Rank = Callable[[ir.Value], int | None]
"""How many dimensions a value has, None if that is not known."""


def _declared_rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def extends(model: ir.Model, wanted: int, *, rank: Rank = _declared_rank) -> bool:
    """Whether all operators of a model mean in a later opset what they mean in its own.

    Args:
        model: only read; its subgraphs count.
        wanted: the later opset of the default domain.
        rank: of the model's values.
    """
    current = model.opset_imports.get("", 0)
    reviewed = all(opset in meaning.REVIEWED for opset in range(current + 1, wanted + 1))
    if model.functions or not reviewed:
        return False
    nodes = [node for node in walk(model.graph) if node.domain == ""]
    return all(_extends(node, current, wanted, rank) for node in nodes)


def _extends(node: ir.Node, current: int, wanted: int, rank: Rank) -> bool:
    """Whether a node of ONNX's domain means the same in a later opset."""
    operator = node.op_type
    if operator == "BatchNormalization" and len(node.outputs) > 1:
        return False  # before opset 14 further outputs meant training
    if operator in meaning.FLATTENING and current <= meaning.FLATTENING_UNTIL < wanted:
        return _is_over_the_last_axis(node, rank)
    if meaning.axes_moved(operator, current, wanted) and _has_empty_axes(node):
        return False
    return meaning.means_the_same(operator, current, wanted)


def _is_over_the_last_axis(node: ir.Node, rank: Rank) -> bool:
    """Which has none behind it, and is the default from opset 13 on."""
    given = node.attributes.get("axis")
    axis = 1 if given is None else given.as_int()
    value = node.inputs[0]
    dimensions = None if value is None else rank(value)
    return axis == -1 or (dimensions is not None and axis == dimensions - 1)


def _has_empty_axes(node: ir.Node) -> bool:
    """Whether it names no axes at all, which runtimes read differently."""
    axes = node.attributes.get("axes")
    return axes is not None and not axes.as_ints()


def _make_axes_inputs(graph: ir.Graph, current: int, wanted: int) -> None:
    """Make initializers of axes, in a graph and those in it, that a later opset has as inputs."""
    names = {str(value.name) for node in walk(graph) for value in node.outputs}
    for inner in (graph, *graph.subgraphs()):
        names.update(inner.initializers, (str(value.name) for value in inner.inputs))
    made: dict[tuple[int, ...], ir.Value] = {}
    for node in walk(graph):
        if "axes" not in node.attributes or not meaning.axes_moved(
            onnx_name(node), current, wanted
        ):
            continue
        axes = tuple(node.attributes.pop("axes").as_ints())
        if axes not in made:
            name = next(n for i in count() if (n := f"axes_{i}") not in names)
            names.add(name)
            tensor = ir.tensor(np.array(axes, dtype=np.int64), name=name)
            made[axes] = ir.Value(
                name=name,
                shape=ir.Shape([len(axes)]),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            graph.register_initializer(made[axes])
        node.resize_inputs(2)
        node.replace_input_with(1, made[axes])


def raise_opset(
    model: ir.Model, wanted: int, *, rank: Rank = _declared_rank
) -> tuple[ir.Model | None, str]:
    """Convert a model to a higher default-domain opset.

    Args:
        model: the caller's own; it is changed if only its numbers have to be, and else left.
        wanted: the opset to reach.
        rank: of the model's values.

    Returns:
        The same model or the converted one, None where it may not or could not be converted; and
        a note.
    """
    current = model.opset_imports.get("", 0)
    if model.functions:
        return None, f"opset stays {current}: the model has functions of its own"
    ir_version = max(model.ir_version, _IR_VERSION_OF_OPSET.get(wanted, 0))
    if not installed.takes_opset(wanted, ir_version):
        return None, f"opset stays {current}: {installed.title()} does not take opset {wanted}"
    if extends(model, wanted, rank=rank):
        _make_axes_inputs(model.graph, current, wanted)
        model.opset_imports[""], model.ir_version = wanted, ir_version
        return model, f"opset {current} → {wanted}"
    light = model.clone()
    listed = {str(value.name) for value in light.graph.inputs}
    weights = _take_out_weights(light.graph, listed)
    constants = _take_out_constants(light.graph)
    import onnx.version_converter

    try:
        proto = onnx.version_converter.convert_version(ir.serde.serialize_model(light), wanted)
        proto.ir_version = max(proto.ir_version, _IR_VERSION_OF_OPSET.get(wanted, 0))
        onnx.checker.check_model(proto)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1][:160] if str(error).strip() else "no reason"
        return None, f"opset stays {current}: onnx.version_converter failed ({reason})"
    converted = ir.serde.deserialize_model(proto)
    by_name = {str(value.name): value for value in converted.graph.inputs}
    for node in reversed(constants):
        value = by_name[str(node.outputs[0].name)]
        converted.graph.inputs.remove(value)
        value.replace_all_uses_with(node.outputs[0], replace_graph_outputs=True)
        converted.graph.insert_before(converted.graph[0], node)
    for name, tensor in weights.items():
        value = by_name[name]
        value.const_value = tensor
        if name not in listed:
            converted.graph.inputs.remove(value)
        converted.graph.register_initializer(value)
    _restore_interface(model, converted)
    converted.ir_version = ir_version
    return converted, f"opset {current} → {wanted}"


def _take_out_weights(graph: ir.Graph, listed: set[str]) -> dict[str, ir.TensorProtocol]:
    """Turn large initializers into inputs, unless they are; and their tensors by name."""
    weights: dict[str, ir.TensorProtocol] = {}
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if _is_large(tensor):
            weights[name] = tensor
            del graph.initializers[name]
            value.const_value = None
            value.shape, value.dtype = ir.Shape(tensor.shape.numpy()), tensor.dtype
            if name not in listed:
                graph.inputs.append(value)
    return weights


def _is_large(tensor: ir.TensorProtocol | None) -> TypeGuard[ir.TensorProtocol]:
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        return False
    return tensor.nbytes > _STAND_IN_BYTES


def _take_out_constants(graph: ir.Graph) -> list[ir.Node]:
    """Turn the outputs of large Constant nodes into inputs; and the nodes, in order."""
    nodes = []
    for node in list(graph):
        tensor = node.attributes["value"].value if "value" in node.attributes else None
        if onnx_name(node) != "Constant" or node.outputs[0].is_graph_output():
            continue
        if _is_large(tensor):
            stand_in = ir.Value(
                name=node.outputs[0].name,
                shape=ir.Shape(tensor.shape.numpy()),
                type=ir.TensorType(tensor.dtype),
            )
            node.outputs[0].replace_all_uses_with(stand_in)
            graph.remove(node)
            graph.inputs.append(stand_in)
            nodes.append(node)
    return nodes


def _restore_interface(model: ir.Model, converted: ir.Model) -> None:
    """The converter drops documentation and may forget shapes: the original's word holds."""
    converted.metadata_props.update(model.metadata_props)
    converted.producer_name, converted.producer_version = (
        model.producer_name,
        model.producer_version,
    )
    converted.domain, converted.model_version = model.domain, model.model_version
    converted.doc_string = model.doc_string
    converted.graph.doc_string, converted.graph.name = model.graph.doc_string, model.graph.name
    for ours, theirs in (
        (converted.graph.inputs, model.graph.inputs),
        (converted.graph.outputs, model.graph.outputs),
    ):
        for mine, original in zip(ours, theirs, strict=True):
            mine.type, mine.shape = original.type, original.shape
            mine.doc_string = original.doc_string
            mine.metadata_props.update(original.metadata_props)
