"""The engine that shortens what exporters leave around the layers of a model.

What follows from constants and sizes is worked out, and nodes that do nothing, that say a thing
twice or that nobody reads, go. Every rule proposes, and is counted and proved, as in the other
engines.
"""

from __future__ import annotations

from normonnx.simplify.engine import simplify

__all__ = ["simplify"]
