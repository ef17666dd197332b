"""How many nodes ONNX Runtime leaves of a model, after its own optimisations.

Only the graph matters for that. Large weights stay where they are: in their place the runtime is
given one file of zeros, which takes no room on a disk.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnx_ir as ir

from normonnx.graph.nesting import graphs_of
from normonnx.runtime.extensions import Extensions

_LARGE = 4096
"""Bytes; what is smaller may decide about what the runtime fuses."""


def nodes_left(
    model: ir.Model, *, isolated: bool = False, extensions: Extensions | None = None
) -> int | None:
    """How many nodes are left on the CPU at the default level, those of subgraphs included.

    Args:
        model: only read; its weights are not.
        isolated: ask a process of its own; so it is too where there are libraries.
        extensions: libraries of custom operators.

    Returns:
        None if ONNX Runtime is not installed or does not load the model.
    """
    try:
        from normonnx.runtime.isolation import IsolatedSession
        from normonnx.runtime.sessions import Session, SessionFailedError, Setting
    except ImportError:
        return None
    apart = isolated or (extensions is not None and bool(extensions.named))
    kind = IsolatedSession if apart else Session
    with tempfile.TemporaryDirectory(prefix="normonnx-") as name:
        folder = Path(name)
        saved = folder / "saved.onnx"
        setting = Setting("cpu", as_shipped=True, saved=str(saved))
        try:
            kind(str(_written(model, folder)), setting, extensions=extensions)
        except SessionFailedError:
            return None
        left = onnx.load(saved, load_external_data=False)
    return _nodes(left.graph)


def _nodes(graph: onnx.GraphProto) -> int:
    inner = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return len(graph.node) + sum(map(_nodes, inner))


def _written(model: ir.Model, folder: Path) -> Path:
    """The model in a file, with zeros for its large weights."""
    light = model.clone()
    most = 0
    for graph in graphs_of(light):
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is None or tensor.dtype == ir.DataType.STRING:
                continue
            if tensor.nbytes > _LARGE:
                most = max(most, tensor.nbytes)
                value.const_value = ir.ExternalTensor(
                    "zeros",
                    0,
                    tensor.nbytes,
                    tensor.dtype,
                    shape=ir.Shape(tensor.shape.numpy()),
                    name=str(value.name),
                    base_dir=str(folder),
                )
            elif isinstance(tensor, ir.ExternalTensor):
                value.const_value = ir.Tensor(
                    tensor.numpy(), dtype=tensor.dtype, name=str(value.name)
                )
    if most:
        with (folder / "zeros").open("wb") as zeros:
            zeros.truncate(most)
    path = folder / "model.onnx"
    path.write_bytes(ir.serde.serialize_model(light).SerializeToString())
    return path
