"""The execution providers that models are run on, by the short names of the command line."""

from __future__ import annotations

import contextlib
import sys

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def short_name(provider: str) -> str:
    """What the command line calls a provider of ONNX Runtime; one that it does not know, as is."""
    return next((short for short, name in PROVIDERS.items() if name == provider), provider)


def preload() -> None:
    """Load the libraries of CUDA that are installed as packages, where ONNX Runtime knows how to.

    What it prints of those that are not there is no result: it goes to standard error.
    """
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls()
