"""scikit-build-core, and nvcc from PyPI where the machine has none.

``NORMONNX_CUDA`` is auto (the default), on or off. Unless it is off, and where there is no nvcc,
the build asks for NVIDIA's wheels of the compiler; all of one minor version, as its parts do not
work with others'.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from scikit_build_core import build as _scikit
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_NVCC_WHEELS = [
    f"nvidia-{part}==13.0.*"
    for part in ("cuda-nvcc", "cuda-crt", "nvvm", "cuda-runtime", "cuda-cccl")
]
_NVCC_MACHINES = ("x86_64", "aarch64")
_USUAL_PLACE = Path("/usr/local/cuda/bin/nvcc")


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """What scikit-build-core needs, and the compiler's wheels if they are needed."""
    return [*_scikit.get_requires_for_build_wheel(config_settings), *_nvcc_requirements()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """The same for an editable installation."""
    return [*_scikit.get_requires_for_build_editable(config_settings), *_nvcc_requirements()]


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel; CMake learns where the wheels' nvcc is."""
    _point_to_nvcc()
    return _scikit.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build the editable wheel."""
    _point_to_nvcc()
    return _scikit.build_editable(wheel_directory, config_settings, metadata_directory)


def _nvcc_requirements() -> list[str]:
    wanted = os.environ.get("NORMONNX_CUDA", "auto").lower() != "off"
    library = os.environ.get("NORMONNX_CUSTOM_OPS", "on").lower() != "off"
    found = shutil.which("nvcc") or os.environ.get("CUDACXX") or _USUAL_PLACE.is_file()
    possible = sys.platform == "linux" and platform.machine() in _NVCC_MACHINES
    return _NVCC_WHEELS if wanted and library and possible and not found else []


def _point_to_nvcc() -> None:
    for place in {sysconfig.get_path("purelib"), *sys.path}:
        directory = Path(place) / "nvidia" / "cu13" / "bin"
        if (directory / "nvcc").is_file():
            os.environ.setdefault("NORMONNX_NVCC_DIR", str(directory))
