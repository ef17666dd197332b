"""Small random modules with norms, exported by both of torch's exporters at many opsets.

    python benchmarks/norm_exports.py DIRECTORY

Needs torch 2.13, onnx and onnxscript in its environment, and nothing of normonnx. The files are
what `benchmarks/norms_found.py --torch DIRECTORY` looks at; they are not kept.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found]
from torch import nn

OPSETS = range(11, 21)
DYNAMO_OPSETS = (18, 19, 20)
WIDTH = 16


class Affineless(nn.Module):  # type: ignore[misc]
    """LayerNorm without scale and bias, modulated per sample, as diffusion transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.modulate = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulate(x.mean(1, keepdim=True)).chunk(2, -1)
        return self.norm(x) * (1 + scale) + shift


class RMS(nn.Module):  # type: ignore[misc]
    """RMSNorm as language models write it."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(WIDTH))
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return (self.offset + self.weight) * wide.to(x.dtype)


class ChannelsFirst(nn.Module):  # type: ignore[misc]
    """ConvNeXt's LayerNorm over the channels of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(WIDTH)), nn.Parameter(torch.rand(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(1, keepdim=True)
        spread = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(spread + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Annotated(nn.Module):  # type: ignore[misc]
    """The annotated transformer's norm: std, not variance, and epsilon outside the root."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.rand(WIDTH)), nn.Parameter(torch.rand(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return self.a * (x - mean) / (std + 1e-6) + self.b


class Unit(nn.Module):  # type: ignore[misc]
    """Rows divided by their length: no norm of ours."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(x, dim=-1)


class Residual(nn.Module):  # type: ignore[misc]
    """Two branches, each added to what it read, the sums read again."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), RMS()
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.a(self.first(x))
        return x + self.b(self.second(x))


def rows() -> torch.Tensor:
    return torch.rand(2, 5, WIDTH)


def image() -> torch.Tensor:
    return torch.rand(2, WIDTH, 6, 8)


def encoder(*, norm_first: bool) -> nn.Module:
    return nn.TransformerEncoderLayer(WIDTH, 4, 32, 0.0, batch_first=True, norm_first=norm_first)


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    "layer_norm": (lambda: nn.LayerNorm(WIDTH), rows),
    "layer_norm_two_axes": (lambda: nn.LayerNorm([5, WIDTH]), rows),
    "layer_norm_plain": (lambda: nn.LayerNorm(WIDTH, elementwise_affine=False), rows),
    "layer_norm_modulated": (Affineless, rows),
    "layer_norm_channels_first": (ChannelsFirst, image),
    "layer_norm_annotated": (Annotated, rows),
    "rms_norm": (lambda: nn.RMSNorm(WIDTH), rows),
    "rms_norm_by_hand": (RMS, rows),
    "rms_norm_of_one_and_weight": (lambda: RMS(1.0), rows),
    "group_norm": (lambda: nn.GroupNorm(4, WIDTH), image),
    "group_norm_one_group": (lambda: nn.GroupNorm(1, WIDTH), image),
    "group_norm_of_channels": (lambda: nn.GroupNorm(WIDTH, WIDTH), image),
    "instance_norm": (lambda: nn.InstanceNorm2d(WIDTH, affine=True), image),
    "conv_group_norm": (
        lambda: nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3), nn.GroupNorm(4, WIDTH), nn.SiLU()),
        image,
    ),
    "encoder_post_norm": (lambda: encoder(norm_first=False), rows),
    "encoder_pre_norm": (lambda: encoder(norm_first=True), rows),
    "residual": (Residual, rows),
    "unit_length": (Unit, rows),
}


def export(module: nn.Module, x: torch.Tensor, path: Path, opset: int, *, dynamo: bool) -> None:
    options: dict[str, Any] = {"opset_version": opset, "dynamo": dynamo}
    if dynamo:
        options |= {"external_data": False, "verbose": False}
    else:
        options |= {"dynamic_axes": {"x": {0: "batch"}}, "input_names": ["x"]}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (x,), str(path), **options)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, (build, inputs) in CASES.items():
        for dynamo, opsets in ((False, OPSETS), (True, DYNAMO_OPSETS)):
            for opset in opsets:
                torch.manual_seed(0)
                path = folder / f"{name}__{'dynamo' if dynamo else 'script'}{opset}.onnx"
                try:
                    export(build(), inputs(), path, opset, dynamo=dynamo)
                except Exception as error:
                    failed += 1
                    reason = str(error).strip().splitlines() or [""]
                    print(f"{path.name}: {type(error).__name__}: {reason[0][:120]}")
    print(f"{len(list(folder.glob('*.onnx')))} models in {folder}, {failed} could not be exported")


if __name__ == "__main__":
    main()
