"""Random networks for property tests: `draw(seed)` gives a model and inputs for it."""

from __future__ import annotations

from .network import FAMILIES, SHARES, Network, draw

__all__ = ["FAMILIES", "SHARES", "Network", "draw"]
