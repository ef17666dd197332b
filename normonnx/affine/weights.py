"""The constants of a layer, and how they take a scale: plainly, or in a quantised weight's scale.

    W′ = a·W                                 for a constant
    (q − z)·s′,  s′ = |a|·s                  for DequantizeLinear(q, s, z)

A quantised weight keeps its integers; where a < 0 they are mirrored about the zero point, which
is exact as long as none of them leaves the integer type.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Proposal
from normonnx.values.constants import is_float
from normonnx.values.shapes import attribute_int, normalized


def describe(node: ir.Node) -> str:
    """An operator and its name, for a sentence."""
    return f"{node.op_type} '{node.name or node.outputs[0].name}'"


def optional(node: ir.Node, index: int) -> ir.Value | None:
    """The input at an index, None if it is absent or empty."""
    return node.inputs[index] if len(node.inputs) > index else None


def name_of(value: ir.Value | None, node: ir.Node, suffix: str) -> str:
    """The name a new constant takes: that of the old one, or one made of the node's."""
    return str(value.name) if value is not None else f"{node.name or node.outputs[0].name}_{suffix}"


def float_type(proposal: Proposal, value: ir.Value | None, node: ir.Node) -> ir.DataType:
    """The floating type of a constant, in which its successor is stored."""
    dtype = None if value is None else proposal.context.shapes.dtype(value)
    if dtype is None or not is_float(dtype):
        raise RefusedError(f"{describe(node)} does not compute in a floating type")
    return dtype


def is_weight(proposal: Proposal, value: ir.Value | None) -> bool:
    """Whether a value is a constant, or a constant that is dequantised."""
    return proposal.context.constants.is_constant(value) or dequantised(proposal, value) is not None


def dequantised(proposal: Proposal, value: ir.Value | None) -> ir.Node | None:
    """The DequantizeLinear of constants that makes a value."""
    producer = None if value is None else value.producer()
    if producer is None or onnx_name(producer) != "DequantizeLinear":
        return None
    constants = proposal.context.constants
    known = all(constants.is_constant(part) for part in producer.inputs if part is not None)
    return producer if known else None


def parameter(proposal: Proposal, node: ir.Node, index: int, what: str) -> np.ndarray:
    """The constant at an input, float64, or a refusal that names it."""
    return weight_of(proposal, node, index, what).astype(np.float64, copy=False)


def weight_of(proposal: Proposal, node: ir.Node, index: int, what: str) -> np.ndarray:
    """The weight at an input, exactly, or a refusal that names it.

    Returns:
        float32 where that is how it is stored, else float64: a large weight is not copied before
        it meets a float64 array.
    """
    value = optional(node, index)
    array = proposal.context.constants.unrounded(value)
    if array is not None:
        return array
    quantised = dequantised(proposal, value)
    if quantised is not None:
        scale, zero = _quantisation(proposal, quantised)
        real: np.ndarray = scale * (_integers(proposal, quantised) - zero)
        return real
    overridable = value is not None and value.is_graph_input() and value.const_value is not None
    raise RefusedError(
        f"the {what} '{'' if value is None else value.name}' of {describe(node)} is not a constant",
        "--freeze-initializers makes it one" if overridable else "",
    )


def constant_weight(proposal: Proposal, node: ir.Node, index: int, what: str) -> np.ndarray:
    """As `weight_of` where it is a plain constant: a quantised one is refused."""
    if dequantised(proposal, optional(node, index)) is not None:
        raise RefusedError(
            f"the {what} of {describe(node)} is quantised, with no scale per input channel"
        )
    return weight_of(proposal, node, index, what)


def scaled_weight(
    proposal: Proposal, node: ir.Node, index: int, a: np.ndarray, axis: int
) -> ir.Value:
    """The weight at an input, multiplied by a along an axis.

    Args:
        proposal: where the new constant is made.
        node: the layer.
        index: which of its inputs the weight is.
        a: float64, shape (channels,).
        axis: the axis of the channels in the weight.
    """
    value = optional(node, index)
    quantised = dequantised(proposal, value)
    if quantised is not None:
        return _requantised(proposal, node, quantised, a, axis)
    w = weight_of(proposal, node, index, "weight")
    factor = a.reshape(-1, *(1,) * (w.ndim - 1 - axis))
    return multiplied_weight(proposal, node, index, w, factor, channel_axis=axis)


def multiplied_weight(
    proposal: Proposal,
    node: ir.Node,
    index: int,
    w: np.ndarray,
    factor: np.ndarray,
    *,
    channel_axis: int | None = None,
) -> ir.Value:
    """The weight at an input, multiplied by a factor that broadcasts against it.

    Args:
        proposal: where the new constant is made.
        node: the layer.
        index: which of its inputs the weight is.
        w: the weight, as `weight_of` gives it.
        factor: float64; it is kept, so that `w` and the product need not be.
        channel_axis: as in `Proposal.constant`.
    """
    value = optional(node, index)
    if (source := _quantised_behind(proposal, value)) is not None:
        raise RefusedError(
            f"the weight of {describe(node)} is computed from the quantised one of "
            f"{describe(source)}, and would be quantised no more"
        )
    maker = None if value is None else proposal.context.constants.maker(value)
    return proposal.constant(
        np.multiply(w, factor, dtype=np.float64),
        float_type(proposal, value, node),
        name_of(value, node, "weight"),
        channel_axis=channel_axis,
        maker=None if maker is None else lambda: maker() * factor,
    )


def _quantised_behind(proposal: Proposal, value: ir.Value | None) -> ir.Node | None:
    """A DequantizeLinear that a constant is computed from."""
    pending = [value]
    while pending:
        value = pending.pop()
        producer = None if value is None else value.producer()
        if producer is None or not proposal.context.constants.is_constant(value):
            continue
        if onnx_name(producer) == "DequantizeLinear":
            return producer
        pending.extend(producer.inputs)
    return None


def is_quantised(proposal: Proposal, value: ir.Value | None) -> bool:
    """Whether a constant is computed from a quantised one, and worth keeping so."""
    return _quantised_behind(proposal, value) is not None


def per_group(a: np.ndarray, w: np.ndarray, group: int) -> np.ndarray:
    """A number for each channel along the second axis of a grouped weight, to multiply it by.

    Args:
        a: shape (group · channels in a group,).
        w: the weight; row i along its first axis is in group ``i // (rows / group)``, and the
            channels of its group are its second axis.
        group: how many groups there are.

    Returns:
        Shape (rows or 1, channels in a group, 1, …).
    """
    each = np.repeat(a.reshape(group, -1), w.shape[0] // group if group > 1 else 1, axis=0)
    return each.reshape(*each.shape, *(1,) * (w.ndim - 2))


def _integers(proposal: Proposal, node: ir.Node) -> np.ndarray:
    """What a DequantizeLinear reads, of whatever small type, in float64."""
    array = proposal.context.constants.float64(node.inputs[0])
    assert array is not None
    return array


def _quantisation(proposal: Proposal, node: ir.Node) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point of a DequantizeLinear, shaped to broadcast against its integers."""
    constants = proposal.context.constants
    integers = constants.array(node.inputs[0])
    scale = constants.float64(node.inputs[1])
    assert integers is not None
    assert scale is not None
    if attribute_int(node, "block_size", 0):
        raise RefusedError(f"{describe(node)} has one scale per block")
    given = constants.float64(optional(node, 2))
    zero = np.zeros(()) if given is None else given
    if scale.size == 1:
        return scale.reshape(()), zero.reshape(())
    axis = normalized(attribute_int(node, "axis", 1), integers.ndim)
    shape = tuple(-1 if i == axis else 1 for i in range(integers.ndim))
    return scale.reshape(shape), zero.reshape(shape) if zero.size > 1 else zero.reshape(())


def _requantised(
    proposal: Proposal, layer: ir.Node, node: ir.Node, a: np.ndarray, axis: int
) -> ir.Value:
    constants = proposal.context.constants
    scale, zero = _quantisation(proposal, node)
    integers = _integers(proposal, node)
    if proposal.context.opset_of(proposal.graph) < 13:
        raise RefusedError(f"{describe(node)} takes one scale per channel from opset 13 on")
    if (a == 0).any():
        raise RefusedError(
            f"the quantised weight of {describe(layer)} would need a scale of 0 in channel "
            f"{int(np.flatnonzero(a == 0)[0])}"
        )
    along = tuple(-1 if i == axis else 1 for i in range(integers.ndim))
    if scale.ndim and scale.shape[axis] == 1:
        raise RefusedError(f"{describe(node)} has its scales along another axis than the channels")
    new_scale = np.broadcast_to(scale * np.abs(a.reshape(along)), _spread(integers.ndim, a, axis))
    zeros = np.broadcast_to(zero, new_scale.shape)
    stored = node.inputs[0]
    if (a < 0).any():
        mirrored = np.where(a.reshape(along) < 0, 2 * zeros - integers, integers)
        stored = _mirrored(proposal, layer, node, mirrored)
    dtype = float_type(proposal, node.inputs[1], layer)
    inputs = [
        stored,
        proposal.constant(new_scale.reshape(-1), dtype, name_of(node.inputs[1], node, "scale")),
    ]
    zero_point = optional(node, 2)
    if zero_point is not None:
        kind = constants.array(zero_point)
        assert kind is not None
        inputs.append(
            proposal.integers(
                zeros.reshape(-1).astype(kind.dtype), name_of(zero_point, node, "zero_point")
            )
        )
    attributes = dict(node.attributes) | {"axis": axis}
    return proposal.node("DequantizeLinear", inputs, attributes, like=node.outputs[0])


def _mirrored(
    proposal: Proposal, layer: ir.Node, node: ir.Node, mirrored: np.ndarray
) -> ir.Value | None:
    """The integers, or numbers of a small float type, in the type that they had."""
    old = proposal.context.constants.array(node.inputs[0])
    assert old is not None
    with np.errstate(invalid="ignore"):
        kept = (mirrored + 0.0).astype(old.dtype)  # not every small float type has a −0
    if not np.array_equal(kept.astype(np.float64), mirrored):
        raise RefusedError(
            f"a negative scale would take the quantised weight of {describe(layer)} out of its type"
        )
    if np.array_equal(kept, old):
        return node.inputs[0]
    return proposal.integers(kept, name_of(node.inputs[0], node, "integers"))


def _spread(rank: int, a: np.ndarray, axis: int) -> tuple[int, ...]:
    return tuple(a.shape[0] if i == axis else 1 for i in range(rank))
