"""What the installed ONNX Runtime takes: asked, not looked up."""

from __future__ import annotations

from functools import cache

from onnx import TensorProto, helper

_QUIET = 4

_OLDEST_TAKES = (21, 10)
"""Opset and IR version that the oldest ONNX Runtime we install with takes, 1.20."""


@cache
def takes_opset(opset: int, ir_version: int) -> bool:
    """Whether the installed ONNX Runtime loads models of this opset; True if none is installed.

    Args:
        opset: of the default domain.
        ir_version: of the model that would be written.
    """
    if opset <= _OLDEST_TAKES[0] and ir_version <= _OLDEST_TAKES[1]:
        return True
    try:
        import onnxruntime
    except ImportError:
        return True
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _QUIET
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # whatever it says, it does not load it
        return False
    return True


def title() -> str:
    """The installed ONNX Runtime with its version."""
    try:
        import onnxruntime
    except ImportError:
        return "ONNX Runtime"
    return f"ONNX Runtime {onnxruntime.__version__}"
