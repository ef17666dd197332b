"""What rewrites copy of constants that others keep reading, and which copies are made.

A constant that several layers read is copied when one of them takes a scale. Where all of them take
the same, there is one new constant instead, and the old one goes with its last reader. Any other
copy makes the file larger: it is made if it was asked for, or if it is next to nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx.journal import Refusal

MAX_COPIED_BYTES = 16 << 20
"""How much a single rewrite may add to the model in weights that others keep reading."""

NEXT_TO_NOTHING = 0.001
"""A copy of this part of a model's constants is made unasked."""

_FREE_BYTES = 64
"""A copy of so few bytes is made in the smallest of models."""


class Copy(Struct, frozen=True):
    """A new constant that is made of one that stays.

    Attributes:
        new: the constant, stored.
        exact: its value before rounding.
        old: what it is made of.
        readers: the nodes that read `old` and go.
    """

    new: ir.Value
    exact: np.ndarray
    old: ir.Value
    readers: Collection[ir.Node]

    @property
    def size(self) -> int:
        """In bytes."""
        return 0 if self.new.const_value is None else self.new.const_value.nbytes


class Copies(Struct):
    """The copies of one run.

    Attributes:
        stored: bytes of the model's constants as it came.
        made: the new constants, by the name of what they were made of and by what they hold.
        wanted: of each constant the readers that are to go, and what each would have in its place.
    """

    stored: int
    made: dict[tuple[str, bytes], ir.Value] = field(default_factory=dict)
    wanted: dict[ir.Value, dict[ir.Node, bytes]] = field(default_factory=dict)

    def twins(
        self, constants: Mapping[ir.Value, np.ndarray], graph: ir.Graph
    ) -> dict[ir.Value, ir.Value]:
        """Of new constants those that are there already: made of the same, and holding the same.

        Args:
            constants: new constants under the names of what they are made of, and their values.
            graph: where they are needed.
        """
        origins = {origin for origin, _ in self.made}
        found = {}
        for value, exact in constants.items():
            if value.name in origins:
                twin = self.made.get((str(value.name), _digest(value, exact)))
                if twin is not None and twin.graph is graph and twin.is_initializer():
                    found[value] = twin
        return found

    def objection(self, growth: int, copies: Collection[Copy], *, allowed: bool) -> Refusal | None:
        """Why copies are not made, None if they are.

        Args:
            growth: bytes by which the model would grow.
            copies: what would be copied.
            allowed: whether copies were asked for.
        """
        if growth > MAX_COPIED_BYTES:
            return Refusal(
                f"its weights are read elsewhere, and a copy of {growth >> 20} MiB is over the "
                f"budget of {MAX_COPIED_BYTES >> 20} MiB",
                is_notable=True,
            )
        added = min(growth, sum(copy.size for copy in copies))
        if added <= 0 or allowed or self._is_wanted_by_all(copies):
            return None
        if added <= max(_FREE_BYTES, NEXT_TO_NOTHING * self.stored):
            return None
        largest = max(copies, key=lambda copy: copy.size)
        other = next(node for node in _living(largest.old) if node not in largest.readers)
        size = f"{added >> 10} KiB" if added >> 10 else f"{added} bytes"
        return Refusal(
            f"'{largest.old.name}' is also read by {other.op_type} "
            f"'{other.name or other.outputs[0].name}', and a copy would add {size} to the file",
            "--allow-duplicate makes the copy",
            is_notable=True,
        )

    def _is_wanted_by_all(self, copies: Collection[Copy]) -> bool:
        """Whether each reader of what is copied would have the same in its place."""
        for copy in copies:
            wanted = self.wanted.setdefault(copy.old, {})
            wanted.update(dict.fromkeys(copy.readers, _digest(copy.new, copy.exact)))
        return all(
            len({self.wanted[copy.old].get(node) for node in _living(copy.old)}) == 1
            and all(node in self.wanted[copy.old] for node in _living(copy.old))
            for copy in copies
        )

    def note(self, copies: Collection[Copy]) -> None:
        """Remember the copies that are made, before they get names of their own."""
        for copy in copies:
            self.made[str(copy.new.name), _digest(copy.new, copy.exact)] = copy.new


def stored_bytes(graph: ir.Graph) -> int:
    """The size of a graph's initializers; none of them is read."""
    tensors = (value.const_value for value in graph.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def _living(value: ir.Value) -> list[ir.Node]:
    return [use.node for use in value.uses() if use.node.graph is not None]


def _digest(value: ir.Value, exact: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{value.dtype} {exact.shape}".encode())
    digest.update(np.ascontiguousarray(exact).tobytes())
    return digest.digest()
