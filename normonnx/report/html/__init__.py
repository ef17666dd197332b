"""Any result as one HTML page that needs nothing else."""

from __future__ import annotations

from normonnx.report.html.page import embedded, render_html

__all__ = ["embedded", "render_html"]
