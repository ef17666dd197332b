"""A raise over an operator that an opset changed keeps what the model computes, or is refused.

Every operator in the table of changes is met, in all forms that its attributes may take; what is
right says ONNX Runtime, with its optimisations off, or onnx.reference where it has no kernel.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.operators.meaning import REVIEWED, Change, change_at
from normonnx.operators.schemas import schema_of
from normonnx.opset import raise_opset
from tests.graphs import proto
from tests.opset.cases import CASES, Case

_WITHOUT = {"OptionalHasElement", "Scan", "Scatter"}
"""Changed operators that are fed no tensors, have graphs of their own, or have no later form."""

_NEVER = {
    "BatchNormalization8-elements": 9,
    "BatchNormalization-training": 14,
    "Dropout-mask": 10,
    "GroupNormalization": 21,
}
"""From which opset on something cannot be said, or nobody converts it."""

_RAISES = [(case, wanted) for case in CASES for wanted in (17, 23) if wanted > case.opset]


def _feeds(case: Case, model: onnx.ModelProto) -> dict[str, Any]:
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    feeds = dict(case.feeds)
    for info in model.graph.input:
        kind = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        drawn = (
            rng.uniform(0.2, 2, shape) if case.name.startswith("Pow") else rng.normal(size=shape)
        )
        feeds.setdefault(info.name, (drawn if kind.kind == "f" else drawn * 50 + 99).astype(kind))
    return feeds


def _outputs(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, feeds)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        if model.graph.node[0].op_type in _BINARY:
            return [_as_opset_6_says(model, feeds)]
        return ReferenceEvaluator(model).run(None, feeds)


_BINARY = {
    "Add": np.add, "Div": np.divide, "Mul": np.multiply, "Pow": np.power, "Sub": np.subtract,
    "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor, "Equal": np.equal,
    "Greater": np.greater, "Less": np.less,
}  # fmt: skip


def _as_opset_6_says(model: onnx.ModelProto, feeds: dict[str, Any]) -> Any:
    """The first axis of the second operand lies at `axis` of the first, or its last at the last."""
    [node] = model.graph.node
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    left, right = ((feeds | stored)[name] for name in node.input)
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    behind = left.ndim - right.ndim - given.get("axis", left.ndim - right.ndim)
    aligned = right.reshape(*right.shape, *(1,) * behind)
    return _BINARY[node.op_type](left, aligned)


def _is_valid(model: onnx.ModelProto) -> bool:
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError:  # what is deprecated, for instance
        return False
    return True


@pytest.mark.parametrize(
    ("case", "wanted"), _RAISES, ids=[f"{case.name}-{wanted}" for case, wanted in _RAISES]
)
def test_a_raise_keeps_what_is_computed_or_is_refused(case: Case, wanted: int) -> None:
    before = proto(case.text, opset=case.opset, **case.weights)
    model = ir.from_proto(before)
    raised = raise_opset(model, wanted)
    after = ir.to_proto(model)
    if not raised.is_made:
        operator = before.graph.node[0].op_type
        assert raised.note.startswith(f"opset stays {case.opset}: ")
        assert f"{operator} '{operator}_0'" in raised.note
        assert after.opset_import == before.opset_import
        assert [node.op_type for node in after.graph.node] == [operator]
        return
    assert wanted < _NEVER.get(case.name, 99)
    assert after.opset_import[0].version == wanted
    if _is_valid(before):
        onnx.checker.check_model(after, full_check=True)
    assert [info.name for info in after.graph.output] == [i.name for i in before.graph.output]
    feeds = _feeds(case, before)
    for one, other in zip(_outputs(before, feeds), _outputs(after, feeds), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_every_operator_that_an_opset_changed_is_met() -> None:
    met = {node.op_type for case in CASES for node in proto(case.text).graph.node}
    changed = {
        schema.name
        for schema in onnx.defs.get_all_schemas_with_history()
        for opset in REVIEWED
        if schema.domain == ""
        and schema_of("", schema.name, opset - 1) is not None
        and change_at(schema.name, opset) is Change.OTHER
    }
    assert changed - met == _WITHOUT
