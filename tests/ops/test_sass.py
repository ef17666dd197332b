"""The machine code of the CUDA kernels, where there is a tool that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sass

from normonnx.runtime.library import library_facts


@pytest.mark.parametrize("architecture", ["80", "90"])
def test_wide_accesses_and_no_spills(library: Path, architecture: str) -> None:
    if sass.tool() is None:
        pytest.skip("there is no cuobjdump with nvdisasm")
    if architecture not in library_facts().cuda_architectures:
        pytest.skip("the library has no kernels for this architecture")
    kernels = sass.codes(library, architecture)
    assert len(kernels) == 45
    for name, code in kernels.items():
        assert code.spills == code.stack == 0, name
        assert code.registers <= 128, name
        if not name.endswith("_columns"):
            # At the least: what is normalised, and its residual, is read and written in whole.
            assert code.wide_loads >= 4, name
            assert code.wide_stores >= 2, name
