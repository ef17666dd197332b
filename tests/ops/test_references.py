"""The float64 reference against onnx's own of the standard operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.errors import UsageError
from normonnx.ops.references import reference


@pytest.mark.parametrize(
    ("op_type", "standard", "opset"),
    [
        ("FusedLayerNormalization", "LayerNormalization", 17),
        ("FusedRMSNormalization", "RMSNormalization", 23),
    ],
)
@pytest.mark.parametrize("axis", [-1, -2, 0])
def test_as_the_standard_says(op_type: str, standard: str, opset: int, axis: int) -> None:
    random = np.random.default_rng(3)
    x = random.standard_normal((3, 4, 5))
    inputs = [x, random.standard_normal(x.shape[axis:])]
    if standard == "LayerNormalization":
        inputs.append(random.standard_normal(x.shape[axis:]))
    names = "XSB"[: len(inputs)]
    node = onnx.helper.make_node(standard, list(names), ["Y"], axis=axis)
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, value.shape)
        for name, value in zip(names, inputs, strict=True)
    ]
    out = onnx.helper.make_tensor_value_info("Y", onnx.TensorProto.DOUBLE, x.shape)
    proto = onnx.helper.make_model(
        onnx.helper.make_graph([node], "one", infos, [out]),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
    )
    (want,) = ReferenceEvaluator(proto).run(None, dict(zip(names, inputs, strict=True)))
    (got,) = reference(op_type, inputs, axis=axis)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_one_axis_in_the_middle_is_the_last_axis_of_a_transpose() -> None:
    random = np.random.default_rng(4)
    x, scale, bias = random.standard_normal((2, 6, 5)), *random.standard_normal((2, 6))
    (middle,) = reference("FusedLayerNormalization", [x, scale, bias], axis=1)
    (last,) = reference("FusedLayerNormalization", [x.transpose(0, 2, 1), scale, bias])
    np.testing.assert_allclose(middle, last.transpose(0, 2, 1), rtol=1e-12)


def test_sum_is_everything_added() -> None:
    x, residual, bias = np.full((2, 3), 1.0), np.full((2, 3), 2.0), np.array([1.0, 2.0, 3.0])
    y, total = reference("FusedAddRMSNormalization", [x, residual, np.ones(3), bias], epsilon=0.0)
    np.testing.assert_array_equal(total, [[4.0, 5.0, 6.0]] * 2)
    np.testing.assert_allclose((y**2).mean(1), 1.0)


def test_scale_that_does_not_fit() -> None:
    with pytest.raises(UsageError, match=r"Scale \[4\] is not what X \[2, 3\] has from axis -1"):
        reference("FusedRMSNormalization", [np.ones((2, 3)), np.ones(4)])
