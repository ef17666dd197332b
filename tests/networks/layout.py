"""Operators that move elements about, or only their type."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .draft import Draft, Value


def transpose(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 2)
    if draft.chance(0.1):
        return draft.node("Transpose", [x])
    order = [0, *range(2, x.rank), 1] if draft.chance(0.5) else draft.rng.permutation(x.rank)
    return draft.node("Transpose", [x], perm=[int(axis) for axis in order])


def reshape(draft: Draft, x: Value) -> list[Value]:
    """Two neighbouring axes become one, or one becomes two, or all sizes change."""
    draft.need(x.rank >= 1)
    axis = draft.between(0, x.rank - 1)
    kind = draft.rng.random()
    if kind < 0.45:
        draft.need(axis + 1 < x.rank)
        target = [*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :]]
    elif kind < 0.9:
        draft.need(x.rank <= 4)
        factors = [d for d in range(1, x.shape[axis] + 1) if x.shape[axis] % d == 0]
        d = draft.one_of(factors)
        target = [*x.shape[:axis], d, x.shape[axis] // d, *x.shape[axis + 1 :]]
    else:
        target = [int(size) for size in draft.rng.permutation(x.shape)]
    spelled = list(target)
    for i, size in enumerate(target):
        if i < x.rank and x.shape[i] == size and draft.chance(0.4):
            spelled[i] = 0
    if draft.chance(0.5):
        spelled[draft.between(0, len(spelled) - 1)] = -1
    return draft.node("Reshape", [x, draft.integers(spelled)])


def reshape_by_shape(draft: Draft, x: Value) -> list[Value]:
    """x.view(x.shape[0], -1), as it is exported for symbolic sizes."""
    draft.need(x.rank >= 3)
    shape = draft.node("Shape", [x])[0]
    first = draft.node("Gather", [shape, draft.integers([0])], axis=0)[0]
    target = draft.node("Concat", [first, draft.integers([-1])], axis=0)[0]
    # Inference of one node does not follow the numbers, so the shape is stated.
    flat = (x.shape[0], int(np.prod(x.shape[1:])))
    return [draft.stated("Reshape", [x, target], flat)]


def flatten(draft: Draft, x: Value) -> list[Value]:
    axis = draft.between(0, x.rank) if draft.chance(0.3) else None
    return draft.node("Flatten", [x], axis=axis)


def squeeze(draft: Draft, x: Value) -> list[Value]:
    axes = [axis for axis, size in enumerate(x.shape) if size == 1 and draft.chance(0.7)]
    draft.need(bool(axes) and x.rank - len(axes) > 0)
    return draft.with_axes("Squeeze", x, axes)


def unsqueeze(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank <= 4)
    return draft.with_axes("Unsqueeze", x, [draft.between(0, x.rank)])


def expand(draft: Draft, x: Value) -> list[Value]:
    target = [2 if size == 1 and draft.chance(0.6) else size for size in x.shape]
    if draft.chance(0.2) and x.rank <= 3:
        target = [2, *target]
    return draft.node("Expand", [x, draft.integers(target)])


def depth_to_space(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank == 4 and x.shape[1] % 4 == 0)
    mode = draft.one_of([None, "DCR", "CRD"]) if draft.opset >= 11 else None
    return draft.node("DepthToSpace", [x], blocksize=2, mode=mode)


def space_to_depth(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank == 4 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0)
    return draft.node("SpaceToDepth", [x], blocksize=2)


def nothing(draft: Draft, x: Value) -> list[Value]:
    return draft.node(draft.one_of(["Identity", "Dropout"]), [x])


def cast(draft: Draft, x: Value) -> list[Value]:
    types = [TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.DOUBLE]
    return draft.node("Cast", [x], to=draft.one_of(types))


OPERATORS = {
    transpose: 4,
    reshape: 4,
    reshape_by_shape: 1,
    flatten: 2,
    squeeze: 1.5,
    unsqueeze: 1.5,
    expand: 0.5,
    depth_to_space: 1,
    space_to_depth: 1,
    nothing: 1.5,
    cast: 1,
}
