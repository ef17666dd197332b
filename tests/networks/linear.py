"""Layers with weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from .draft import Draft, UnsuitableError, Value


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _window(draft: Draft, x: Value) -> tuple[list[int], dict[str, Any]]:
    """A kernel over the axes behind the channels, and where it is put."""
    draft.need(3 <= x.rank <= 5)
    kernel = [draft.between(1, min(3, size)) for size in x.shape[2:]]
    if draft.chance(0.25):
        kernel = [1] * len(kernel)
    place: dict[str, Any] = {}
    if draft.chance(0.3):
        place["strides"] = [draft.between(1, 2) for _ in kernel]
    if draft.chance(0.15):
        place["auto_pad"] = draft.one_of(["SAME_UPPER", "SAME_LOWER", "VALID"])
        return kernel, place
    if draft.chance(0.2):
        place["dilations"] = [draft.between(1, 2) for _ in kernel]
    if draft.chance(0.45):
        same = [k // 2 for k in kernel]
        sides = [draft.between(0, 2) for _ in range(2 * len(kernel))]
        place["pads"] = [*same, *same] if draft.chance(0.6) else sides
    return kernel, place


def _must_fit(draft: Draft, x: Value, kernel: list[int], place: dict[str, Any]) -> None:
    """A kernel larger than what it reads has no place; ONNX's inference would find one."""
    count = len(kernel)
    pads, dilations = place.get("pads", [0] * 2 * count), place.get("dilations", [1] * count)
    for axis, (k, size) in enumerate(zip(kernel, x.shape[2:], strict=True)):
        reach = dilations[axis] * (k - 1) + 1
        draft.need("auto_pad" in place or reach <= size + pads[axis] + pads[axis + count])


def _bias(draft: Draft, channels: int, dtype: int) -> list[str]:
    spelling = draft.rng.random()
    if spelling < 0.5:
        return [draft.weight((channels,), dtype)]
    return [""] if spelling < 0.55 else []


def conv(draft: Draft, x: Value) -> list[Value]:
    kernel, place = _window(draft, x)
    _must_fit(draft, x, kernel, place)
    channels = x.shape[1]
    group = channels if draft.chance(0.2) else draft.one_of(_divisors(channels))
    if draft.chance(0.5):
        group = 1
    out = group * draft.between(1, 3) if group > 1 else draft.between(1, 5)
    shape = (out, channels // group, *kernel)
    gain = 1 / np.sqrt(np.prod(shape[1:]))
    w = _quantised(draft, shape, x.dtype) or draft.weight(shape, x.dtype, gain=gain)
    stated = kernel if draft.chance(0.5) else None
    return draft.node("Conv", [x, w, *_bias(draft, out, x.dtype)], group=group,
                      kernel_shape=stated, **place)  # fmt: skip


def _quantised(draft: Draft, shape: tuple[int, ...], dtype: int) -> str | None:
    """Now and then a weight that is dequantised, with one scale or one per output channel."""
    if draft.opset < 13 or dtype != TensorProto.FLOAT or not draft.chance(0.06):
        return None
    kind: Any = draft.one_of([np.int8, np.uint8])
    whole = draft.stored(draft.rng.integers(0, 100, shape).astype(kind))
    per_channel = draft.chance(0.6)
    scale = draft.rng.uniform(0.002, 0.02, shape[0] if per_channel else ())
    inputs = [whole, draft.constant(scale, dtype)]
    if draft.chance(0.6):
        zero = draft.rng.integers(0, 20, scale.shape).astype(kind)
        inputs.append(draft.stored(np.asarray(zero)))
    axis = 0 if per_channel else None
    return draft.node("DequantizeLinear", inputs, axis=axis)[0].name


def conv_transpose(draft: Draft, x: Value) -> list[Value]:
    kernel, place = _window(draft, x)
    place.pop("auto_pad", None)
    pads = place.get("pads")
    if pads is not None:
        place["pads"] = [min(p, (kernel * 2)[i] - 1) for i, p in enumerate(pads)]
    channels = x.shape[1]
    group = draft.one_of(_divisors(channels)) if draft.chance(0.4) else 1
    out = draft.between(1, 3)
    gain = 1 / np.sqrt(channels // group * np.prod(kernel))
    w = draft.weight((channels, out, *kernel), x.dtype, gain=gain)
    inputs = [x, w, *_bias(draft, out * group, x.dtype)]
    return draft.node("ConvTranspose", inputs, group=group, **place)


def gemm(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank == 2)
    left = draft.chance(0.15)
    own, other = ("transB", "transA") if left else ("transA", "transB")
    flip_x, flip_w = draft.chance(0.15), draft.chance(0.4)
    shape = x.shape[::-1] if flip_x else x.shape
    inner, kept = (shape[0], shape[1]) if left else (shape[1], shape[0])
    out = draft.between(1, 6)
    w_shape = (out, inner) if left != flip_w else (inner, out)
    w = draft.weight(w_shape, x.dtype, gain=1 / np.sqrt(inner))
    rows, columns = (out, kept) if left else (kept, out)
    inputs: list[Value | str] = [w, x] if left else [x, w]
    if draft.opset < 11 or draft.chance(0.7):
        c = draft.one_of([(columns,), (columns,), (1, columns), (rows, 1), (1,), (rows, columns)])
        inputs.append(draft.weight(c, x.dtype))
    alpha = draft.one_of([None, None, 0.5, 1.7])
    beta = draft.one_of([None, None, 0.5, 2.0, 0.0])
    flips = {own: int(flip_x), other: int(flip_w)}
    return draft.node("Gemm", inputs, alpha=alpha, beta=beta, **flips)


def matmul(draft: Draft, x: Value) -> list[Value]:
    draft.need(x.rank >= 2)
    out, spelling = draft.between(1, 6), draft.rng.random()
    if spelling < 0.7:
        w = draft.weight((x.shape[-1], out), x.dtype, gain=1 / np.sqrt(x.shape[-1]))
        return draft.node("MatMul", [x, w])
    if spelling < 0.85:
        w = draft.weight((out, x.shape[-2]), x.dtype, gain=1 / np.sqrt(x.shape[-2]))
        return draft.node("MatMul", [w, x])
    if spelling < 0.95:
        draft.need(x.rank >= 3)
        w = draft.weight((x.shape[-3], x.shape[-1], out), x.dtype, gain=1 / np.sqrt(x.shape[-1]))
        return draft.node("MatMul", [x, w])
    draft.need(x.rank >= 3)
    return draft.node("MatMul", [x, draft.weight((x.shape[-1],), x.dtype)])


def einsum(draft: Draft, x: Value) -> list[Value]:
    """One axis of x is summed over, the new one lands anywhere."""
    if draft.opset < 12 or x.rank < 2:
        raise UnsuitableError
    labels = "abcdef"[: x.rank]
    summed = draft.between(0, x.rank - 1)
    rest = labels.replace(labels[summed], "")
    place = draft.between(0, len(rest))
    out = rest[:place] + "z" + rest[place:]
    w = draft.weight((x.shape[summed], 3), x.dtype, gain=1 / np.sqrt(x.shape[summed]))
    return draft.node("Einsum", [x, w], equation=f"{labels},{labels[summed]}z->{out}")


OPERATORS = {conv: 6, conv_transpose: 2, gemm: 3, matmul: 4, einsum: 1}
