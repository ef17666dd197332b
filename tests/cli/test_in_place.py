"""Nothing that is read is written over unasked, and what a run leaves behind is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

MODEL = "conv1d_batchnorm.onnx"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def house(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model."""
    shutil.copy(models_dir / MODEL, tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


OVER_THE_MODEL = {
    "-o": ("-o", "m.onnx"),
    "-o by another way": ("-o", "./here/../m.onnx"),
    "--output-dir": ("--output-dir", "."),
}


@pytest.mark.parametrize("case", OVER_THE_MODEL)
def test_the_model_is_written_over_only_where_asked(run: Run, house: Path, case: str) -> None:
    before = (house / "m.onnx").read_bytes()
    (house / "here").mkdir()
    words = OVER_THE_MODEL[case]
    code, out, err = run("optimize", "m.onnx", *words)
    assert (code, out) == (2, "")
    assert "would overwrite the model" in err
    assert "--in-place" in err
    assert (house / "m.onnx").read_bytes() == before
    assert run("optimize", "m.onnx", *words, "--in-place", "--no-verify")[0] == 0
    assert "BatchNormalization" not in operators(house / "m.onnx")


def test_in_place_takes_several(run: Run, house: Path) -> None:
    shutil.copy("m.onnx", "n.onnx")
    assert run("optimize", "m.onnx", "n.onnx", "--in-place", "--no-verify", "-q")[0] == 0
    assert sorted(os.listdir()) == ["m.onnx", "n.onnx"]
    for name in os.listdir():
        assert "BatchNormalization" not in operators(house / name)
    assert run("optimize", "-", "--in-place")[0] == 2


def test_apply_writes_over_the_model_only_where_asked(run: Run, house: Path) -> None:
    run("optimize", "m.onnx", "--dry-run", "--no-verify", "--plan", "p.json")
    assert run("apply", "p.json", "m.onnx", "-o", "m.onnx", "--no-verify")[0] == 2
    assert run("apply", "p.json", "m.onnx", "--in-place", "--no-verify")[0] == 0
    assert "BatchNormalization" not in operators(house / "m.onnx")


@pytest.mark.parametrize("option", ["--report", "--plan"])
def test_no_report_is_written_over_a_model(run: Run, house: Path, option: str) -> None:
    before = (house / "m.onnx").read_bytes()
    value = "json=m.onnx" if option == "--report" else "m.onnx"
    code, _, err = run("optimize", "m.onnx", option, value)
    assert code == 2
    assert f"{option} would overwrite the model 'm.onnx'" in err
    assert (house / "m.onnx").read_bytes() == before


def test_the_old_data_file_is_told(run: Run, house: Path) -> None:
    onnx.save(
        onnx.load("m.onnx"),
        "m.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    shutil.copy("m.onnx", "m.onnx.bak")
    code, _, err = run("optimize", "m.onnx", "--in-place", "--no-verify")
    assert code == 0
    assert Path("w.bin").exists()
    assert "w.bin stays: another model may need it" in err
    assert "BatchNormalization" not in operators(house / "m.onnx")
    # Nothing is left to do: nothing is written anew, and no data file changes its name.
    before = sorted(os.listdir())
    assert run("optimize", "m.onnx", "--in-place", "--no-verify")[0] == 0
    assert sorted(os.listdir()) == before


def test_no_result_is_written_over_weights(run: Run, house: Path) -> None:
    onnx.save(
        onnx.load("m.onnx"),
        "e.onnx",
        save_as_external_data=True,
        location="e.data",
        size_threshold=0,
    )
    before = Path("e.data").read_bytes()
    code, _, err = run("optimize", "e.onnx", "-o", "e.data", "--no-verify")
    assert code == 2
    assert "-o would overwrite the weights of 'e.onnx', 'e.data'" in err
    assert Path("e.data").read_bytes() == before


@pytest.mark.parametrize("option", ["--report", "--plan"])
def test_no_report_is_written_over_the_result(run: Run, house: Path, option: str) -> None:
    value = "json=o.onnx" if option == "--report" else "o.onnx"
    code, _, err = run("optimize", "m.onnx", "-o", "o.onnx", option, value)
    assert code == 2
    assert f"{option} would overwrite the model 'o.onnx'" in err
    assert not Path("o.onnx").exists()


def test_no_result_is_written_over_the_plan(run: Run, house: Path) -> None:
    run("optimize", "m.onnx", "--dry-run", "--no-verify", "--plan", "p.json")
    before = Path("p.json").read_bytes()
    code, _, err = run("apply", "p.json", "m.onnx", "-o", "p.json", "--no-verify")
    assert code == 2
    assert "would overwrite the plan 'p.json'" in err
    assert Path("p.json").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="no symbolic links without rights")
def test_a_name_that_goes_in_circles_is_no_internal_error(run: Run, house: Path) -> None:
    os.symlink("b", "a")
    os.symlink("a", "b")
    code, _, err = run("optimize", "a")
    assert code != 0
    assert "NX-E99" not in err


posix = pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout")


@posix
def test_devices_stay_devices(house: Path) -> None:
    """As root, a rename over /dev/stdout would succeed."""
    before = os.lstat("/dev/stdout"), os.lstat(os.devnull)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "normonnx", "optimize", "m.onnx", "-o", os.devnull),
            *("--report", "markdown=/dev/stdout", "--report", f"json={os.devnull}"),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("### normonnx: PASS 1 model")
    after = os.lstat("/dev/stdout"), os.lstat(os.devnull)
    assert [(s.st_ino, s.st_mode) for s in after] == [(s.st_ino, s.st_mode) for s in before]


def test_links_are_written_through(run: Run, house: Path) -> None:
    (house / "real").mkdir()
    Path("out.onnx").symlink_to(house / "real" / "o.onnx")
    Path("r.json").symlink_to(house / "real" / "r.json")
    words = ("-o", "out.onnx", "--no-verify", "--report", "json=r.json")
    assert run("optimize", "m.onnx", *words)[0] == 0
    assert Path("out.onnx").is_symlink()
    assert Path("r.json").is_symlink()
    assert sorted(os.listdir("real")) == ["o.onnx", "r.json"]
