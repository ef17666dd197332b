"""Nodes and initializers while a network is drawn, and the sizes that it computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tensor:
    """A value, with what it is for the sizes the network is drawn at."""

    name: str
    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def rank(self) -> int:
        return self.array.ndim


@dataclass
class Sketch:
    """Nodes and initializers while they are drawn."""

    rng: np.random.Generator
    opset: int
    version: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    count: int = 0
    is_inner: bool = False
    is_coarse: bool = False  # arithmetic in half precision: a step would show how it was rounded

    def within(self, number: int) -> Sketch:
        """A graph in this one; its names begin with a number of their own."""
        count = self.count * 1000 + number
        return Sketch(self.rng, self.opset, self.version, count=count, is_inner=True)

    def chance(self, part: float) -> bool:
        return bool(self.rng.random() < part)

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def constant(self, array: Any, dtype: Any = np.int64) -> Tensor:
        """An initializer, or a Constant node."""
        made = Tensor(self.fresh(), np.asarray(array, dtype))
        proto = numpy_helper.from_array(made.array, made.name)
        if self.chance(0.5) and not (self.version < 4 and self.is_inner):
            self.weights.append(proto)
        else:
            self.nodes.append(helper.make_node("Constant", [], [made.name], value=proto))
        return made

    def op(
        self, kind: str, inputs: Sequence[Tensor | None], array: Any, **attributes: Any
    ) -> Tensor:
        """A node of one output, which is what is given."""
        made = Tensor(self.fresh(), np.asarray(array))
        domain = attributes.pop("domain", "")
        names = ["" if value is None else value.name for value in inputs]
        name = f"n{self.count}" if self.chance(0.8) else ""
        self.nodes.append(
            helper.make_node(kind, names, [made.name], name, domain=domain, **attributes)
        )
        return made

    # -- sizes ---------------------------------------------------------------------------

    def dim(self, x: Tensor, axis: int, *, scalar: bool = False) -> Tensor:
        """The size of an axis, as a vector of one or a scalar."""
        whole = np.array(x.shape, np.int64)
        if self.opset >= 15 and self.chance(0.2) and not scalar:
            end = {"end": axis + 1} if axis + 1 < x.rank else {}
            return self.op("Shape", [x], whole[axis : axis + 1], start=axis, **end)
        shape = self.op("Shape", [x], whole)
        given = axis - x.rank if self.chance(0.3) else axis
        if scalar or self.chance(0.4):
            one = self.op("Gather", [shape, self.constant(given)], whole[axis], axis=0)
            return one if scalar else self.unsqueeze(one, [0])
        if self.chance(0.5):
            return self.op(
                "Gather", [shape, self.constant([given])], whole[axis : axis + 1], axis=0
            )
        return self.slice(shape, [axis], [axis + 1], [0])

    def unsqueeze(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        array = np.expand_dims(x.array, tuple(axes))
        if self.opset >= 13:
            return self.op("Unsqueeze", [x, self.constant(axes)], array)
        return self.op("Unsqueeze", [x], array, axes=list(axes))

    def squeeze(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        array = np.squeeze(x.array, tuple(axes))
        if self.opset >= 13:
            return self.op("Squeeze", [x, self.constant(axes)], array)
        return self.op("Squeeze", [x], array, axes=list(axes))

    def slice(
        self, x: Tensor, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> Tensor:  # fmt: skip
        cuts = [slice(None)] * x.rank
        for place, (start, end, axis) in enumerate(zip(starts, ends, axes, strict=True)):
            step = 1 if steps is None else steps[place]
            stop = None if step < 0 and end < -x.shape[axis] else end
            cuts[axis] = slice(start, stop, step)
        array = x.array[tuple(cuts)]
        if self.opset < 10:
            return self.op(
                "Slice", [x], array, starts=list(starts), ends=list(ends), axes=list(axes)
            )
        given = [self.constant(starts), self.constant(ends), self.constant(axes)]
        if steps is not None:
            given.append(self.constant(steps))
        return self.op("Slice", [x, *given], array)

    def concat(self, parts: Sequence[Tensor], axis: int = 0) -> Tensor:
        array = np.concatenate([part.array for part in parts], axis)
        return self.op("Concat", parts, array, axis=axis)

    def cast(self, x: Tensor, dtype: Any) -> Tensor:
        with np.errstate(all="ignore"):
            array = x.array.astype(dtype)
        return self.op("Cast", [x], array, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def vector(self, x: Tensor, target: Sequence[int]) -> Tensor:
        """A shape: sizes of x where they fit, numbers where not."""
        if not target:
            return self.constant(np.zeros(0))
        parts, place = [], 0
        for axis, size in enumerate(target):
            place = axis
            own = [a for a in range(x.rank) if x.shape[a] == size and size > 0]
            if own and self.chance(0.75):
                place = axis if axis in own and self.chance(0.8) else self.pick(own)
                one = self.dim(x, place)
            else:
                one = self.constant([size])
            parts.append(self.bent(one))
        return self.concat(parts) if len(parts) > 1 or self.chance(0.5) else parts[0]

    def bent(self, one: Tensor) -> Tensor:
        """A vector of one number by a detour that ends where it began, in the drawn sizes."""
        kind = self.rng.integers(14)
        number = int(one.array.reshape(-1)[0])
        if kind == 0:
            other = self.pick([np.int32, np.float32, np.float64])
            return self.cast(self.cast(one, other), np.int64)
        if kind == 1:
            two = self.op("Mul", [one, self.constant([2])], one.array * 2)
            return self.op("Div", [two, self.constant([2])], one.array)
        if kind == 2:
            more = self.op("Add", [one, self.constant([3])], one.array + 3)
            return self.op("Sub", [more, self.constant([3])], one.array)
        if kind == 3 and number % 2 == 0:
            half = self.op("Div", [one, self.constant([2])], one.array // 2)
            return self.op("Mul", [half, self.constant([2])], one.array)
        if kind == 4 and self.opset >= 12 and number > 0:
            return self.op("Max", [one, self.constant([1])], one.array)
        if kind == 5 and self.opset >= 13:
            return (
                self.op("ReduceProd", [one], one.array, axes=[0], keepdims=1)
                if (self.opset < 18)
                else one
            )
        if kind == 6 and number > 0:
            wide = self.cast(one, np.float32)
            grown = self.op("Mul", [wide, self.constant(1.5, np.float32)], wide.array * 1.5)
            low = self.op("Div", [grown, self.constant(1.5, np.float32)], wide.array)
            return self.cast(self.op("Ceil", [low], low.array), np.int64)
        if kind == 7 and self.opset >= 9:
            negative = self.op("Equal", [one, self.constant([-1])], one.array == -1)
            return self.op("Where", [negative, self.constant([1]), one], one.array)
        return one
