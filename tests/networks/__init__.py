"""Random networks for property tests: `draw(seed)` and `assemble(seed)` give models and inputs."""

from __future__ import annotations

from .architecture import assemble
from .network import FAMILIES, SHARES, Network, draw

__all__ = ["FAMILIES", "SHARES", "Network", "assemble", "draw"]
