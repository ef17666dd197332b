"""Values that depend on constants alone: as the standard gives them, and without its roundings.

    y = round(f(x)),    ŷ = f(x̂)

x and y are in the types of the model, each result rounded once to its type, as every runtime has
them; x̂ and ŷ are the same numbers before the roundings of arithmetic, from which a fold starts so
that it rounds once. A rounding that the model asks for is kept: a Cast, or an operator that selects
or rounds, gives ŷ = y, and so does arithmetic whose rounding is more than the last digits of most
of its results, such as (x + 49152) − 49152. That a few results lose more, where terms cancel by
chance, asks for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.ulps import ulps_at
from normonnx.operators.kernels import Array, Inputs, Outputs
from normonnx.operators.names import onnx_name
from normonnx.operators.table import facts_of
from normonnx.oracle.promotion import is_float, is_narrow, promote

CASTS = frozenset(("Cast", "CastLike"))
"""What names the type of its result."""

_LAST_DIGITS = 4
"""Units in the last place by which rounding may move a result that is taken without it."""


_MOST = 0.75
"""Share of the results that have to be so."""


class Known(Struct, frozen=True):
    """The value of what depends on constants alone.

    Attributes:
        native: in its own type, as the standard gives it.
        unrounded: float64, where arithmetic rounded it; None where `native` is all there is.
    """

    native: Array
    unrounded: Array | None = None

    @property
    def wide(self) -> Array:
        """The value, in float64 if it is a float16, a bfloat16 or a float32."""
        promoted: Array = promote(self.native) if self.unrounded is None else self.unrounded
        return promoted


def worked_out(
    node: ir.Node, inputs: Sequence[Known | None], run: Callable[[Inputs, bool], Outputs]
) -> list[Known]:
    """The outputs of a node that reads nothing but constants.

    Args:
        node: it is deterministic, and no control flow.
        inputs: as many as it has, None standing for an absent one.
        run: computes it, in float64 or else in the types of the inputs it is given.

    Returns:
        One for each output; fewer if one of them is no tensor.
    """
    natives = [None if known is None else known.native for known in inputs]
    facts, kind = facts_of(node), _float_type(node, natives)
    if onnx_name(node) in CASTS:
        return _cast(inputs[0], run(natives, False))
    if facts.jumps or kind is None:
        return [Known(array) for array in _tensors(run(natives, False))]
    exact = all(known is None or known.unrounded is None for known in inputs)
    if facts.moves:
        return _moved(_tensors(run(natives, False)), None if exact else run(_wide(inputs), True))
    real = _tensors(run(list(map(promote, natives)), True))
    results = [_as_type(array, kind) for array in real]
    return _each(results, real if exact else run(_wide(inputs), True))


def _as_type(array: Array, kind: np.dtype[Any]) -> Array:
    return array.astype(kind) if array.dtype == np.float64 else array


def _moved(results: Sequence[Array], unrounded: Sequence[Any] | None) -> list[Known]:
    return list(map(Known, results)) if unrounded is None else _each(results, unrounded)


def _wide(inputs: Sequence[Known | None]) -> list[Array | None]:
    return [None if known is None else known.wide for known in inputs]


def _each(results: Sequence[Array], unrounded: Sequence[Any]) -> list[Known]:
    """Results in their own types, each with what it is without rounding."""
    return list(map(_taken, results, _tensors(unrounded)))


def _cast(source: Known | None, outputs: Outputs) -> list[Known]:
    """A cast to a type that holds the number adds no rounding to those of arithmetic before it."""
    [native] = outputs
    if source is None or source.unrounded is None or not is_narrow(native):
        return [Known(native)]
    kept = np.array_equal(promote(native), promote(source.native), equal_nan=True)
    return [_taken(native, source.unrounded) if kept else Known(native)]


def _tensors(outputs: Sequence[Any]) -> list[Array]:
    """The outputs as arrays, up to the first that is none."""
    arrays: list[Array] = []
    for output in outputs:
        if not isinstance(output, np.ndarray | np.generic):
            break
        arrays.append(np.asarray(output))
    return arrays


def _float_type(node: ir.Node, natives: Sequence[Array | None]) -> np.dtype[Any] | None:
    """The narrow float type of a result, if that is the one of every input that is a float."""
    named = node.attributes.get("output_dtype")
    if named is not None and not named.is_ref() and named.as_int():
        types = {np.dtype(ir.DataType(named.as_int()).numpy())}
    else:
        types = {array.dtype for array in natives if array is not None and is_float(array)}
    kind = types.pop() if len(types) == 1 else None
    return kind if kind != np.float64 else None


def _taken(native: Array, unrounded: Array) -> Known:
    """A result without its rounding, if that is no more than its last digits."""
    stored = promote(native)
    if not is_narrow(native) or np.array_equal(stored, unrounded):
        return Known(native)
    slack = _LAST_DIGITS * ulps_at(np.abs(stored), native.dtype)
    near = (np.abs(unrounded - stored) <= slack) | (stored == unrounded)
    near |= np.isnan(stored) & np.isnan(unrounded)
    return Known(native, unrounded if near.mean() >= _MOST else None)
