"""Both sides of a window in float64 on the same random numbers, at recorded sizes."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.oracle.execution import Frame, Plan, Weights, walk
from normonnx.oracle.planner import Planner
from normonnx.oracle.roundoff import Roundoff
from normonnx.proof.agreement import DifferentError, NothingShownError, furthest
from normonnx.proof.drawing import Integers, any_integers, around, centres_of, many_integers
from normonnx.proof.free_axes import FreeAxes
from normonnx.proof.window import Side, Window
from normonnx.sizes.walk import Walk

Array = np.ndarray[Any, Any]
Feeds = Mapping[ir.Value, Array]

_MAGNITUDES = ((1.0, 0.0), (1e-3, 0.0), (30.0, 10.0), (1e4, 0.0), (0.0, 0.0))
"""Standard deviation and mean of the random inputs of each evaluation; the last are zeros."""

_FLOAT32 = np.dtype(np.float32)
_NOISE_OF_FLOAT64 = 2.0**-29
"""What is lost to rounding in float64 for what is lost in float32."""

_SEEDS = (1, 2)


class UnknownSizeError(Exception):
    """The sizes of an input of the window are not known."""


def replayed(window: Window, old: Side, new: Side, at: Walk) -> float:
    """Evaluate both sides at the sizes of a walk.

    Args:
        window: what is proved.
        old: the nodes as they are.
        new: the nodes that stand for them.
        at: where the sizes come from.

    Returns:
        The largest difference of an element, relative to its size.

    Raises:
        DifferentError: if the sides differ.
        UnknownSizeError: if the walk did not find how large an input is.
        Exception: if the original cannot be evaluated, or shows nothing.
    """
    replay = _Replay(window, old, new, at)
    if not replay.reads_integers:
        return replay.furthest(any_integers)
    try:
        return replay.furthest(many_integers)
    except (DifferentError, UnknownSizeError):
        raise
    except Exception:  # numbers that are no index, no size, no axis of what reads them
        return replay.furthest(any_integers)


def in_short(error: Exception) -> str:
    """Why a window could not be evaluated, in one line."""
    return f"its window could not be evaluated: {type(error).__name__}: {error}"[:300]


class _Prepared(Struct, frozen=True):
    """One side, ready to be evaluated."""

    plan: Plan
    constants: Feeds

    @classmethod
    def of(cls, window: Window, side: Side) -> _Prepared:
        planner = Planner(window.functions, exact_attributes=window.exact_attributes)
        view = ir.GraphView(side.inputs, side.outputs, nodes=side.nodes)
        return cls(planner.plan(view, window.opsets), side.constants)

    def run(self, feeds: Feeds, roundoff: Roundoff | None = None) -> list[Array]:
        frame = Frame({**feeds, **self.constants}, Weights({}), roundoff=roundoff)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return walk(self.plan, frame)

    def noise(self, feeds: Feeds, outputs: Sequence[Array]) -> list[Array]:
        """How far each element lies from where rounding by chance moves it."""
        noises = [np.zeros(array.shape) for array in outputs]
        for seed in _SEEDS:
            moved = self.run(feeds, Roundoff(_FLOAT32, seed=seed))
            for noise, array, other in zip(noises, outputs, moved, strict=True):
                if array.dtype == np.float64 and other.shape == array.shape:
                    with np.errstate(invalid="ignore"):
                        off = np.abs(array - other) * _NOISE_OF_FLOAT64
                    np.fmax(noise, off, out=noise)
        return noises


class _Replay:
    """Both sides, ready to be evaluated at the sizes of a walk."""

    def __init__(self, window: Window, old: Side, new: Side, at: Walk) -> None:
        self._inputs = tuple(dict.fromkeys((*new.inputs, *old.inputs)))
        self._sides = old, new
        self._before, self._after = _Prepared.of(window, old), _Prepared.of(window, new)
        self._sizes = FreeAxes((old, new), at)
        self._at = at

    @property
    def reads_integers(self) -> bool:
        """Whether an input is of an integer type."""
        tensors = map(self._at.tensor, self._inputs)
        return any(tensor is not None and tensor.dtype.is_integer() for tensor in tensors)

    def furthest(self, integers: Integers) -> float:
        """The largest difference of an element over all inputs that are tried."""
        worst: float | None = None
        nothing: NothingShownError | None = None
        for feeds in self._feeds(integers):
            olds = self._before.run(feeds)
            self._refuse_other_sizes(olds)
            try:
                news = self._after.run(feeds)
            except Exception as error:
                raise DifferentError(in_short(error)) from error
            try:
                off = furthest(
                    olds,
                    news,
                    lambda f=feeds, o=olds: self._before.noise(f, o),  # type: ignore[misc]
                    of_constants=not self._inputs,
                )
            except NothingShownError as error:
                nothing = error
            else:
                worst = off if worst is None else max(worst, off)
        if worst is None:
            raise nothing or NothingShownError("there is nothing to compare")
        return worst

    def _refuse_other_sizes(self, arrays: Sequence[Array]) -> None:
        """What is evaluated is what was walked: a size that was misread shows here."""
        for value, array in zip(self._sides[0].outputs, arrays, strict=True):
            shape = self._sizes.shape(value)
            if shape is not None and shape != array.shape:
                raise DifferentError(
                    f"'{value.name}' has the shape {array.shape} where the model gives {shape}"
                )

    def _feeds(self, integers: Integers) -> Iterator[dict[ir.Value, Array]]:
        """Inputs of each magnitude, and around where the window's constants put them."""
        drawn = {value: self._drawn(value, integers) for value in self._inputs}
        floats = {value for value, array in drawn.items() if array.dtype == np.float64}
        if not floats:
            yield drawn
            return
        for spread, mean in _MAGNITUDES:
            yield {v: mean + spread * a if v in floats else a for v, a in drawn.items()}
        centres = {v: c for v, c in centres_of(self._sides[0]).items() if v in floats}
        if centres:
            yield {v: around(a, *centres[v]) if v in centres else a for v, a in drawn.items()}

    def _drawn(self, value: ir.Value, integers: Integers) -> Array:
        """Random numbers, floats of mean 0 and standard deviation 1; dimensions are as they are."""
        tensor, shape = self._at.tensor(value), self._sizes.shape(value)
        if tensor is None:
            raise UnknownSizeError(f"the size of '{value.name}' is not known")
        assert shape is not None
        rng = np.random.default_rng(zlib.crc32(str(value.name).encode()))
        if tensor.dtype.is_floating_point():
            return np.asarray(rng.standard_normal(shape))
        contents = self._at.contents(value)
        if contents is not None:
            return contents
        if tensor.dtype == ir.DataType.BOOL:
            return np.asarray(rng.random(shape) < 0.5)
        low, high = integers(value, tensor.dtype, self._sides, self._at)
        return np.asarray(rng.integers(low, high, shape)).astype(tensor.dtype.numpy())
