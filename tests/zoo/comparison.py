"""The zoo's own comparison: ONNX Runtime before and after, on feeds of several magnitudes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from .case import Array, Case

TOLERANCES = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-10}
FAMILIES = ((1.0, 0.0), (10.0, 2.0), (1e-3, 0.0))
SIZES = (5, 3, 7, 4)
PLAIN = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
DEFAULT = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def feeds(case: Case, model: onnx.ModelProto) -> Iterator[dict[str, Array]]:
    """Three sets of inputs: of magnitude 1, of magnitude 10 and off centre, of magnitude 1e-3.

    float16 has too few bits for the squares of the last, and gets the first two.
    """
    fixed = {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in fixed]
    half = any(v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for v in inputs)
    for draw, (scale, offset) in enumerate(FAMILIES[: 2 if half else 3]):
        sizes: dict[str, int] = {}
        feed: dict[str, Array] = {}
        for value in inputs:
            shape = []
            for dim in value.type.tensor_type.shape.dim:
                symbol = dim.dim_param
                size = sizes.setdefault(symbol, SIZES[(len(sizes) + draw) % 4]) if symbol else 0
                shape.append(size or dim.dim_value)
            dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            rng = np.random.default_rng([draw, zlib.crc32(f"{case.name}/{value.name}".encode())])
            if dtype == np.bool_:
                feed[value.name] = np.array(draw % 2 == 0)
            elif np.issubdtype(dtype, np.integer):
                feed[value.name] = np.asarray(rng.integers(0, 100, shape), dtype)
            else:
                drawn = scale * rng.standard_normal(shape) + offset
                feed[value.name] = np.asarray(drawn, dtype)
        yield feed | dict(case.feed)


class Runs:
    """A model in ONNX Runtime at one level of its own optimisations."""

    def __init__(self, model: onnx.ModelProto, level: onnxruntime.GraphOptimizationLevel) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, feed: dict[str, Array]) -> list[Array]:
        return [np.asarray(output) for output in self._session.run(None, feed)]


def difference(expected: Array, found: Array, tolerance: float = 0.0) -> str:
    """What is wrong with an output, or ""."""
    if expected.dtype != found.dtype or expected.shape != found.shape:
        return f"{found.dtype}{found.shape} instead of {expected.dtype}{expected.shape}"
    if not np.issubdtype(expected.dtype, np.floating):
        return "" if np.array_equal(expected, found) else "other integers"
    finite = np.isfinite(expected)
    same = np.array_equal(expected[~finite], found[~finite], equal_nan=True)
    if not same or not np.isfinite(found[finite]).all():
        return "other infinities or NaNs"
    if not finite.any():
        return ""
    wanted, got = expected[finite].astype(np.float64), found[finite].astype(np.float64)
    allowed = (tolerance or TOLERANCES[expected.dtype]) * np.abs(wanted).max()
    worst = np.abs(wanted - got).max()
    return "" if worst <= allowed else f"off by {worst:.3g}, allowed are {allowed:.3g}"
