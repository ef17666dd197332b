"""NX205 too: a Pad in front of another, or with zeros in front of a convolution, is part of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import onnx_ir as ir

from normonnx.operators.attributes import attribute_ints
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context
from normonnx.simplify.rule import CHAINS, Found, begin, chained, node_before


def into_convolution(context: Context, node: ir.Node) -> Found | None:
    """A Conv that pads as the Pad before it does."""
    source = node.inputs[0]
    pad = None if source is None else source.producer()
    if pad is None or onnx_name(pad) != "Pad" or pad.graph is not node.graph:
        return None
    before, own = _zeros(context, pad), _own(node, context.shapes.rank(node.outputs[0]))
    if before is None or own is None or len(before) != len(own) + 4:
        return None
    half = len(before) // 2
    if any(before[:2]) or any(before[half : half + 2]):
        return None  # along the batch or the channels
    spatial = [*before[2:half], *before[half + 2 :]]
    attributes = {
        name: attribute for name, attribute in node.attributes.items() if name != "auto_pad"
    }
    pads = [one + other for one, other in zip(spatial, own, strict=True)]
    proposal = begin(context, CHAINS, node)
    proposal.least_gain = 1  # a Pad that others read stays
    new = proposal.node("Conv", [pad.inputs[0], *node.inputs[1:]], {**attributes, "pads": pads})
    proposal.replace(node.outputs[0], new)
    return Found(proposal, "Pad·Conv → Conv")


def pads(context: Context, node: ir.Node) -> Found | None:
    """Two Pads with the same number as one."""
    before = node_before(node)
    if before is None or onnx_name(before) != "Pad" or len(node.inputs) < 2:
        return None
    kept = [_constant_padding(context, pad) for pad in (before, node)]
    if kept[0] is None or kept[1] is None or kept[0][1] != kept[1][1]:
        return None
    both = [one + other for one, other in zip(kept[0][0], kept[1][0], strict=True)]
    proposal = begin(context, CHAINS, node)
    proposal.least_gain = 1
    told = proposal.integers(both, f"{node.outputs[0].name}_pads")
    new = proposal.like(node, [before.inputs[0], told, *node.inputs[2:]])
    proposal.replace(node.outputs[0], new)
    return Found(proposal, chained([before, node], "Pad"))


def _zeros(context: Context, pad: ir.Node) -> list[int] | None:
    """How many zeros a Pad puts before and behind each axis, None where it does something else."""
    found = _constant_padding(context, pad)
    return None if found is None or found[1] != 0 else found[0]


def _constant_padding(context: Context, pad: ir.Node) -> tuple[list[int], float] | None:
    """How many elements a Pad puts before and behind each axis, and which number they hold."""
    mode = pad.attributes.get("mode")
    if mode is not None and mode.as_string() != "constant":
        return None
    if len(pad.inputs) > 3 and pad.inputs[3] is not None:
        return None  # axes
    pads, filled = _by_attributes(pad) if len(pad.inputs) == 1 else _by_inputs(context, pad)
    if pads is None or filled is None or any(n < 0 for n in pads):
        return None
    return list(pads), filled


_Padding: TypeAlias = "tuple[Sequence[int] | None, float | None]"
"""How many elements before and behind each axis, and what they hold; None for what is not known."""


def _by_attributes(pad: ir.Node) -> _Padding:
    value = pad.attributes.get("value")
    pads = attribute_ints(pad, "pads") or attribute_ints(pad, "paddings")
    return pads, 0.0 if value is None else value.as_float()


def _by_inputs(context: Context, pad: ir.Node) -> _Padding:
    array = context.constants.array(pad.inputs[1])
    pads = None if array is None else [int(n) for n in array.reshape(-1)]
    given = pad.inputs[2] if len(pad.inputs) > 2 else None
    if given is None:
        return pads, 0.0
    fill = context.constants.array(given)
    return pads, None if fill is None or fill.size != 1 else float(fill.reshape(-1)[0])


def _own(node: ir.Node, rank: int | None) -> list[int] | None:
    """The pads of a Conv, None where they depend on the size of what it reads."""
    automatic = node.attributes.get("auto_pad")
    if automatic is not None and automatic.as_string() not in ("NOTSET", "VALID"):
        return None
    pads = attribute_ints(node, "pads")
    if pads is None or (automatic is not None and automatic.as_string() == "VALID"):
        return None if rank is None else [0] * (2 * (rank - 2))
    return list(pads)
