"""The operators of the domain ai.onnx.ml: those that pass tensors of numbers on, and categories."""

from __future__ import annotations

from normonnx.operators import foreign_dims
from normonnx.operators.broadcasting import same
from normonnx.operators.facts import Facts
from normonnx.operators.kernels import categories
from normonnx.operators.known import Rule, TypeRule, always_float, type_of_input
from normonnx.operators.names import MACHINE_LEARNING


def _of(name: str, dims: Rule, dtype: TypeRule) -> Facts:
    return Facts(name=name, domain=MACHINE_LEARNING, dims=dims, dtype=dtype)


FACTS = (
    Facts(name="CategoryMapper", domain=MACHINE_LEARNING, kernel=categories.category_mapper),
    Facts(name="ZipMap", domain=MACHINE_LEARNING, kernel=categories.zip_map),
    _of("ArrayFeatureExtractor", foreign_dims.picked_columns, type_of_input(0)),
    _of("Binarizer", same, type_of_input(0)),
    _of("Imputer", same, type_of_input(0)),
    _of("LinearRegressor", foreign_dims.per_target("targets", 1), always_float),
    _of("Normalizer", same, always_float),
    _of("OneHotEncoder", foreign_dims.one_hot_categories, always_float),
    _of("Scaler", same, always_float),
    _of("TreeEnsembleRegressor", foreign_dims.per_target("n_targets", 0), always_float),
)
