"""Random spellings must fuse, random look-alikes must stay, and every number must be right.

The environment variable NORMONNX_SPELLINGS says how many of each to try; 200 if it is not set.
"""

from __future__ import annotations

import os

import pytest

from .fusing import difference, fuse, random_feeds
from .spellings import Spelling, look_alike, spelling

COUNT = int(os.environ.get("NORMONNX_SPELLINGS", "200"))
CHUNK = 25
SEEDS = [range(first, min(first + CHUNK, COUNT)) for first in range(0, COUNT, CHUNK)]

OPERATOR = {"LayerNorm": "LayerNormalization", "RMSNorm": "RMSNormalization"}
STATISTICS = {
    "Sqrt", "Pow", "Reciprocal", "ReduceMean", "ReduceSum", "ReduceSumSquare", "GlobalAveragePool",
    "Div", "Sub", "MatMul",
}  # fmt: skip


def check_numbers(case: Spelling, changed: object, seed: int) -> None:
    # A new weight is rounded once to the type of the graph.
    tolerance = 2e-3 if case.choices["float16 around float32"] else 3e-6
    for spread in (1.0, 1e-3):
        feeds = random_feeds(case.model, seed, spread=spread)
        assert difference(case.model, changed, feeds) < tolerance, case.choices  # type: ignore[arg-type]


def images(case: Spelling) -> list[str]:
    """What a LayerNorm over the last axes of N×C×H×W may be as well."""
    is_image = case.choices["where"] == "last two" and case.choices["rank"] == 4
    return ["InstanceNormalization"] if is_image and case.kind == "LayerNorm" else []


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_spellings_fuse(seeds: range) -> None:
    for seed in seeds:
        case = spelling(seed)
        fused = fuse(case.model)
        assert fused.norms in ([OPERATOR[case.kind]], images(case)), (case.choices, fused.reasons)
        assert not STATISTICS & set(fused.operators), (case.choices, fused.operators)
        check_numbers(case, fused.proto, seed)


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_look_alikes_stay(seeds: range) -> None:
    for seed in seeds:
        case = look_alike(seed)
        fused = fuse(case.model)
        assert case.holds_a_norm or not fused.norms, case.choices
        check_numbers(case, fused.proto, seed)
