"""What all tests share: where models lie, and property tests that always try the same."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

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


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Larger models that some machines have beside the repository."""
    directory = _ROOT.parent / "shared" / "models"
    if not directory.is_dir():
        pytest.skip("the larger models are not on this machine")
    return directory
