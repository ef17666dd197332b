"""Bytes to ModelProto, and what the bytes are when they are no ONNX model."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from normonnx.errors import InvalidModelError, UnreadableModelError
from normonnx.model_io.opset_imports import plain

PROTOBUF_LIMIT = 2**31 - 1
"""The most bytes one protobuf message can have."""

_CHUNK = 1 << 24

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", "a Git LFS pointer: run `git lfs pull`"),
    (4, b"ORTM", "in ONNX Runtime's own format (.ort): normonnx needs the .onnx it was made from"),
    (0, b"PK\x03\x04", "a zip archive, as PyTorch and Keras save: export it to ONNX first"),
    (0, b"\x89HDF\r\n", "an HDF5 file, as Keras saves: export it to ONNX first"),
    (4, b"TFL3", "a TensorFlow Lite model: convert it to ONNX first"),
    (0, b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (0, b"<!DOCTYPE", "a web page: the download went wrong"),
    (0, b"<html", "a web page: the download went wrong"),
)


def _resemblance(content: bytes) -> str:
    for offset, signature, sentence in _SIGNATURES:
        if content[offset : offset + len(signature)] == signature:
            return f"it is {sentence}"
    return "it is truncated, damaged, nested deeper than protobuf reads, or no protobuf file"


def read_stream(stream: BinaryIO, where: str) -> bytes:
    """Everything in `stream`, refused as soon as it is more than a protobuf message can be."""
    chunks = []
    total = 0
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        _refuse_long(total, where)
        chunks.append(chunk)
    return b"".join(chunks)


def _refuse_long(size: int, where: str) -> None:
    if size > PROTOBUF_LIMIT:
        raise UnreadableModelError(
            "more than 2 GiB, which no protobuf file can be",
            where=where,
            hint="large models keep their weights in a second file (external data)",
        )


def read_file(path: Path, where: str) -> bytes:
    """The bytes of the model file at `path`.

    Raises:
        UnreadableModelError: there is no such file, or it cannot be read.
    """
    try:
        if path.is_dir():
            raise UnreadableModelError("a directory, not a model file", where=where)
        with path.open("rb") as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode):
                return read_stream(stream, where)
            _refuse_long(about.st_size, where)
            return stream.read()
    except FileNotFoundError as error:
        raise UnreadableModelError("no such file", where=where) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableModelError(f"cannot be read: {reason}", where=where) from error


def read_stdin() -> bytes:
    """The bytes of the model on standard input."""
    return read_stream(sys.stdin.buffer, "<stdin>")


def parse_model(content: bytes, where: str) -> ModelProto:
    """Parse `content`; anything that is no ONNX model is refused with what it seems to be.

    Raises:
        UnreadableModelError: the bytes are no ModelProto.
        InvalidModelError: they are one that lacks what every model has.
    """
    if not content:
        raise UnreadableModelError("the file is empty", where=where)
    try:
        model: ModelProto = ModelProto.FromString(content)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableModelError(
            "not an ONNX model", where=where, hint=_resemblance(content)
        ) from error
    refuse_incomplete(model, where, hint=_resemblance(content))
    return model


def refuse_incomplete(model: ModelProto, where: str, *, hint: str = "") -> None:
    """Refuse a message that parsed, but lacks what every model has.

    Raises:
        UnreadableModelError: it has no graph: something else that happened to parse.
        InvalidModelError: it has no IR version or no operator set, or one that onnx does not know.
    """
    if not model.HasField("graph"):
        raise UnreadableModelError("not an ONNX model", where=where, hint=hint)
    if model.ir_version <= 0:
        raise InvalidModelError("the model has no IR version", where=where, hint=hint)
    if not model.opset_import:
        raise InvalidModelError("the model imports no operator set", where=where, hint=hint)
    for entry in model.opset_import:
        if entry.version < 1:
            raise InvalidModelError(f"there is no opset {entry.version}", where=where, hint=hint)
        known = onnx.defs.onnx_opset_version()
        if plain(entry.domain) == "" and entry.version > known:
            raise InvalidModelError(
                f"opset {entry.version} is newer than onnx {onnx.__version__} knows ({known})",
                where=where,
                hint="upgrade the package onnx, or export for an older opset",
            )
    if model.ir_version > onnx.IR_VERSION:
        raise InvalidModelError(
            f"IR version {model.ir_version} is newer than onnx {onnx.__version__} knows",
            where=where,
            hint="upgrade the package onnx, or export for an older IR version",
        )
