"""Parallel branches over one input become one convolution.

    Conv(x, W₁, b₁) + Conv(x, W₂, b₂)   →   Conv(x, W₁ + W₂, b₁ + b₂)
    Conv(x, W₁, b₁) + (a·x + b)         →   Conv(x, W₁ + diag(a), b₁ + b)

where the smaller kernel is laid into the larger one, so that each of its taps reads what it read
before. That is how RepVGG and MobileOne are deployed: Conv 3×3 + Conv 1×1 + BatchNormalization.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.affine.attempts import IDENTITY
from normonnx.affine.precision import data_of, must_keep_digits
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.weights import constant_weight, describe, float_type, optional, parameter
from normonnx.journal import Refusal, RefusedError
from normonnx.operators.names import onnx_name
from normonnx.rewrite import Context, Proposal, commit, gain, miss
from normonnx.values.shapes import CONTRADICTIONS, attribute_int, attribute_ints

RULE = "NX005"
_KIND = "parallel branches"


class _Branch(Struct, frozen=True):
    """A convolution of x, or a map of x as the convolution it is.

    Attributes:
        source: x.
        weight: float64, shape (out, in/group, *kernel).
        bias: float64, shape (out,), or None.
        strides, dilations, pads: per spatial axis, pads first at the begins, then at the ends.
    """

    source: ir.Value
    weight: np.ndarray
    bias: np.ndarray | None
    group: int
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]


def merge_parallel(context: Context) -> None:
    """Merge every sum of two branches over one input that align."""
    for graph in list(context.graphs()):
        for node in list(graph):
            if node.graph is graph and onnx_name(node) == "Add":
                _merge(context, graph, node)


def _merge(context: Context, graph: ir.Graph, node: ir.Node) -> None:
    left, right = node.inputs
    convolutions = [value for value in (left, right) if _convolution_of(value) is not None]
    if not convolutions or left is right:
        return
    main = convolutions[0]
    other = right if main is left else left
    if _source(context, main) is not _source(context, other):
        return
    key = f"{RULE}:{node.outputs[0].name}"
    proposal = Proposal(context, graph, key=key, rule=RULE, site=node, kind=_KIND)
    try:
        new, summary = _merged(proposal, node, main, other)
        proposal.replace(node.outputs[0], new)
        if gain(proposal) <= 0:
            raise RefusedError("a branch is read elsewhere too")
        result = commit(proposal, summary=summary)
    except RefusedError as error:
        proposal.withdraw()
        result = error.refusal
    except CONTRADICTIONS:
        proposal.withdraw()
        result = Refusal("the sizes near it contradict one another")
    if isinstance(result, Refusal):
        miss(context, key=key, rule=RULE, site=node, kind=_KIND, refusal=result)


def _convolution_of(value: ir.Value | None) -> ir.Node | None:
    producer = None if value is None else value.producer()
    return producer if producer is not None and onnx_name(producer) == "Conv" else None


def _source(context: Context, value: ir.Value | None) -> ir.Value | None:
    """The x of a branch."""
    convolution = _convolution_of(value)
    if convolution is not None:
        return convolution.inputs[0]
    producer = None if value is None else value.producer()
    site = None if producer is None else recognise(context, producer)
    return site.source if isinstance(site, Affine) else value


def _merged(
    proposal: Proposal, node: ir.Node, main: ir.Value | None, other: ir.Value | None
) -> tuple[ir.Value, str]:
    first = _convolution_of(main)
    second = _convolution_of(other)
    assert first is not None
    one = _of_convolution(proposal, first)
    two = (
        _of_map(proposal, node, other, one, first)
        if second is None
        else _of_convolution(proposal, second)
    )
    larger = first
    if second is not None and one.weight[0, 0].size < two.weight[0, 0].size:
        one, two, larger = two, one, second
    weight = one.weight + _laid_into(one, two, node)
    bias = [b for b in (one.bias, two.bias) if b is not None]
    dtype = float_type(proposal, larger.inputs[1], larger)
    name = str(larger.inputs[1].name) if larger.inputs[1] is not None else "weight"
    inputs = [one.source, proposal.constant(weight, dtype, name, channel_axis=0)]
    if bias:
        inputs.append(proposal.constant(np.sum(bias, axis=0), dtype, f"{name}_bias"))
    old = "·".join(["Conv", "Conv" if second is not None else _spelling(other), "Add"])
    return proposal.like(larger, inputs), f"{old} → Conv"


def _spelling(value: ir.Value | None) -> str:
    producer = None if value is None else value.producer()
    return "x" if producer is None else producer.op_type


def _of_convolution(proposal: Proposal, node: ir.Node) -> _Branch:
    weight = constant_weight(proposal, node, 1, "weight").astype(np.float64, copy=False)
    bias = None if optional(node, 2) is None else parameter(proposal, node, 2, "bias")
    auto_pad = node.attributes.get("auto_pad")
    if auto_pad is not None and auto_pad.as_string() != "NOTSET":
        raise RefusedError(f"the padding of {describe(node)} depends on the size of its input")
    count = weight.ndim - 2
    assert node.inputs[0] is not None
    return _Branch(
        node.inputs[0],
        weight,
        bias,
        attribute_int(node, "group", 1),
        attribute_ints(node, "strides") or (1,) * count,
        attribute_ints(node, "dilations") or (1,) * count,
        attribute_ints(node, "pads") or (0, 0) * count,
    )


def _of_map(
    proposal: Proposal, node: ir.Node, value: ir.Value | None, like: _Branch, beside: ir.Node
) -> _Branch:
    """a·x + b as a convolution with a kernel of one tap.

    Args:
        proposal: where it is proposed.
        node: the sum.
        value: a·x + b, or x itself.
        like: the convolution beside it.
        beside: its node.
    """
    context = proposal.context
    producer = None if value is None else value.producer()
    site = None if producer is None else recognise(context, producer)
    out, depth = like.weight.shape[:2]
    a, b = np.ones(out), np.zeros(out)
    if value is not like.source:
        if not isinstance(site, Affine) or site.map.axis not in (None, 1):
            raise RefusedError(f"a branch of {describe(node)} is no map of the channels")
        if site.map.axis is not None and site.map.a.shape[0] != out:
            raise RefusedError(f"the branches of {describe(node)} have other channels")
        a, b = site.map.full(out)
        data = data_of(site, IDENTITY, None)
        dtype = float_type(proposal, beside.inputs[1], beside)
        doing = f"taking it into {describe(beside)}"
        must_keep_digits(context, data, like.source, dtype, doing)
    dims = context.shapes.dims(like.source)
    if depth * like.group != out or dims is None or dims[1] != out:
        raise RefusedError(f"the convolution beside {describe(node)} changes the channels")
    if any(stride != 1 for stride in like.strides):
        raise RefusedError(f"the convolution beside {describe(node)} has strides")
    count = like.weight.ndim - 2
    weight = np.zeros((out, depth, *(1,) * count))
    channels = np.arange(out)
    # Output o belongs to group o // (out/group), whose inputs start at the same channel.
    weight[(channels, channels % depth, *(0,) * count)] = a
    ones, zeros = (1,) * count, (0, 0) * count
    return _Branch(like.source, weight, b if b.any() else None, like.group, ones, ones, zeros)


def _laid_into(one: _Branch, two: _Branch, node: ir.Node) -> np.ndarray:
    """The second kernel at its place in the first."""
    if one.group != two.group or one.strides != two.strides:
        raise RefusedError(f"the branches of {describe(node)} have other groups or strides")
    if one.weight.shape[:2] != two.weight.shape[:2]:
        raise RefusedError(f"the branches of {describe(node)} have other channels")
    count = one.weight.ndim - 2
    result = np.zeros_like(one.weight)
    places = []
    for axis in range(count):
        size, small = one.weight.shape[2 + axis], two.weight.shape[2 + axis]
        reach = one.dilations[axis] * (size - 1), two.dilations[axis] * (small - 1)
        begin, end = one.pads[axis], one.pads[axis + count]
        begin2, end2 = two.pads[axis], two.pads[axis + count]
        if begin + end - reach[0] != begin2 + end2 - reach[1]:
            raise RefusedError(f"the branches of {describe(node)} give other sizes")
        # Tap j of the small kernel reads where tap k of the large one does.
        taps = np.arange(small) * two.dilations[axis] - begin2 + begin
        if (taps % one.dilations[axis]).any():
            raise RefusedError(f"the kernels of {describe(node)} do not align")
        taps //= one.dilations[axis]
        if taps.min() < 0 or taps.max() >= size:
            raise RefusedError(f"the kernels of {describe(node)} do not align")
        places.append(taps)
    result[np.ix_(np.arange(result.shape[0]), np.arange(result.shape[1]), *places)] = two.weight
    return result
