"""Sampling of images at other places."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.graph.dims import Dims
from normonnx.operators.attributes import attribute_ints, normalized
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import resize as kernels
from normonnx.operators.kernels import sampling
from normonnx.operators.known import Known


def to_sizes(known: Known, node: ir.Node) -> Dims | None:
    """The sizes that a Resize is told, those of all axes or of some."""
    sizes = known.vector(node.inputs[3]) if len(node.inputs) > 3 else None
    policy = node.attributes.get("keep_aspect_ratio_policy")
    if sizes is None or (policy is not None and policy.as_string() != "stretch"):
        return None
    axes, dims = attribute_ints(node, "axes"), known.dims(node.inputs[0])
    if axes is None or dims is None:
        return sizes if axes is None else None
    told = {normalized(axis, len(dims)): size for axis, size in zip(axes, sizes, strict=True)}
    return tuple(told.get(axis, dim) for axis, dim in enumerate(dims))


FACTS = (
    Facts(
        name="Resize", linear_in=(0,), steered_by=(1, 2, 3), dims=to_sizes, kernel=kernels.resize
    ),
    Facts(name="Upsample", linear_in=(0,), steered_by=(1,), kernel=kernels.upsample),
    Facts(name="GridSample", linear_in=(0,), kernel=sampling.grid_sample),
    Facts(name="AffineGrid", linear_in=(0,)),
)
