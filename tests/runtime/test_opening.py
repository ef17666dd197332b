"""`normonnx.session`: the library where it is needed, the provider that really runs asserted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import normonnx
from normonnx.errors import EnvironmentLacksError, NormonnxError, UnreadableModelError, UsageError
from tests.graphs import proto

X = np.linspace(-1, 3, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def norm() -> onnx.ModelProto:
    made: onnx.ModelProto = proto(
        """(float[N, 4] x) => (float[N, 4] y) {
        m = ReduceMean <axes = [-1]> (x) d = Sub (x, m) q = Mul (d, d)
        v = ReduceMean <axes = [-1]> (q) e = Add (v, eps) r = Sqrt (e) n = Div (d, r)
        w = Mul (n, g) y = Add (w, b) }""",
        opset=13, g=(4,), b=(4,), eps=np.float32(1e-5),
    )  # fmt: skip
    return made


@pytest.fixture
def fused(norm: onnx.ModelProto) -> bytes:
    return normonnx.optimize(norm, target="normonnx", verify=False).to_bytes()


def ran(session: onnxruntime.InferenceSession) -> np.ndarray:
    (y,) = session.run(None, {"x": X})
    return np.asarray(y)


def needs_library() -> None:
    try:
        normonnx.library_path()
    except EnvironmentLacksError as error:
        pytest.skip(error.message)


def test_the_library_runs_where_there_is_no_function(
    norm: onnx.ModelProto, fused: bytes, tmp_path: Path
) -> None:
    needs_library()
    bare = onnx.ModelProto.FromString(fused)
    del bare.functions[:]
    path = tmp_path / "model.onnx"
    onnx.save(bare, path)
    wanted = ran(normonnx.session(norm))
    for source in (fused, bare, bare.SerializeToString(), path, str(path)):
        session = normonnx.session(source, providers=["CPUExecutionProvider"])
        assert session.get_providers() == ["CPUExecutionProvider"]
        np.testing.assert_allclose(ran(session), wanted, atol=1e-5)


def test_external_data(norm: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    wanted = ran(normonnx.session(norm))
    onnx.save(norm, path, save_as_external_data=True, size_threshold=0, location="weights")
    np.testing.assert_array_equal(ran(normonnx.session(path)), wanted)


def test_options_and_providers_as_onnx_runtime_takes_them(norm: onnx.ModelProto) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    providers = [("CPUExecutionProvider", {"use_arena": "0"})]
    session = normonnx.session(norm, providers=providers, options=options)
    assert session.get_session_options().intra_op_num_threads == 1


@pytest.mark.usefixtures("no_library")
def test_without_the_library(fused: bytes) -> None:
    with pytest.warns(UserWarning, match="runs by its functions: the library of custom operators"):
        session = normonnx.session(fused)
    assert ran(session).shape == X.shape
    bare = onnx.ModelProto.FromString(fused)
    del bare.functions[:]
    with pytest.raises(EnvironmentLacksError, match="without their functions, and the library"):
        normonnx.session(bare)


def test_the_same_options_may_be_given_again(fused: bytes, norm: onnx.ModelProto) -> None:
    needs_library()
    options = onnxruntime.SessionOptions()
    wanted = ran(normonnx.session(norm))
    for _ in range(3):
        session = normonnx.session(fused, options=options, providers="cpu")
        np.testing.assert_allclose(ran(session), wanted, atol=1e-5)
    normonnx.register_custom_ops(options)
    normonnx.register_custom_ops(options)
    assert ran(normonnx.session(fused, options=options)).shape == X.shape
    # What was registered without us cannot be seen, and is told for what it is.
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(normonnx.library_path()))
    with pytest.raises(UsageError, match="options have a library registered"):
        normonnx.session(fused, options=options)


def test_a_provider_that_is_not_there(norm: onnx.ModelProto) -> None:
    with pytest.raises(EnvironmentLacksError, match="has no NoSuchProvider") as caught:
        normonnx.session(norm, providers=["NoSuchProvider", "cpu"])
    assert "CPUExecutionProvider" in caught.value.hint


def test_a_provider_that_the_runtime_falls_back_from(
    norm: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["Other", "CPUExecutionProvider"]
    )
    make = onnxruntime.InferenceSession

    def fallen(*given: object, providers: list[str]) -> object:
        return make(*given, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(EnvironmentLacksError, match="fell back from Other to CPUExecution"):
        normonnx.session(norm, providers=["Other"])


def test_what_does_not_load(tmp_path: Path) -> None:
    unknown = proto("(float[N] x) => (float[N] y) { y = NoSuchThing(x) }")
    with pytest.raises((UnreadableModelError, NormonnxError), match="NoSuchThing"):
        normonnx.session(unknown)
    with pytest.raises(NormonnxError, match="no such file"):
        normonnx.session(tmp_path / "missing.onnx")
    known = proto("(float[N] x) => (float[N] y) { y = Abs(x) }")
    with pytest.raises(UsageError, match="no library of custom operators"):
        normonnx.session(known, custom_ops=[tmp_path / "missing.so"])
