"""Steps that lay elements out anew, to shapes that are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper

from .sketch import Sketch, Tensor


def reshape(s: Sketch, x: Tensor, target: Sequence[int], *, minus: int | None = None) -> Tensor:
    """To a target that is computed; -1 at one place, if asked for."""
    given = list(target)
    if minus is not None:
        given[minus] = -1
    zero = {"allowzero": 1} if s.opset >= 14 and s.chance(0.1) else {}
    return s.op("Reshape", [x, s.vector(x, given)], x.array.reshape(tuple(target)), **zero)


def there_and_back(s: Sketch, x: Tensor) -> Tensor | None:
    """Some axes taken together, and put apart again."""
    if x.rank < 2:
        return reshape(s, x, [*x.shape, 1], minus=s.pick([None, 0]))
    cut = int(s.rng.integers(1, x.rank))
    flat = [int(np.prod(x.shape[:cut])), int(np.prod(x.shape[cut:]))]
    if s.chance(0.3):
        first = s.op("Flatten", [x], x.array.reshape(flat), axis=cut)
    else:
        first = reshape(s, x, flat, minus=s.pick([None, 0, 1]))
    between = s.op("Relu", [first], np.maximum(first.array, 0)) if s.chance(0.5) else first
    whole = s.op("Shape", [x], np.array(x.shape, np.int64))
    target = whole if s.chance(0.4) else s.vector(x, x.shape)
    return s.op("Reshape", [between, target], between.array.reshape(x.shape))


def heads(s: Sketch, x: Tensor) -> Tensor | None:
    """The last axis in two, with a Transpose there and back."""
    if x.rank != 3 or x.shape[2] % 2:
        return None
    n, length, width = x.shape
    count = s.constant([2])
    each = s.op("Div", [s.dim(x, 2), count], np.array([width // 2]))
    target = s.concat([s.dim(x, 0), s.dim(x, 1), count, each])
    split = s.op("Reshape", [x, target], x.array.reshape(n, length, 2, width // 2))
    perm = [0, 2, 1, 3]
    turned = s.op("Transpose", [split], split.array.transpose(perm), perm=perm)
    between = s.op("Abs", [turned], turned.array) if s.chance(0.6) else turned
    back = s.op("Transpose", [between], between.array.transpose(perm), perm=perm)
    target = s.concat([s.dim(x, 0), s.dim(x, 1), s.constant([-1])])
    return s.op("Reshape", [back, target], back.array.reshape(n, length, width))


def resized(s: Sketch, x: Tensor) -> Tensor | None:
    """To computed sizes, which are those that were there or twice as many."""
    if s.opset < 11 or x.rank != 4:
        return None
    times = int(s.pick([1, 2]))
    height, width = s.dim(x, 2), s.dim(x, 3)
    if times > 1:
        height, width = (
            s.op("Mul", [one, s.constant([2])], one.array * 2) for one in (height, width)
        )
    front = s.slice(s.op("Shape", [x], np.array(x.shape)), [0], [2], [0])
    sizes = s.concat([front, height, width])
    empty = s.constant(np.zeros(0), np.float32) if s.opset < 13 or s.chance(0.3) else None
    array = x.array.repeat(times, 2).repeat(times, 3)
    mode = s.pick(["nearest", "linear"])
    how = s.pick(["asymmetric", "half_pixel", "align_corners"])
    if s.chance(0.4):
        scales = s.constant([1, 1, times, times], np.float32)
        return s.op("Resize", [x, empty, scales], array, mode=mode, nearest_mode="floor",
                    coordinate_transformation_mode=how)  # fmt: skip
    return s.op("Resize", [x, empty, empty, sizes], array, mode=mode, nearest_mode="floor",
                coordinate_transformation_mode=how)  # fmt: skip


def split(s: Sketch, x: Tensor) -> Tensor | None:
    """In parts, and joined in their order or another."""
    axis = int(s.rng.integers(x.rank)) if x.rank else -1
    if axis < 0 or x.shape[axis] < 1:
        return None
    sizes = [x.shape[axis]]
    if sizes[0] > 1 and s.chance(0.8):
        sizes = [1, sizes[0] - 1]
    names = [s.fresh() for _ in sizes]
    given = [x.name]
    attributes: dict[str, Any] = {"axis": axis}
    if s.opset >= 13:
        given.append(s.constant(sizes).name)
    else:
        attributes["split"] = sizes
    s.nodes.append(helper.make_node("Split", given, names, **attributes))
    parts = [
        Tensor(name, part)
        for name, part in zip(names, np.split(x.array, np.cumsum(sizes)[:-1], axis), strict=True)
    ]
    if s.chance(0.2):
        return s.concat([parts[-1], *parts[:-1]], axis)
    if s.chance(0.3) and len(parts) > 1:
        parts = [s.concat(parts, axis), parts[0]]
    return s.concat(parts, axis)


def turned(s: Sketch, x: Tensor) -> Tensor | None:
    """Transposes, one behind the other or around something elementwise."""
    if not x.rank:
        return None
    perm = [int(p) for p in s.rng.permutation(x.rank)]
    given = {} if s.chance(0.2) else {"perm": perm}
    perm = perm if given else list(range(x.rank))[::-1]
    one = s.op("Transpose", [x], x.array.transpose(perm), **given)
    if s.chance(0.3):
        one = s.op("Relu", [one], np.maximum(one.array, 0))
    back = [perm.index(axis) for axis in range(x.rank)]
    if s.chance(0.3):
        back = [int(p) for p in s.rng.permutation(x.rank)]
    return s.op("Transpose", [one], one.array.transpose(back), perm=back)


def pooled(s: Sketch, x: Tensor) -> Tensor | None:
    """The same maxima twice, with and without the output that may be left out."""
    if s.opset < 8 or x.rank != 3:
        return None
    values, again, places = s.fresh(), s.fresh(), s.fresh()
    s.nodes.append(helper.make_node("MaxPool", [x.name], [values, ""], kernel_shape=[1]))
    s.nodes.append(helper.make_node("MaxPool", [x.name], [again, places], kernel_shape=[1]))
    index = s.cast(Tensor(places, np.zeros(x.shape, np.int64)), np.float32)
    parts = [Tensor(values, x.array), Tensor(again, x.array)]
    return s.op("Add", [s.op("Mul", parts, x.array), index], x.array)


def picked(s: Sketch, x: Tensor) -> Tensor | None:
    """Rows where something holds: a size that no one knows before."""
    if s.opset < 11 or not x.rank or not x.array.size:
        return None
    flat = reshape(s, x, [int(x.array.size)], minus=0)
    wanted = s.op("Greater", [flat, s.constant(0, np.float32)], flat.array > -99)
    return s.op("Compress", [flat, wanted], flat.array, axis=0)
