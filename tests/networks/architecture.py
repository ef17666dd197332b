"""Networks of the blocks that people build from: `assemble(seed)`."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from . import (
    arithmetic,
    bending,
    branches,
    computed,
    contrib,
    functions,
    hidden,
    linear,
    narrow,
    norms,
    pooled,
    resizing,
    sampling,
    skips,
    subgraphs,
    tokens,
    windows,
)
from .assembly import as_model
from .declarations import declare, stale
from .draft import Draft, Value
from .execution import runs
from .network import Families, Network, ends, feeds_of, grow

BLOCKS: Families = {
    "skips": skips.OPERATORS,
    "pooled": pooled.OPERATORS,
    "resizing": resizing.OPERATORS,
    "windows": windows.OPERATORS,
    "sampling": sampling.OPERATORS,
    "bending": bending.OPERATORS,
    "hidden": hidden.OPERATORS,
    "computed": computed.OPERATORS,
    "norms": norms.OPERATORS,
    "tokens": tokens.OPERATORS,
    "contrib": contrib.OPERATORS,
    "narrow": narrow.OPERATORS,
    "subgraphs": subgraphs.OPERATORS,
    "functions": functions.OPERATORS,
    "linear": {linear.conv: 3, linear.conv_transpose: 1, linear.matmul: 1, linear.gemm: 1},
    "arithmetic": {arithmetic.batch_normalization: 3, arithmetic.scale_and_shift: 2},
    "branches": {branches.parallel_convolutions: 1, branches.residual_block: 1},
}
"""Blocks by family, each with how often it is tried against the others of its family."""

SHARES = dict.fromkeys(BLOCKS, 1.0) | {"skips": 2.0, "branches": 0.5, "linear": 0.6}
"""How often each family is tried."""

OPSETS = (*range(9, 24), 11, 13, 17)
LARGEST = 2**15
SIZES = {
    "image": (4, 8, 8, 12),
    "sound": (8, 12, 16),
    "volume": (4, 6),
    "tokens": (3, 5, 8),
}
"""What the network is about, and how many places each axis of its input has."""

RANKS = {"image": 4, "sound": 3, "volume": 5, "tokens": 3}


def _shape(draft: Draft, subject: str) -> list[int]:
    batch, width = draft.between(1, 2), draft.one_of([2, 3, 4, 6])
    places = [draft.one_of(SIZES[subject]) for _ in range(RANKS[subject] - 2)]
    return [batch, *places, 2 * width] if subject == "tokens" else [batch, width, *places]


def _nobody_reads(draft: Draft, outputs: list[Value]) -> None:
    """Nodes whose results are no outputs."""
    kept = list(draft.live)
    grow(draft, BLOCKS, SHARES)
    dead = [value for value in draft.live[len(kept) :] if value.name not in outputs]
    if dead and draft.chance(0.5):
        draft.node("Identity", [dead[-1]])
    draft.live[:] = kept


def assemble(seed: int) -> Network:
    """A network of one to five blocks.

    Args:
        seed: the same seed gives the same network.
    """
    rng = np.random.default_rng([seed, 7])
    draft = Draft(rng, opset=int(rng.choice(OPSETS)), largest=LARGEST)
    subject = draft.one_of(["image"] * 6 + ["tokens"] * 2 + ["sound", "volume"])
    draft.features_last = subject != "sound"
    dtype = int(draft.one_of((TensorProto.FLOAT,) * 10 + (TensorProto.FLOAT16,)))
    draft.input(_shape(draft, subject), dtype)
    if draft.chance(0.1):
        draft.input(draft.inputs[0].shape, dtype)
    for _ in range(draft.between(1, 5)):
        grow(draft, BLOCKS, SHARES)
    if not draft.nodes:
        draft.live.extend(arithmetic.batch_normalization(draft, draft.live[0]))
    inner = [value for value in draft.live[len(draft.inputs) :] if draft.chance(0.8)]
    outputs = ends(draft)
    if draft.chance(0.2):
        _nobody_reads(draft, outputs)
    declared, opened = declare(draft, -1 if subject == "tokens" else 1)
    given = {value.name for value in outputs}
    between = [value for value in inner if value.name not in given]
    stated = stale(draft, between) if any(opened.values()) and draft.chance(0.3) else []
    model, feeds = as_model(draft, outputs, declared, stated), feeds_of(draft)
    if stated and not runs(model, feeds):
        model = as_model(draft, outputs, declared)
    return Network(seed, model, feeds, opened)
