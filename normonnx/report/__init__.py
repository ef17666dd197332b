"""Results and how they are told. A format is a row of `FORMATS`: from a result to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from normonnx.report.html import render_html
from normonnx.report.inspected import Inspection, Site
from normonnx.report.json import Reportable, render_json
from normonnx.report.junit import render_junit
from normonnx.report.markdown import render_markdown
from normonnx.report.names import safe_name
from normonnx.report.result import (
    ModelFacts,
    ModelReport,
    Reverted,
    RunReport,
    Verification,
    Written,
    counted,
    worst,
)

FORMATS: Mapping[str, Callable[[Reportable], str]] = {
    "json": render_json,
    "html": render_html,
    "junit": render_junit,
    "markdown": render_markdown,
}

__all__ = [
    "FORMATS",
    "Inspection",
    "ModelFacts",
    "ModelReport",
    "Reportable",
    "Reverted",
    "RunReport",
    "Site",
    "Verification",
    "Written",
    "counted",
    "render_json",
    "safe_name",
    "worst",
]
