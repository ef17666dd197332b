"""Every normalisation of a model: what it is, where, and what would become of it."""

from __future__ import annotations

from normonnx.inspection.survey import survey

__all__ = ["survey"]
