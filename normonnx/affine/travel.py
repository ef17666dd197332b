"""Which operators an affine map may cross, and what it becomes on the other side.

Backward, from the output of a node to its inputs (`BACKWARD`), and forward, from an input to the
outputs (`FORWARD`). Each function states one identity: m(f(x)) = f′(m′(x)).

    Identity, Dropout                   the node vanishes
    Cast                                m′ = m, to a type of no less precision
    Transpose                           the axis moves with the permutation
    Reshape, Flatten, (Un)Squeeze       the axis is found again by counting elements
    Concat                              each branch takes its channels' part
    Add, Sub of two branches            the scale goes to both, the shift to one
    Relu, LeakyRelu, PRelu              a positive scale passes, the shift stays behind
    MaxPool, GlobalMaxPool              order is kept where a > 0
    AveragePool, GlobalAveragePool      an average of a·x + b is a·average + b
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import onnx_ir as ir

from normonnx.affine.absorb import describe, materialise
from normonnx.affine.map import AffineMap, through_reshape
from normonnx.constants import is_float
from normonnx.rewrite import Proposal, RefusedError
from normonnx.shapes import attribute_int, attribute_ints, normalized


class Push(Protocol):
    """Makes a value that is the map of the given one, somewhere upstream."""

    def __call__(self, value: ir.Value, m: AffineMap, /, *, must_vanish: bool = ...) -> ir.Value:
        """Push a map into a value.

        Args:
            value: what the map is applied to.
            m: the map.
            must_vanish: whether the map must be swallowed, rather than written out further up.

        Raises:
            RefusedError: if nothing swallows a map that must vanish.
        """


Backward = Callable[[Proposal, ir.Node, AffineMap, Push], ir.Value]

Rest = tuple[ir.Value, ir.Value, AffineMap]
"""An old output, the new value that stands before the map, and the map that is left to apply."""

Forward = Callable[[Proposal, ir.Node, int, ir.Value, AffineMap], Sequence[Rest]]

_PRECISION = {
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT16: 11,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}


def _source(node: ir.Node, index: int = 0) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _rewired(proposal: Proposal, node: ir.Node, new: ir.Value, index: int = 0) -> ir.Value:
    """The node as it is, with one input exchanged."""
    inputs = list(node.inputs)
    inputs[index] = new
    return proposal.like(node, inputs)


# -- maps on the other side ------------------------------------------------------------------------


def _moved(proposal: Proposal, node: ir.Node, m: AffineMap, *, backward: bool) -> AffineMap:
    """The map on the other side of an operator that only moves elements."""
    if m.axis is None:
        return m
    source = proposal.context.shapes.dims(node.inputs[0])
    target = proposal.context.shapes.dims(node.outputs[0])
    if node.op_type == "Transpose":
        rank = len(source or target or ())
        perm = attribute_ints(node, "perm") or tuple(reversed(range(rank)))
        if m.axis >= len(perm):
            raise RefusedError(f"the rank of {describe(node)} is unknown")
        return m.on(perm[m.axis] if backward else perm.index(m.axis))
    if source is None or target is None:
        raise RefusedError(f"the shape of {describe(node)} is unknown")
    pair = (source, target) if backward else (target, source)
    moved = through_reshape(m, *pair)
    if moved is None:
        raise RefusedError(f"{describe(node)} does not keep the channels of axis {m.axis} together")
    return moved


def _check_cast(proposal: Proposal, node: ir.Node) -> None:
    shapes = proposal.context.shapes
    source, target = shapes.dtype(node.inputs[0]), shapes.dtype(node.outputs[0])
    if source is None or target is None or not is_float(source) or not is_float(target):
        raise RefusedError(f"{describe(node)} converts from or to a type that is no float")
    return


def _check_inference(node: ir.Node) -> None:
    if node.op_type == "Dropout" and (
        len(node.inputs) > 2 or any(out.uses() for out in node.outputs[1:])
    ):
        raise RefusedError(f"{describe(node)} may be in training mode")


# -- backward --------------------------------------------------------------------------------------


def _b_vanish(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    _check_inference(node)
    return push(_source(node), m)


def _b_cast(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    _check_cast(proposal, node)
    shapes = proposal.context.shapes
    source, target = shapes.dtype(node.inputs[0]), shapes.dtype(node.outputs[0])
    assert source is not None
    assert target is not None
    if _PRECISION[source] < _PRECISION[target]:
        raise RefusedError(
            f"before {describe(node)} numbers have only {source.name.lower()}'s precision"
        )
    return _rewired(proposal, node, push(_source(node), m))


def _b_move(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    inner = _moved(proposal, node, m, backward=True)
    return _rewired(proposal, node, push(_source(node), inner))


def _b_concat(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    shapes = proposal.context.shapes
    rank = shapes.rank(node.outputs[0])
    if rank is None and m.axis is not None:
        raise RefusedError(f"the rank of {describe(node)} is unknown")
    axis = normalized(attribute_int(node, "axis", 1), rank or 0)
    inputs: list[ir.Value | None] = []
    start = 0
    for value in node.inputs:
        assert value is not None
        part = m
        if m.axis is not None and m.axis == axis:
            dims = shapes.dims(value)
            extent = None if dims is None else dims[axis]
            if not isinstance(extent, int):
                raise RefusedError(f"the channels of a branch of {describe(node)} are unknown")
            part = m.cut(start, start + extent)
            start += extent
        inputs.append(push(value, part))
    return proposal.like(node, inputs)


def _b_sum(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    left, right = _source(node, 0), _source(node, 1)
    for value in (left, right):
        _must_span(proposal, node, value, m)
    # The shift goes to the first branch; whether that one or the other could not take it, the
    # gain of the whole decides.
    return proposal.like(node, [push(left, m), push(right, m.scale)])


def _must_span(proposal: Proposal, node: ir.Node, value: ir.Value, m: AffineMap) -> None:
    """A branch that is broadcast along the map's axis has no channels of its own there."""
    if m.axis is None:
        return
    shapes = proposal.context.shapes
    dims, out = shapes.dims(value), shapes.dims(node.outputs[0])
    if dims is None or out is None or len(dims) != len(out) or dims[m.axis] != m.a.shape[0]:
        raise RefusedError(f"a branch of {describe(node)} is broadcast along the channels")


def _b_homogeneous(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    """f(a·x) = a·f(x) for a > 0: the scale passes, the shift is added behind."""
    _must_be_positive(m, node)
    new = _rewired(proposal, node, push(_source(node), m.scale, must_vanish=True))
    return materialise(proposal, new, m.shift, node.outputs[0])


def _must_be_positive(m: AffineMap, node: ir.Node) -> None:
    if not m.is_positive:
        place = int(np.flatnonzero(~(np.atleast_1d(m.a) > 0))[0])
        raise RefusedError(
            f"{describe(node)} only lets positive scales pass, channel {place} has "
            f"{np.atleast_1d(m.a)[place]:.3g}"
        )


def _b_max(proposal: Proposal, node: ir.Node, m: AffineMap, push: Push) -> ir.Value:
    _check_pool(node, m)
    return _rewired(proposal, node, push(_source(node), m))


def _check_pool(node: ir.Node, m: AffineMap) -> None:
    """Pooling keeps batch and channels; padding must not count, order must be kept."""
    if m.axis not in (None, 0, 1):
        raise RefusedError(f"{describe(node)} pools along axis {m.axis}, where the map varies")
    if node.op_type in ("MaxPool", "GlobalMaxPool"):
        _must_be_positive(m, node)
        if len(node.outputs) > 1 and any(out.uses() for out in node.outputs[1:]):
            raise RefusedError(f"the indices of {describe(node)} are read")
    outside = (
        any(attribute_ints(node, "pads") or ())
        or _auto_padded(node)
        or attribute_int(node, "ceil_mode", 0)
    )
    counted = node.op_type == "AveragePool" and attribute_int(node, "count_include_pad", 0)
    if outside and counted and not m.is_scale:
        raise RefusedError(f"{describe(node)} counts its padding, which the shift never reaches")


def _auto_padded(node: ir.Node) -> bool:
    attribute = node.attributes.get("auto_pad")
    return attribute is not None and attribute.as_string() not in ("NOTSET", "VALID")


BACKWARD: dict[str, Backward] = {
    "Identity": _b_vanish,
    "Dropout": _b_vanish,
    "Cast": _b_cast,
    "Transpose": _b_move,
    "Reshape": _b_move,
    "Flatten": _b_move,
    "Squeeze": _b_move,
    "Unsqueeze": _b_move,
    "Concat": _b_concat,
    "Add": _b_sum,
    "Sub": _b_sum,
    "Relu": _b_homogeneous,
    "LeakyRelu": _b_homogeneous,
    "PRelu": _b_homogeneous,
    "MaxPool": _b_max,
    "GlobalMaxPool": _b_max,
    "AveragePool": _b_max,
    "GlobalAveragePool": _b_max,
}


# -- forward ---------------------------------------------------------------------------------------


def _f_vanish(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _check_inference(node)
    return [(node.outputs[0], new, m)]


def _f_cast(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _check_cast(proposal, node)
    shapes = proposal.context.shapes
    source, target = shapes.dtype(node.inputs[0]), shapes.dtype(node.outputs[0])
    assert source is not None
    assert target is not None
    if _PRECISION[target] < _PRECISION[source]:
        raise RefusedError(
            f"behind {describe(node)} numbers have only {target.name.lower()}'s precision"
        )
    return [(node.outputs[0], _rewired(proposal, node, new), m)]


def _f_move(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    if index != 0:
        raise RefusedError(f"{describe(node)} reads it as a shape")
    outer = _moved(proposal, node, m, backward=False)
    return [(node.outputs[0], _rewired(proposal, node, new), outer)]


def _f_concat(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    """The other branches take the identity."""
    shapes = proposal.context.shapes
    out = shapes.dims(node.outputs[0])
    if out is None:
        raise RefusedError(f"the shape of {describe(node)} is unknown")
    axis = normalized(attribute_int(node, "axis", 1), len(out))
    if m.axis is not None and m.axis != axis:
        raise RefusedError(f"{describe(node)} joins along another axis than the map's")
    extents = [(shapes.dims(value) or out)[axis] for value in node.inputs]
    if not all(isinstance(extent, int) for extent in extents):
        raise RefusedError(f"the channels of {describe(node)} are unknown")
    sizes = [extent for extent in extents if isinstance(extent, int)]
    start, stop = sum(sizes[:index]), sum(sizes[: index + 1])
    a, b = np.ones(sum(sizes)), np.zeros(sum(sizes))
    a[start:stop], b[start:stop] = m.a, m.b
    whole = AffineMap.along(axis, a=a, b=b)
    return [(node.outputs[0], _rewired(proposal, node, new, index), whole)]


def _f_homogeneous(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _must_be_positive(m, node)
    if not m.is_scale or index != 0:
        raise RefusedError(f"{describe(node)} lets no shift pass")
    return [(node.outputs[0], _rewired(proposal, node, new), m)]


def _f_pool(
    proposal: Proposal, node: ir.Node, index: int, new: ir.Value, m: AffineMap
) -> Sequence[Rest]:
    _check_pool(node, m)
    return [(node.outputs[0], _rewired(proposal, node, new), m)]


FORWARD: dict[str, Forward] = {
    "Identity": _f_vanish,
    "Dropout": _f_vanish,
    "Cast": _f_cast,
    "Transpose": _f_move,
    "Reshape": _f_move,
    "Flatten": _f_move,
    "Squeeze": _f_move,
    "Unsqueeze": _f_move,
    "Concat": _f_concat,
    "Relu": _f_homogeneous,
    "LeakyRelu": _f_homogeneous,
    "PRelu": _f_homogeneous,
    "MaxPool": _f_pool,
    "GlobalMaxPool": _f_pool,
    "AveragePool": _f_pool,
    "GlobalAveragePool": _f_pool,
}
