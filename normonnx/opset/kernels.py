"""Operators that the installed ONNX Runtime runs in one opset and has no kernel for in a later one.

It is asked, with a model of one node, once for each operator, form and types.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import lru_cache

import onnx
import onnx_ir as ir

from normonnx.operators import meaning
from normonnx.operators.schemas import schema_of
from normonnx.opset.evidence import runner
from normonnx.opset.known import Known
from normonnx.opset.numbers import axes_value
from normonnx.opset.sample import NoSampleError, sample


def first_without(
    nodes: Iterable[ir.Node], current: int, wanted: int, known: Known, *, isolated: bool
) -> ir.Node | None:
    """The first of the nodes that runs now, and would not any more; None if there is none.

    Args:
        nodes: of the default domain, which mean the same in both opsets.
        current: the opset of the model.
        wanted: the later one.
        known: of the model's values.
        isolated: ask processes of their own.
    """
    asked: dict[tuple[object, ...], tuple[ir.Node, onnx.ModelProto]] = {}
    for node in nodes:
        key = _form(node, current, wanted, known)
        if key is not None and key not in asked:
            with contextlib.suppress(NoSampleError):
                asked[key] = node, sample(node, current, known).proto
    new = {key: _renumbered(old, current, wanted) for key, (_, old) in asked.items()}
    if not new or _loads(_together(new.values()), isolated=isolated):
        return None
    for key, (node, old) in asked.items():
        if not _loads(_content(new[key]), isolated=isolated) and _loads(
            _content(old), isolated=isolated
        ):
            return node
    return None


def _form(node: ir.Node, current: int, wanted: int, known: Known) -> tuple[object, ...] | None:
    """What decides about its kernel; None where that is the same in both opsets."""
    forms = [schema_of("", node.op_type, opset) for opset in (current, wanted)]
    versions = [form.since_version for form in forms if form is not None]
    if len(set(versions)) < 2:
        return None
    types = (None if value is None else known.dtype(value) for value in node.inputs)
    return (node.op_type, *versions, *types)


def _together(ones: Iterable[onnx.ModelProto]) -> bytes:
    """The nodes of several models as one model."""
    parts = list(ones)
    whole = onnx.ModelProto()
    whole.CopyFrom(parts[0])
    whole.graph.Clear()
    whole.graph.name = "all"
    for index, one in enumerate(parts):
        part = _prefixed(one.graph, f"{index}_")
        for field in ("node", "input", "initializer", "output"):
            getattr(whole.graph, field).extend(getattr(part, field))
    return _content(whole)


def _prefixed(graph: onnx.GraphProto, prefix: str) -> onnx.GraphProto:
    """The graph with something in front of the name of every value."""
    part = onnx.GraphProto()
    part.CopyFrom(graph)
    for named in (*part.input, *part.initializer, *part.output):
        named.name = prefix + named.name
    for node in part.node:
        for names in (node.input, node.output):
            names[:] = [name and prefix + name for name in names]
    return part


def _content(model: onnx.ModelProto) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _renumbered(one: onnx.ModelProto, current: int, wanted: int) -> onnx.ModelProto:
    """The model in the later opset, its axes moved."""
    new = onnx.ModelProto()
    new.CopyFrom(one)
    new.opset_import[0].version = wanted
    node = new.graph.node[0]
    moved = [a for a in node.attribute if a.name == "axes"]
    if moved and meaning.axes_moved(node.op_type, current, wanted):
        axes = axes_value(tuple(moved[0].ints), "axes")
        assert axes.const_value is not None
        new.graph.initializer.append(ir.serde.serialize_tensor(axes.const_value))
        node.attribute.remove(moved[0])
        node.input.append("axes")
    return new


@lru_cache(maxsize=4096)
def _loads(content: bytes, *, isolated: bool) -> bool:
    """Whether ONNX Runtime loads a model; True if it is not installed."""
    found = runner(content, isolated=isolated)
    return found is None or callable(found)
