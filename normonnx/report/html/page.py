"""The page around any result, kept below half a megabyte."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping

from normonnx.benching.result import BenchReport
from normonnx.report.html.bench_section import latency
from normonnx.report.html.markup import (
    Content,
    Markup,
    code,
    element,
    joined,
    name,
    sentence,
    table,
)
from normonnx.report.html.model_section import Detail, badge, model_section, near_misses
from normonnx.report.html.parity_section import parity
from normonnx.report.html.style import STYLE
from normonnx.report.inspected import FUSED, Inspection
from normonnx.report.json import Reportable
from normonnx.report.layout import magnitude, magnitude_of_bytes
from normonnx.report.names import safe_name
from normonnx.report.result import ModelReport, RunReport, Verification

LIMIT = 500_000
"""No page is of more bytes."""

_DETAILS = (
    Detail(),
    Detail(pictures=4, outputs=4, groups=10, names=4),
    Detail(pictures=1, outputs=1, groups=2, names=1),
)
_MOST_ROWS = 1000
_FRAME = 640


class _TooLargeError(Exception):
    """The page would be too large with so much detail."""


def render_html(result: Reportable) -> str:
    """One page of HTML with all pictures and no address of anything in it.

    Args:
        result: a model's report, a run, an inspection, a verification or a benchmark.
    """
    for detail in _DETAILS:
        with contextlib.suppress(_TooLargeError):
            page = _page(result, detail)
            if len(page.encode()) < LIMIT:
                return page
    return _page(result, None)


def embedded(result: Reportable) -> str:
    """The page in a frame of its own, for notebooks: their style and its do not meet."""
    return element("iframe", srcdoc=render_html(result), width="100%", height=_FRAME, frameborder=0)


def _page(result: Reportable, detail: Detail | None) -> str:
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", _title(result)),
        element("style", Markup(STYLE)),
    )
    body = element("main", *_body(result, detail))
    page = element("html", element("head", head), element("body", body), lang="en")
    return f"<!doctype html>\n{page}\n"


def _title(result: Reportable) -> str:
    if isinstance(result, RunReport) and len(result.models) != 1:
        return f"normonnx: {len(result.models)} models"
    if isinstance(result, RunReport):
        return f"normonnx: {safe_name(result.models[0].name)}"
    if isinstance(result, Inspection):
        return f"normonnx: {safe_name(result.name)}"
    return "normonnx"


def _body(result: Reportable, detail: Detail | None) -> list[Content]:
    if isinstance(result, ModelReport):
        result = RunReport((result,))
    if isinstance(result, RunReport):
        return _run(result, detail)
    detail = detail or _DETAILS[-1]
    if isinstance(result, Inspection):
        return _inspection(result, detail)
    if isinstance(result, Verification):
        return [
            _heading(result.verdict.status, result.line()),
            element("p", name(result.original), " → ", name(result.optimized)),
            parity(result.verdict, most_outputs=detail.outputs),
            _reproduce(result.command, dict(result.verdict.versions or {})),
        ]
    if isinstance(result, BenchReport):
        return [
            _heading("", result.line()),
            latency(result),
            _reproduce(result.command, result.versions),
        ]
    raise TypeError(f"no page for a {type(result).__name__}")


def _heading(status: str, line: str) -> Markup:
    shown = sentence(line.removeprefix("normonnx: "))
    return element("header", element("h1", badge(status) if status else None, "normonnx"),
                   element("p", shown, class_="soft"))  # fmt: skip


def _run(run: RunReport, detail: Detail | None) -> list[Content]:
    parts: list[Content] = [_heading(run.word().lower(), run.line())]
    if len(run.models) > 1:
        rows: list[list[Content]] = [
            [
                name(model.name),
                badge(model.status),
                f"{len(model.rewrites):,}",
                "–" if model.before is None else f"{model.before.nodes:,}",
                "–" if model.after is None else f"{model.after.nodes:,}",
            ]
            for model in run.models[:_MOST_ROWS]
        ]
        titles: list[Content] = ["model", "", "rewrites", "nodes before", "nodes after"]
        parts.append(table(titles, rows, numeric=3))
    if detail is not None:
        room = LIMIT
        for model in run.models:
            parts.append(model_section(model, detail))
            room -= len(str(parts[-1]))
            if room < 0:
                raise _TooLargeError
    else:
        parts.append(element("p", "There are too many models for one page to show each."))
    return [*parts, _reproduce(run.command, run.versions)]


def _inspection(result: Inspection, detail: Detail) -> list[Content]:
    facts = result.facts
    rows: list[list[Content]] = []
    for site in result.sites[:_MOST_ROWS]:
        colour = "good" if site.rewritten else "soft" if site.verdict == FUSED else "warn"
        axes = "–" if site.axes is None else ", ".join(map(str, site.axes)) or "scalar"
        rows.append(
            [
                code(site.rule),
                safe_name(site.kind),
                name(site.path or site.name),
                element("span", sentence(site.verdict), class_=colour),
                axes,
                "–" if site.channels is None else f"{site.channels:,}",
                "–" if site.epsilon is None else f"{site.epsilon:g}",
                site.dtype or "–",
            ]
        )
    titles: list[Content] = [
        "rule", "kind", "where", "verdict", "axes", "channels", "eps", "type",
    ]  # fmt: skip
    staying = [site for site in result.sites if site.verdict == "stays"]
    return [
        _heading("", result.line()),
        element(
            "p",
            name(result.name),
            f" opset {facts.opset} · IR {facts.ir_version} · {facts.nodes:,} nodes · "
            f"{magnitude(facts.parameters)} parameters · {magnitude_of_bytes(facts.nbytes)}",
        ),
        table(titles, rows, numeric=4),
        near_misses(staying, detail),
    ]


def _reproduce(command: tuple[str, ...], versions: Mapping[str, str]) -> Markup:
    shown = ", ".join(f"{package} {version or 'missing'}" for package, version in versions.items())
    line = shlex.join(["normonnx", *(safe_name(word, longest=400) for word in command)])
    return element(
        "footer",
        element("h2", "To reproduce"),
        element("pre", line) if command else None,
        element("p", sentence(shown)) if shown else None,
    )
