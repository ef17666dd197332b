"""ONNX's own tests with their data: what normonnx writes gives the recorded outputs.

python -m tests.fuzz.recorded      goes through the light networks with large weights as well
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.fuzz.recorded import STORED, Recorded, light, operators, outcome, stored

_PARTS = 6
_LIGHT = ("light_densenet121", "light_inception_v2", "light_resnet50", "light_shufflenet",
          "light_squeezenet")  # fmt: skip


def outcomes(cases: list[Recorded]) -> Counter[str]:
    came = {case.name: outcome(case) for case in cases}
    assert {name: word for name, word in came.items() if word.startswith("WRONG")} == {}
    assert {name: word for name, word in came.items() if word.startswith("refused")} == {}
    return Counter(came.values())


@pytest.mark.parametrize("part", range(_PARTS))
def test_operators(part: int) -> None:
    counts = outcomes(list(itertools.islice(operators(), part, None, _PARTS)))
    assert counts["recorded outputs"] >= 5
    assert counts["run by nobody"] == 0


@pytest.mark.parametrize("kind", STORED)
def test_stored(kind: str) -> None:
    assert sum(outcomes(list(stored(kind))).values()) > 20


@pytest.mark.parametrize("name", _LIGHT)
def test_light_networks(name: str) -> None:
    """Networks whose weights are made by ConstantOfShape, with the output ONNX recorded."""
    [case] = [case for case in light() if case.name == name]
    assert outcome(case) == "recorded outputs"
