"""What is drawn of a rewrite: the nodes that go and the nodes that come, as plain data."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

MOST_NODES = 15
"""A picture of more nodes than this explains nothing."""

Kind = Literal["node", "value", "more"]


class Box(Struct, frozen=True):
    """A node of a picture.

    Attributes:
        title: the operator, or the name of a value.
        name: the node's name, or "".
        note: its weights, such as ``W 64×3×7×7``, or "".
        kind: a node, a value that enters or leaves, or a stand-in for nodes left out.
    """

    title: str
    name: str = ""
    note: str = ""
    kind: Kind = "node"


class Drawing(Struct, frozen=True):
    """A small graph.

    Attributes:
        boxes: its nodes, and the values that enter and leave.
        edges: from box to box, by their numbers.
        left_out: how many nodes are not shown.
    """

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    left_out: int = 0

    @property
    def nodes(self) -> int:
        """How many nodes it stands for."""
        return sum(box.kind == "node" for box in self.boxes) + self.left_out


class Picture(Struct, frozen=True):
    """One kind of rewrite, before and after.

    Attributes:
        rule: code of the rule.
        summary: one line, such as ``Conv·BatchNormalization → Conv``.
        count: how many rewrites of the model are of this kind.
        site: the node that the one drawn is about.
        before: the nodes that go.
        after: the nodes that come.
    """

    rule: str
    summary: str
    count: int
    site: str
    before: Drawing
    after: Drawing
