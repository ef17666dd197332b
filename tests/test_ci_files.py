"""The hook for pre-commit and the action for GitHub do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import normonnx

ROOT = Path(__file__).resolve().parent.parent
BASH = shutil.which("bash")


def loaded(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def commands(folder: Path) -> dict[str, str]:
    """An environment in which there is a command ``normonnx``."""
    script = folder / "normonnx"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m normonnx "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def act(tmp_path: Path, **inputs: str) -> tuple[int, str]:
    """Run the action's last step as GitHub would; its exit code and what it writes."""
    action = loaded("action.yml")
    step = action["runs"]["steps"][-1]
    output = tmp_path / "github_output"
    summary = tmp_path / "summary.md"
    given = {name: spec["default"] for name, spec in action["inputs"].items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: given[m.group(1)], value)
        for name, value in step["env"].items()
    }
    env |= {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    assert BASH is not None
    done = subprocess.run(
        [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env={**commands(tmp_path), **env, "GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert output.read_text().splitlines()[-1] == f"exit-code={done.returncode}"
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(BASH is None, reason="the action needs bash")
def test_the_action_verifies(tmp_path: Path, models_dir: Path) -> None:
    model = models_dir / "tutorial_dense_batchnorm.onnx"
    spaced = tmp_path / "my model.onnx"
    normonnx.optimize(model).save(spaced)
    code, text = act(
        tmp_path,
        original=str(model),
        optimized=str(spaced),
        report="parity.xml",
        arguments="--seed 3 -q",
    )
    assert code == 0, text
    assert "normonnx: PASS 1 model" in text
    assert "seed 3" in (tmp_path / "parity.xml").read_text()
    assert "PASS" in (tmp_path / "summary.md").read_text()
    other = models_dir / "tutorial_dense_layernorm.onnx"
    code, text = act(tmp_path, original=str(model), optimized=str(other))
    assert code == 1
    assert "::error title=normonnx" in text


@pytest.mark.skipif(BASH is None, reason="the action needs bash")
def test_the_action_optimises_and_checks(tmp_path: Path, models_dir: Path) -> None:
    model = models_dir / "tutorial_dense_batchnorm.onnx"
    code, text = act(tmp_path, models=f"{model}\n")
    assert code == 0, text
    assert (tmp_path / "optimized" / model.name).exists()
    code, text = act(tmp_path, models=str(model), check="true")
    assert code == 1
    assert f"::error title=normonnx%3A {model.name},file={model}::" in text
    assert "rewrites to make" in text
    code, text = act(tmp_path, original="nowhere.onnx", optimized=str(model))
    assert code == 3
    assert "::error title=normonnx" in text
    # A name is a name, whatever it looks like.
    code, _ = act(tmp_path, models="$(touch hacked); touch hacked\n--help")
    assert code == 3
    assert not (tmp_path / "hacked").exists()


def test_the_action_takes_no_input_as_text_of_a_script() -> None:
    for step in loaded("action.yml")["runs"]["steps"]:
        assert "${{" not in step["run"]


def test_the_hook_checks_models(tmp_path: Path, models_dir: Path) -> None:
    (hook,) = loaded(".pre-commit-hooks.yaml")
    model = models_dir / "tutorial_dense_batchnorm.onnx"
    assert re.search(hook["files"], str(model))
    assert not re.search(hook["files"], "model.onnx.data")
    done = subprocess.run(
        [*hook["entry"].split(), str(model)],
        cwd=tmp_path,
        env=commands(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "normonnx: CHANGES 1 model" in done.stdout


def test_the_examples_of_the_page_are_right() -> None:
    """What the page of documentation shows can be read, and uses inputs that exist."""
    page = (ROOT / "docs" / "ci.md").read_text()
    workflow, hooks = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.S)
    )
    steps = workflow["jobs"]["parity"]["steps"]
    used = next(step["with"] for step in steps if step["uses"].startswith("normonnx/"))
    assert set(used) <= set(loaded("action.yml")["inputs"])
    assert hooks["repos"][0]["hooks"][0]["id"] == loaded(".pre-commit-hooks.yaml")[0]["id"]
