"""Sessions of large models read one copy of the weights, wherever that lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx import model_io
from normonnx.runtime import hosting
from normonnx.runtime.hosting import Host
from normonnx.runtime.sessions import SessionFailedError, Setting
from tests.judge.building import graph_model

TEXT = "(float[2, 512] x) => (float[2, 512] y) { a = MatMul(x, w) y = MatMul(a, v) }"
SETTINGS = (Setting("cpu", as_shipped=False), Setting("cpu", as_shipped=True))
RANDOM = np.random.default_rng(0)
W, V = (RANDOM.standard_normal((512, 512)).astype(np.float32) for _ in "wv")
FEED = {"x": RANDOM.standard_normal((2, 512)).astype(np.float32)}


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "_SHARED_BYTES", 0)


@pytest.fixture(params=["inside", "beside"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with its weights inside, where they lie at any address, or beside it."""
    name = "w" * (3 if request.param == "inside" else 1)
    proto = graph_model(TEXT.replace("w)", f"{name})"), v=V, **{name: W})
    beside = request.param == "beside"
    path = tmp_path / "model.onnx"
    onnx.save(proto, path, save_as_external_data=beside, location="data.bin", size_threshold=0)
    return path


def plain(model: onnx.ModelProto | str, setting: Setting) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if setting.as_shipped else levels.ORT_DISABLE_ALL
    )
    return np.asarray(onnxruntime.InferenceSession(model, options).run(None, FEED)[0])


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_results_are_those_of_the_file(path: Path, setting: Setting) -> None:
    with Host(model_io.load(path).model) as host:
        assert host._form.folder
        assert len(host._form.content) < W.nbytes
        found = host.session(setting).run(FEED)["y"]
    assert np.array_equal(found, plain(str(path), setting))


def test_further_values_can_be_asked_for(path: Path) -> None:
    with Host(model_io.load(path).model) as host:
        found = host.session(SETTINGS[0], marked={"a": "a marked"}).run(FEED)["a marked"]
    assert np.allclose(found, FEED["x"] @ W, rtol=1e-3, atol=1e-3)


def test_models_that_share_weights_have_them_written_once(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(graph_model(TEXT, w=W, v=V), path)
    loaded = model_io.load(path)
    own = loaded.give()
    own.graph.initializers["v"].const_value = ir.tensor(2 * V, name="v")
    with Host(loaded.model) as one, Host(own) as other:
        assert one._form.folder == other._form.folder
        file = Path(one._form.folder) / "weights.bin"
        assert file.stat().st_size < 2 * (W.nbytes + V.nbytes)
        first, second = (host.session(SETTINGS[0]).run(FEED)["y"] for host in (one, other))
    assert np.allclose(2 * first, second, rtol=1e-4, atol=1e-4)


def test_the_files_go_with_the_last_session(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(graph_model(TEXT, w=W, v=V), path)
    with Host(model_io.load(path).model) as host:
        session = host.session(SETTINGS[0])
        folder = Path(host._form.folder)
    del host
    session.run(FEED)
    assert folder.is_dir()
    del session
    assert not folder.exists()


def test_a_runtime_that_does_not_know_of_the_folder_is_given_everything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("normonnx.runtime.sessions._FOLDER", "session.unknown")
    with Host(model_io.load(path).model) as host:
        found = host.session(SETTINGS[0]).run(FEED)["y"]
    assert np.array_equal(found, plain(str(path), SETTINGS[0]))


def test_weights_that_cannot_be_written_are_inside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_io.WeightsFile, "place", refuse)
    with Host(model_io.load(path).model) as host:
        found = host.session(SETTINGS[0]).run(FEED)["y"]
    assert np.array_equal(found, plain(str(path), SETTINGS[0]))


def test_a_model_that_does_not_load_is_still_told() -> None:
    text = "(float[2, 2] x) => (float[2, 2] y) { y = NoSuchThing(x) }"
    with Host(ir.from_proto(graph_model(text))) as host, pytest.raises(SessionFailedError):
        host.session(SETTINGS[0])
