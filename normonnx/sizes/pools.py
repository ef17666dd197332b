"""How many windows a pool has that counts the last one though it is not whole.

A window starts inside the input or the padding in front of it. Before opset 19, and for some pools
until 22, onnx's inference counts one more that starts in the padding behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from normonnx.operators.names import onnx_name
from normonnx.sizes.tensor import Tensor, Tensors

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})


def windows_counted(
    node: ir.Node,
    inputs: Tensors,
    found: Sequence[Tensor | None],
    attributes: Mapping[str, ir.Attr],
) -> list[Tensor | None]:
    """What a pool gives, with as many windows as runtimes count; of other nodes as it was found."""
    source, kernel = inputs[0] if inputs else None, attributes.get("kernel_shape")
    auto, ceil = attributes.get("auto_pad"), attributes.get("ceil_mode")
    padded = auto is not None and auto.as_string() != "NOTSET"
    if onnx_name(node) not in _POOLS or source is None or kernel is None or padded:
        return list(found)
    if ceil is None or not ceil.as_int() or len(source.shape) != len(kernel.as_ints()) + 2:
        return list(found)
    counts = tuple(
        _count(size, *window)
        for size, window in zip(source.shape[2:], _windows(attributes), strict=True)
    )
    return [
        None if tensor is None else Tensor((*source.shape[:2], *counts), tensor.dtype)
        for tensor in found
    ]


def _windows(attributes: Mapping[str, ir.Attr]) -> list[tuple[int, int, int, int]]:
    """Of each axis: what a window spans, its stride, and the padding in front and behind."""
    kernel = attributes["kernel_shape"].as_ints()
    axes = len(kernel)

    def given(name: str, default: int, count: int) -> Sequence[int]:
        attribute = attributes.get(name)
        return (default,) * count if attribute is None else attribute.as_ints()

    pads = given("pads", 0, 2 * axes)
    steps, strides = given("dilations", 1, axes), given("strides", 1, axes)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, steps, strict=True)]
    return list(zip(spans, strides, pads[:axes], pads[axes:], strict=True))


def _count(size: int, span: int, stride: int, head: int, tail: int) -> int:
    count = -(-(size + head + tail - span) // stride) + 1
    return count - 1 if (count - 1) * stride >= size + head else count
