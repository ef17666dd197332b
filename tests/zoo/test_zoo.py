"""Every row of the zoo: the rewrite happens or not, as it must, and the numbers stay right."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import normonnx

from . import (
    affine,
    batchnorm,
    dense,
    layernorm,
    layernorm_parts,
    lookalikes,
    rmsnorm,
    structure,
)
from .case import Case, Expectation, Fires, Stays, operators
from .comparison import DEFAULT, PLAIN, Runs, difference, feeds

ROOMS = (batchnorm, dense, affine, structure, layernorm, layernorm_parts, rmsnorm, lookalikes)
ROWS = [
    pytest.param(case, id=f"{room.__name__.rpartition('.')[2]}: {case.name}")
    for room in ROOMS
    for case in room.CASES
]


@pytest.mark.parametrize("case", ROWS)
def test_row(case: Case) -> None:
    original = case.model()
    untouched = original.SerializeToString(deterministic=True)
    result = normonnx.optimize(original, verify=True)
    assert original.SerializeToString(deterministic=True) == untouched
    optimized = ir.to_proto(result.model)

    onnx.checker.check_model(optimized, full_check=True)
    assert interface(optimized) == interface(original)
    assert not result.report.reverted
    reasons = [miss.reason for miss in result.report.near_misses]
    assert not broken(case.expect, operators_of(optimized), reasons)
    compare(case, original, optimized)


def compare(case: Case, original: onnx.ModelProto, optimized: onnx.ModelProto) -> None:
    """Outputs are those of the original, without and with ONNX Runtime's own optimisations.

    ONNX Runtime gets some of these models wrong at its default level, optimised by us or not;
    what it makes of the original there is accepted beside what is right.
    """
    before, after = Runs(original, PLAIN), Runs(optimized, PLAIN)
    for feed in feeds(case, original):
        expected = before(feed)
        assert not differences(case, expected, after(feed))
        try:
            shipped = Runs(optimized, DEFAULT)(feed)
        except Exception:
            with pytest.raises(Exception):  # noqa: B017
                Runs(original, DEFAULT)(feed)
        else:
            if differences(case, expected, shipped):
                assert not differences(case, Runs(original, DEFAULT)(feed), shipped)


def differences(case: Case, expected: list[np.ndarray], found: list[np.ndarray]) -> list[str]:
    pairs = zip(expected, found, strict=True)
    return [text for pair in pairs if (text := difference(*pair, case.tolerance))]


def interface(model: onnx.ModelProto) -> list[tuple[str, bytes]]:
    """Names and types of inputs and outputs, but for inputs that only stand for initializers."""
    fixed = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in fixed]
    values = [*inputs, *model.graph.output]
    return [(value.name, value.type.SerializeToString(deterministic=True)) for value in values]


def operators_of(model: onnx.ModelProto) -> Counter[str]:
    found = operators(model.graph)
    for function in model.functions:
        found += operators(function)
    return found


def broken(expect: Expectation, found: Counter[str], reasons: list[str]) -> str:
    """What of the expectation is not met, or ""."""
    there = f"there are {' '.join(sorted(found.elements()))}; near misses: {reasons}"
    match expect:
        case Fires(becomes, gone, has):
            if becomes and Counter(becomes.split()) != found:
                return f"should be {becomes}; {there}"
            if set(gone.split()) & set(found) or Counter(has.split()) - found:
                return f"should be without {gone} and with {has}; {there}"
        case Stays(has, reason):
            if Counter(has.split()) - found:
                return f"should still have {has}; {there}"
            if reason and not any(reason in given for given in reasons):
                return f"should give the reason '{reason}'; {there}"
    return ""
