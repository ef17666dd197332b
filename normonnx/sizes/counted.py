"""How large what windows give is, where onnx's inference counts otherwise than runtimes do.

A window of ceil mode, whether it is whole or not, starts inside the input or the padding in front
of it. Before opset 19, and for some pools until 22, onnx's inference counts one more that starts in
the padding behind. Where a pool is padded to be the same, runtimes pad as if it had no dilations;
and a transposed convolution that is padded so gets nothing more for its output_padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import onnx_ir as ir

from normonnx.operators.names import onnx_name
from normonnx.sizes.tensor import Tensor, Tensors

_POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})

_Attributes: TypeAlias = "Mapping[str, ir.Attr]"
_Count: TypeAlias = "Callable[[int, int, int, int, int, int, int], int]"
"""Of one axis: size, elements and step of a window, stride, padding before and behind, and more."""


def counted(
    node: ir.Node, inputs: Tensors, found: Sequence[Tensor | None], attributes: _Attributes
) -> list[Tensor | None]:
    """What a node gives, as large as runtimes make it.

    Args:
        node: any.
        inputs: what it reads.
        found: what it gives by onnx's inference.
        attributes: of the node, references resolved.
    """
    count, source = _count_of(node, attributes), inputs[0] if inputs else None
    kernel = _kernel(inputs, attributes)
    if count is None or source is None or len(source.shape) != len(kernel) + 2:
        return list(found)
    sizes = tuple(
        count(size, *window)
        for size, window in zip(source.shape[2:], _windows(kernel, attributes), strict=True)
    )
    return [
        None if tensor is None else Tensor((*tensor.shape[:2], *sizes), tensor.dtype)
        for tensor in found
    ]


def _count_of(node: ir.Node, attributes: _Attributes) -> _Count | None:
    """How many elements an axis gets, None where onnx is right."""
    same, ceil = _auto_pad(attributes).startswith("SAME"), attributes.get("ceil_mode")
    if onnx_name(node) == "ConvTranspose":
        return _transposed if same and "output_shape" not in attributes else None
    if onnx_name(node) not in _POOLS:
        return None
    if same:
        return _padded_to_be_the_same
    return _rounded_up if ceil is not None and ceil.as_int() else None


def _kernel(inputs: Tensors, attributes: _Attributes) -> Sequence[int]:
    given = attributes.get("kernel_shape")
    if given is not None:
        return given.as_ints()
    weight = inputs[1] if len(inputs) > 1 else None
    return () if weight is None else weight.shape[2:]


def _auto_pad(attributes: _Attributes) -> str:
    given = attributes.get("auto_pad")
    return "NOTSET" if given is None else given.as_string()


def _windows(
    kernel: Sequence[int], attributes: _Attributes
) -> list[tuple[int, int, int, int, int, int]]:
    axes = len(kernel)

    def given(name: str, default: int, count: int) -> Sequence[int]:
        attribute = attributes.get(name)
        return (default,) * count if attribute is None else attribute.as_ints()

    explicit = _auto_pad(attributes) == "NOTSET"
    pads = given("pads", 0, 2 * axes) if explicit else (0,) * (2 * axes)
    steps, strides = given("dilations", 1, axes), given("strides", 1, axes)
    more = given("output_padding", 0, axes)
    return list(zip(kernel, steps, strides, pads[:axes], pads[axes:], more, strict=True))


def _rounded_up(
    size: int, kernel: int, step: int, stride: int, head: int, tail: int, _more: int
) -> int:
    span = (kernel - 1) * step + 1
    count = -(-(size + head + tail - span) // stride) + 1
    return count - 1 if (count - 1) * stride >= size + head else count


def _padded_to_be_the_same(
    size: int, kernel: int, step: int, stride: int, _head: int, _tail: int, _more: int
) -> int:
    padded = (-(-size // stride) - 1) * stride + kernel
    room = padded - (kernel - 1) * step - 1
    return (room // stride if room >= 0 else -(-room // stride)) + 1


def _transposed(
    size: int, kernel: int, step: int, stride: int, _head: int, _tail: int, more: int
) -> int:
    return min((size - 1) * stride + more + (kernel - 1) * step + 1, size * stride)
