"""Write the models of this folder: ``python -m models.build``. The same bytes every time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from models.conformer import conformer_batchnorm_layernorm
from models.convolutional import conv1d_batchnorm, conv2d_residual_batchnorm, conv3d_batchnorm
from models.dense import tutorial_dense_batchnorm, tutorial_dense_layernorm
from models.recurrent import gru_layernorm, lstm_layernorm
from models.transformer import transformer_postnorm, transformer_prenorm

BUILDERS: tuple[Callable[[], onnx.ModelProto], ...] = (
    tutorial_dense_batchnorm,
    tutorial_dense_layernorm,
    conv1d_batchnorm,
    conv2d_residual_batchnorm,
    conv3d_batchnorm,
    lstm_layernorm,
    gru_layernorm,
    transformer_prenorm,
    transformer_postnorm,
    conformer_batchnorm_layernorm,
)

FOLDER = Path(__file__).parent


def main() -> None:
    for build in BUILDERS:
        path = FOLDER / f"{build.__name__}.onnx"
        content = build().SerializeToString(deterministic=True)
        path.write_bytes(content)
        print(f"{path.name}  {len(content):,} bytes")


if __name__ == "__main__":
    main()
