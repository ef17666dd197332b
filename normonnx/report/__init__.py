"""Results and how they are told. A format is a module here that defines ``render_<format>``."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from normonnx.report.inspected import Inspection, Inspections, Port, Site
from normonnx.report.json import Reportable, render_json
from normonnx.report.names import safe_name
from normonnx.report.result import (
    Look,
    ModelFacts,
    ModelReport,
    Reverted,
    RunReport,
    Status,
    Verification,
    Written,
    counted,
    worst,
)
from normonnx.shown import Shown, render_pages_with


def render(result: Reportable, form: str) -> str:
    """A result as text; a format is imported when something is told in it.

    Args:
        result: what to tell.
        form: "json", "html", "junit" or "markdown".

    Raises:
        UsageError: if the format does not tell such results.
    """
    module = importlib.import_module(f"normonnx.report.{form}")
    told: Callable[[Reportable], str] = getattr(module, f"render_{form}")
    return told(result)


def _page(result: Shown) -> str:
    from normonnx.report.html import embedded

    return embedded(result)


render_pages_with(_page)

__all__ = [
    "Inspection",
    "Inspections",
    "Look",
    "ModelFacts",
    "ModelReport",
    "Port",
    "Reportable",
    "Reverted",
    "RunReport",
    "Site",
    "Status",
    "Verification",
    "Written",
    "counted",
    "render",
    "render_json",
    "safe_name",
    "worst",
]
