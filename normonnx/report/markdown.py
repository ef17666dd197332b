"""Markdown for pull requests and job summaries: a line, a table of models, a table of numbers."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from normonnx.judge import Verdict
from normonnx.report.json import Reportable
from normonnx.report.judged import Judged, judged, line_of
from normonnx.report.names import safe_name
from normonnx.report.parity_table import COLUMNS, LEGEND, POOLED, rows, worst_element

_OUTPUTS_SHOWN = 40
_LONG = 400
_SPECIAL = "\\`*_{}[]<>#!|~&"


def render_markdown(result: Reportable) -> str:
    """A result of ``optimize`` or ``verify`` as GitHub-flavoured Markdown.

    Raises:
        UsageError: if it is a result of something else.
    """
    models = judged(result)
    blocks = [f"### {escaped(line_of(result))}", _table(_heads(models), _cells(models))]
    for model in models:
        blocks += _details(model)
    return "\n\n".join(block for block in blocks if block) + "\n"


def escaped(text: object) -> str:
    """`text` as it is to be read: nothing in it is markup, a mention or a new line."""
    plain = safe_name(text, longest=_LONG)
    quoted = "".join(f"\\{c}" if c in _SPECIAL else c for c in plain)
    # A mention is looked for after the backslashes are gone: what parts it is of no width.
    return quoted.replace("@", "@\u200b")


def _heads(models: Sequence[Judged]) -> list[str]:
    optimized = any(model.report is not None for model in models)
    return ["model", "verdict", *(["rewrites", "nodes"] if optimized else []), "remark"]


def _cells(models: Sequence[Judged]) -> Iterable[list[str]]:
    for model in models:
        report = model.report
        cells = [escaped(model.name), escaped(model.status.upper())]
        if report is not None:
            nodes = ""
            if report.before is not None and report.after is not None:
                nodes = f"{report.before.nodes:,} → {report.after.nodes:,}"
            cells += [f"{len(report.rewrites):,}", nodes]
        verdict = model.verdict
        passed = verdict is not None and verdict.passed
        remark = verdict.line() if verdict is not None and passed else model.trouble
        yield [*cells, escaped(remark)]


def _details(model: Judged) -> list[str]:
    verdict = model.verdict
    if verdict is None:
        return []
    blocks = _numbers(model.name, verdict)
    if verdict.divergence is not None:
        blocks.append(f"- {escaped(verdict.divergence.sentence())}")
    blocks += [f"- {escaped(told)}" for told in (*verdict.unseen, *verdict.warnings)]
    return blocks


def _numbers(name: str, verdict: Verdict) -> list[str]:
    """A table of the outputs, and where the broken ones are farthest."""
    told = verdict.summaries
    shown = told[:_OUTPUTS_SHOWN]
    if not shown:
        return []
    found = rows(shown, has_truth=verdict.grade == "truth")
    table = _table(list(COLUMNS), [[escaped(cell) for cell in row] for row in found])
    more = len(told) - _OUTPUTS_SHOWN
    note = f"\n\nand {more} more outputs" if more > 0 else ""
    title = f"<summary>{html.escape(safe_name(name))}: the numbers</summary>"
    legend = html.escape(f"{LEGEND}; {POOLED}")
    blocks = [f"<details>{title}\n\n{table}{note}\n\n{legend}\n\n</details>"]
    for summary in shown:
        where = "" if summary.numbers is None else worst_element(summary.numbers.farthest)
        if not summary.passed and where:
            blocks.append(f"- **{escaped(summary.output)}** worst at {escaped(where)}")
    return blocks


def _table(heads: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
