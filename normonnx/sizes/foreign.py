"""One node alone in ONNX Runtime: for operators whose shapes nothing here can tell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import onnx
import onnx_ir as ir

from normonnx.sizes.node import Call
from normonnx.sizes.tensor import Tensor

_IR_VERSION, _OPSET = 8, 17
"""Every ONNX Runtime that is supported reads them."""


@lru_cache(maxsize=4096)
def outputs_alone(call: Call) -> Sequence[Tensor | None]:
    """What a node gives, as ONNX Runtime's own kernel shows on the arrays of the call.

    Args:
        call: of an operator of another domain than ONNX's, without subgraphs.

    Returns:
        None for each output that is absent or no tensor; for all where the runtime has no such
        operator, or does not run it on these arrays.
    """
    from normonnx.runtime.sessions import Session, SessionFailedError, Setting  # for few models

    domain, _, version, present = call.operator
    given = {f"i{index}": array for index, array in call.arrays.items()}
    proto = call.proto()
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
    imports = [onnx.helper.make_opsetid("", _OPSET), onnx.helper.make_opsetid(domain, version)]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)
    try:
        session = Session(model.SerializeToString(), Setting("cpu", as_shipped=False))
        outputs = session.run(given)
    except SessionFailedError:
        return [None] * len(present)
    return [tensor_of(outputs.get(name)) for name in proto.output]


def tensor_of(array: object) -> Tensor | None:
    """What an array is, None for what is none."""
    if not isinstance(array, np.ndarray):
        return None
    return Tensor(array.shape, ir.DataType.from_numpy(array.dtype))
