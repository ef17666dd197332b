"""Models in ONNX Runtime, without anything of the project but its library where that is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

from .draft import Array

Feeds = dict[str, Array]
LEVELS = onnxruntime.GraphOptimizationLevel
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}


def opened(
    model: onnx.ModelProto, *, level: str = "DISABLE_ALL", library: Path | None = None,
    written: Path | None = None,
) -> onnxruntime.InferenceSession:  # fmt: skip
    """A session on one thread, quiet.

    Args:
        model: the model.
        level: of the runtime's optimisations.
        library: custom operators to register.
        written: where the runtime writes what it makes of the model.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(LEVELS, f"ORT_{level}")
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if library is not None:
        options.register_custom_ops_library(str(library))
    if written is not None:
        options.optimized_model_filepath = str(written)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(session: onnxruntime.InferenceSession, feeds: Feeds) -> list[Array]:
    return [np.asarray(output) for output in session.run(None, feeds)]


def attempt(
    model: onnx.ModelProto, feeds: Feeds, *, level: str = "DISABLE_ALL"
) -> list[Array] | None:
    """The model's outputs, or None where the runtime does not take it or these inputs."""
    try:
        return run(opened(model, level=level), feeds)
    except Exception:
        return None


def runs(model: onnx.ModelProto, feeds: Feeds) -> bool:
    """Whether the runtime takes the model and these inputs."""
    return attempt(model, feeds) is not None


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """The graph, those in it, and the functions."""
    todo: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    while todo:
        graph = todo.pop()
        yield graph
        for node in graph.node:
            todo += [a.g for a in node.attribute if a.HasField("g")]


def _weights(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Tensors of floating numbers that are no sizes, powers or the like."""
    sizes = {
        name
        for graph in graphs(model)
        for node in graph.node
        if node.op_type in ("Resize", "Upsample")
        for name in node.input[1:]
    }
    for graph in graphs(model):
        found = [*getattr(graph, "initializer", ())]
        found += [a.t for node in graph.node for a in node.attribute if a.HasField("t")]
        for tensor in found:
            if tensor.data_type in FLOATS and np.prod(tensor.dims) > 1 and tensor.name not in sizes:
                array = numpy_helper.to_array(tensor)
                if not np.array_equal(array, np.round(array)):
                    yield tensor


def has_half(model: onnx.ModelProto) -> bool:
    """Whether something in it is float16."""
    half = TensorProto.FLOAT16
    if any(value.type.tensor_type.elem_type == half for value in model.graph.input):
        return True
    nodes = [node for graph in graphs(model) for node in graph.node]
    return any(a.i == half for node in nodes for a in node.attribute if a.name.startswith("to"))


def nudged(arrays: Sequence[Array], size: float, rng: np.random.Generator) -> list[Array]:
    """The arrays with every number changed by chance, by up to this part of it."""
    made = []
    for array in arrays:
        wide = array.astype(np.float64) * (1 + size * rng.uniform(-1, 1, array.shape))
        made.append(np.asarray(wide, array.dtype))
    return made


def with_nudged_weights(
    model: onnx.ModelProto, size: float, rng: np.random.Generator
) -> onnx.ModelProto:
    """The model with its weights changed by chance."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for tensor in _weights(made):
        (array,) = nudged([numpy_helper.to_array(tensor)], size, rng)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return made
