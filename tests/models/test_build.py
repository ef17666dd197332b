"""The committed models are what the builder writes, and they are the networks they claim to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from models.build import BUILDERS, FOLDER

NORMS = {
    "tutorial_dense_batchnorm": {"Mul": 2, "Sqrt": 0},
    "tutorial_dense_layernorm": {"Sqrt": 2, "Reciprocal": 2},
    "conv1d_batchnorm": {"BatchNormalization": 7, "Sqrt": 0},
    "conv2d_residual_batchnorm": {"BatchNormalization": 6, "Sqrt": 0},
    "conv3d_batchnorm": {"BatchNormalization": 5, "Sqrt": 0},
    "lstm_layernorm": {"BatchNormalization": 0, "Sqrt": 12},
    "gru_layernorm": {"BatchNormalization": 0, "Sqrt": 8},
    "transformer_prenorm": {"BatchNormalization": 0, "Sqrt": 5},
    "transformer_postnorm": {"BatchNormalization": 0, "Sqrt": 5},
    "conformer_batchnorm_layernorm": {"BatchNormalization": 5, "Sqrt": 7},
}


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_committed_file_is_what_the_builder_writes(build: Callable[[], onnx.ModelProto]) -> None:
    committed = (FOLDER / f"{build.__name__}.onnx").read_bytes()
    assert build().SerializeToString(deterministic=True) == committed
    assert len(committed) < 200_000


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_norms_are_spelled_the_way_exporters_spell_them(
    build: Callable[[], onnx.ModelProto],
) -> None:
    operators = Counter(node.op_type for node in build().graph.node)
    assert operators["LayerNormalization"] == 0
    assert {op: operators[op] for op in NORMS[build.__name__]} == NORMS[build.__name__]


def test_every_file_of_the_folder_has_a_builder_and_a_line_in_the_table() -> None:
    files = {path.stem for path in FOLDER.glob("*.onnx") if ".optimized" not in path.name}
    assert files == {build.__name__ for build in BUILDERS}
    table = Path(FOLDER, "README.md").read_text(encoding="utf-8")
    assert not {name for name in files if f"`{name}`" not in table}
