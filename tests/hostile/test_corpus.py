"""Every hostile model gets one clear error and exit code 3, and leaves nothing behind."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from normonnx.runtime.sessions import Session, SessionFailedError, Setting
from tests.hostile.bombs import EXPANDING, endless
from tests.hostile.case import SECRET
from tests.hostile.corpus import REFUSED
from tests.hostile.guarded import Guarded
from tests.hostile.running import Said, optimize

_SECONDS = 60.0
_MEMORY = 4 << 30
_MOST_GROWN = 1 << 30
"""Bytes; the bomb of five million nodes takes most of it, before they can be counted."""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with Guarded(optimize, seconds=_SECONDS, memory=_MEMORY) as call:
        yield call


def said(guarded: Guarded, path: Path, *options: str) -> Said:
    answer = guarded(path, path.parent.parent / "out", *options)
    assert answer.end == "done", answer.value
    assert answer.grown < _MOST_GROWN
    assert isinstance(answer.value, Said)
    return answer.value


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_error(guarded: Guarded, tmp_path: Path, name: str) -> None:
    case = REFUSED[name]
    result = said(guarded, case.write(tmp_path))
    assert result.code == 3
    assert result.text.count("error[NX-E") == 1
    assert case.sentence in result.text
    assert "Traceback" not in result.text
    assert SECRET.decode()[:20] not in result.text
    assert result.left == ()


@pytest.mark.parametrize("name", EXPANDING)
def test_what_nobody_can_run_is_inconclusive(guarded: Guarded, tmp_path: Path, name: str) -> None:
    """Valid models: the rewrites are made, what they compute cannot be judged, nothing is kept."""
    case = EXPANDING[name]
    result = said(guarded, case.write(tmp_path))
    assert result.code == 4
    assert case.sentence in result.text
    assert "Traceback" not in result.text
    assert result.left == ()


@pytest.mark.parametrize("name", EXPANDING)
def test_what_nobody_can_run_is_rewritten_unjudged(
    guarded: Guarded, tmp_path: Path, name: str
) -> None:
    result = said(guarded, EXPANDING[name].write(tmp_path), "--no-verify")
    assert (result.code, result.left) == (0, ("m.onnx",))


def test_a_run_without_an_end_is_ended() -> None:
    session = Session(endless().SerializeToString(), Setting("cpu", False), seconds=0.3)
    threads = []
    for _ in range(2):
        with pytest.raises(SessionFailedError, match=r"did not finish within 0\.3 s"):
            session.run({"x": np.zeros((2, 8), np.float32)})
        threads.append(threading.active_count())
    assert threads[0] == threads[1], "nobody is left behind"


_NETWORK = frozenset(
    """socket ssl http urllib ftplib requests urllib3 tarfile zipfile pickle shelve webbrowser
    pip""".split()
)


def test_nothing_is_fetched_unpacked_or_unpickled() -> None:
    """CVE-2024-5187 and CVE-2026-28500: what is never imported cannot be tricked.

    A Dask cluster that the user names by its address is the one connection there is, and Dask's.
    """
    root = Path(__file__).resolve().parents[2] / "normonnx"
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
            else:
                continue
            found |= {
                (path.name, name)
                for name in names
                if name.split(".")[0] in _NETWORK or name.startswith(("onnx.hub", "onnx.utils"))
            }
    # What `run --save-outputs` writes is an .npz; nothing is read with it.
    assert found == {("datasets.py", "zipfile")}
