"""From which opset to which an operator means the same, as it was once read off the changelog."""

from __future__ import annotations

import onnx
import pytest

from normonnx.operators.meaning import REVIEWED, Change, axes_moved, change_at, means_the_same
from normonnx.operators.schemas import keeps_type, schema_of

EXTENDED = {
    8: "Max MaxPool Mean Min Sum",
    9: "Cast Constant Flatten Gemm Greater Less MatMul PRelu",
    10: "AveragePool MaxPool",
    11: """ArgMax ArgMin Compress Concat Constant Conv DepthToSpace Equal Flatten Gather Gemm
        Hardmax If LogSoftmax Loop LpPool MaxPool MaxUnpool NonMaxSuppression ReduceL1 ReduceL2
        ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare Scan Slice Softmax Split Squeeze TopK Unsqueeze""",
    12: "ArgMax ArgMin Clip Constant GatherND Max MaxPool Min Pow ReduceMax ReduceMin",
    13: """Abs Add ArgMax ArgMin Cast Ceil Clip Concat Constant DepthToSpace Div
        Dropout Equal Exp Expand Flatten Floor Gather GatherElements GatherND Gemm Greater
        Identity If Less Log Loop MatMul Max Mean Min Mod Mul Neg Pad Pow Reciprocal ReduceL1
        ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSumSquare Relu Reshape ScatterElements ScatterND Shape Sigmoid Sign Size Slice
        SpaceToDepth Sqrt Sub Sum Tanh Tile Transpose""",
    14: "Add BatchNormalization CumSum Div GRU Identity LSTM Mul RNN Relu Reshape Sub",
    15: "BatchNormalization Pow Shape",
    16: """GreaterOrEqual Identity If LeakyRelu LessOrEqual Loop PRelu Scan ScatterElements
        ScatterND Where""",
    17: "",
    18: "Pad ScatterElements ScatterND",
    19: """Cast CastLike Constant DequantizeLinear Equal Identity If Loop Pad QuantizeLinear Reshape
        Scan Shape Size""",
    20: "ConstantOfShape IsInf IsNaN ReduceMax ReduceMin",
    21: """Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad
        QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze""",
    22: """AveragePool Conv ConvTranspose Cos Dropout Elu GRU GlobalAveragePool GlobalMaxPool
        HardSigmoid HardSwish InstanceNormalization LSTM MaxPool RNN Round Selu Sin Softplus
        Softsign""",
    23: """Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad
        QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze""",
}
"""Operators that an opset gave further types, or what may be left out and then means the same."""

ONLY_TYPES = {
    13: """IsNaN LRN MeanVarianceNormalization NegativeLogLikelihoodLoss NonZero
        SoftmaxCrossEntropyLoss""",
    18: "OptionalGetElement",
    21: "QLinearMatMul",
    22: """Acos Acosh Asin Asinh Atan Atanh Bernoulli Cosh DeformConv Det EyeLike GlobalLpPool
        GridSample LpNormalization LpPool MaxRoiPool MaxUnpool Mish Multinomial
        NegativeLogLikelihoodLoss RandomNormal RandomNormalLike RandomUniform RandomUniformLike
        RoiAlign Sinh Tan ThresholdedRelu""",
}
"""Rare operators that only gained types, which no one had read; the schemas show them as well."""

AXES_MOVED = {
    13: "ReduceSum Squeeze Unsqueeze",
    18: """ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
        ReduceSumSquare""",
}

OPERATORS = sorted({s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""})


def expected(operator: str, opset: int) -> Change | None:
    old, new = (schema_of("", operator, version) for version in (opset - 1, opset))
    if old is None and new is None:
        return None
    if old is not None and new is not None and old.since_version == new.since_version:
        return None
    if operator in AXES_MOVED.get(opset, "").split():
        return Change.AXES_MOVED
    listed = EXTENDED[opset].split() + ONLY_TYPES.get(opset, "").split()
    return Change.EXTENDED if operator in listed else Change.OTHER


@pytest.mark.parametrize("opset", list(REVIEWED))
def test_what_the_schemas_tell_is_what_was_read(opset: int) -> None:
    derived = {operator: change_at(operator, opset) for operator in OPERATORS}
    assert derived == {operator: expected(operator, opset) for operator in OPERATORS}


@pytest.mark.parametrize("opset", ONLY_TYPES)
def test_what_only_gained_types_has_the_same_attributes(opset: int) -> None:
    for operator in ONLY_TYPES[opset].split():
        old, new = schema_of("", operator, opset - 1), schema_of("", operator, opset)
        assert old is not None
        assert new is not None
        assert set(old.attributes) == set(new.attributes)
        assert len(old.inputs) == len(new.inputs)


def test_an_operator_means_the_same_over_steps_that_all_extend_it() -> None:
    assert means_the_same("Add", 11, 23)
    assert means_the_same("ReduceMean", 11, 23)
    assert axes_moved("ReduceMean", 11, 23)
    assert not axes_moved("ReduceMean", 11, 17)
    assert not means_the_same("Softmax", 12, 13)
    assert means_the_same("Softmax", 13, 23)
    assert not means_the_same("Gelu", 11, 20)
    assert not means_the_same("NoSuchOperator", 11, 20)


def test_what_was_not_read_may_mean_anything() -> None:
    assert change_at("Relu", 6) is Change.OTHER
    assert change_at("Relu", 8) is None


@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 10), ("Scatter", 11)])
def test_what_is_deprecated_does_not_go_on(operator: str, opset: int) -> None:
    assert change_at(operator, opset) is Change.OTHER


def test_which_operators_keep_the_type_of_their_first_input() -> None:
    assert keeps_type("", "Add")
    assert keeps_type("", "Reshape")
    for operator in ("Cast", "CastLike", "Equal", "IsNaN", "Shape", "Where"):
        assert not keeps_type("", operator)
    assert not keeps_type("my", "Add")
