"""Defaults from pyproject.toml and the environment, in their order; completion; wrong words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from normonnx.cli import cli
from normonnx.cli.settings import defaults, find
from normonnx.errors import UsageError

MODEL = "conv1d_batchnorm.onnx"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def house(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory inside a project, with a model."""
    room = tmp_path / "src" / "deep"
    room.mkdir(parents=True)
    shutil.copy(models_dir / MODEL, room / MODEL)
    monkeypatch.chdir(room)
    for name in [name for name in os.environ if name.startswith("NORMONNX")]:
        monkeypatch.delenv(name)
    return tmp_path


def settle(house: Path, text: str) -> Path:
    path = house / "pyproject.toml"
    path.write_text(f'[project]\nname = "x"\n{text}')
    return path


def rewrites(out: str) -> int:
    return int(out.splitlines()[-1].split(",")[1].split()[0])


def test_the_order_is_command_line_environment_file(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(
        house, '[tool.normonnx]\nno-verify = true\n[tool.normonnx.optimize]\nno-rule = "NX001"\n'
    )
    assert (
        run("optimize", MODEL, "--dry-run", "-q")[1] == "normonnx: UNVERIFIED 1 model, 0 rewrites\n"
    )
    monkeypatch.setenv("NORMONNX_OPTIMIZE_NO_RULE", "NX101")
    assert rewrites(run("optimize", MODEL, "--dry-run", "-q")[1]) == 7
    out = run("optimize", MODEL, "--dry-run", "-q", "--no-rule", "NX001")[1]
    assert rewrites(out) == 0


def test_the_nearest_file_with_a_table_counts(house: Path) -> None:
    top = settle(house, "[tool.normonnx]\nseed = 3\n")
    inner = house / "src" / "pyproject.toml"
    inner.write_text("[tool.other]\nx = 1\n")
    assert find(Path.cwd()) == top
    inner.write_text("[tool.normonnx]\nseed = 4\n")
    assert find(Path.cwd()) == inner
    assert find(Path(house.anchor)) is None
    assert defaults(inner, cli.commands)["verify"] == {"seed": 4}
    assert "seed" not in defaults(inner, cli.commands)["inspect"]


def test_values_become_what_the_command_line_would_have(run: Run, house: Path) -> None:
    path = settle(
        house,
        '[tool.normonnx]\nprovider = "cpu"\nallow-data-dir = ["weights"]\n'
        f'[tool.normonnx.verify]\nreport = ["json={house / "r.json"}"]\nseed = 9\n',
    )
    found = defaults(path, cli.commands)
    assert found["verify"]["providers"] == ["cpu"]
    assert found["inspect"]["allow_data_dir"] == [str(house / "weights")]
    assert run("verify", MODEL, MODEL, "-q")[0] == 0
    assert json.loads((house / "r.json").read_text())["verdict"]["seed"] == 9


WRONG = {
    "option": ("[tool.normonnx]\ntraget = 'ort'\n", "did you mean target?"),
    "of command": ("[tool.normonnx.inspect]\nsecond = 3\n", "no such option of inspect: 'second'"),
    "command": ("[tool.normonnx.optimise]\nseed = 3\n", "did you mean optimize?"),
    "flag": ("[tool.normonnx]\nno-verify = 'yes'\n", "'no-verify' takes true or false"),
    "list": ("[tool.normonnx]\nseed = [1, 2]\n", "takes one value"),
    "value": ("[tool.normonnx]\nseed = 'three'\n", "is not a whole number of at least 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_usage_errors(run: Run, house: Path, case: str) -> None:
    text, sentence = WRONG[case]
    settle(house, text)
    code, out, err = run("optimize", MODEL, "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith("error[NX-E02]: ")
    assert sentence in err
    assert run("--help")[0] == 0, "help is there whatever the file says"
    assert run("--version")[0] == 0


def test_a_broken_file_is_ours_to_complain_of_if_it_speaks_of_us(run: Run, house: Path) -> None:
    path = house / "pyproject.toml"
    path.write_text("[tool.normonnx\n")
    code, out, err = run("explain", "NX001")
    assert (code, out) == (2, "")
    assert err.startswith("error[NX-E02]: the file is not valid TOML")
    assert str(path) in err
    assert run("explain", "NX001", "--isolated")[0] == 0
    path.write_bytes(b"# caf\xe9\n[tool.normonnx]\n")
    assert run("explain", "NX001")[0] == 2, "a byte that is no UTF-8 loses no settings unsaid"
    path.write_text("[tool.other\n")
    assert run("explain", "NX001")[0] == 0


def test_a_wrong_value_names_where_it_stands(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settle(house, "[tool.normonnx]\nseed = 'three'\n")
    err = run("optimize", MODEL, "--dry-run")[2]
    assert f"  [tool.normonnx] in {path}\n" in err
    monkeypatch.setenv("NORMONNX_OPTIMIZE_SEED", "four")
    err = run("optimize", MODEL, "--dry-run")[2]
    assert "'four' is not a whole number" in err
    assert "  NORMONNX_OPTIMIZE_SEED in the environment\n" in err
    err = run("optimize", MODEL, "--dry-run", "--seed", "five")[2]
    assert "environment" not in err
    assert "[tool.normonnx]" not in err


def test_a_file_by_its_name_and_none_at_all(
    run: Run, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(house, "[tool.normonnx]\nno-verify = true\n")
    other = house / "ci.toml"
    other.write_text('[optimize]\nno-rule = "NX001"\nno-verify = true\n')
    monkeypatch.setenv("NORMONNX_OPTIMIZE_QUIET", "1")
    out = run("optimize", MODEL, "--dry-run", "--config", other)[1]
    assert out == "normonnx: UNVERIFIED 1 model, 0 rewrites\n"
    assert run("optimize", MODEL, "--dry-run", "-q", "--config=none.toml")[0] == 2
    out = run("optimize", MODEL, "--dry-run", "--isolated")[1]
    assert "parity PASS" in out, "neither the file nor the environment counts"


def test_doctor_names_the_file(run: Run, house: Path) -> None:
    path = settle(house, "[tool.normonnx]\nseed = 3\n")
    assert f"defaults from {path}" in run("doctor")[1]


def test_usage_errors_have_the_form_of_all_others(run: Run, house: Path) -> None:
    code, out, err = run("optimize", MODEL, "--traget", "ort")
    assert (code, out) == (2, "")
    first, hint = err.splitlines()
    assert first.startswith("error[NX-E02]: No such option")
    assert "--target" in first
    assert hint == "  hint: normonnx optimize --help"
    err = run("optimise")[2]
    assert "Did you mean 'optimize'?" in err
    assert err.splitlines()[-1] == "  hint: normonnx --help"
    assert "NX101" in run("explain", "NX11")[2]
    with pytest.raises(UsageError, match="no such option"):
        defaults(settle(house, "[tool.normonnx]\nx = 1\n"), cli.commands)


COMPLETIONS = {
    "normonnx ins": ("inspect", 1),
    "normonnx explain NX10": ("NX101", 2),
    "normonnx optimize --tar": ("--target", 2),
    "normonnx bench --level ext": ("extended", 3),
}


@pytest.mark.parametrize("words", COMPLETIONS)
def test_completion(words: str, house: Path) -> None:
    expected, position = COMPLETIONS[words]
    settings = {
        "_NORMONNX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "from normonnx.cli import main; main()"],
        env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"plain,{expected}" in done.stdout.splitlines()


def test_colour_is_off_where_it_is_not_wanted(house: Path) -> None:
    for variable in ("NO_COLOR", "TERM"):
        environment = {
            **os.environ,
            "FORCE_COLOR": "1",
            variable: "1" if variable == "NO_COLOR" else "dumb",
        }
        done = subprocess.run(
            [sys.executable, "-m", "normonnx", "optimize", MODEL, "--dry-run", "--no-verify"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "\x1b[3" not in done.stdout
