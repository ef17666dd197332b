"""The normalisation algebra: LayerNorm and RMSNorm recognised by what they compute.

    y = γ·(x − m)·(q − m² + e)^(−1/2) + β        LayerNorm,  m = E[x], q = E[x²]
    y = γ·x·(q + e)^(−1/2)                       RMSNorm

`algebra` holds values as polynomials in x, its moments and inverse roots, and turns nodes into
them; `match` finds the widest value around each root that has one of the two normal forms, and the
operator of the target that takes it; `write` writes that, with the functions that come with the
model; `engine` does all of it for a model.
"""

from __future__ import annotations

from normonnx.norm.engine import fuse_norms, wanted_opset
from normonnx.norm.match.recognise import find_sites
from normonnx.norm.match.site import NormSite
from normonnx.norm.write.bodies import add_bodies

__all__ = ["NormSite", "add_bodies", "find_sites", "fuse_norms", "wanted_opset"]
