"""The float64 values of new constants, without keeping the large ones in memory.

Most of the bytes of new constants are weights of layers that took a scale: what they were scaled
from is in memory or in a file anyway, so their float64 values are made again when they are asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, MutableMapping

import numpy as np

Maker = Callable[[], np.ndarray]
"""Makes a value again, the same to the last bit."""

_KEPT_BYTES = 1 << 16
"""Values up to this size are kept, however they could be made."""


class ExactValues(MutableMapping[str, np.ndarray]):
    """The float64 (or integer) value of each new constant, by name."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray | Maker] = {}

    def remake(self, name: str, value: np.ndarray, maker: Maker) -> None:
        """State a value that need not be kept.

        Args:
            name: of the constant.
            value: its exact value.
            maker: makes it again.
        """
        self._held[name] = value if value.nbytes <= _KEPT_BYTES else maker

    def maker(self, name: str) -> Maker:
        """What makes the value of a name."""
        held = self._held[name]
        return held if callable(held) else lambda: held

    def only(self, names: Collection[str]) -> ExactValues:
        """The values of some of the names."""
        chosen = ExactValues()
        chosen._held = {name: held for name, held in self._held.items() if name in names}
        return chosen

    def __getitem__(self, name: str) -> np.ndarray:
        held = self._held[name]
        return held() if callable(held) else held

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        self._held[name] = value

    def __delitem__(self, name: str) -> None:
        del self._held[name]

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)
