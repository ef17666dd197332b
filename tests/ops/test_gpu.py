"""The kernels on a GPU, through ONNX Runtime's CUDA provider."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from nodes import SHAPES, Node, assert_close, expected, feeds, model, variants

from normonnx.ops.operators import UNTYPED
from normonnx.runtime.library import register_custom_ops

pytestmark = pytest.mark.gpu

_PROVIDERS = ["CUDAExecutionProvider"]


@pytest.fixture(autouse=True)
def _gpu(library: Path) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime has no CUDA provider here")
    if not Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is no GPU here")


def _run(node: Node, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    register_custom_ops(options, _PROVIDERS)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    made = onnxruntime.InferenceSession(
        model(node).SerializeToString(), options, providers=_PROVIDERS
    )
    return [np.asarray(output) for output in made.run(None, given)]


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("mean", [0.0, 50.0])
def test_every_optional(op_type: str, dtype: str, mean: float) -> None:
    for inputs, outputs in variants(op_type):
        node = Node(op_type, dtype, "float", (7, 130), (130,), inputs=inputs, outputs=outputs)
        given = feeds(node, mean=mean)
        assert_close(node, _run(node, given), expected(node, given))


@pytest.mark.parametrize("op_type", UNTYPED)
@pytest.mark.parametrize(("shape", "scale", "axis"), SHAPES)
def test_every_shape(
    op_type: str, shape: tuple[int, ...], scale: tuple[int, ...], axis: int
) -> None:
    node = Node(op_type, shape=shape, scale=scale, axis=axis)
    given = feeds(node)
    assert_close(node, _run(node, given), expected(node, given))


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("n", [500, 1000, 2040, 4095, 8192, 16000, 20001, 65536, 131072, 140000])
@pytest.mark.parametrize("mean", [0.0, 1e3, 1e5])
def test_every_tier(dtype: str, n: int, mean: float) -> None:
    if dtype == "float16" and mean > 1e4:
        pytest.skip("beyond float16")
    node = Node("FusedLayerNormalization", dtype, shape=(9, n), scale=(n,))
    given = feeds(node, mean=mean)
    assert_close(node, _run(node, given), expected(node, given))
