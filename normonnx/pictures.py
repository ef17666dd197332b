"""Pictures of the distinct rewrites of a run, drawn while both sides are there to be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import onnx_ir as ir

from normonnx.drawing import MOST_NODES, Box, Drawing, Picture
from normonnx.journal import Rewrite
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Proposal

_MOST_PICTURES = 12
_WEIGHTS_SHOWN = 2


class Painter:
    """A observer that draws the first rewrite of each kind."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[str, str], tuple[str, Drawing, Drawing]] = {}
        self._kind: tuple[str, str] | None = None
        self._site = ""
        self._before = Drawing((), ())

    def before(self, proposal: Proposal, summary: str, nodes: Sequence[ir.Node]) -> None:
        """Draw the nodes that will go, if their kind of rewrite is a new one."""
        kind = (proposal.rule, summary)
        self._kind = None
        if kind not in self._drawn and len(self._drawn) < _MOST_PICTURES:
            self._kind, self._site = kind, proposal.site
            self._before = _draw([node for node in nodes if onnx_name(node) != "Constant"])

    def after(self, nodes: Sequence[ir.Node]) -> None:
        """Draw the nodes that have come."""
        if self._kind is not None:
            self._drawn[self._kind] = (self._site, self._before, _draw(nodes))

    def pictures(self, rewrites: Iterable[Rewrite]) -> tuple[Picture, ...]:
        """A picture of each kind, the most frequent first."""
        kinds = Counter((rewrite.rule, rewrite.summary) for rewrite in rewrites)
        found = []
        for (rule, summary), count in kinds.most_common():
            if (rule, summary) in self._drawn:
                site, before, after = self._drawn[rule, summary]
                found.append(Picture(rule, summary, count, site, before, after))
        return tuple(found)


def _draw(nodes: Sequence[ir.Node]) -> Drawing:
    """The nodes with what enters and leaves; the farthest from the end are left out of many."""
    inside = set(nodes)
    shown = sorted(nodes, key=lambda node: _depth(node, inside))
    kept, rest = shown[:MOST_NODES], shown[MOST_NODES:]
    sheet = _Sheet(inside, Box(f"{len(rest)} more", kind="more"))
    for node in kept:
        sheet.number(node, Box(node.op_type, str(node.name or ""), _weights(node)))
    for node in kept:
        sheet.connect(node)
    return Drawing(tuple(sheet.boxes), tuple(sheet.edges), len(rest))


class _Sheet:
    """Boxes with their numbers, and the edges between them, as they are drawn.

    Args:
        inside: all nodes of the drawing.
        more: the box for those that are left out.
    """

    def __init__(self, inside: set[ir.Node], more: Box) -> None:
        self.boxes: list[Box] = []
        self.edges: dict[tuple[int, int], None] = {}
        self._inside = inside
        self._more = more
        self._numbers: dict[object, int] = {}

    def number(self, key: object, box: Box) -> int:
        """The number of a box, which is drawn if it is not there yet."""
        if key not in self._numbers:
            self._numbers[key] = len(self.boxes)
            self.boxes.append(box)
        return self._numbers[key]

    def connect(self, node: ir.Node) -> None:
        """Draw what enters and leaves a node, weights aside."""
        own = self._numbers[node]
        for value in node.inputs:
            if value is not None and not _is_weight(value):
                self.edges[self._start(value), own] = None
        for out in node.outputs:
            read_outside = any(use.node not in self._inside for use in out.uses())
            if out.is_graph_output() or read_outside:
                self.edges[own, self.number((out, "end"), Box(str(out.name), kind="value"))] = None

    def _start(self, value: ir.Value) -> int:
        producer = value.producer()
        if producer not in self._inside:
            return self.number(value, Box(str(value.name), kind="value"))
        if producer in self._numbers:
            return self._numbers[producer]
        return self.number("more", self._more)


def _depth(node: ir.Node, inside: set[ir.Node]) -> int:
    """Steps to the end of the window."""
    seen, level, steps = {node}, [node], 0
    while level:
        level = [
            use.node
            for one in level
            for out in one.outputs
            for use in out.uses()
            if use.node in inside and use.node not in seen
        ]
        seen.update(level)
        steps += bool(level)
    return steps


def _is_weight(value: ir.Value, steps: int = 4) -> bool:
    """An initializer, or what few nodes make of constants alone."""
    producer = value.producer()
    if producer is None:
        return value.is_initializer()
    if onnx_name(producer) == "Constant":
        return True
    inputs = [before for before in producer.inputs if before is not None]
    return bool(inputs) and steps > 0 and all(_is_weight(v, steps - 1) for v in inputs)


def _weights(node: ir.Node) -> str:
    """The constants a node reads, by their shapes."""
    shapes = []
    for value in node.inputs:
        if value is None or not _is_weight(value):
            continue
        tensor = value.const_value
        producer = value.producer()
        if producer is not None and "value" in producer.attributes:
            tensor = producer.attributes["value"].as_tensor()
        if tensor is not None:
            shape = "×".join(str(size) for size in tensor.shape.numpy())
            shapes.append(shape or "scalar")
    more = len(shapes) - _WEIGHTS_SHOWN
    return ", ".join(shapes[:_WEIGHTS_SHOWN]) + (f" and {more} more" if more > 0 else "")
