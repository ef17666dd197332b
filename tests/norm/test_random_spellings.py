"""Random spellings must fuse, random look-alikes must stay, and every number must be right.

The environment variable NORMONNX_SPELLINGS says how many of each to try; 1000 if it is not set.
"""

from __future__ import annotations

import os

import pytest

from .fusing import Fused, difference, fuse, random_feeds
from .image_spellings import image_look_alike, image_spelling
from .spellings import Spelling, look_alike, spelling

COUNT = int(os.environ.get("NORMONNX_SPELLINGS", "1000"))
CHUNK = 50
SEEDS = [range(first, min(first + CHUNK, COUNT)) for first in range(0, COUNT, CHUNK)]

# A fifth of all are norms of images.
IMAGES = [range(seeds.start // 5, seeds.stop // 5) for seeds in SEEDS]

OPERATOR = {
    "LayerNorm": "LayerNormalization", "RMSNorm": "RMSNormalization",
    "GroupNorm": "GroupNormalization", "InstanceNorm": "InstanceNormalization",
}  # fmt: skip
TOLERANCES = {"float": 3e-6, "double": 1e-9, "float16 around float": 2e-3,
              "bfloat16 around float": 1e-2}  # fmt: skip
STATISTICS = {
    "Sqrt", "Pow", "Reciprocal", "ReduceMean", "ReduceSum", "ReduceSumSquare", "GlobalAveragePool",
    "Div", "Sub", "MatMul",
}  # fmt: skip


def check_numbers(case: Spelling, fused: Fused, seed: int) -> None:
    # A new weight is rounded once to the type of the graph.
    tolerance = TOLERANCES[case.choices.get("types", "float")]
    for spread in (1.0, 1e-3):
        feeds = random_feeds(case.model, seed, spread=spread)
        found = difference(case.model, fused.proto, feeds, readings=fused.readings)
        assert found < tolerance, case.choices


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
        check_numbers(case, fused, seed)


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_look_alikes_stay(seeds: range) -> None:
    for seed in seeds:
        case = look_alike(seed)
        fused = fuse(case.model)
        assert case.holds_a_norm or not fused.norms, case.choices
        check_numbers(case, fused, seed)


@pytest.mark.parametrize("seeds", IMAGES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_spellings_of_images_fuse(seeds: range) -> None:
    for seed in seeds:
        case = image_spelling(seed)
        fused = fuse(case.model, rules_on=frozenset({"NX103"}))
        # Rows of one axis without scale and bias are a LayerNorm as well.
        right = [OPERATOR[case.kind], "LayerNormalization"][: 1 + (case.kind == "InstanceNorm")]
        assert len(fused.norms) == 1, (case.choices, fused.reasons)
        assert fused.norms[0] in right, (case.choices, fused.norms)
        left = set(fused.operators) - {"Tanh", "Transpose", "Identity", *fused.norms}
        assert not left, (case.choices, fused.operators)
        check_numbers(case, fused, seed)
        check_numbers(case, fuse(case.model), seed)


@pytest.mark.parametrize("seeds", IMAGES, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_look_alikes_of_images_are_right(seeds: range) -> None:
    for seed in seeds:
        case = image_look_alike(seed)
        fused = fuse(case.model, rules_on=frozenset({"NX103"}))
        assert "GroupNormalization" not in fused.norms or is_one_after_all(case), case.choices
        check_numbers(case, fused, seed)


def is_one_after_all(case: Spelling) -> bool:
    """What was changed comes behind the norm, or is no change where there is but one axis."""
    change = case.choices["change"]
    return change in ("a scale for each column", "height and width are exchanged")
