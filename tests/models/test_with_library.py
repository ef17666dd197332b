"""Every model of models/, for every target, in ONNX Runtime with the library registered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import normonnx
from normonnx.errors import EnvironmentLacksError

_MODELS = sorted((Path(__file__).resolve().parents[2] / "models").glob("*.onnx"))
_LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)
_OPEN = 6
_WITH_OPERATORS = {path.stem for path in _MODELS if "norm" in path.stem} - {
    "conv1d_batchnorm",
    "conv2d_residual_batchnorm",
    "conv3d_batchnorm",
    "tutorial_dense_batchnorm",
}


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    try:
        normonnx.library_path()
    except EnvironmentLacksError as error:
        pytest.skip(error.message)


def _session(model: Path | bytes, level: object, *, library: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    if library:
        normonnx.register_custom_ops(options, ["CPUExecutionProvider"])
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _feeds(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    feeds = {}
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) else _OPEN for size in value.shape]
        feeds[value.name] = (
            random.integers(0, 8, shape)
            if value.type == "tensor(int64)"
            else random.standard_normal(shape).astype(np.float32)
        )
    return feeds


@pytest.mark.parametrize("target", ["onnx", "ort", "normonnx"])
@pytest.mark.parametrize("path", _MODELS, ids=lambda path: path.stem)
def test_it_runs_as_its_original(path: Path, target: str) -> None:
    content = normonnx.optimize(path, target=target, verify=False).to_bytes()
    nodes = onnx.ModelProto.FromString(content).graph.node
    has_any = any(node.domain == "normonnx" for node in nodes)
    assert has_any == (target == "normonnx" and path.stem in _WITH_OPERATORS)
    original = _session(path, _LEVELS[0], library=False)
    feeds = _feeds(original)
    wanted = original.run(None, feeds)
    for level in _LEVELS:
        found = _session(content, level, library=True).run(None, feeds)
        for a, b in zip(wanted, found, strict=True):
            scale = float(np.abs(a).max())
            np.testing.assert_allclose(b, a, rtol=0, atol=2e-5 * scale)
