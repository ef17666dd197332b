"""Random spellings of GroupNorm and InstanceNorm, and of norms that are neither.

The statistics are spelled as those of a LayerNorm are; around them the image is reshaped into
groups and back, its channels first or last, its scale and bias one per channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .graphs import Graph
from .spellings import Drawing, Spelling, Writer

CHANGES = (
    "every so many channels are a group",
    "height and width are exchanged",
    "a scale for each column",
    "epsilon outside the root",
    "third power",
)


class ImageWriter(Writer):
    """Writes one spelling into a graph."""

    def __init__(self, draw: Drawing, change: str) -> None:
        self.draw, self.change = draw, change
        self.kind = "LayerNorm"
        self.graph = Graph(int(draw.pick("opset", (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21))))
        self.dtype: Any = np.float32
        self.centres: dict[tuple[str, str], str] = {}
        # More than one group, of more than one channel: else it is a LayerNorm or InstanceNorm.
        self.title = draw.pick("kind", ("GroupNorm", "InstanceNorm"))
        self.groups = int(draw.pick("groups", (2, 3, 4)))
        self.each = int(draw.pick("channels of a group", (2, 4)))
        if self.title == "InstanceNorm":
            self.groups, self.each = self.groups * self.each, 1
        self.channels = self.groups * self.each
        spatial = int(draw.pick("spatial axes", (1, 2, 3), (0.25, 0.6, 0.15)))
        self.spatial = [int(n) for n in draw.rng.permutation([3, 4, 5])[:spatial]]
        self.last = draw.chance("channels last", 0.25)

    # -- the image and its groups ----------------------------------------------------------

    def shape(self, channels: list[int]) -> list[int]:
        return [2, *self.spatial, *channels] if self.last else [2, *channels, *self.spatial]

    def grouped(self, x: str) -> str:
        """The image with an axis for the groups, and the axes to take the mean over."""
        if self.change == "every so many channels are a group":
            self.dims = self.shape([self.each, self.groups])
            apart = len(self.dims) - 1 if self.last else 2
        elif self.title == "InstanceNorm" and self.draw.chance("as it is", 0.6):
            self.dims = self.shape([self.channels])
            apart = len(self.dims) - 1 if self.last else 1
        else:
            whole = self.each * int(np.prod(self.spatial))
            flat = not self.last and self.draw.chance("groups flattened", 0.6)
            self.dims = [2, self.groups, whole] if flat else self.shape([self.groups, self.each])
            apart = len(self.dims) - 2 if self.last else 1
        self.rank = len(self.dims)
        self.axes = [axis for axis in range(1, self.rank) if axis != apart]
        self.length = int(np.prod([self.dims[axis] for axis in self.axes]))
        if self.dims == self.shape([self.channels]):
            return x
        return self.graph.op("Reshape", x, self.graph.constant(self.dims, np.int64))

    def by_operator(self) -> bool:
        """Whether torch's InstanceNormalization takes the statistics."""
        fits = self.rank == 3 and self.axes == [2] and not self.change
        return fits and self.draw.chance("InstanceNormalization", 0.5)

    def statistics(self, grouped: str) -> str:
        if self.by_operator():
            ones, zeros = np.ones(self.dims[1]), np.zeros(self.dims[1])
            operands = (grouped, self.constant(ones), self.constant(zeros))
            return self.graph.op("InstanceNormalization", *operands, epsilon=1e-3)
        mean = self.mean(grouped)
        root = self.inverse_root(self.spread(grouped, mean))
        return self.times(self.centre(grouped, mean), root)

    def back(self, value: str, x: str) -> str:
        shape = self.shape([self.channels])
        if self.change == "height and width are exchanged" and len(self.spatial) > 1:
            self.spatial[0], self.spatial[1] = self.spatial[1], self.spatial[0]
            return self.graph.op(
                "Reshape", value, self.graph.constant(self.shape([self.channels]), np.int64)
            )
        if self.dims == shape:
            return value
        by_shape = self.draw.chance("back by Shape", 0.5)
        target = self.graph.op("Shape", x) if by_shape else self.graph.constant(shape, np.int64)
        return self.graph.op("Reshape", value, target)

    def per_channel(self, what: str) -> str | None:
        if not self.draw.chance(f"has {what}", 0.8):
            return None
        if self.change == "a scale for each column":
            width = [self.spatial[-1], 1] if self.last else [self.spatial[-1]]
            return self.constant(self.draw.numbers(width))
        ones = [] if self.last else [1] * len(self.spatial)
        shapes = [(self.channels, *ones), (*[1] * (0 if self.last else 1), self.channels, *ones)]
        return self.constant(self.draw.numbers(self.draw.pick(f"shape of {what}", shapes)))

    def spelling(self) -> Spelling:
        dims = self.shape([self.channels])
        x = self.graph.input("x", dims)
        value = self.graph.op("Tanh", x) if self.draw.chance("x is computed", 0.3) else x
        y = self.back(self.statistics(self.grouped(value)), value)
        scale, bias = self.per_channel("scale"), self.per_channel("bias")
        if scale is not None:
            y = self.either("Mul", y, scale)
        if bias is not None:
            y = self.either("Add", y, bias)
        if y == x or not self.graph.nodes:
            y = self.graph.op("Identity", y)
        self.graph.output(y, self.shape([self.channels]))
        return Spelling(self.title, self.graph.model(), self.draw.choices, holds_a_norm=True)


def image_spelling(seed: int) -> Spelling:
    """A GroupNorm or InstanceNorm, spelled at random."""
    return ImageWriter(Drawing(seed), "").spelling()


def image_look_alike(seed: int) -> Spelling:
    """A spelling with one change that makes it neither; it may hold a plainer norm."""
    draw = Drawing(seed)
    change = draw.pick("change", CHANGES)
    return ImageWriter(draw, change).spelling()
