"""Published vulnerabilities of the field, each as a model for normonnx.

Those that need no model (an archive or a network that is fetched without asking) have their tests
in test_corpus: normonnx fetches and unpacks nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto, TensorProto

from tests.hostile import blocks
from tests.hostile.blocks import dense, outside
from tests.hostile.case import Build, Case, Cases

_ESCAPES = "escapes the model's directory"
_RELATIVE = "must be a relative path"

HOLDERS: dict[str, Callable[[TensorProto], ModelProto]] = {
    "initializer": dense,
    "attribute": blocks.in_attribute,
    "subgraph": blocks.in_subgraph,
    "function": blocks.in_function,
    "subgraph of a function": blocks.in_subgraph_of_function,
    "default of a function": blocks.in_default_of_function,
    "sparse initializer": blocks.in_sparse_initializer,
    "sparse attribute": blocks.in_sparse_attribute,
}
_REFUSED_BEFORE_THE_FILE = {"sparse initializer", "sparse attribute"}


def _holding(hold: Callable[[TensorProto], ModelProto], location: str) -> Build:
    return lambda _: hold(outside(location))


def _near(place: Callable[[Path], object], location: str, **fields: object) -> Build:
    def build(house: Path) -> ModelProto:
        place(house)
        return dense(outside(location, **fields))

    return build


def _weights(house: Path) -> None:
    (house / "w.bin").write_bytes(bytes(2048))


_PLACES: Cases = {
    f"traversal from {place}": Case(
        _holding(hold, "../secret.bin"),
        "sparse tensors" if place in _REFUSED_BEFORE_THE_FILE else _ESCAPES,
        "CVE-2022-25882, CVE-2024-27318, ONNX Runtime #28408",
    )
    for place, hold in HOLDERS.items()
}

_PATHS: Cases = {
    "traversal behind a directory": Case(
        _near(lambda house: (house / "sub").mkdir(), "sub/../../secret.bin"),
        _ESCAPES,
        "CVE-2024-27318",
    ),
    "absolute path": Case(
        lambda house: dense(outside(str(house.parent / "secret.bin"))),
        _RELATIVE,
        "CVE-2022-25882",
    ),
    "absolute path inside": Case(
        lambda house: dense(outside(str(house / "w.bin"))), _RELATIVE, "CVE-2022-25882"
    ),
    "path of the other system": Case(
        lambda _: dense(outside("..\\secret.bin")), "is missing", "CVE-2024-27318"
    ),
    "parent directory is a link": Case(
        _near(lambda house: (house / "up").symlink_to(".."), "up/secret.bin"),
        _ESCAPES,
        "CVE-2026-27489",
    ),
    "links to links": Case(
        _near(
            lambda house: (
                (house / "one").symlink_to("two"),
                (house / "two").symlink_to("../secret.bin"),
            ),
            "one",
        ),
        _ESCAPES,
        "CVE-2026-27489",
    ),
    "link that goes round": Case(
        _near(lambda house: (house / "w.bin").symlink_to("w.bin"), "w.bin"),
        "external data",
        "CVE-2026-27489",
    ),
    "symbolic link": Case(
        _near(lambda house: (house / "w.bin").symlink_to("../secret.bin"), "w.bin"),
        _ESCAPES,
        "CVE-2026-34447, ONNX Runtime #27374",
    ),
    "hard link": Case(
        _near(lambda house: os.link(house.parent / "secret.bin", house / "w.bin"), "w.bin"),
        "hard links",
        "CVE-2026-34446",
    ),
    "device": Case(
        _near(lambda house: (house / "w.bin").symlink_to("/dev/zero"), "w.bin"), _ESCAPES
    ),
    "pipe": Case(_near(lambda house: os.mkfifo(house / "w.bin"), "w.bin"), "not a regular file"),
    "directory": Case(
        _near(lambda house: (house / "w.bin").mkdir(), "w.bin"), "not a regular file"
    ),
    "null byte": Case(_near(_weights, "w.bin\0.txt"), _RELATIVE),
    "no file name can be so long": Case(lambda _: dense(outside("w" * 5000)), "external data"),
}

_FIELDS: Cases = {
    "negative offset": Case(
        _near(_weights, "w.bin", offset=-4), "offset of external data", "GHSA-538c-55jv-c5g9"
    ),
    "huge offset": Case(
        _near(_weights, "w.bin", offset=1 << 62), "would end at byte", "GHSA-538c-55jv-c5g9"
    ),
    "offset beyond 64 bits": Case(
        _near(_weights, "w.bin", offset=10**40), "offset of external data", "GHSA-538c-55jv-c5g9"
    ),
    "negative length": Case(
        _near(_weights, "w.bin", length=-1), "length of external data", "GHSA-538c-55jv-c5g9"
    ),
    "huge length": Case(
        _near(_weights, "w.bin", length=1 << 62), "type and shape need", "GHSA-538c-55jv-c5g9"
    ),
    "attribute injection": Case(
        _near(_weights, "w.bin", __class__="os.system"), "unknown or repeated key",
        "GHSA-538c-55jv-c5g9",
    ),
    "base path injection": Case(
        _near(_weights, "w.bin", base_dir="/etc"), "unknown or repeated key", "GHSA-538c-55jv-c5g9"
    ),
    "address in memory": Case(
        lambda _: dense(outside("*/_ORT_MEM_ADDR_/*", offset=140_000_000, length=2048)),
        "address in memory",
        "ONNX Runtime #28617, #28709",
    ),
    "file too short": Case(
        _near(lambda house: (house / "w.bin").write_bytes(bytes(100)), "w.bin"), "would end at byte"
    ),
}  # fmt: skip

ADVISORIES: Cases = {**_PLACES, **_PATHS, **_FIELDS}
