"""The normalisation algebra: LayerNorm and RMSNorm recognised by what they compute.

    y = γ·(x − m)·(q − m² + e)^(−1/2) + β        LayerNorm,  m = E[x], q = E[x²]
    y = γ·x·(q + e)^(−1/2)                       RMSNorm

`layout` says along which axes of x a value varies, `algebra` holds polynomials in x, its moments
and inverse roots, `interpret` and `rules` turn nodes into such polynomials, `search` says where to
look, `recognise` finds the widest value around each root that has one of the two normal forms
(`normal_form`). `operators` is the table of what can be written, `seats` and `place` say on which
axes it can stand, `attach` and `residual` which scale, bias and sum it takes along. `write` builds
it, `bodies` adds the functions that come with the model, and `engine` does all that for a model.
"""

from __future__ import annotations

from normonnx.norm.bodies import add_bodies
from normonnx.norm.engine import fuse_norms, wanted_opset
from normonnx.norm.recognise import find_sites
from normonnx.norm.site import NormSite

__all__ = ["NormSite", "add_bodies", "find_sites", "fuse_norms", "wanted_opset"]
