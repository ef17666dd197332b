"""Simplify a model that is written as text, and run it beside the original in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

import normonnx
from tests.networks.execution import graphs, opened
from tests.networks.shape_trial import interface_differences, output_differences

Array = np.ndarray[Any, Any]
Shapes = Sequence[Sequence[int]]


def written(
    text: str, *, opset: int = 17, ir: int = 8, domains: Sequence[str] = (), **weights: Any
) -> onnx.ModelProto:
    """A model from ONNX's text form, with arrays for its weights."""
    imports = ", ".join(f'"{name}" : {version}' for name, version in _imports(opset, domains))
    model = onnx.parser.parse_model(f"<ir_version: {ir}, opset_import: [{imports}]>\n{text}")
    for name, weight in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(weight), name))
    return model


def _imports(opset: int, domains: Sequence[str]) -> list[tuple[str, int]]:
    return [("", opset), *((domain, 1) for domain in domains)]


def feeds(model: onnx.ModelProto, shapes: Shapes, seed: int = 0) -> dict[str, Array]:
    """Random inputs of these shapes, in the order of those that are no initializers."""
    rng = np.random.default_rng(seed)
    stored = {weight.name for weight in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in stored]
    found: dict[str, Array] = {}
    for value, shape in zip(given, shapes, strict=True):
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        drawn = rng.standard_normal(shape) * 3
        found[value.name] = np.asarray(drawn > 0 if dtype.kind == "b" else drawn).astype(dtype)
    return found


def simplified(
    model: onnx.ModelProto, *shapes: Shapes, part: float = 0.0, **options: Any
) -> onnx.ModelProto:
    """The model after optimising: it keeps its outputs and its face, and is a fixed point.

    Args:
        model: as it comes.
        shapes: of the inputs, one set after the other.
        part: what outputs may be off by, as a part of the largest; 0 for the same bits.
        options: of `normonnx.optimize`.
    """
    result = normonnx.optimize(model, verify=False, **options)
    data = result.to_bytes(unverified=True)
    made = onnx.ModelProto.FromString(data)
    onnx.checker.check_model(made)
    assert not list(interface_differences(model, made))
    for one in shapes:
        given = feeds(model, one)
        right, found = (opened(m).run(None, given) for m in (model, made))
        assert not list(output_differences(right, found, part)), one
    again = normonnx.optimize(made, verify=False, **options)
    assert again.to_bytes(unverified=True) == data
    return made


def operators(model: onnx.ModelProto) -> str:
    """All operators, those within others behind them."""
    return " ".join(node.op_type for graph in graphs(model) for node in graph.node)


def initializers(model: onnx.ModelProto) -> dict[str, Array]:
    """The initializers of all graphs."""
    return {
        weight.name: numpy_helper.to_array(weight)
        for graph in graphs(model)
        for weight in getattr(graph, "initializer", ())
    }
