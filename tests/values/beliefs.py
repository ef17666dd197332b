"""What is believed of the shapes of a model, held against runs of ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from normonnx.graph.dims import Dim
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes

Feeds = Mapping[str, np.ndarray[Any, Any]]


def believed(m: ir.Model) -> Shapes:
    """What the engines believe of a model."""
    return Shapes(m, Constants(m))


def run_of_all(m: ir.Model, feeds: Feeds) -> dict[str, Any]:
    """Every value of the main graph in one run, with all optimisations off."""
    proto = ir.to_proto(m)
    del proto.graph.value_info[:]
    for info in proto.graph.input:  # the runtime takes a 0 for a size, and refuses any other
        for dim in info.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value == 0:
                dim.Clear()
    names = [name for node in proto.graph.node for name in node.output if name]
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return {**feeds, **dict(zip(names, session.run(None, dict(feeds)), strict=True))}


def untrue(m: ir.Model, feeds: Feeds) -> list[str]:
    """What is believed and not so in one run: each symbol stands for one number there."""
    shapes, results = believed(m), run_of_all(m, feeds)
    values = [*m.graph.inputs, *(value for node in m.graph for value in node.outputs)]
    claims: list[tuple[str, Dim, int]] = []
    found: list[str] = []
    for value in values:
        array = results.get(value.name or "")
        if not isinstance(array, np.ndarray):
            continue
        dtype = shapes.dtype(value)
        if dtype is not None and dtype.numpy() != array.dtype:
            found.append(f"{value.name} is {array.dtype}, not {dtype}")
        for what, beliefs, truth in (
            ("axis", shapes.dims(value), array.shape),
            ("element", shapes.vector(value), array.reshape(-1).tolist()),
        ):
            if beliefs is None:
                continue
            if len(beliefs) != len(truth):
                found.append(f"{value.name}: {len(beliefs)} × {what}, not {len(truth)}")
            claims.extend(
                (f"{what} {i} of {value.name}", *pair)
                for i, pair in enumerate(zip(beliefs, truth, strict=False))
            )
    return found + _contradicted(claims)


def _contradicted(claims: list[tuple[str, Dim, int]]) -> list[str]:
    sizes: dict[str, int] = {}
    for _, dim, truth in claims:
        if not isinstance(dim, int) and dim.factor == 1 and len(dim.symbols) == 1:
            sizes.setdefault(dim.symbols[0], truth)
    found = []
    for name, dim, truth in claims:
        number = dim
        if not isinstance(dim, int):
            if any(symbol not in sizes for symbol in dim.symbols):
                continue
            number = dim.factor * int(np.prod([sizes[symbol] for symbol in dim.symbols]))
        if number != truth:
            found.append(f"{name} is {truth}, not {dim} = {number}")
    return found
