"""What a person reads: complete, about a dozen lines, and nothing foreign in control of it."""

from __future__ import annotations

import io

import pytest
from results import AFTER, miss, report, rewrite, verdict
from rich.console import Console

from normonnx.errors import UnsafeModelError
from normonnx.journal import Rewrite
from normonnx.report import (
    Inspection,
    Reverted,
    Site,
    Verification,
    inspection_table,
    notices,
    pages_text,
    terminal,
)
from normonnx.rules import RULES


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(stream: io.StringIO) -> Console:
    return terminal.console_for(stream)


def test_model_in_a_dozen_lines(stream: io.StringIO, console: Console) -> None:
    terminal.show_model(report(notes=("opset 13 → 17",)), console)
    assert stream.getvalue().splitlines() == [
        "resnet50.onnx  opset 17 · IR 8 · 25.6 M params · weights 97.5 MiB",
        "  NX001 fold-into-convolution  53 of 53  Conv·BatchNormalization → Conv",
        "  NX003 fold-forward             0 of 2",
        "  near miss  NX003 affine arithmetic 'Add_12', 'Add_13': '…' is also read by '…'",
        "  nodes 176 → 123 · BatchNormalization 53 → 0 · weights 97.5 MiB → 97.3 MiB",
        "  opset 13 → 17",
        "  parity PASS  logits: 0.91× the original's own distance to float64 · CPU",
    ]
    notices.show_ending(report(), console)
    assert stream.getvalue().splitlines()[-1] == (
        "written to /x/resnet50.optimized.onnx  sha256 4f1c9a77b2e0  97.3 MiB  6.2 s"
    )


def test_many_near_misses_stay_few_lines(stream: io.StringIO, console: Console) -> None:
    many = tuple(miss(n, f"reason {n % 9} at '{{0}}'") for n in range(90))
    terminal.show_model(report(near_misses=many), console)
    lines = stream.getvalue().splitlines()
    assert len(lines) < 20
    assert "  near misses: 40 more, -v lists all" in lines
    terminal.show_model(report(near_misses=many), console, verbosity=1)
    assert all(f"Add_{number}" in stream.getvalue() for number in range(90))


def test_reverted_and_failed(stream: io.StringIO, console: Console) -> None:
    guilty = Reverted(rewrite(7), "'logits' is 6 times farther")
    failed = report(status="fail", verdict=verdict("fail"), written=None, reverted=(guilty,))
    terminal.show_model(failed, console)
    text = stream.getvalue()
    assert "taken back  Conv·BatchNormalization → Conv at 'bn_7': 'logits' is 6 times" in text
    assert "parity FAIL  'logits' is 6 times farther from float64" in text
    notices.show_ending(failed, console)
    assert stream.getvalue().endswith("nothing written for resnet50.onnx  6.2 s\n")


def test_changes_list_nodes(stream: io.StringIO, console: Console) -> None:
    terminal.show_changes(report(rewrites=(rewrite(0),)), console)
    assert stream.getvalue().splitlines()[1:5] == [
        "  NX001 Conv·BatchNormalization → Conv   float64 windows agree to 3e-16",
        "    - Conv conv_0",
        "    - BatchNormalization bn_0",
        "    + Conv conv_0",
    ]


def test_check_is_one_line(stream: io.StringIO, console: Console) -> None:
    terminal.show_check(report(), console)
    assert stream.getvalue() == "resnet50.onnx  53 rewrites to make\n"


def test_refused_model(stream: io.StringIO, console: Console) -> None:
    refused = report(
        status="refused",
        before=None,
        error="not an ONNX model",
        error_code="NX-E10",
        error_hint="it is a zip",
    )
    notices.show_failure(refused, console)
    assert stream.getvalue() == (
        "error[NX-E10]: not an ONNX model\n  resnet50.onnx\n  hint: it is a zip\n"
    )


def test_traceback_only_when_asked(stream: io.StringIO, console: Console) -> None:
    broken = report(status="error", error="internal error", traceback="Traceback:\n  boom")
    notices.show_failure(broken, console, verbosity=1)
    assert "boom" not in stream.getvalue()
    notices.show_failure(broken, console, verbosity=2)
    assert "boom" in stream.getvalue()


def test_inspection_is_a_table_and_tells_alike_sites_once(
    stream: io.StringIO, console: Console
) -> None:
    stays = [
        Site(
            "NX003", "affine arithmetic", f"Add_{n}", False, f"Relu '{n}' is in the way", "move it",
            "stays", channels=8, axes=(1,),
        )
        for n in range(70)
    ]  # fmt: skip
    folds = Site(
        "NX001", "BatchNorm", "bn", True, "Conv·BatchNormalization → Conv", "",
        "folds into Conv 'c'", "stem/bn", "operator", (1,), 64, 1e-5, "float32",
    )  # fmt: skip
    fused = Site("", "LayerNorm", "ln", False, "one operator already", "", "fused")
    found = Inspection("m.onnx", AFTER, (folds, *stays, fused))
    inspection_table.show_inspection(found, console)
    lines = stream.getvalue().splitlines()
    assert lines[1].split(maxsplit=1)[0] == "operators"
    assert [line.split(maxsplit=7) for line in lines[2:4]] == [
        ["rule", "kind", "where", "axes", "channels", "eps", "type", "verdict"],
        ["NX001", "BatchNorm", "stem/bn", "1", "64", "1e-05", "float32", "folds into Conv 'c'"],
    ]
    assert "  and 12 more, -v lists all" in lines
    assert "  NX003 70 × affine arithmetic  stays: Relu '…' is in the way (move it)" in lines
    assert lines[-2:] == [
        "      and 62 more, -v lists all",
        "normonnx: 1 site to rewrite, 70 left alone, 1 fused already",
    ]
    inspection_table.show_inspection(found, console, verbosity=1)
    assert "      Add_69  Relu '69' is in the way" in stream.getvalue()


@pytest.mark.parametrize("code", RULES)
def test_rule_page(stream: io.StringIO, console: Console, code: str) -> None:
    pages_text.show_rule(RULES[code], console)
    text = stream.getvalue()
    rule = RULES[code]
    for part in (rule.title, *rule.equation, *rule.conditions, rule.why, rule.after):
        assert part in text


def test_verification(stream: io.StringIO, console: Console) -> None:
    terminal.show_verification(Verification("a.onnx", "b.onnx", verdict()), console)
    assert stream.getvalue().splitlines()[0] == "a.onnx → b.onnx"
    assert stream.getvalue().splitlines()[-1] == "normonnx: PASS 1 model, distance to float64 0.91x"


def test_names_control_nothing(stream: io.StringIO) -> None:
    """Escapes, markup and workflow commands come out as the text they are."""
    evil = "\x1b]0;owned\x07[bold red]\n::set-output name=x::"
    change = Rewrite(evil, "NX001", evil, evil, ((evil, evil),), ((evil, evil),), evil)
    hostile = report(
        name=evil,
        rewrites=(change,),
        near_misses=(miss(reason=evil),),
        reverted=(Reverted(change, evil),),
        notes=(evil,),
    )
    console = terminal.console_for(stream)
    terminal.show_model(hostile, console, verbosity=2)
    terminal.show_changes(hostile, console)
    notices.show_failure(report(error=evil, error_where=evil, error_hint=evil), console)
    notices.show_error(UnsafeModelError(evil, where=evil, hint=evil), console)
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold red]" in text
    assert not any(line.lstrip().startswith(("::", "##[")) for line in text.splitlines())


def test_narrow_terminal_wraps_and_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    narrow = Console(file=stream, force_terminal=True, width=40, color_system="standard")
    terminal.show_model(report(), narrow)
    assert "\x1b[" in stream.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    plain = Console(file=stream, force_terminal=True, width=40)
    terminal.show_model(report(), plain)
    assert "\x1b[3" not in stream.getvalue()
    assert max(len(line) for line in stream.getvalue().splitlines()) <= 48


def test_error_has_three_lines(stream: io.StringIO, console: Console) -> None:
    error = UnsafeModelError("external data escapes", where="tensor 'w' in m", hint="copy it")
    notices.show_error(error, console)
    assert stream.getvalue() == (
        "error[NX-E12]: external data escapes\n  tensor 'w' in m\n  hint: copy it\n"
    )
