"""Feeds: inputs that the original model accepts, drawn from what its graph says about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import onnx_ir as ir
from msgspec import Struct

from normonnx.feeds.domains import Domain, domain_of
from normonnx.feeds.values import Family, stream, values
from normonnx.graph.interface import required_inputs
from normonnx.runtime.sessions import SessionCrashedError, SessionFailedError
from normonnx.sizes.dimensions import Binding, OpenShapes, open_shapes

# The families of the first draws; later ones start over.
_DECISIVE = (Family.NORMAL, Family.UNIFORM, Family.SCALED)
_BINDINGS = 3
_MOST_TRIES = 40

Run = Callable[[Mapping[str, Any]], object]


class NoFeedError(Exception):
    """No inputs were found that the original model accepts."""

    def __init__(self, complaint: str, *, crashed: bool = False) -> None:
        super().__init__(f"the original model accepts no generated inputs: {complaint}")
        self.complaint = complaint
        self.crashed = crashed


class Feed(Struct, frozen=True):
    """The inputs of one run.

    Attributes:
        draw: its number; user data have numbers too.
        title: what is special about it, such as ``normal``, or the name of the user's file.
        binding: the sizes of the open dimensions.
        inputs: the tensors by name.
        decisive: whether rounding is judged on it; otherwise only whether the outputs exist and
            are of the right size.
    """

    draw: int
    title: str
    binding: Binding
    inputs: Mapping[str, Any]
    decisive: bool = True


class FeedSource:
    """Draws feeds for a model.

    Args:
        model: the original model.
        seed: the seed of all draws.

    Attributes:
        domains: what each input may hold.
        bindings: the sizes that the original accepts, once they have been asked for.
        refused: how many sizes the original did not accept.

    Raises:
        NoFeedError: if an input is of a type that cannot be drawn.
    """

    def __init__(self, model: ir.Model, *, seed: int) -> None:
        self._inputs = required_inputs(model)
        for value in self._inputs:
            if not isinstance(value.type, ir.TensorType):
                raise NoFeedError(f"input '{value.name}' is no tensor: give data for it")
        self._seed = seed
        self._shapes: OpenShapes = open_shapes(self._inputs)
        self.domains: dict[str, Domain] = {
            str(v.name): domain_of(v, model.functions) for v in self._inputs
        }
        self.bindings: list[Binding] = []
        self.refused: int = 0
        self._candidates = enumerate(self._shapes.candidates(), start=1)
        self._tried = 0

    def ask(self, run: Run, *, deadline: float) -> None:
        """Find sizes for the open dimensions by asking the original model.

        May be called again after a binding was taken out, and goes on where it was.

        Args:
            run: runs the original.
            deadline: when to be content with what was found, on the clock of `time.monotonic`.

        Raises:
            NoFeedError: if it accepts none.
        """
        complaint, crashed = "it takes too long", False
        while not self._has_enough() and time.monotonic() < deadline:
            self._tried, binding = next(self._candidates, (_MOST_TRIES, None))
            if binding is None:
                break
            if binding in self.bindings or not self._shapes.admissible(binding):
                continue
            try:
                run(self._drawn(binding, Family.NORMAL, 0))
            except SessionFailedError as error:
                complaint, crashed = str(error), isinstance(error, SessionCrashedError)
                self.refused += 1
            else:
                self.bindings.append(binding)
        if not self.bindings:
            raise NoFeedError(complaint, crashed=crashed)

    def _has_enough(self) -> bool:
        """Three sizes if the varied ones are accepted at once, and else two of any."""
        if not self._shapes.symbols or self._tried >= _MOST_TRIES:
            return bool(self.bindings) or self._tried >= _MOST_TRIES
        return len(self.bindings) >= (_BINDINGS if self._tried < _BINDINGS else _BINDINGS - 1)

    def decisive(self, draw: int) -> Feed:
        """The feed of this number among those that decide on rounding."""
        family = _DECISIVE[draw % len(_DECISIVE)]
        binding = self.bindings[draw % len(self.bindings)]
        return Feed(draw, family.value, binding, self._drawn(binding, family, draw))

    def stress(self, draw: int, family: Family) -> Feed:
        """A feed of an unnatural family."""
        binding = self.bindings[0]
        inputs = self._drawn(binding, family, draw)
        return Feed(draw, family.value, binding, inputs, decisive=False)

    def altered(self, draw: int, title: str, binding: Binding, changes: Mapping[str, Any]) -> Feed:
        """A feed that decides, with other values for some inputs than those that are drawn."""
        inputs = self._drawn(binding, Family.NORMAL, draw) | dict(changes)
        return Feed(draw, title, binding, inputs)

    def lengthened(self, least: int) -> Iterator[Binding]:
        """Sizes with lengths, or else heights and widths, of at least so many."""
        symbols = self._shapes.lengths or self._shapes.images
        sizes = {least, *(n for n in (2**i for i in range(16)) if least <= n <= 4 * least)}
        for size in sorted(sizes) if symbols else ():
            ones = dict.fromkeys(self._shapes.batches, 1)
            binding = {**self.bindings[0], **ones, **dict.fromkeys(symbols, size)}
            if self._shapes.admissible(binding):
                yield binding

    def _drawn(self, binding: Binding, family: Family, draw: int) -> dict[str, Any]:
        extent = max((binding[s] for s in self._shapes.lengths), default=1)
        return {
            str(v.name): values(
                self.domains[str(v.name)],
                self._shapes.shape(str(v.name), binding),
                v.dtype or ir.DataType.FLOAT,
                family,
                stream(self._seed, draw, str(v.name)),
                extent=extent,
            )
            for v in self._inputs
        }
