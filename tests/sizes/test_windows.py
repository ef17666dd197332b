"""Where onnx infers another size than runtimes make, a walk has theirs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from normonnx.sizes.recorded import Recorded
from tests.graphs import proto, value

POOLS = ("MaxPool", "AveragePool", "LpPool")


def check(of: onnx.ModelProto, *, or_refused: bool = False, **feeds: np.ndarray) -> None:
    """The walked size is that of what ONNX Runtime gives, if it takes the model."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(of.SerializeToString(), options)
        [expected] = session.run(None, feeds)
    except Exception:
        assert or_refused
        return
    m = ir.from_proto(of)
    tensor = Recorded(m).walks[0].tensor(value(m, "y"))
    assert tensor is not None
    assert tensor.shape == expected.shape, onnx.printer.to_text(of)


@pytest.mark.parametrize("opset", [11, 17, 22])
@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_windows_at_the_end(pool: str, opset: int) -> None:
    sizes = itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (0, 1), ("NOTSET", "VALID"))
    for kernel, stride, head, tail, auto in sizes:
        if max(head, tail) >= kernel or (auto == "VALID" and (head or tail)):
            continue
        pads = "" if auto == "VALID" else f"pads=[{head},{tail}],"
        of = proto(
            f"""(float[1,1,10] x) => (float[1,1,m] y) {{
              y = {pool} <kernel_shape=[{kernel}], strides=[{stride}], {pads}
                auto_pad="{auto}", ceil_mode=1> (x)
            }}""",
            opset=opset,
        )
        check(of, x=np.ones((1, 1, 10), np.float32))


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("pool", POOLS)
def test_windows_with_steps_that_are_padded_to_be_the_same(pool: str, auto: str) -> None:
    for kernel, stride, step, size in itertools.product((2, 3, 4), (1, 2, 3), (1, 2), range(4, 9)):
        of = proto(
            f"""(float[1,1,{size}] x) => (float[1,1,m] y) {{
              y = {pool} <kernel_shape=[{kernel}], strides=[{stride}], dilations=[{step}],
                auto_pad="{auto}"> (x)
            }}""",
            opset=22,
        )
        check(of, or_refused=True, x=np.ones((1, 1, size), np.float32))


@pytest.mark.parametrize("auto", ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
def test_transposed_convolutions(auto: str) -> None:
    given: tuple[dict[str, Any], ...] = ({}, {"output_shape": [11]}, {"output_shape": [9]})
    for kernel, stride, more, shape in itertools.product((2, 3, 4), (2, 3), (0, 1), given):
        of = proto("(float[1,2,5] x) => (float[1,3,m] y) { y = Identity (x) }", w=(2, 3, kernel))
        options = {"strides": [stride], "output_padding": [more], "auto_pad": auto, **shape}
        of.graph.node[0].CopyFrom(
            onnx.helper.make_node("ConvTranspose", ["x", "w"], ["y"], **options)
        )
        check(of, or_refused=bool(shape), x=np.ones((1, 2, 5), np.float32))


@pytest.mark.parametrize("sides", ["", "<onesided=0>", "<onesided=1>"])
def test_a_spectrum_of_one_side_unless_told_otherwise(sides: str) -> None:
    of = proto(
        f"(float[2,40,1] x) => (float[2,m,n,2] y) {{ y = STFT {sides} (x, step, w) }}",
        w=(16,), step=np.array(4),
    )  # fmt: skip
    check(of, x=np.ones((2, 40, 1), np.float32))
