"""Both sides of a window in float64 on the same random numbers, at recorded sizes."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.names import onnx_name
from normonnx.oracle.execution import Frame, Plan, Weights, walk
from normonnx.oracle.planner import Planner
from normonnx.oracle.roundoff import Roundoff
from normonnx.proof.agreement import DifferentError, furthest
from normonnx.proof.free_axes import FreeAxes
from normonnx.proof.window import Side, Window
from normonnx.sizes.walk import Walk

Array = np.ndarray[Any, Any]
Feeds = Mapping[ir.Value, Array]

_MAGNITUDES = ((1.0, 0.0), (1e-3, 0.0), (30.0, 10.0))
"""Standard deviation and mean of the random inputs of each evaluation."""

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
    inputs = tuple(dict.fromkeys((*new.inputs, *old.inputs)))
    before, after = _Prepared.of(window, old), _Prepared.of(window, new)
    sizes = FreeAxes((old, new), at)
    worst = 0.0
    for feeds in _feeds(old, inputs, at, sizes):
        olds = before.run(feeds)
        _refuse_other_sizes(old.outputs, olds, sizes)
        try:
            news = after.run(feeds)
        except Exception as error:
            raise DifferentError(in_short(error)) from error
        worst = max(
            worst,
            furthest(olds, news, lambda f=feeds, o=olds: before.noise(f, o)),  # type: ignore[misc]
        )
    return worst


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


def _refuse_other_sizes(
    values: Sequence[ir.Value], arrays: Sequence[Array], sizes: FreeAxes
) -> None:
    """What is evaluated is what was walked: a size that was misread shows here."""
    for value, array in zip(values, arrays, strict=True):
        shape = sizes.shape(value)
        if shape is not None and shape != array.shape:
            raise DifferentError(
                f"'{value.name}' has the shape {array.shape} where the model gives {shape}"
            )


def _feeds(
    old: Side, inputs: Sequence[ir.Value], at: Walk, sizes: FreeAxes
) -> Iterator[dict[ir.Value, Array]]:
    """Inputs of each magnitude, and around the places where the window's constants put them."""
    drawn = {value: _drawn(value, at, sizes) for value in inputs}
    floats = {value for value, array in drawn.items() if array.dtype == np.float64}
    if not floats:
        yield drawn
        return
    for spread, mean in _MAGNITUDES:
        yield {v: mean + spread * a if v in floats else a for v, a in drawn.items()}
    centres = {v: c for v, c in _centres(old).items() if v in floats}
    if centres:
        yield {v: _around(a, *centres[v]) if v in centres else a for v, a in drawn.items()}


def _drawn(value: ir.Value, at: Walk, sizes: FreeAxes) -> Array:
    """Random numbers, floats of mean 0 and standard deviation 1; dimensions are as they are."""
    tensor, shape = at.tensor(value), sizes.shape(value)
    if tensor is None or shape is None:
        raise UnknownSizeError(f"the size of '{value.name}' is not known")
    rng = np.random.default_rng(zlib.crc32(str(value.name).encode()))
    if tensor.dtype.is_floating_point():
        return np.asarray(rng.standard_normal(shape))
    contents = at.contents(value)
    if contents is not None:
        return contents
    if tensor.dtype == ir.DataType.BOOL:
        return np.asarray(rng.random(shape) < 0.5)
    return np.asarray(rng.integers(0, 3, shape)).astype(tensor.dtype.numpy())


def _centres(side: Side) -> dict[ir.Value, tuple[Array, Array]]:
    """For each input, the mean that the first node that reads it takes off, and a spread."""
    centres: dict[ir.Value, tuple[Array, Array]] = {}
    for node in side.nodes:
        moving = [v for v in node.inputs if v is not None and v not in side.constants]
        if len(moving) == 1 and moving[0] in side.inputs and moving[0] not in centres:
            centre = _centre(node, side.constants)
            if centre is not None and np.isfinite(centre[0]).all():
                centres[moving[0]] = centre
    return centres


def _centre(node: ir.Node, constants: Feeds) -> tuple[Array, Array] | None:
    given = [None if v is None else constants.get(v) for v in node.inputs]
    name = onnx_name(node)
    if name == "BatchNormalization" and len(given) == 5:
        mean, var = given[3], given[4]
        if given[0] is None and mean is not None and var is not None:
            return mean, np.sqrt(np.abs(var) + 1e-12)
        return None
    if name not in ("Add", "Sub") or len(given) != 2:
        return None
    shift = given[1] if given[0] is None else given[0]
    if shift is None or shift.dtype != np.float64:
        return None
    centre = -shift if name == "Add" else shift
    return centre, np.ones(())


def _around(drawn: Array, centre: Array, spread: Array) -> Array:
    """The numbers moved to a centre, per channel where it is one per channel."""
    if centre.ndim == 1 and drawn.ndim > 2 and drawn.shape[1] == centre.size:
        per_channel = (-1, *(1,) * (drawn.ndim - 2))
        centre = centre.reshape(per_channel)
        spread = spread.reshape(per_channel) if spread.ndim else spread
    try:
        moved = np.asarray(centre + spread * drawn)
    except ValueError:
        return drawn
    return moved if moved.shape == drawn.shape else drawn
