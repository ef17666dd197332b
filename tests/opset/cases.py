"""One-node models over every operator that an opset changed, with numbers that it takes.

The attributes are those that an old form may have been given, so that what a new form says
otherwise shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct, field

Array = np.ndarray[Any, Any]


class Case(Struct, frozen=True):
    """One node, in the opset in which it is met.

    Attributes:
        name: of the case.
        opset: of the model.
        text: inputs, outputs and the node, as onnx's parser reads them.
        weights: constants by name.
        feeds: numbers for inputs that do not take any.
        stays: whether no opset behind a change can say what it says.
    """

    name: str
    opset: int
    text: str
    weights: dict[str, Array] = field(default_factory=dict)
    feeds: dict[str, Array] = field(default_factory=dict)


def _ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def _floats(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


_X4 = "(float[2,3,7,8] x) => (float[a,b,c,d] y)"
_X3 = "(float[2,3,5] x) => (float[a,b,c] y)"
_BATCHNORM = "(float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v) => (float[2,3,4] y)"
_POSITIVE = {"v": _floats(0.5, 1, 2)}


def _resizes() -> list[Case]:
    found = []
    for opset in (10, 11, 12, 13, 17, 18):
        for mode in ("nearest", "linear", "cubic")[: 2 if opset == 10 else 3]:
            for k in ((1, 1, 1.7, 2), (1, 1, 0.6, 0.5), (1, 1, 3, 2)):
                inputs = "x, k" if opset == 10 else "x, roi, k"
                found.append(
                    Case(
                        f"Resize{opset}-{mode}-{k}",
                        opset,
                        f'{_X4} {{ y = Resize <mode="{mode}"> ({inputs}) }}',
                        {"k": _floats(*k)} | ({} if opset == 10 else {"roi": _floats()}),
                    )
                )
    for mode in ("asymmetric", "align_corners", "pytorch_half_pixel", "tf_crop_and_resize"):
        attributes = f'mode="linear", coordinate_transformation_mode="{mode}"'
        found.append(
            Case(
                f"Resize11-{mode}",
                11,
                f"{_X4} {{ y = Resize <{attributes}> (x, roi, k) }}",
                {"k": _floats(1, 1, 1.5, 2), "roi": _floats(0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9)},
            )
        )
    found.append(
        Case(
            "Resize-sizes",
            13,
            f'{_X4} {{ y = Resize <mode="nearest"> (x, , , n) }}',
            {"n": _ints(2, 3, 11, 5)},
        )
    )
    return found


def _upsamples() -> list[Case]:
    return [
        case
        for mode in ("nearest", "linear")
        for k in ((1.0, 1.0, 2.0, 2.0), (1.0, 1.0, 2.5, 1.5))
        for case in (
            Case(
                f"Upsample9-{mode}-{k}",
                9,
                f'{_X4} {{ y = Upsample <mode="{mode}"> (x, k) }}',
                {"k": _floats(*k)},
            ),
            Case(
                f"Upsample7-{mode}-{k}",
                7,
                f'{_X4} {{ y = Upsample <mode="{mode}", scales={list(k)}> (x) }}',
            ),
        )
    ]


def _rows() -> list[Case]:
    return [
        Case(f"{name}-{axis}", 11, f"{_X3} {{ y = {name} {axis} (x) }}")
        for name in ("Softmax", "LogSoftmax", "Hardmax")
        for axis in ("", "<axis=0>", "<axis=1>", "<axis=2>", "<axis=-2>")
    ]


def _pools() -> list[Case]:
    forms = (
        "ceil_mode=1, strides=[2,2]",
        "ceil_mode=1, strides=[2,2], pads=[1,1,1,1]",
        "ceil_mode=1, strides=[3,3], pads=[1,1,1,1], count_include_pad=1",
        'auto_pad="SAME_UPPER", strides=[2,2]',
        'auto_pad="SAME_LOWER", strides=[2,2], ceil_mode=1',
    )
    return [
        Case(
            f"AveragePool{opset}-{i}",
            opset,
            f"{_X4} {{ y = AveragePool <kernel_shape=[3,3], {form}> (x) }}",
        )
        for opset in (10, 11, 18)
        for i, form in enumerate(forms)
    ] + [
        Case(
            f"LpPool{opset}-{form}",
            opset,
            f"{_X4} {{ y = LpPool <kernel_shape=[3,3], p=2, {form}> (x) }}",
        )
        for opset in (10, 11, 17)
        for form in ("strides=[2,2]", "pads=[1,1,1,1]", 'auto_pad="SAME_UPPER", strides=[2,2]')
    ]


def _quantizers() -> list[Case]:
    zero = {"s": np.float32(0.05), "z": np.uint8(120)}
    return [
        Case(
            "QuantizeLinear",
            10,
            "(float[2,3,5] x) => (uint8[2,3,5] y) { y = QuantizeLinear (x, s, z) }",
            zero,
        ),
        Case(
            "DequantizeLinear",
            10,
            "(uint8[2,3,5] x) => (float[2,3,5] y) { y = DequantizeLinear (x, s, z) }",
            zero,
        ),
    ]


def _arithmetic() -> list[Case]:
    pair = "(float[2,3,4] x, float[{}] z) => ({}[2,3,4] y)"
    numbers = [
        Case(
            f"{name}6-{shape}",
            6,
            pair.format(shape, "float") + f" {{ y = {name} <broadcast=1, axis={axis}> (x, z) }}",
        )
        for name in ("Add", "Sub", "Mul", "Div", "Pow")
        for shape, axis in (("3", 1), ("3,4", 1), ("2", 0))
    ]
    return [
        *numbers,
        Case("Add6-last", 6, pair.format("4", "float") + " { y = Add <broadcast=1> (x, z) }"),
        Case(
            "Greater6",
            6,
            pair.format("3", "bool") + " { y = Greater <broadcast=1, axis=1> (x, z) }",
        ),
        Case(
            "Gemm6",
            6,
            "(float[2,3] x, float[3,4] z, float[4] c) => (float[2,4] y) "
            "{ y = Gemm <broadcast=1, alpha=0.5> (x, z, c) }",
        ),
        Case("Erf", 9, f"{_X3} {{ y = Erf (x) }}"),
        Case("Clip", 6, f"{_X3} {{ y = Clip <min=-0.5, max=0.25> (x) }}"),
        Case("Clip-none", 10, f"{_X3} {{ y = Clip (x) }}"),
        Case("Clip-min", 10, f"{_X3} {{ y = Clip <min=0.1> (x) }}"),
    ]


def _layout() -> list[Case]:
    split = "(float[2,7] x) => (float[2,a] y, float[2,b] z)"
    halves = "(float[2,6] x) => (float[2,3] y, float[2,3] z) { y, z = Split <axis=1> (x) }"
    top = "(float[2,3,5] x) => (float[2,3,2] y, int64[2,3,2] i)"
    return [
        Case("Split", 11, halves),
        Case("Split13", 13, halves),
        Case("Split-sizes", 11, f"{split} {{ y, z = Split <axis=1, split=[3,4]> (x) }}"),
        Case(
            "Split-sizes13", 13, f"{split} {{ y, z = Split <axis=1> (x, n) }}", {"n": _ints(3, 4)}
        ),
        Case("Pad", 2, f"{_X3} {{ y = Pad <pads=[0,0,1,0,0,2], value=0.5> (x) }}"),
        Case("Pad-reflect", 10, f'{_X3} {{ y = Pad <pads=[0,0,1,0,0,2], mode="reflect"> (x) }}'),
        Case("Pad-crop", 10, f"{_X3} {{ y = Pad <pads=[0,0,-1,0,0,2]> (x) }}"),
        Case("Slice", 9, f"{_X3} {{ y = Slice <starts=[1,-3], ends=[3,9], axes=[1,2]> (x) }}"),
        Case("Slice-all", 1, f"{_X3} {{ y = Slice <starts=[0,1,1], ends=[2,3,-1]> (x) }}"),
        Case("TopK", 9, f"{top} {{ y, i = TopK <k=2> (x) }}"),
        Case(
            "OneHot",
            9,
            "(int64[2,3] x) => (float[2,3,4] y) { y = OneHot (x, d, v) }",
            {"d": np.int64(4), "v": _floats(0, 1)},
            {"x": np.array([[0, -1, 3], [1, 5, -4]])},
        ),
        Case(
            "ConvTranspose",
            9,
            "(float[1,2,4,5] x, float[2,3,3,3] w) => (float[a,b,c,d] y) "
            "{ y = ConvTranspose <strides=[2,2], pads=[1,0,0,1], output_padding=[1,1]> (x, w) }",
        ),
        Case(
            "ConvTranspose-odd",
            9,
            "(float[1,2,4,5] x, float[2,3,3,3] w) => (float[a,b,c,d] y) "
            '{ y = ConvTranspose <strides=[2,2], auto_pad="SAME_UPPER"> (x, w) }',
        ),
        Case("Dropout", 7, f"{_X3} {{ y = Dropout <ratio=0.3> (x) }}"),
        Case("Dropout6", 6, f"{_X3} {{ y = Dropout <ratio=0.3, is_test=1> (x) }}"),
        Case(
            "Dropout-mask",
            9,
            "(float[2,3,5] x) => (float[2,3,5] y, float[2,3,5] m) { y, m = Dropout (x) }",
        ),
        Case(
            "GridSample",
            16,
            "(float[1,2,5,6] x, float[1,3,4,2] g) => (float[a,b,c,d] y) "
            '{ y = GridSample <mode="bicubic", padding_mode="border"> (x, g) }',
        ),
        Case("DFT", 17, "(float[1,8,1] x) => (float[1,8,2] y) { y = DFT <axis=1> (x) }"),
        Case(
            "RoiAlign",
            10,
            "(float[1,2,8,8] x) => (float[a,b,c,d] y) "
            "{ y = RoiAlign <output_height=3, output_width=3, sampling_ratio=2> (x, r, n) }",
            {"r": _floats(0, 0, 5, 5, 1, 1, 7, 6).reshape(2, 4), "n": _ints(0, 0)},
        ),
    ]


def _norms() -> list[Case]:
    return [
        Case(
            "BatchNormalization6",
            6,
            _BATCHNORM + " { y = BatchNormalization <is_test=1> (x, s, b, m, v) }",
            {},
            _POSITIVE,
        ),
        Case(
            "BatchNormalization8",
            8,
            _BATCHNORM + " { y = BatchNormalization <spatial=1> (x, s, b, m, v) }",
            {},
            _POSITIVE,
        ),
        Case(
            "BatchNormalization8-elements",
            8,
            "(float[2,3,4] x, float[3,4] s, float[3,4] b, float[3,4] m, float[3,4] v) "
            "=> (float[2,3,4] y) { y = BatchNormalization <spatial=0> (x, s, b, m, v) }",
            {},
            {"v": np.linspace(0.5, 2, 12, dtype=np.float32).reshape(3, 4)},
        ),
        Case(
            "BatchNormalization-training",
            9,
            f"{_BATCHNORM[:-1]}, float[3] p, float[3] q, float[3] t, float[3] u) "
            "{ y, p, q, t, u = BatchNormalization (x, s, b, m, v) }",
            {},
            _POSITIVE,
        ),
        Case(
            "GroupNormalization",
            18,
            "(float[2,4,3] x, float[2] s, float[2] b) => (float[2,4,3] y) "
            "{ y = GroupNormalization <num_groups=2> (x, s, b) }",
        ),
    ]


def _recurrent() -> list[Case]:
    return [
        Case(
            f"{name}{opset}",
            opset,
            f"(float[5,2,3] x, float[1,{4 * n},3] w, float[1,{4 * n},4] r) => (float[5,1,2,4] y) "
            f"{{ y = {name} <hidden_size=4> (x, w, r) }}",
        )
        for name, n in (("RNN", 1), ("GRU", 3), ("LSTM", 4))
        for opset in (3, 7)
    ]


CASES = [
    *_resizes(),
    *_upsamples(),
    *_rows(),
    *_pools(),
    *_quantizers(),
    *_arithmetic(),
    *_layout(),
    *_norms(),
    *_recurrent(),
]
