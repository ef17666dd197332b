"""What the installed ONNX Runtime takes."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from onnx import TensorProto, helper

from normonnx.runtime.releases import surely_takes

_QUIET = 4


@cache
def takes_opset(opset: int, ir_version: int) -> bool:
    """Whether the installed ONNX Runtime loads models of this opset; True if none is installed.

    It is asked only where that is not known of its release: to load it takes time and memory.

    Args:
        opset: of the default domain.
        ir_version: of the model that would be written.
    """
    release = _installed()
    if release is None:
        return True
    if surely_takes(release, opset, ir_version):
        return True
    return _loads(opset, ir_version)


def _installed() -> tuple[int, int] | None:
    """Major and minor version of ONNX Runtime, (0, 0) if untold, None without; it is not loaded."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return None
    try:
        source = Path(spec.origin).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # packed into an archive, or compiled
        return (0, 0)
    found = re.search(r'^__version__ = "(\d+)\.(\d+)', source, re.MULTILINE)
    return (0, 0) if found is None else (int(found[1]), int(found[2]))


def _loads(opset: int, ir_version: int) -> bool:
    """Whether it loads such a model; True if it cannot be imported itself."""
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
