"""One row of the tables of this folder: a graph, and what the affine engine has to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

from normonnx.options import Options
from normonnx.oracle.oracle import Oracle
from normonnx.pipeline import Outcome
from tests.graphs import operators, proto, unsimplified

EXACT = 1e-9
"""Of the output's largest magnitude, in float64."""

PLAIN = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}
"""Of the output's largest magnitude, in ONNX Runtime."""

SIZES = {"n": 3, "h": 9, "w": 7, "t": 5}


@dataclass(frozen=True, slots=True)
class Row:
    """A graph and its fate.

    Attributes:
        name: what is special about it.
        graph: inputs, outputs and nodes in the text form of `onnx.parser`.
        becomes: the operators of the result, each as often as it occurs.
        reason: for a graph that must stay, part of the reason that has to be given; "" for one
            that must be rewritten.
        weights: initializers by name; a tuple of sizes stands for seeded float32 numbers.
        opset: version of the default domain.
        options: for the pipeline.
        runs: whether ONNX Runtime has kernels for it; onnx.reference computes it otherwise.
    """

    name: str
    graph: str
    becomes: str
    reason: str = ""
    weights: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 17
    options: Options = field(default_factory=Options)
    runs: bool = True

    def __str__(self) -> str:
        return self.name

    def model(self) -> onnx.ModelProto:
        model = proto(self.graph, opset=self.opset, **self.weights)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output
        for stated, found in zip(model.graph.output, inferred, strict=True):
            stated.CopyFrom(found)
        return model


def bn(channels: int, prefix: str = "", *, signs: bool = False) -> dict[str, np.ndarray]:
    """Parameters ``s, o, m, v`` of a BatchNormalization, scales positive unless `signs`."""
    rng = np.random.default_rng([channels, len(prefix)])
    scale = rng.uniform(0.3, 1.7, channels)
    if signs:
        scale[channels // 2] *= -1
    parameters = {
        "s": scale,
        "o": rng.uniform(-1, 1, channels),
        "m": rng.uniform(-1, 1, channels),
        "v": rng.uniform(0.05, 2.5, channels),
    }
    return {f"{prefix}{name}": value.astype(np.float32) for name, value in parameters.items()}


def channel(*values: float, rank: int = 4) -> np.ndarray:
    """Numbers along axis 1 of a tensor of this rank."""
    return np.float32(values).reshape(-1, *(1,) * (rank - 2))


def check(row: Row) -> Outcome:
    """Run the engines that know norms on a row, and hold the result against what the row says."""
    original = row.model()
    model = ir.from_proto(original)
    outcome = unsimplified(model, row.options)
    optimized = ir.to_proto(outcome.model)
    reasons = [miss.reason for miss in outcome.journal.near_misses.values()]
    found = sorted(operators(outcome.model).split())
    assert found == sorted(row.becomes.split()), f"near misses: {reasons}"
    if row.reason:
        assert found == sorted(operators(model).split()), "a trap lists what is there"
        assert any(row.reason in reason for reason in reasons), reasons
    onnx.checker.check_model(optimized, full_check=True)
    given = feeds(original)
    expected = Oracle(model).run(given).outputs
    result = Oracle(outcome.model, exact=outcome.exact).run(given).outputs
    for name, value in expected.items():
        assert close(value, result[name], EXACT), name
    run = in_runtime if row.runs else in_reference
    for a, b in zip(run(original, given), run(optimized, given), strict=True):
        assert a.dtype == b.dtype
        assert close(a, b, PLAIN.get(a.dtype, 0.0))
    return outcome


def feeds(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Normally distributed inputs; what is an integer is 0, the start of everything."""
    given = {}
    for index, value in enumerate(model.graph.input):
        kind = value.type.tensor_type
        shape = [SIZES[dim.dim_param] if dim.dim_param else dim.dim_value for dim in kind.shape.dim]
        if kind.elem_type == TensorProto.INT64:
            given[value.name] = np.zeros(shape, np.int64)
            continue
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        given[value.name] = np.random.default_rng(index).standard_normal(shape).astype(dtype)
    return given


def close(expected: np.ndarray, found: np.ndarray, tolerance: float) -> bool:
    if expected.shape != found.shape:
        return False
    a, b = expected.astype(np.float64), found.astype(np.float64)
    return bool(np.abs(a - b).max() <= tolerance * np.abs(a).max())


def in_runtime(model: onnx.ModelProto, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [np.asarray(output) for output in session.run(None, given)]


def in_reference(model: onnx.ModelProto, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(output) for output in ReferenceEvaluator(model).run(None, given)]
