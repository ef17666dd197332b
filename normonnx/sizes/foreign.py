"""One node alone in ONNX Runtime: for operators whose shapes nothing here can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

Array = np.ndarray[Any, Any]

_IR_VERSION = 8
"""Every ONNX Runtime that is supported reads it."""


def run_alone(
    node: ir.Node,
    inputs: Sequence[Array | None],
    opsets: Mapping[str, int],
    attributes: Mapping[str, ir.Attr],
) -> list[Any]:
    """The outputs of a node for these inputs, as ONNX Runtime's own kernel gives them.

    Args:
        node: without subgraphs.
        inputs: None for an absent one.
        opsets: operator set version by domain.
        attributes: of the node, references resolved.

    Raises:
        SessionFailedError: if the runtime has no such operator, or does not run it.
    """
    from normonnx.runtime.sessions import Session, Setting  # ONNX Runtime, for few models only

    proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name="node")
    proto.input.extend("" if a is None else f"i{i}" for i, a in enumerate(inputs))
    proto.output.extend(f"o{i}" if out.name else "" for i, out in enumerate(node.outputs))
    proto.attribute.extend(map(ir.serde.serialize_attribute, attributes.values()))
    given = {f"i{i}": array for i, array in enumerate(inputs) if array is not None}
    graph = onnx.helper.make_graph(
        [proto],
        "alone",
        [
            onnx.helper.make_tensor_value_info(
                name, ir.DataType.from_numpy(array.dtype).value, array.shape
            )
            for name, array in given.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in proto.output if name],
    )
    versions = {"": opsets.get("", 17), node.domain: opsets.get(node.domain, 1)}
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in versions.items()]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)
    outputs = Session(model.SerializeToString(), Setting("cpu", as_shipped=False)).run(given)
    return [outputs.get(name) if name else None for name in proto.output]
