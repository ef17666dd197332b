"""Of large models one session at a time is loaded, and their files go with the last of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge import VerifyOptions, verify
from normonnx.runtime import hosting, parking
from normonnx.runtime.hosting import Host
from normonnx.runtime.parking import ParkedSession
from normonnx.runtime.sessions import Setting
from tests.judge.building import Array, graph_model

TEXT = "(float[2, 8] x) => (float[2, 8] y) { y = MatMul(x, w) }"
WRITTEN, SHIPPED = Setting("cpu", as_shipped=False), Setting("cpu", as_shipped=True)
FEED = {"x": np.arange(16, dtype=np.float32).reshape(2, 8)}


def model(factor: float = 1.0) -> ir.Model:
    return ir.from_proto(graph_model(TEXT, w=np.eye(8, dtype=np.float32) * np.float32(factor)))


def loaded() -> list[ParkedSession]:
    sessions = [reference() for reference in parking._loaded]
    return [s for s in sessions if s is not None and s._session is not None]


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "_PARKED_BYTES", 0)


def times(session: ParkedSession) -> Array:
    return np.asarray(session.run(FEED)["y"])


def test_the_one_that_runs_is_loaded() -> None:
    with Host(model(2)) as one, Host(model(3)) as other:
        sessions = [one.session(WRITTEN), one.session(SHIPPED), other.session(WRITTEN)]
    assert all(isinstance(session, ParkedSession) for session in sessions)
    for _ in range(2):
        for session, factor in zip(sessions, (2, 2, 3), strict=True):
            assert isinstance(session, ParkedSession)
            assert np.array_equal(times(session), FEED["x"] * factor)
            assert loaded() == [session]


def test_files_stay_as_long_as_a_session_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "_BYTES_LIMIT", 0)
    with Host(model()) as host:
        session, another = host.session(WRITTEN), host.session(SHIPPED)
        folder = Path(host._form.path).parent
    del host
    assert isinstance(session, ParkedSession)
    assert isinstance(another, ParkedSession)
    times(session)
    times(another)
    del session
    assert folder.is_dir()
    del another
    assert not folder.exists()


@pytest.mark.parametrize("isolated", [False, True])
def test_the_verdict_is_the_same(isolated: bool) -> None:
    options = VerifyOptions(isolated=isolated)
    assert verify(model(), model(), options=options).passed
    assert verify(model(), model(1.01), options=options).status == "fail"
