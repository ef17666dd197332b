"""ONNX Runtime in a process of its own: what kills it is a failure with a name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from normonnx.judge import VerifyOptions, verify
from normonnx.runtime import isolation
from normonnx.runtime.hosting import Host
from normonnx.runtime.isolation import IsolatedSession
from normonnx.runtime.sessions import SessionFailedError, Setting
from normonnx.runtime.wire import NotSendableError, decode, encode
from tests.judge.building import graph_model, replace_weight

WRITTEN = Setting("cpu", as_shipped=False)
TEXT = "(float[N, 4] x) => (float[N, 4] y) { y = MatMul(x, w) }"


def model(factor: float = 1.0) -> ir.Model:
    return ir.from_proto(graph_model(TEXT, w=np.eye(4, dtype=np.float32) * np.float32(factor)))


_LOADS = """
import os, signal, sys, time
from normonnx.runtime.isolation import _read, _write
print("what a library prints is no answer", file=sys.stderr)
_read(sys.stdin.buffer)
_write(sys.stdout.buffer, b"+", b"CPUExecutionProvider")
"""
# A runtime that loads the model and is killed by the first inputs.
DIES = ("-c", f"{_LOADS}_read(sys.stdin.buffer)\nos.kill(os.getpid(), signal.SIGKILL)")
# A runtime that the model kills while it is loaded.
DIES_AT_ONCE = ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
# A runtime that never comes back.
SLEEPS = ("-c", f"{_LOADS}time.sleep(600)")


def test_it_runs_like_any_session() -> None:
    with Host(model(), isolated=True) as host:
        session = host.session(WRITTEN)
        assert isinstance(session, IsolatedSession)
        outputs = session.run({"x": np.full((2, 4), 3, np.float32)})
        assert outputs["y"].dtype == np.float32
        assert outputs["y"].tolist() == [[3] * 4] * 2
        with pytest.raises(SessionFailedError, match="Invalid rank for input: x"):
            session.run({"x": np.zeros(4, np.float32)})
        # A failure leaves the process as it was.
        assert session.run({"x": np.ones((1, 4), np.float32)})["y"].tolist() == [[1] * 4]


def test_what_does_not_load_says_so() -> None:
    broken = ir.from_proto(graph_model("(float[N] x) => (float[N] y) { y = NoSuchThing(x) }"))
    with Host(broken, isolated=True) as host, pytest.raises(SessionFailedError, match="NoSuch"):
        host.session(WRITTEN)


def test_a_crash_is_a_failure_and_the_next_run_starts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "_PROGRAM", DIES)
    session = IsolatedSession(b"", WRITTEN)
    for _ in range(2):
        with pytest.raises(SessionFailedError, match=r"crashed \(SIGKILL\): what a library"):
            session.run({})


def test_a_crash_while_loading_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "_PROGRAM", DIES_AT_ONCE)
    with pytest.raises(SessionFailedError, match="SIGSEGV"):
        IsolatedSession(b"", WRITTEN)
    monkeypatch.setattr(isolation, "_PROGRAM", SLEEPS)
    session = IsolatedSession(b"", WRITTEN, seconds=0.2)
    with pytest.raises(SessionFailedError, match=r"did not answer within 0\.2 s"):
        session.run({})


def test_memory_is_limited() -> None:
    text = """(float[a, 1] x) => (float[b, c] y) {
        s = Constant <value_ints = [1, 2000000000]> ()
        y = Expand(x, s)
    }"""
    content = graph_model(text).SerializeToString()
    session = IsolatedSession(content, WRITTEN, memory=4 << 30)
    with pytest.raises(SessionFailedError):
        session.run({"x": np.ones((1, 1), np.float32)})


def test_the_crash_of_the_optimised_model_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    original = model()
    start = IsolatedSession._start

    def started(self: IsolatedSession) -> None:
        crashes = self._task.form != reference
        monkeypatch.setattr(isolation, "_PROGRAM", DIES if crashes else serves)
        start(self)

    serves = isolation._PROGRAM
    with Host(original) as host:
        reference = host._form
    monkeypatch.setattr(IsolatedSession, "_start", started)
    verdict = verify(original, model(2), options=VerifyOptions(isolated=True))
    assert verdict.status == "fail"
    assert "does not run on feed 0: ONNX Runtime crashed (SIGKILL)" in verdict.first_failure


def test_verdicts_are_the_same_here_and_there() -> None:
    proto = graph_model(TEXT, w=np.eye(4, dtype=np.float32))
    wrong = ir.from_proto(replace_weight(proto, "w", np.eye(4, dtype=np.float32) * 1.01))
    for optimized in (model(), wrong):
        here, there = (
            verify(model(), optimized, options=VerifyOptions(isolated=isolated))
            for isolated in (False, True)
        )
        assert here.line() == there.line()


def test_outputs_survive_the_way() -> None:
    outputs = {
        "f": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "b": np.array([1.5, -2], dtype=ml_dtypes.bfloat16),
        "i": np.array(7, np.int64),
        "none": None,
        "t": np.array([["a", "ü"]], dtype=object),
        "l": [np.ones(2, np.float16), np.zeros((0, 3), np.bool_)],
    }
    found = decode(encode(outputs))
    assert list(found) == list(outputs)
    for name in "fbit":
        np.testing.assert_array_equal(found[name], outputs[name])
        assert found[name].dtype == np.asarray(outputs[name]).dtype
    assert found["none"] is None
    assert [(a.dtype, a.shape) for a in found["l"]] == [("float16", (2,)), ("bool", (0, 3))]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x05" + b"\0" * 7 + b"x", encode({"a": np.ones(3)})[:-4], b"\x02" + b"\0" * 7 + b"[]"],
)
def test_a_damaged_answer_is_none(content: bytes) -> None:
    with pytest.raises(NotSendableError, match="damaged"):
        decode(content)


def test_maps_are_sent_as_the_runtime_gives_them() -> None:
    scores = [{1: 0.5, 2: 0.25}, {1: 0.0, 2: 1.0}]
    names = {"cat": 0.1, "dog": 0.9}
    sent = encode({"y": scores, "z": names, "n": None})
    assert decode(sent) == {"y": scores, "z": names, "n": None}


def test_what_is_no_tensor_is_not_sent() -> None:
    with pytest.raises(NotSendableError, match="'y' is no tensor"):
        encode({"y": [{1: object()}]})


def test_a_script_without_a_guard_may_ask_for_it(tmp_path: Path) -> None:
    """The process runs nothing of the caller's, and finds nothing in the working directory."""
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('the wrong onnxruntime')")
    (tmp_path / "model.onnx").write_bytes(ir.to_proto(model()).SerializeToString())
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "import normonnx\n"
        "print(normonnx.verify('model.onnx', 'model.onnx', untrusted=True).status)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "pass"), done.stderr
