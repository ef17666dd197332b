"""Whatever a model calls its nodes, one visible line comes out."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normonnx.report import safe_name

HOSTILE = {
    "plain /m/layer.0/Conv_output_0": "plain /m/layer.0/Conv_output_0",
    "Größe·γ→日本": "Größe·γ→日本",
    "\x1b[31mred\x1b[0m": r"\x1b[31mred\x1b[0m",
    "two\nlines\r\n": r"two\nlines\r\n",
    "bell\x07 del\x7f nul\0": r"bell\x07 del\x7f nul\x00",
    "evil\u202egnp.exe": r"evil\u202egnp.exe",
    "zero\u200bwidth\ufeff": r"zero\u200bwidth\ufeff",
    "line\u2028separator": r"line\u2028separator",
    "lone \udcff": r"lone \udcff",
    "[red]markup[/red]": "[red]markup[/red]",
    "::set-output name=x::y": r"\x3a:set-output name=x::y",
    "##[error]": r"\x23#[error]",
    "aten::relu": "aten::relu",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name(name: str) -> None:
    assert safe_name(name) == HOSTILE[name]


def test_long_names_lose_their_middle() -> None:
    name = "start" + "x" * 10_000 + "end"
    shown = safe_name(name, longest=60)
    assert len(shown) == 60
    assert shown.startswith("start")
    assert shown.endswith("end")
    assert "…" in shown
    assert safe_name("y" * 60, longest=60) == "y" * 60


@given(st.text())
def test_nothing_invisible_is_left(name: str) -> None:
    shown = safe_name(name)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
