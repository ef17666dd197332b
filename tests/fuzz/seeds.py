"""What is mutated: the models of this repository, the zoo, and ONNX's own tests of operators."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import onnx
from onnx import ModelProto

from tests.zoo import (
    affine,
    batchnorm,
    dense,
    layernorm,
    layernorm_parts,
    lookalikes,
    rmsnorm,
    structure,
)

_MODELS = Path(__file__).resolve().parents[2] / "models"
_ROOMS = (affine, batchnorm, dense, layernorm, layernorm_parts, lookalikes, rmsnorm, structure)


@cache
def families() -> dict[str, tuple[ModelProto, ...]]:
    """Seeds by where they come from; each family has the same share of the mutants."""
    return {
        "models": tuple(onnx.load(path) for path in sorted(_MODELS.glob("*.onnx"))),
        "zoo": tuple(case.model() for room in _ROOMS for case in room.CASES),
        "operators": tuple(case.model for case in node_tests()),
    }


@cache
def node_tests() -> tuple[onnx.backend.test.case.test_case.TestCase, ...]:
    """ONNX's tests of operators, each with its data; making them takes seconds."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(collect_testcases(None))
