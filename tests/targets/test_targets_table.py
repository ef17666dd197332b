"""The targets as objects: what each writes, what its operators take, and that they exist."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from normonnx.ops.operators import DOMAIN, OPERATORS
from normonnx.options import Options
from normonnx.rules import RULES
from normonnx.targets import NAMES, TARGETS, Target

TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


def test_the_names_are_the_targets() -> None:
    assert tuple(TARGETS) == NAMES
    assert NAMES[0] == Options().target
    assert all(target.name == name for name, target in TARGETS.items())


@pytest.mark.parametrize("target", TARGETS.values(), ids=NAMES)
def test_each_operator_is_one_that_there_is(target: Target) -> None:
    """In onnx's schemas for the opset that is said, or in our own table."""
    for operator in target.operators:
        assert operator.rule in RULES
        if operator.domain == DOMAIN:
            assert operator.name in OPERATORS
            slots = [slot.name for slot in OPERATORS[operator.name].inputs]
            assert operator.takes_bias == ("Bias" in slots)
            continue
        assert operator.domain == ""
        schema = onnx.defs.get_schema(operator.name, operator.opset, "")
        assert schema.since_version <= operator.opset
        assert operator.attributes <= set(schema.attributes)
        has_bias = any(slot.name.lower() in ("b", "bias") for slot in schema.inputs)
        assert operator.takes_bias == has_bias


@pytest.mark.parametrize("target", TARGETS.values(), ids=NAMES)
def test_each_form_has_a_standard_operator_and_one_within_any_opset(target: Target) -> None:
    for kind in ("LayerNorm", "RMSNorm"):
        free = target.operators_for(kind, None)
        assert free
        assert all(operator.kind == kind for operator in free)
        for highest in range(7, 24):
            offered = target.operators_for(kind, highest)
            assert any(operator.is_within(highest) for operator in offered)


def test_what_each_target_prefers() -> None:
    first = {
        name: [target.operators_for(kind, None)[0].name for kind in ("LayerNorm", "RMSNorm")]
        for name, target in TARGETS.items()
    }
    standard = ["LayerNormalization", "RMSNormalization"]
    assert first["onnx"] == first["ort"] == standard
    assert first["normonnx"] == ["FusedLayerNormalization", "FusedRMSNormalization"]


def test_sums_are_taken_along_where_there_is_an_operator_for_it() -> None:
    assert not TARGETS["onnx"].sums
    for name in ("ort", "normonnx"):
        target = TARGETS[name]
        assert target.sums
        for alone, joined in target.sums.items():
            assert any(operator.name == alone for operator in target.operators)
            assert joined.domain in target.domains


@pytest.mark.parametrize("target", TARGETS.values(), ids=NAMES)
def test_why_not_is_a_sentence(target: Target) -> None:
    for operator in target.operators:
        assert operator.refuses_types(None, None)
        for dtype in TYPES:
            fits = dtype in operator.statistics
            assert (operator.refuses_types(dtype, dtype) == "") == fits
        if operator.opset:
            refusal = operator.refuses_opset(operator.opset - 1)
            assert refusal is not None
            assert f"--opset {operator.opset}" in refusal.remedy
        assert operator.refuses_opset(operator.opset) is None
        assert operator.refuses_epsilon(2.0**-10, ir.DataType.DOUBLE) is None
        assert operator.refuses_epsilon(1e-5 * (1 + 1e-4), ir.DataType.FLOAT) is None
        assert operator.refuses_epsilon(0.1, ir.DataType.DOUBLE) is not None
