"""What all tests share: where models lie, and property tests that always try the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from normonnx.cli import main

_ROOT = Path(__file__).resolve().parent.parent

hypothesis.settings.register_profile("normonnx", deadline=None, derandomize=True)
hypothesis.settings.load_profile("normonnx")


@pytest.fixture(autouse=True)
def _outside_of_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """On GitHub the command line says more; tests that want that say so."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The models of this repository."""
    return _ROOT / "models"


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if the library of custom operators had not been built."""
    from normonnx.runtime import library

    monkeypatch.delenv("NORMONNX_LIBRARY", raising=False)
    monkeypatch.setattr(library, "_directories", lambda: [tmp_path])


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Larger models that some machines have beside the repository."""
    directory = _ROOT.parent / "shared" / "models"
    if not directory.is_dir():
        pytest.skip("the larger models are not on this machine")
    return directory


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call the command line in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def told(run: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str]]:
    """As `run`, with all that a terminal would show in one text."""

    def call(*arguments: object) -> tuple[int, str]:
        code, out, err = run(*arguments)
        return code, out + err

    return call
