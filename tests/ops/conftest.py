"""The library that the kernel tests are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from normonnx.errors import EnvironmentLacksError
from normonnx.runtime.library import library_path

CUSTOM_OPS = Path(__file__).resolve().parents[2] / "custom_ops"


@pytest.fixture(scope="session")
def library() -> Path:
    """The library as installed, or the one NORMONNX_LIBRARY names."""
    try:
        return library_path()
    except EnvironmentLacksError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def custom_ops() -> Path:
    """Where the library's sources are."""
    return CUSTOM_OPS
