"""A norm that stays is told once, and not its epsilon, its scale and its bias beside it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from normonnx.operators.names import onnx_name
from normonnx.rewrite.context import Context

_ROOTS = frozenset({"Sqrt", "Pow", "Reciprocal"})
_DIVISIONS = frozenset({"Div", "Mul", "Reciprocal"})
_NORM_RULES = "NX1"
_PART_OF = "affine:"


def forget_parts_of_norms(context: Context) -> None:
    """Forget near misses of affine arithmetic within a norm that is a near miss itself."""
    misses = context.journal.near_misses
    named = {
        str(out.name): node for graph in context.graphs() for node in graph for out in node.outputs
    }
    for key, miss in list(misses.items()):
        root = named.get(key.partition(":")[2])
        if not miss.rule.startswith(_NORM_RULES) or root is None or onnx_name(root) not in _ROOTS:
            continue
        for first in (*_before(root), *_behind(root)):
            part: ir.Node | None = first
            while part is not None and misses.pop(_key_of(part), None) is not None:
                part = _only_reader(part)


def _key_of(part: ir.Node) -> str:
    return f"{_PART_OF}{part.outputs[0].name}"


def _before(root: ir.Node) -> Iterator[ir.Node]:
    """What the root is taken of: the mean of squares plus epsilon."""
    source = root.inputs[0]
    producer = None if source is None else source.producer()
    if producer is not None:
        yield producer


def _behind(root: ir.Node) -> Iterator[ir.Node]:
    """The first arithmetic behind what is divided by the root."""
    divided = [use.node for use in root.outputs[0].uses() if onnx_name(use.node) in _DIVISIONS]
    if any(onnx_name(node) == "Reciprocal" for node in divided):
        divided += [use.node for node in divided for use in node.outputs[0].uses()]
    yield from filter(None, map(_only_reader, divided))


def _only_reader(node: ir.Node) -> ir.Node | None:
    """The node that alone reads another's result."""
    uses = list(node.outputs[0].uses())
    return uses[0].node if len(uses) == 1 else None
