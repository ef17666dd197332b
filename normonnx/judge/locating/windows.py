"""The smallest part of a wrong model that is wrong by itself, cut out with right inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from normonnx.judge.comparison import is_float
from normonnx.judge.divergence import Excerpt, Part
from normonnx.judge.locating.tensors import Match, Tensors
from normonnx.judge.options import VerifyOptions
from normonnx.judge.running import hosted
from normonnx.operators.kernels import Array
from normonnx.oracle.oracle import Oracle
from normonnx.runtime.sessions import Setting


class NoWindowError(Exception):
    """The nodes before a tensor cannot be cut out as a model."""


def cut(
    suspect: Match,
    agreed: Mapping[ir.Value, Match],
    tensors: Tensors,
    setting: Setting,
    options: VerifyOptions,
) -> Excerpt:
    """Cut out what computes a tensor, in both models, and compute it from right inputs.

    Args:
        suspect: the tensor.
        agreed: tensors on which the models agree, by the optimised model's value.
        tensors: all tensors, with the inputs of the models.
        setting: how to run the parts.
        options: how sessions are made.

    Raises:
        NoWindowError: if the nodes cannot be cut out.
        SessionFailedError, LacksOperatorError, OracleFailedError: if a part cannot be run.
    """
    golden = {m.new: _golden(m) for m in agreed.values()}
    made = _part(tensors.optimized, suspect.new, golden, tensors.feeds)
    golden = {m.old: _golden(m) for m in agreed.values()}
    reference = _part(tensors.original, suspect.old, golden, tensors.feeds)
    outputs = []
    for part in (made, reference):
        with hosted(part.model, options) as host:
            outputs.append(next(iter(host.session(setting).run(part.inputs).values())))
    truth = next(iter(Oracle(reference.model).run(reference.inputs).outputs.values()))
    arrays = (np.asarray(outputs[0]), np.asarray(outputs[1]), np.asarray(truth))
    return Excerpt(made, reference, str(suspect.new.name), *arrays)


def _golden(match: Match) -> Array:
    """The float64 value rounded to the type of the tensor; integers are what they are."""
    if not is_float(match.original):
        return match.original
    with np.errstate(over="ignore"):
        return match.truth.astype(match.original.dtype)


def _part(
    model: ir.Model, end: ir.Value, golden: Mapping[ir.Value, Array], feeds: Mapping[str, Any]
) -> Part:
    entries, nodes = _behind(end, golden)
    given = {}
    for value in entries:
        if value in golden:
            given[str(value.name)] = golden[value]
        elif str(value.name) in feeds:
            given[str(value.name)] = feeds[str(value.name)]
        else:
            raise NoWindowError(f"there are no data for '{value.name}'")
    try:
        extracted = ir.convenience.extract(model.graph, [*entries], [end])
    except Exception as error:
        raise NoWindowError(str(error)) from error
    for value in extracted.inputs:
        array = np.asarray(given[str(value.name)])
        value.type = ir.TensorType(ir.DataType.from_numpy(array.dtype))
        if value.shape is None:
            value.shape = ir.Shape(array.shape)
    return Part(
        ir.Model(extracted, ir_version=model.ir_version, functions=tuple(model.functions.values())),
        given,
        tuple(f"{node.op_type} '{node.name}'" for node in nodes),
    )


def _behind(end: ir.Value, stops: Collection[ir.Value]) -> tuple[list[ir.Value], list[ir.Node]]:
    """The values at which the way back from a tensor ends, and the nodes on the way, in order."""
    entries: dict[ir.Value, None] = {}
    nodes: set[ir.Node] = set()
    waiting = [end]
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if value is not end and value in stops:
            entries[value] = None
        elif node is None:
            if value.const_value is None:
                entries[value] = None
        elif node not in nodes:
            nodes.add(node)
            waiting += [v for v in _read(node) if v.graph is end.graph]
    graph = end.graph
    ordered = [] if graph is None else [node for node in graph if node in nodes]
    return list(entries), ordered


def _read(node: ir.Node) -> list[ir.Value]:
    """What a node reads, in its subgraphs too."""
    found = [v for v in node.inputs if v is not None]
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            for inner in ir.traversal.RecursiveGraphIterator(attribute.as_graph()):
                found += [v for v in inner.inputs if v is not None]
    return found
