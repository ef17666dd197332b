"""Which operators an affine map may cross, backward or forward, and what it becomes.

Each module holds a family of operators and the identity they rest on.
"""

from __future__ import annotations

from normonnx.affine.travel import activations, branches, identity, indexing, layout, pools
from normonnx.affine.travel.kinds import Backward, Forward, Push, Rest

__all__ = ["BACKWARD", "FORWARD", "Backward", "Forward", "Push", "Rest"]

_LAYOUT = "Transpose Reshape Flatten Squeeze Unsqueeze Expand DepthToSpace SpaceToDepth".split()
_POOLS = "MaxPool GlobalMaxPool AveragePool GlobalAveragePool".split()
_REDUCTIONS = "ReduceMean ReduceMax ReduceMin ReduceSum".split()
_HOMOGENEOUS = "Relu LeakyRelu PRelu".split()

BACKWARD: dict[str, Backward] = {
    **dict.fromkeys(("Identity", "Dropout"), identity.backward),
    "Cast": identity.cast_backward,
    **dict.fromkeys(_LAYOUT, layout.backward),
    "Concat": branches.concat_backward,
    "Split": branches.split_backward,
    **dict.fromkeys(("Add", "Sub", "Sum"), branches.sum_backward),
    **dict.fromkeys(_HOMOGENEOUS, activations.backward),
    **dict.fromkeys(_POOLS, pools.pool_backward),
    **dict.fromkeys(_REDUCTIONS, pools.reduce_backward),
    **dict.fromkeys(("Resize", "Upsample"), pools.resize_backward),
    "Slice": indexing.slice_backward,
    "Gather": indexing.gather_backward,
    "Pad": indexing.pad_backward,
}

FORWARD: dict[str, Forward] = {
    **dict.fromkeys(("Identity", "Dropout"), identity.forward),
    "Cast": identity.cast_forward,
    **dict.fromkeys(_LAYOUT, layout.forward),
    "Concat": branches.concat_forward,
    "Split": branches.split_forward,
    **dict.fromkeys(_HOMOGENEOUS, activations.forward),
    **dict.fromkeys(_POOLS, pools.pool_forward),
    **dict.fromkeys(_REDUCTIONS, pools.reduce_forward),
    **dict.fromkeys(("Resize", "Upsample"), pools.resize_forward),
    "Slice": indexing.slice_forward,
    "Gather": indexing.gather_forward,
    "Pad": indexing.pad_forward,
}
