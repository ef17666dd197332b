"""Compare two ONNX models plainly: same inputs, ONNX Runtime, largest difference.

    python benchmarks/plain_compare.py ORIGINAL OPTIMIZED [--rtol R] [--atol A] [--feeds N] [--json]
                                       [--library PATH]

It knows nothing of normonnx and shares no code with it. The optimised model has to pass
onnx.checker where the original does, have the inputs and outputs of the original, and give the
original's outputs with ONNX Runtime's own optimisations off and at its default level. A difference
is measured against the output's largest magnitude: max|a − b| ≤ rtol · max|a| + atol, where
atol = 1e-6 only matters to outputs that are next to nothing. With a library of custom operators
the optimised model is run with it registered. An output that differs when the original runs again
draws random numbers, and is not compared.

Exit code 0: equal; 1: different; 2: the original does not run on anything tried here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

RTOL = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-9}
BATCHES = (2, 1)
RUNS_AGAIN = 20
SIZES = (7, 8, 16, 32, 64, 96, 160, 320, 512, 1024, 1536)
IMAGE_SIZES = (320, 224, 48, *SIZES)
LEVELS = {
    "plain": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "default": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

Feed = dict[str, Any]


@dataclass
class Result:
    """What the comparison found.

    Attributes:
        equal: whether every output of every feed at every level is within the tolerance.
        worst: largest max|a − b| / max|a| among the outputs with max|a| above 1e-3.
        worst_output: where that was, such as ``logits, default level``.
        feeds: how many sets of inputs were run.
        sizes: the sizes given to batch and to all other free dimensions.
        problems: one sentence for each thing that is wrong.
    """

    equal: bool
    worst: float
    worst_output: str
    feeds: int
    sizes: tuple[int, int]
    problems: list[str]


def session(path: Path, level: str, library: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 4
    if library is not None:
        options.register_custom_ops_library(str(library))
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def interface(model: onnx.ModelProto) -> list[tuple[str, bytes]]:
    """Names and types of what goes in and out, initializers that are listed as inputs aside."""
    values = [*free_inputs(model), *model.graph.output]
    return [(value.name, value.type.SerializeToString(deterministic=True)) for value in values]


def free_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    fixed = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in fixed]


def vocabulary(model: onnx.ModelProto, name: str) -> int:
    """Rows of the smallest table that is read at the places the input gives; 2 if there is none."""
    tables = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    names, rows = {name}, []
    for node in model.graph.node:
        if node.op_type in ("Cast", "Identity", "Reshape", "Flatten", "Unsqueeze", "Squeeze"):
            if node.input[0] in names:
                names.add(node.output[0])
        elif node.op_type == "Constant":
            for attribute in node.attribute:
                tables[node.output[0]] = attribute.t.dims
        elif node.op_type == "Gather" and node.input[1] in names:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            if tables.get(node.input[0]):
                rows.append(tables[node.input[0]][axis])
    return min(rows, default=2)


def holds_bytes(model: onnx.ModelProto, name: str) -> bool:
    """Whether a float input only carries whole numbers: it is cast to integers at once."""
    readers = [node for node in model.graph.node if name in node.input]
    integers = {onnx.TensorProto.INT32, onnx.TensorProto.INT64}
    return bool(readers) and all(
        node.op_type == "Cast" and node.attribute[0].i in integers for node in readers
    )


def draw(model: onnx.ModelProto, batch: int, size: int, seed: int) -> Feed:
    """Inputs of a plausible kind for every name: noise, token ids, masks, bytes, switches."""
    rng = np.random.default_rng(seed)
    feed: Feed = {}
    for value in free_inputs(model):
        kind = value.type.tensor_type
        shape = []
        for place, dim in enumerate(kind.shape.dim):
            fixed = dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else 0
            shape.append(fixed or (batch if place == 0 else size))
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype == np.bool_:
            feed[value.name] = np.full(shape, seed % 2 == 0)
        elif np.issubdtype(dtype, np.integer) and "mask" in value.name.lower():
            mask = np.ones(shape, dtype)
            if shape and shape[-1] > 2 and seed % 2:
                mask[0, -(shape[-1] // 3) :] = 0
            feed[value.name] = mask
        elif np.issubdtype(dtype, np.integer):
            feed[value.name] = rng.integers(0, vocabulary(model, value.name), shape).astype(dtype)
        elif holds_bytes(model, value.name):
            feed[value.name] = rng.integers(0, 256, shape).astype(dtype)
        else:
            feed[value.name] = np.asarray(rng.standard_normal(shape), dtype)
    return feed


def working_sizes(
    model: onnx.ModelProto, original: onnxruntime.InferenceSession
) -> tuple[int, int]:
    """The first sizes for batch and for everything else on which the original runs."""
    error = ""
    image = any(len(value.type.tensor_type.shape.dim) > 3 for value in free_inputs(model))
    for batch in BATCHES:
        for size in IMAGE_SIZES if image else SIZES:
            try:
                original.run(None, draw(model, batch, size, seed=0))
            except Exception as failure:
                error = str(failure)
            else:
                return batch, size
    raise RuntimeError(error)


def differences(
    names: list[str], expected: list[Any], found: list[Any], rtol: float | None, atol: float
) -> Iterator[tuple[str, float, str]]:
    """Name, relative difference and problem ("" where there is none) of each output."""
    for name, a, b in zip(names, expected, found, strict=True):
        if isinstance(a, list) or a.dtype.kind != "f":
            same = np.array_equal(np.asarray(a), np.asarray(b))
            yield name, 0.0, "" if same else f"{name}: other discrete values"
            continue
        if a.dtype != b.dtype or a.shape != b.shape:
            yield name, np.inf, f"{name}: {b.dtype}{b.shape} instead of {a.dtype}{a.shape}"
            continue
        finite = np.isfinite(a)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            yield name, np.inf, f"{name}: other infinities or NaNs"
            continue
        x, y = a[finite].astype(np.float64), b[finite].astype(np.float64)
        scale = float(np.abs(x).max(initial=0.0))
        distance = float(np.abs(x - y).max(initial=0.0))
        allowed = (rtol or RTOL.get(str(a.dtype), 1e-4)) * scale + atol
        wrong = not distance <= allowed
        text = f"{name}: max|a − b| = {distance:.2e}, allowed are {allowed:.2e}"
        yield name, distance / scale if scale > 1e-3 else 0.0, text if wrong else ""


def checker_complaint(path: Path) -> str:
    """What onnx.checker says against a model, "" if nothing."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as failure:
        return str(failure).splitlines()[0]
    return ""


def random_outputs(session: onnxruntime.InferenceSession, names: list[str], feed: Feed) -> set[str]:
    """The outputs that differ when a model runs again on the same feed: they draw numbers."""
    first = session.run(None, feed)
    found = set()
    for _ in range(RUNS_AGAIN):
        for name, a, b in zip(names, first, session.run(None, feed), strict=True):
            floats = np.asarray(a).dtype.kind == "f"
            if not np.array_equal(np.asarray(a), np.asarray(b), equal_nan=floats):
                found.add(name)
    return found


def compare(
    original: Path,
    optimized: Path,
    *,
    feeds: int,
    rtol: float | None,
    atol: float,
    library: Path | None = None,
) -> Result:
    """Compare the two files on the given number of feeds.

    Raises:
        RuntimeError: when no sizes were found on which the original runs.
    """
    before, after = onnx.load(original), onnx.load(optimized)
    problems: list[str] = []
    if (complaint := checker_complaint(optimized)) and not checker_complaint(original):
        problems.append(f"onnx.checker: {complaint}")
    if interface(before) != interface(after):
        problems.append("the inputs or outputs differ in name, type or shape")
    reference = session(original, "plain")
    sizes = working_sizes(before, reference)
    names = [value.name for value in reference.get_outputs()]
    drawn = random_outputs(reference, names, draw(before, *sizes, 0))
    worst, worst_output = 0.0, ""
    for level in LEVELS:
        candidate = session(optimized, level, library)
        for seed in range(feeds):
            feed = draw(before, *sizes, seed)
            expected, found = reference.run(None, feed), candidate.run(None, feed)
            for name, relative, problem in differences(names, expected, found, rtol, atol):
                if name in drawn:
                    continue
                if relative > worst:
                    worst, worst_output = relative, f"{name}, {level} level"
                if problem:
                    problems.append(f"{problem} ({level} level, feed {seed})")
    return Result(not problems, worst, worst_output, feeds, sizes, problems)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("original", type=Path)
    parser.add_argument("optimized", type=Path)
    parser.add_argument("--rtol", type=float, help="allowed share of the output's scale")
    parser.add_argument("--atol", type=float, default=1e-6, help="allowed beside that")
    parser.add_argument("--feeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--library", type=Path, help="of custom operators, for the optimised model")
    arguments = parser.parse_args()
    try:
        result = compare(
            arguments.original,
            arguments.optimized,
            feeds=arguments.feeds,
            rtol=arguments.rtol,
            atol=arguments.atol,
            library=arguments.library,
        )
    except RuntimeError as failure:
        print(f"the original does not run: {failure}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(asdict(result)))
    else:
        where = f" ({result.worst_output})" if result.worst_output else ""
        verdict = "equal" if result.equal else "DIFFERENT"
        batch, size = result.sizes
        print(f"{verdict}: worst {result.worst:.2e} of scale{where}, ", end="")
        print(f"{result.feeds} feeds, batch {batch}, other free sizes {size}")
        for problem in result.problems:
            print(f"  {problem}")
    return 0 if result.equal else 1


if __name__ == "__main__":
    sys.exit(main())
