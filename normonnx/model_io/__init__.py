"""The only place that touches a model on disk: load it guarded and lazily, save it whole or not."""

from __future__ import annotations

from normonnx.model_io.atomic import write_bytes
from normonnx.model_io.linking import Linked, WeightsFile, let_go, linked, without_weights
from normonnx.model_io.loading import LoadedModel, Source, load, tensors_of, weight_bytes
from normonnx.model_io.saving import (
    SavedModel,
    copy,
    dump,
    original_bytes,
    same,
    save,
    to_session_file,
)

__all__ = [
    "Linked",
    "LoadedModel",
    "SavedModel",
    "Source",
    "WeightsFile",
    "copy",
    "dump",
    "let_go",
    "linked",
    "load",
    "original_bytes",
    "same",
    "save",
    "tensors_of",
    "to_session_file",
    "weight_bytes",
    "without_weights",
    "write_bytes",
]
