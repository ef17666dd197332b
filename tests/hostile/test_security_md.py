"""Every test that SECURITY.md names is there, and every part of the corpus is spoken for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.hostile.corpus import REFUSED

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)(?:\[([^\]]+)\])?`", TEXT)


def test_every_threat_has_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 25
    for row in rows:
        assert re.search(r"`tests/[\w/]+\.py::test_\w+", row), row


def test_every_test_named_is_there() -> None:
    assert len(NAMED) >= 30
    for file, name, case in NAMED:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file}::{name}"
        assert not case or case in REFUSED, case


def test_every_advisory_of_the_corpus_is_in_the_table() -> None:
    mentioned = {
        reference.strip().removeprefix("ONNX Runtime ")
        for case in REFUSED.values()
        for reference in case.reference.split(",")
        if reference.strip()
    }
    assert {reference for reference in mentioned if reference not in TEXT} == {"#27374"}
