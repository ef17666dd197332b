"""The bodies of the operators that come with the model, and the imports of their domains.

A node of the domain normonnx is run by the library's kernel where that is registered, and by the
function of the same name otherwise. A model has one function per operator, so it is written when
all nodes are known, and the nodes are made alike: those without x_bias get one of zeros, and where
one has the sum all have it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from normonnx.graph.nesting import walk
from normonnx.ops.operators import DOMAIN, OPERATORS, typed_name
from normonnx.rewrite import Context
from normonnx.targets import TARGETS

_FUNCTIONS_IR_VERSION = 8
"""The first IR version whose readers look for functions of the model."""

_NEGATIVE_AXES = 11
"""From which opset on a ReduceMean counts axes from the end."""


def nodes_of(context: Context, domain: str) -> Iterator[tuple[ir.Graph | ir.Function, ir.Node]]:
    """Every node of a domain, with the main graph or the function that it is in."""
    model = context.model
    bodies: list[ir.Graph | ir.Function] = [model.graph]
    bodies += [function for function in model.functions.values() if function.domain != DOMAIN]
    for body in bodies:
        for node in walk(body):
            if node.domain == domain:
                yield body, node


def note_types(context: Context) -> None:
    """Take note of which types the operators of the domain normonnx in the model are for."""
    for _, node in nodes_of(context, DOMAIN):
        dtype = context.shapes.dtype(node.inputs[0]) if node.inputs else None
        if dtype is not None:
            context.plain_types.setdefault(node.op_type, dtype)


def name_for(context: Context, name: str, dtype: ir.DataType) -> str:
    """The op_type of an operator of the domain normonnx for a type of X.

    A function is for one type: the first that a model needs has the plain name.
    """
    if context.plain_types.setdefault(name, dtype) == dtype:
        return name
    return typed_name(name, _title(dtype))


def add_bodies(context: Context) -> None:
    """Give the model the functions and imports that its operators need."""
    model = context.model
    _import_domains(context)
    by_operator: dict[str, list[ir.Node]] = {}
    for _, node in nodes_of(context, DOMAIN):
        by_operator.setdefault(node.op_type, []).append(node)
    for name, nodes in by_operator.items():
        identifier = (DOMAIN, name, "")
        known = identifier in model.functions and _lacks_types(context, nodes)
        if name in OPERATORS and not known:
            model.functions[identifier] = _body(context, name, nodes)
    if by_operator:
        model.ir_version = max(model.ir_version, _FUNCTIONS_IR_VERSION)


def _import_domains(context: Context) -> None:
    """Import what the operators of every target are from, wherever such a node is."""
    model = context.model
    versions = {domain: v for target in TARGETS.values() for domain, v in target.domains.items()}
    for domain, version in sorted(versions.items()):
        for body, _ in nodes_of(context, domain):
            imports = model.opset_imports if body is model.graph else body.opset_imports
            imports.setdefault(domain, version)
            model.opset_imports.setdefault(domain, version)


def _lacks_types(context: Context, nodes: list[ir.Node]) -> bool:
    """Whether nothing tells for which type a function would have to be."""
    return context.shapes.dtype(nodes[0].inputs[0]) is None


def _body(context: Context, name: str, nodes: list[ir.Node]) -> ir.Function:
    from normonnx.ops.functions import function_for  # onnxscript takes half a second to import

    operator = OPERATORS[name]
    inputs = max(len(node.inputs) for node in nodes)
    outputs = max(len(node.outputs) for node in nodes)
    for node in nodes:
        _fill(context, node, inputs)
        if len(node.outputs) < outputs:
            node.resize_outputs(outputs)
            node.outputs[-1].name = context.fresh(f"{node.name}_sum")
    dtype = context.shapes.dtype(nodes[0].inputs[0])
    assert dtype is not None
    return function_for(
        name,
        context.opset,
        dtype=dtype,
        trailing=all(_is_trailing(context, node) for node in nodes),
        last=context.opset >= _NEGATIVE_AXES and all(_is_last(context, node) for node in nodes),
        has_bias=True,
        has_x_bias=operator.takes("XBias") and inputs == len(operator.inputs),
        has_sum=outputs > 1,
    )


def _fill(context: Context, node: ir.Node, inputs: int) -> None:
    """Give a node the x_bias that others of its operator have."""
    if len(node.inputs) == inputs:
        return
    scale = node.inputs[OPERATORS[node.op_type].scale]
    shape, dtype = context.shapes.static(scale), context.shapes.dtype(node.inputs[0])
    assert shape is not None
    assert dtype is not None
    name = context.fresh(f"{node.name}_x_bias")
    tensor = ir.Tensor(np.zeros(shape, dtype.numpy()), dtype=dtype, name=name)
    zeros = ir.node("Constant", [], {"value": tensor})
    zeros.outputs[0].name, zeros.name = name, context.fresh(f"{name}_Constant")
    assert node.graph is not None
    node.graph.insert_before(node, zeros)
    node.resize_inputs(inputs)
    node.replace_input_with(inputs - 1, zeros.outputs[0])


def _is_trailing(context: Context, node: ir.Node) -> bool:
    axis = node.attributes["axis"].as_int()
    rank = context.shapes.rank(node.inputs[0])
    scale = node.inputs[OPERATORS[node.op_type].scale]
    length = context.shapes.rank(scale)
    if rank is None or length is None:
        return False
    return axis % rank + length == rank


def _is_last(context: Context, node: ir.Node) -> bool:
    rank = context.shapes.rank(node.inputs[OPERATORS[node.op_type].scale])
    return node.attributes["axis"].as_int() == -1 and rank == 1


def _title(dtype: ir.DataType) -> str:
    return dtype.name.lower()
