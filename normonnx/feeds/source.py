"""Feeds: inputs that the original model accepts, drawn from what its graph says about them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.feeds.domains import domain_of
from normonnx.feeds.kinds import Domain, form_of
from normonnx.feeds.trace import Functions
from normonnx.feeds.values import stream, values, variants
from normonnx.feeds.whole import Family
from normonnx.graph.interface import required_inputs
from normonnx.operators.kernels import Array
from normonnx.runtime.sessions import SessionCrashedError, SessionFailedError
from normonnx.sizes.dimensions import Binding, OpenShapes, open_shapes

# The families of the first draws; later ones start over.
_DECISIVE = (Family.NORMAL, Family.UNIFORM, Family.SCALED)
_BINDINGS = 3
_MOST_TRIES = 40
_ABSENT = -1
"""The variant of an optional input that is not there."""

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
        inputs: by name; tensors, lists of them for sequences, None for what is absent.
        decisive: whether rounding is judged on it; otherwise only whether the outputs exist and
            are of the right size.
    """

    draw: int
    title: str
    binding: Binding
    inputs: Mapping[str, Any]
    decisive: bool = True


def shapes_of(inputs: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of inputs by name; a sequence s has those of s[0], s[1] and so on."""
    result: dict[str, tuple[int, ...]] = {}
    for name, value in inputs.items():
        if isinstance(value, list):
            result.update((f"{name}[{i}]", np.shape(item)) for i, item in enumerate(value))
        elif value is not None:
            result[name] = np.shape(value)
    return result


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
            form = form_of(value)
            if form is None or form.depth > 1:
                raise NoFeedError(f"'{value.name}' is no tensor and no sequence: give data for it")
        self._seed = seed
        self._shapes: OpenShapes = open_shapes(self._inputs)
        self.domains: dict[str, Domain] = {
            str(v.name): _domain(v, model.functions) for v in self._inputs
        }
        self.bindings: list[Binding] = []
        self.refused: int = 0
        self._candidates = enumerate(self._shapes.candidates(), start=1)
        self._tried = 0
        self._variants: dict[str, list[int]] = {}

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
        if not self._variants:
            self._variants = {name: [0] for name in self.domains}
            for name in self.domains:
                self._variants[name] += self._further(name, run, deadline)

    def _further(self, name: str, run: Run, deadline: float) -> list[int]:
        """The variants of an input beside the first that the original takes."""
        domain, binding = self.domains[name], self.bindings[0]
        shape = self._shapes.shape(name, binding)
        count = 1 if domain.count else variants(domain, shape)
        taken = []
        for variant in (*range(1, count), *([_ABSENT] if domain.optional else [])):
            if time.monotonic() > deadline:
                break
            with contextlib.suppress(SessionFailedError):
                made = run(self._drawn(binding, Family.NORMAL, 0, {name: variant}))
                if domain.widest == (0, 0) or _is_finite(made):
                    taken.append(variant)
        return taken

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
        """Sizes with lengths, or else heights and widths, of at least so many; then with samples.

        What counts samples by its name or place may as well be a length.
        """
        symbols = self._shapes.lengths or self._shapes.images
        sizes = {least, *(n for n in (2**i for i in range(16)) if least <= n <= 4 * least)}
        ones = dict.fromkeys(self._shapes.batches, 1)
        for alike in ([symbols] if symbols else []) + [(s,) for s in self._shapes.batches]:
            for size in sorted(sizes):
                binding = {**self.bindings[0], **ones, **dict.fromkeys(alike, size)}
                if self._shapes.admissible(binding):
                    yield binding

    def _drawn(
        self, binding: Binding, family: Family, draw: int, chosen: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """The inputs of one feed, in the variants of its number or in those that are chosen."""
        extent = max((binding[s] for s in self._shapes.lengths), default=1)
        result: dict[str, Any] = {}
        for value in self._inputs:
            name = str(value.name)
            known = self._variants.get(name, [0])
            variant = (chosen or {}).get(name, known[draw % len(known)] if chosen is None else 0)
            result[name] = self._value(value, binding, family, draw, variant, extent)
        return result

    def _value(
        self,
        value: ir.Value,
        binding: Binding,
        family: Family,
        draw: int,
        variant: int,
        extent: int,
    ) -> Any:
        name = str(value.name)
        domain, dtype = self.domains[name], value.dtype or ir.DataType.FLOAT
        shape = self._shapes.shape(name, binding)

        def one(stream_of: str) -> Array:
            random = stream(self._seed, draw, stream_of)
            return values(domain, shape, dtype, family, random, extent=extent, variant=variant)

        if variant == _ABSENT:
            return None
        if domain.count:
            return [one(f"{name}[{number}]") for number in range(domain.count)]
        return one(name)


def _is_finite(made: object) -> bool:
    """Whether what a model gives is, as far as it is made of NumPy's floats."""
    found = made.values() if isinstance(made, Mapping) else ()
    arrays = [a for a in found if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    return all(bool(np.isfinite(a).all()) for a in arrays)


def _domain(value: ir.Value, functions: Functions) -> Domain:
    """What an input may hold.

    Raises:
        NoFeedError: if the graph around it cannot be read.
    """
    try:
        return domain_of(value, functions)
    except Exception as error:
        raise NoFeedError(f"what '{value.name}' may hold cannot be told: {error}") from error
