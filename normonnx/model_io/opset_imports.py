"""The operator sets that a model and its functions import, each once.

Tools that put models together (skl2onnx, onnx.compose) write an import twice, and the default
domain has two names. Equal entries say nothing new; which of two versions holds is told nowhere.
"""

from __future__ import annotations

import onnx
from onnx import ModelProto

from normonnx.errors import InvalidModelError

DEFAULT_BY_NAME = "ai.onnx"
"""The other name of the default domain ""."""


def plain(domain: str) -> str:
    """The name under which the IR files a domain."""
    return "" if domain == DEFAULT_BY_NAME else domain


def import_once(body: ModelProto | onnx.FunctionProto, where: str) -> None:
    """Keep one import of each operator set, the default one by its name "".

    Args:
        body: what imports them; it is changed.
        where: what the error should name.

    Raises:
        InvalidModelError: two versions of one operator set are imported.
    """
    versions: dict[str, int] = {}
    for entry in body.opset_import:
        domain = plain(entry.domain)
        if versions.setdefault(domain, entry.version) != entry.version:
            raise InvalidModelError(
                f"the opset import {domain!r} is there twice, "
                f"as {versions[domain]} and as {entry.version}",
                where=where,
                hint="keep the one that the nodes were written for",
            )
    if list(versions) != [entry.domain for entry in body.opset_import]:
        del body.opset_import[:]
        for domain, version in versions.items():
            body.opset_import.add(domain=domain, version=version)
