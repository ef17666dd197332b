"""A failure as files that anything can replay, in the layout of ONNX's own tests.

DIR/model.onnx                             what is wrong
DIR/test_data_set_0/input_0.pb             what it is given
DIR/test_data_set_0/output_0.pb            what the original makes of it
DIR/original/model.onnx, test_data_set_0/  the original in the same form
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

from normonnx import model_io
from normonnx.feeds.datasets import write_set
from normonnx.judge.divergence import Excerpt


def save_window(window: Excerpt, directory: Path) -> Path:
    """Write the smallest failing window.

    Returns:
        The directory.

    Raises:
        WriteError: if the system refuses.
    """
    made, reference = window.made, window.reference
    expected = {window.output: window.original}
    _save(made.model, made.inputs, expected, directory)
    names = [str(v.name) for v in reference.model.graph.outputs]
    _save(reference.model, reference.inputs, {names[0]: window.original}, directory / "original")
    return directory


def save_models(
    original: ir.Model,
    optimized: ir.Model,
    feeds: Mapping[str, Any],
    outputs: Mapping[str, Any],
    directory: Path,
) -> Path:
    """Write both models whole, with one feed and what the original makes of it.

    Raises:
        WriteError: if the system refuses.
    """
    _save(optimized, feeds, outputs, directory)
    _save(original, feeds, outputs, directory / "original")
    return directory


def _save(
    model: ir.Model, inputs: Mapping[str, Any], outputs: Mapping[str, Any], directory: Path
) -> None:
    kept = [
        {str(v.name): arrays[str(v.name)] for v in values if v.name in arrays}
        for values, arrays in ((model.graph.inputs, inputs), (model.graph.outputs, outputs))
    ]
    write_set(directory / "test_data_set_0", *kept)
    model_io.save(model, directory / "model.onnx")
