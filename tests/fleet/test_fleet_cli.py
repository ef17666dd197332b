"""``normonnx optimize`` over a directory: one summary, one JSON; what is finished is skipped."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str]]
SMALL = ("conv1d_batchnorm.onnx", "tutorial_dense_layernorm.onnx")


@pytest.fixture
def house(tmp_path: Path, models_dir: Path) -> Path:
    house = tmp_path / "house"
    (house / "below").mkdir(parents=True)
    for place, name in zip((house, house / "below"), SMALL, strict=True):
        shutil.copy(models_dir / name, place / name)
    (house / "notes.txt").write_text("no model")
    return house


def test_directory(told: Run, house: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "r.json"
    (house / "broken.onnx").write_bytes(b"no model")
    options = ("--output-dir", out, "--no-verify", "--resume", "--report", f"json={report}")
    counted: list[list[str]] = []
    for finished in (False, True):
        code, text = told("optimize", house, *options)
        assert code == 3
        assert "normonnx: REFUSED 3 models" in text
        counted.append(re.findall(r"^normonnx: .*$|nodes \d+ → \d+.*?·", text, re.MULTILINE))
        assert ("finished by an earlier run" in text) == finished
        models = json.loads(report.read_text())["models"]
        assert [model["status"] for model in models] == ["unverified", "refused", "unverified"]
        assert all(model["rewrites"] for model in models if model["status"] != "refused")
    assert counted[0] == counted[1], "what is taken from an earlier run is counted as it was"
    written = {str(p.relative_to(out)) for p in out.rglob("*.onnx")}
    assert written == {SMALL[0], f"below/{SMALL[1]}"}
    code, text = told("optimize", house, "--output-dir", out, "--check", "--no-verify", "-q")
    assert code == 3


def test_usage(told: Run, house: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, sentence in (
        ((tmp_path / "empty", "--output-dir", tmp_path / "o"), "no .onnx file below"),
        ((house,), "several models need --output-dir"),
        ((house / SMALL[0], "--resume"), "--resume needs --output-dir"),
        ((house, "--output-dir", tmp_path / "o", "--check", "--resume"), "--resume needs"),
        ((house, "--output-dir", tmp_path / "o", "--plan", "p.json"), "--plan is for one model"),
    ):
        code, text = told("optimize", *arguments)
        assert code == 2
        assert sentence in text


def test_no_cluster(told: Run, house: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    code, text = told("optimize", house, "--output-dir", tmp_path / "o", "--dask", "nothing://here")
    assert code == 4
    assert "no Dask scheduler answers" in text
