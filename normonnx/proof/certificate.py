"""The certificate of a rewrite: both sides cut out, evaluated in float64, and compared.

It shares nothing with the engines: it looks at the old nodes and the new ones, cuts both out down
to the values they share, feeds them random tensors of several magnitudes, and has the oracle that
also judges whole models evaluate both in float64. New constants enter with their exact float64
values; that each stored tensor is that value rounded once is checked separately.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

import ml_dtypes
import numpy as np
import onnx_ir as ir
from msgspec import Struct
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from normonnx.graph.nesting import subgraphs
from normonnx.operators.names import onnx_name
from normonnx.oracle.execution import Frame, Plan, Weights, walk
from normonnx.oracle.planner import Planner
from normonnx.proof import structure
from normonnx.values.constants import Constants, is_float
from normonnx.values.shapes import Dim, Product, Shapes

TOLERANCE = 1e-9
"""Largest difference in float64, relative to the largest value of the output."""

_MAGNITUDES = ((1.0, 0.0), (1e-3, 0.0), (30.0, 10.0))
"""Standard deviation and mean of the random inputs of each evaluation."""

_AFFINE_MAGNITUDES = _MAGNITUDES[:2]
"""The same where both sides are affine: one shows the linear part, the other the constant one."""

_FACTORS = frozenset({"Mul", "MatMul"})
"""What may read a constant that is read as 1/N."""

_MATRICES = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose weight has channels along two axes."""

_LARGE = 5
"""A dimension above this that no constant shares is shrunk for the evaluation, if that works."""

_SMALL = 3
_LOCAL = 2
"""What it is shrunk to, or to more where a kernel spans more: every weight has to be met.

Two elements do for what is local; from two numbers a normalisation makes ±1 of any.
"""

_PARALLEL_FROM = 1 << 18
"""Elements of a new weight from which on its products are shared out among threads."""

_SYMBOL_SIZES = ((2, 5, 3, 7, 4, 6), (2,), (4,), (8,), (16,), (1,))
"""Sizes tried for the symbols, cyclically: first all different, then all equal.

Where a kernel spans more than two elements, so much is added for each symbol that is no batch.
"""


class Flaw(Struct, frozen=True):
    """Why there is no certificate."""

    reason: str


class Window(Struct, frozen=True):
    """Both sides of a rewrite and what is known around them.

    Attributes:
        old: values of the graph as it is.
        new: the values that stand for them, in the same order.
        made: the new nodes.
        constants: the constants of the model.
        shapes: dimensions and types of the model's values.
        exact: float64 (or integer) value of each new constant.
        exact_attributes: float attributes of new nodes before their rounding to float32.
        readings: constants of the original that hold 1/N rounded and count as 1/N, in float64.
        functions: the functions of the model.
        opsets: operator set versions in force where the nodes are, by domain.
    """

    old: tuple[ir.Value, ...]
    new: tuple[ir.Value, ...]
    made: frozenset[ir.Node]
    constants: Constants
    shapes: Shapes
    exact: Mapping[ir.Value, np.ndarray]
    exact_attributes: Mapping[ir.Node, Mapping[str, float]]
    readings: Mapping[ir.Value, np.ndarray]
    functions: Mapping[ir.OperatorIdentifier, ir.Function]
    opsets: Mapping[str, int]


def certify(window: Window) -> str | Flaw:
    """Prove a rewrite on float64 windows; returns how, in one line, or the flaw."""
    # To hand a small product to other threads takes longer than to make it.
    largest = max((exact.size for exact in window.exact.values()), default=0)
    if largest >= _PARALLEL_FROM:
        return _certify(window)
    with _threads().limit(limits=1, user_api="blas"):
        return _certify(window)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def _certify(window: Window) -> str | Flaw:
    for value, exact in window.exact.items():
        flaw = _rounded_once(value, exact)
        if flaw is not None:
            return flaw
    for value, exact in window.readings.items():
        flaw = _is_reciprocal(window, value, exact)
        if flaw is not None:
            return flaw
    new_side = _cut(window, window.new, stop=None)
    old_side = _cut(window, window.old, stop=frozenset(new_side.inputs))
    inputs = tuple(dict.fromkeys((*new_side.inputs, *old_side.inputs)))
    nodes = (*old_side.nodes, *new_side.nodes)
    constants = {**old_side.constants, **new_side.constants}
    extents = _extents(nodes, constants)
    old_plan, new_plan = _prepare(window, old_side), _prepare(window, new_side)
    least = _LOCAL if structure.is_local(nodes) else _SMALL
    smallest = max(least, *map(structure.reach, nodes), 0)
    affine = structure.is_affine(nodes, constants)
    magnitudes = _AFFINE_MAGNITUDES if affine else _MAGNITUDES
    flaw = Flaw("its shapes could not be determined")
    partly = ""
    doubtful: set[int] = set()
    for sizes in _bindings(window, inputs, extents, smallest):
        if sizes.level in doubtful:
            continue
        try:
            worst, wholly = _compared(old_plan, new_plan, _drawn(window, inputs, sizes), magnitudes)
        except _DifferentError as error:
            # What was made smaller may have made the difference; the true sizes do not.
            flaw = Flaw(str(error))
            if sizes.are_true:
                return flaw
            doubtful.add(sizes.level)
            continue
        except Exception as error:  # sizes that do not fit: try the next
            flaw = flaw if doubtful else Flaw(_in_short(error))
            continue
        agreed = f"float64 windows agree to {worst:.1e}{_as_read(window)}"
        if wholly:
            return agreed
        partly = agreed if sizes.are_true else partly
    return partly or flaw


def _rounded_once(value: ir.Value, exact: np.ndarray) -> Flaw | None:
    """Each stored number within half a unit in the last place of its float64 value."""
    assert value.const_value is not None
    stored = value.const_value.numpy()
    if stored.shape != exact.shape:
        return Flaw(f"'{value.name}' is stored with another shape")
    if exact.dtype.kind in "iub":
        return None if np.array_equal(stored, exact) else Flaw(f"'{value.name}' is stored wrong")
    if np.array_equal(exact.astype(stored.dtype), stored):
        return None
    # There may be another number just as near, or NumPy may have rounded twice.
    wide = stored.astype(np.float64)
    info = ml_dtypes.finfo(stored.dtype)
    # In the binade of the stored number a unit is eps·2^e, and never below the smallest denormal;
    # a number that was rounded up to a power of two may be half a unit of the binade below away.
    _, exponent = np.frexp(np.abs(wide))
    unit = np.maximum(np.ldexp(float(info.eps), exponent - 1), float(info.smallest_subnormal))
    wrong = ~(np.abs(wide - exact) <= unit / 2 * (1 + 1e-12)) & ~(np.isnan(wide) & np.isnan(exact))
    if wrong.any():
        return Flaw(f"'{value.name}' is not its float64 value rounded once")
    return None


def _is_reciprocal(window: Window, value: ir.Value, exact: np.ndarray) -> Flaw | None:
    """A factor may be read as 1/N for a whole N of which it is the nearest float32, no more.

    That is a rounding taken back, as each new weight adds one. The stored number tells N, and with
    any other count of elements the two sides would differ.
    """
    if any(onnx_name(use.node) not in _FACTORS for use in value.uses()):
        return Flaw(f"'{value.name}' is no mere factor, and cannot be read as 1/N")
    stored = window.constants.array(value)
    if stored is None or stored.dtype != np.float32 or stored.shape != exact.shape:
        return Flaw(f"'{value.name}' cannot be read exactly")
    counts = np.round(1 / exact)
    if not (np.array_equal(exact, 1 / counts) and np.array_equal(exact.astype(np.float32), stored)):
        return Flaw(f"'{value.name}' is no 1/N rounded once")
    return None


def _as_read(window: Window) -> str:
    readings = [
        f"'{value.name}' as 1/{1 / exact.reshape(-1)[0]:.0f}"
        for value, exact in window.readings.items()
    ]
    return f", reading {', '.join(readings)}" if readings else ""


# -- cutting out ---------------------------------------------------------------------------------


class _Side(Struct, frozen=True):
    nodes: tuple[ir.Node, ...]
    inputs: tuple[ir.Value, ...]
    constants: Mapping[ir.Value, np.ndarray]
    outputs: tuple[ir.Value, ...]


def _cut(window: Window, outputs: Sequence[ir.Value], stop: frozenset[ir.Value] | None) -> _Side:
    """What computes `outputs`, back to the stop values; None stops where the new nodes end."""
    nodes: dict[ir.Node, None] = {}
    inputs: dict[ir.Value, None] = {}
    constants: dict[ir.Value, np.ndarray] = {}
    done: set[ir.Value] = set()
    stack: list[tuple[ir.Value, bool]] = [(value, False) for value in reversed(outputs)]
    while stack:
        value, ready = stack.pop()
        producer = value.producer()
        if ready:
            assert producer is not None
            nodes[producer] = None
            continue
        if value in done:
            continue
        done.add(value)
        if value in window.exact:
            constants[value] = window.exact[value]
        elif value in window.readings:
            constants[value] = window.readings[value]
        elif (stop is None or value not in stop) and window.constants.is_constant(value):
            array = window.constants.array(value)
            if array is None:
                inputs[value] = None
                continue
            if array.dtype.kind not in "iubOSU":
                array = window.constants.float64(value)
                assert array is not None
            constants[value] = array
        elif (
            producer is None
            or (producer not in window.made if stop is None else value in stop)
            or subgraphs(producer)
            or _holds_dimensions(window, value)
        ):
            inputs[value] = None
        else:
            stack.append((value, True))
            stack.extend((v, False) for v in producer.inputs if v is not None)
    return _Side(tuple(nodes), tuple(inputs), constants, tuple(outputs))


def _holds_dimensions(window: Window, value: ir.Value) -> bool:
    """Whether a value is shape arithmetic, fed from the shapes instead of being recomputed."""
    dtype = window.shapes.dtype(value)
    return dtype is not None and dtype.is_integer() and window.shapes.vector(value) is not None


# -- choosing shapes -----------------------------------------------------------------------------


class _Sizes(Struct, frozen=True):
    """Concrete shapes for the inputs, and contents for those that hold dimensions.

    Attributes:
        bound: a shape, or the contents, by input.
        level: which dimensions were made smaller, as a number.
        are_true: whether none was.
    """

    bound: Mapping[ir.Value, tuple[int, ...] | np.ndarray]
    level: int
    are_true: bool


def _bindings(
    window: Window, inputs: Sequence[ir.Value], extents: set[int], smallest: int
) -> Iterator[_Sizes]:
    """Sizes to evaluate a window at, the cheapest first, those that the model states last."""
    known = {value: window.shapes.dims(value) for value in inputs}
    vectors = {value: window.shapes.vector(value) for value in inputs}
    guesses = [_guessed(window, value) for value in inputs if known[value] is None]
    if any(guess is None for guess in guesses):
        return
    for value in inputs:
        if known[value] is None:
            known[value] = _guessed(window, value)
    symbols = sorted(
        {
            symbol
            for dims in (*known.values(), *vectors.values())
            for dim in dims or ()
            if isinstance(dim, Product)
            for symbol in dim.symbols
        }
    )
    shrinkings = (
        [{}] if any(vectors.values()) else _shrinkings(list(known.values()), extents, smallest)
    )
    inner = {
        symbol
        for dims in known.values()
        for dim in (dims or ())[1:]
        if isinstance(dim, Product)
        for symbol in dim.symbols
    }
    for level, shrink in enumerate(shrinkings):
        for sizes in _SYMBOL_SIZES if symbols else _SYMBOL_SIZES[:1]:
            binding = {
                symbol: sizes[i % len(sizes)] + (smallest - 2 if symbol in inner else 0)
                for i, symbol in enumerate(symbols)
            }

            def concrete(dim: Dim) -> int:
                if isinstance(dim, int):
                    return shrink.get(dim, dim)  # noqa: B023
                factors = [binding[symbol] for symbol in dim.symbols]  # noqa: B023
                return dim.factor * int(np.prod(factors))

            bound: dict[ir.Value, tuple[int, ...] | np.ndarray] = {}
            for value in inputs:
                vector = vectors[value]
                dims = known[value]
                assert dims is not None
                if vector is not None:
                    contents = np.array([concrete(dim) for dim in vector], dtype=np.int64)
                    bound[value] = contents if len(dims) == 1 else contents.reshape(())
                else:
                    bound[value] = tuple(concrete(dim) for dim in dims)
            yield _Sizes(bound, level, not shrink)


def _extents(nodes: Iterable[ir.Node], constants: Mapping[ir.Value, np.ndarray]) -> set[int]:
    """Sizes of dimensions that constants have too; what a kernel spans is none of them."""
    kernels = {node.inputs[1] for node in nodes if onnx_name(node) in structure.FILTERS}
    return {
        extent
        for value, array in constants.items()
        for extent in (array.shape[:2] if value in kernels else array.shape)
    }


def _shrinkings(
    known: Sequence[tuple[Dim, ...] | None], extents: set[int], smallest: int
) -> list[dict[int, int]]:
    """Smaller sizes for large dimensions: for all, for those behind the channels, and for none.

    A multiple of another dimension stays one, and no two become equal: what resizes, pools or
    concatenates still fits, and what mixes two axes up still shows.
    """
    shrinkings: list[dict[int, int]] = []
    for first in (0, 2):
        large = {dim for dims in known for dim in (dims or ())[first:] if isinstance(dim, int)}
        shrunk: dict[int, int] = {}
        for dim in sorted(dim for dim in large - extents if dim > _LARGE):
            factor = max((s for s in shrunk if dim % s == 0), default=None)
            size = smallest if factor is None else shrunk[factor] * (dim // factor)
            while size in extents or size in shrunk.values():
                size += 1
            if size < dim:
                shrunk[dim] = size
        if shrunk and shrunk not in shrinkings:
            shrinkings.append(shrunk)
    return [*shrinkings, {}]


def _guessed(window: Window, value: ir.Value) -> tuple[Dim, ...] | None:
    """Dimensions for a value of unknown rank (in a function body), from one who reads it."""
    for use in value.uses():
        name = onnx_name(use.node)
        weight = use.node.inputs[1] if len(use.node.inputs) > 1 else None
        dims = window.shapes.dims(weight)
        if use.idx != 0 or not dims:
            continue
        if name in _MATRICES and len(dims) < 2:
            continue
        if name == "Conv" and isinstance(dims[1], int):
            group = use.node.attributes.get("group")
            groups = group.as_int() if group is not None else 1
            return (2, dims[1] * groups, *(9 + i for i in range(len(dims) - 2)))
        if name == "ConvTranspose":
            return (2, dims[0], *(5 + i for i in range(len(dims) - 2)))
        if name == "Gemm":
            transposed = use.node.attributes.get("transB")
            return (3, dims[1] if transposed is not None and transposed.as_int() else dims[0])
        if name == "MatMul":
            return (3, dims[-2])
        if name in ("LayerNormalization", "RMSNormalization"):
            return (2, 3, *dims)
        if name == "BatchNormalization":
            return (2, dims[0], 5)
    return None


def _drawn(
    window: Window,
    inputs: Sequence[ir.Value],
    sizes: _Sizes,
) -> dict[ir.Value, np.ndarray]:
    """Random inputs, the floats among them of mean 0 and standard deviation 1."""
    feeds: dict[ir.Value, np.ndarray] = {}
    for value in inputs:
        shape = sizes.bound[value]
        if isinstance(shape, np.ndarray):
            feeds[value] = shape
            continue
        rng = np.random.default_rng(zlib.crc32(str(value.name).encode()))
        dtype = window.shapes.dtype(value)
        if dtype is None or is_float(dtype):
            feeds[value] = rng.standard_normal(shape)
        elif dtype == ir.DataType.BOOL:
            feeds[value] = rng.random(shape) < 0.5
        else:
            feeds[value] = rng.integers(0, 3, shape).astype(dtype.numpy())
    return feeds


# -- evaluating ----------------------------------------------------------------------------------


class _DifferentError(Exception):
    """The two sides cannot stand for each other, at these sizes."""


class _Prepared(Struct, frozen=True):
    """One side, ready to be evaluated.

    Attributes:
        nodes: in order.
        plan: of the nodes.
        constants: what they read that is constant.
        filters: the convolutions among them whose kernel is no input of the window.
    """

    nodes: tuple[ir.Node, ...]
    plan: Plan
    constants: Mapping[ir.Value, np.ndarray]
    filters: tuple[ir.Node, ...]

    def run(self, feeds: Mapping[ir.Value, np.ndarray]) -> tuple[list[np.ndarray], bool]:
        """The outputs, and whether every element of the kernels had a part in them."""
        read = (value for node in self.filters for value in node.inputs[:2])
        kept = frozenset(value for value in read if value is not None)
        frame = Frame({**feeds, **self.constants}, Weights({}), keep=kept)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # Sizes are tried that may leave nothing to average; such a window is not counted.
            warnings.simplefilter("ignore", RuntimeWarning)
            outputs = walk(self.plan, frame)
        return outputs, all(_counts_wholly(node, frame) for node in self.filters)


def _counts_wholly(node: ir.Node, frame: Frame) -> bool:
    source, kernel = node.inputs[:2]
    assert source is not None
    assert kernel is not None
    return structure.counts_wholly(node, frame[source].shape[2:], frame[kernel].shape[2:])


def _prepare(window: Window, side: _Side) -> _Prepared:
    planner = Planner(window.functions, exact_attributes=window.exact_attributes)
    view = ir.GraphView(side.inputs, side.outputs, nodes=side.nodes)
    filters = tuple(
        node
        for node in side.nodes
        if onnx_name(node) in structure.FILTERS and node.inputs[1] not in side.inputs
    )
    return _Prepared(side.nodes, planner.plan(view, window.opsets), side.constants, filters)


def _compared(
    old: _Prepared,
    new: _Prepared,
    drawn: Mapping[ir.Value, np.ndarray],
    magnitudes: Sequence[tuple[float, float]],
) -> tuple[float, bool]:
    """Evaluate both sides on inputs of each magnitude.

    Returns:
        The largest difference relative to the largest value, and whether every element of the
        kernels had a part in it.

    Raises:
        _DifferentError: the sides differ.
        Exception: the sizes do not fit the original, or leave it nothing to show.
    """
    feeds = [
        {
            value: mean + spread * array if array.dtype == np.float64 else array
            for value, array in drawn.items()
        }
        for spread, mean in magnitudes
    ]
    count = 1
    sides = (old, new)
    if all(structure.are_independent(side.nodes, side.constants, drawn) for side in sides):
        count = len(feeds)
        feeds = [{value: np.concatenate([feed[value] for feed in feeds]) for value in drawn}]
    worst, wholly = 0.0, True
    for feed in feeds:
        olds, met = old.run(feed)
        _refuse_empty(olds, count)
        try:
            news, met_too = new.run(feed)
        except Exception as error:
            raise _DifferentError(_in_short(error)) from error
        worst = max(worst, _difference(olds, news, count))
        wholly = wholly and met and met_too
    if not worst <= TOLERANCE:
        raise _DifferentError(f"the float64 windows differ by {worst:.2g} of the largest value")
    return worst, wholly


def _in_short(error: Exception) -> str:
    return f"its window could not be evaluated: {type(error).__name__}: {error}"[:300]


def _refuse_empty(outputs: Sequence[np.ndarray], count: int) -> None:
    for array in outputs:
        if array.size == 0:
            raise ValueError("an empty window proves nothing")
        if array.dtype.kind in "OSU":
            raise ValueError("no numbers to compare")
        if not np.isfinite(array).reshape(count, -1).any(axis=1).all():
            raise ValueError("nothing finite to compare")


def _difference(old: Sequence[np.ndarray], new: Sequence[np.ndarray], count: int) -> float:
    """Largest difference of any output, relative to its largest finite value.

    Args:
        old: outputs of one side.
        new: outputs of the other.
        count: how many evaluations are stacked in them, each of which has its own largest value.
    """
    worst = 0.0
    for a, b in zip(old, new, strict=True):
        if a.shape != b.shape:
            raise _DifferentError(f"the windows have the shapes {a.shape} and {b.shape}")
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            raise _DifferentError("one side is not finite where the other is")
        if finite.all():
            size, off = np.abs(a), np.abs(a - b)
        else:
            size, off = (np.where(finite, np.abs(part), 0.0) for part in (a, a - b))
        scale, off = (part.reshape(count, -1).max(axis=1) for part in (size, off))
        worst = max(worst, float((off / np.where(scale > 0, scale, 1.0)).max()))
    return worst
