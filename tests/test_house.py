"""How the code is built: arrows between rooms, complexity of functions, types of the public API."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_MOST_COMPLEX = 25
_COMPLEX, _FEWEST_TOO_MANY = 15, 30


def _tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed: pip install '.[dev]'")
    return found


def test_arrows_point_one_way() -> None:
    """The contracts in pyproject.toml, by import-linter."""
    done = subprocess.run(
        [_tool("lint-imports")], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_function_is_too_complex() -> None:
    """Cognitive complexity, by complexipy."""
    pytest.importorskip("complexipy", reason="complexipy is not installed: pip install '.[dev]'")
    from complexipy import file_complexity

    found = {
        f"{path.relative_to(_ROOT)}:{function.name}": function.complexity
        for path in sorted((_ROOT / "normonnx").rglob("*.py"))
        for function in file_complexity(str(path)).functions
    }
    assert len(found) > 1000
    assert {name: n for name, n in found.items() if n > _MOST_COMPLEX} == {}
    assert len([n for n in found.values() if n > _COMPLEX]) < _FEWEST_TOO_MANY


def test_the_types_of_the_public_api_are_complete() -> None:
    """By pyright, as somebody who uses the package would see them."""
    command = [_tool("pyright"), "--verifytypes", "normonnx", "--ignoreexternal", "--outputjson"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not start here: {done.stderr.strip()[-200:]}")
    told = json.loads(done.stdout)["typeCompleteness"]
    unknown = [
        symbol["name"]
        for symbol in told["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    ]
    assert unknown == []
    assert told["completenessScore"] == 1
