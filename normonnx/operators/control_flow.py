"""Operators that run subgraphs."""

from __future__ import annotations

from normonnx.operators.facts import Facts

FACTS = tuple(Facts(name=name, control_flow=True) for name in ("If", "Loop", "Scan", "SequenceMap"))
