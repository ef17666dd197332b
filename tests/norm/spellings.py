"""Random spellings of LayerNorm and RMSNorm, and look-alikes that are one change away.

A spelling is drawn choice by choice from a seed. Every choice leaves the value computed the same
but for its definition: the mean may be a ReduceMean, a sum divided by N or a product with ones, the
variance centred or E[x²] − E[x]², the root a Sqrt or a power, the scale before or after, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from .graphs import Graph

EINSUM = 12
"""The first opset that has Einsum."""

SELECTING = 12
"""The first opset in which Max, Min and Clip take every float type, and Less and Where do."""

LOOK_ALIKES = (
    "epsilon outside the root",
    "third power",
    "fourth power",
    "a clamp that bites",
    "the variance of another tensor",
    "the mean square under a centred value",
    "the variance under a value with its mean",
    "the mean taken nine tenths",
    "the variance negated",
    "no root",
    "a root of the root",
    "epsilon per row from outside",
)


@dataclass
class Spelling:
    """A spelled norm.

    Attributes:
        kind: "LayerNorm" or "RMSNorm".
        model: the model.
        choices: what was drawn, for the message of a failing test.
        holds_a_norm: whether some value in it is a norm after all, if this is a look-alike.
    """

    kind: str
    model: onnx.ModelProto
    choices: dict[str, Any] = field(default_factory=dict)
    holds_a_norm: bool = False


class Drawing:
    """The choices of one spelling, drawn as they are needed and remembered."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.choices: dict[str, Any] = {"seed": seed}

    def pick(
        self, name: str, options: Sequence[Any], weights: Sequence[float] | None = None
    ) -> Any:
        shares = None if weights is None else np.array(weights) / sum(weights)
        choice = options[int(self.rng.choice(len(options), p=shares))]
        self.choices[name] = choice
        return choice

    def chance(self, name: str, share: float) -> bool:
        return bool(self.pick(name, (True, False), (share, 1 - share)))

    def numbers(self, shape: Sequence[int]) -> np.ndarray:
        return self.rng.uniform(0.5, 1.5, tuple(shape)) * self.rng.choice([-1, 1], tuple(shape))


class Writer:
    """Writes one spelling into a graph."""

    def __init__(self, draw: Drawing, change: str) -> None:
        self.draw, self.change = draw, change
        self.kind = draw.pick("kind", ("LayerNorm", "RMSNorm"), (0.65, 0.35))
        if change == "the mean square under a centred value" or "mean" in change.split():
            self.kind = "LayerNorm" if change != "no root" else self.kind
        opsets = (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
        self.graph = Graph(int(draw.pick("opset", opsets)))
        self.rank = int(draw.pick("rank", (2, 3, 4), (0.2, 0.5, 0.3)))
        self.dims = [int(draw.pick(f"dim{i}", (2, 3, 4, 5, 6, 8))) for i in range(self.rank)]
        where = draw.pick("where", ("last", "last two", "axis 1"), (0.6, 0.2, 0.2))
        self.axes = [self.rank - 1]
        if self.rank > 2 and where != "last":
            self.axes = [self.rank - 2, self.rank - 1] if where == "last two" else [1]
        self.length = int(np.prod([self.dims[axis] for axis in self.axes]))
        names = ["float", "float16 around float", "double"]
        if self.graph.opset >= 13:  # a Cast to bfloat16
            names.append("bfloat16 around float")
        types = draw.pick("types", names, [0.7, 0.15, 0.05, 0.1][: len(names)])
        self.sandwich = "around" in types
        self.dtype = np.float64 if types == "double" else np.float32
        half = np.float16 if types.startswith("float16") else ml_dtypes.bfloat16
        self.outer = half if self.sandwich else self.dtype
        self.narrow = 10 if half is np.float16 else 16
        self.centres: dict[tuple[str, str], str] = {}

    # -- small parts -----------------------------------------------------------------------

    def constant(self, array: Any, dtype: Any = None) -> str:
        return self.graph.constant(array, self.dtype if dtype is None else dtype)

    def scalar(self, value: float) -> str:
        shape = (1,) * int(self.draw.pick("rank of scalars", (0, 0, 1, self.rank)))
        return self.constant(np.full(shape, value))

    def maybe(self, value: str) -> str:
        return self.graph.op("Identity", value) if self.draw.chance("Identity", 0.06) else value

    def either(self, op_type: str, left: str, right: str) -> str:
        """A commutative node with its operands in either order."""
        pair = (right, left) if self.draw.chance("operands swapped", 0.4) else (left, right)
        return self.maybe(self.graph.op(op_type, *pair))

    # -- mean, square, variance ------------------------------------------------------------

    def mean(self, value: str) -> str:
        ways = ["ReduceMean", "ReduceMean", "ReduceSum / N", "ReduceSum * 1/N", "ReduceSum of x/N"]
        if self.axes == [self.rank - 1]:
            ways += ["MatMul with ones", "MatMul with 1/N"]
            ways.append("CumSum")
            if self.graph.opset >= EINSUM:
                ways.append("Einsum")
        if self.axes == list(range(2, self.rank)):
            ways.append("GlobalAveragePool")
        way = self.draw.pick("mean", ways)
        if way == "GlobalAveragePool":
            return self.maybe(self.graph.op("GlobalAveragePool", value))
        if way == "CumSum":
            running = self.graph.op("CumSum", value, self.constant(np.array(-1), np.int64))
            last = self.constant(np.array([self.length - 1]), np.int64)
            total = self.graph.op("Gather", running, last, axis=self.rank - 1)
            return self.averaged(total, times=False)
        if way == "Einsum":
            letters = "abcd"[: self.rank]
            column = self.constant(np.full(self.length, 1 / self.length))
            equation = f"{letters},{letters[-1]}->{letters[:-1]}"
            flat = self.graph.op("Einsum", value, column, equation=equation)
            return self.graph.over_axes("Unsqueeze", flat, self.axes)
        if way == "MatMul with ones":
            total = self.graph.op("MatMul", value, self.constant(np.ones((self.length, 1))))
            return self.maybe(self.graph.op("Div", total, self.scalar(self.length)))
        if way == "MatMul with 1/N":
            column = self.constant(np.full((self.length, 1), 1 / self.length))
            return self.maybe(self.graph.op("MatMul", value, column))
        if way == "ReduceMean":
            return self.maybe(self.reduced("ReduceMean", value))
        if way == "ReduceSum of x/N":
            return self.maybe(self.reduced("ReduceSum", self.averaged(value, times=True)))
        return self.averaged(self.reduced("ReduceSum", value), times=way == "ReduceSum * 1/N")

    def averaged(self, total: str, *, times: bool) -> str:
        if times:
            return self.either("Mul", total, self.scalar(1 / self.length))
        return self.maybe(self.graph.op("Div", total, self.scalar(self.length)))

    def reduced(self, op_type: str, value: str) -> str:
        axes: list[int] = list(self.axes)
        if self.draw.chance("negative axes", 0.6):
            axes = [axis - self.rank for axis in axes]
        if len(axes) > 1 and self.draw.chance("axes in reverse", 0.3):
            axes.reverse()
        if self.draw.chance("keepdims of 0", 0.15):
            flat = self.graph.over_axes(op_type, value, axes, keepdims=0)
            return self.graph.over_axes("Unsqueeze", flat, sorted(self.axes))
        return self.graph.over_axes(op_type, value, axes, keepdims=1)

    def mean_square(self, value: str) -> str:
        way = self.draw.pick(
            "square",
            ("Pow", "Mul", "ReduceSumSquare", "of the negative", "of the magnitude", "ReduceL1"),
            (0.35, 0.35, 0.15, 0.05, 0.05, 0.05),
        )
        power = {"third power": 3.0, "fourth power": 4.0}.get(self.change)
        if power is not None:
            return self.mean(self.graph.op("Pow", value, self.scalar(power)))
        if way == "ReduceSumSquare":
            total = self.maybe(self.reduced("ReduceSumSquare", value))
            return self.averaged(total, times=self.draw.chance("squares * 1/N", 0.3))
        if way == "of the negative":
            value = self.graph.op("Neg", value)
        if way == "of the magnitude":
            return self.mean(self.graph.op("Pow", self.graph.op("Abs", value), self.scalar(2.0)))
        if way == "ReduceL1":
            total = self.reduced("ReduceL1", self.graph.op("Mul", value, value))
            return self.averaged(total, times=False)
        if way != "Pow":
            return self.mean(self.graph.op("Mul", value, value))
        return self.mean(self.graph.op("Pow", value, self.scalar(2.0)))

    def centre(self, x: str, mean: str) -> str:
        """x − m, written once or anew."""
        if (x, mean) not in self.centres or self.draw.chance("centred twice", 0.2):
            self.centres[x, mean] = self.maybe(self.centred(x, mean))
        return self.centres[x, mean]

    def centred(self, x: str, mean: str) -> str:
        ways = ("Sub", "Add Neg", "Neg Sub", "Sum Mul -1", "Sub Neg Neg")
        way = self.draw.pick("centring", ways, (0.6, 0.1, 0.1, 0.1, 0.1))
        if way == "Add Neg":
            return self.either("Add", x, self.graph.op("Neg", mean))
        if way == "Neg Sub":
            return self.graph.op("Neg", self.graph.op("Sub", mean, x))
        if way == "Sum Mul -1":
            return self.graph.op("Sum", x, self.either("Mul", mean, self.scalar(-1.0)))
        if way == "Sub Neg Neg":
            return self.graph.op("Sub", self.graph.op("Neg", self.graph.op("Neg", x)), mean)
        return self.graph.op("Sub", x, mean)

    def spread(self, x: str, mean: str) -> str:
        """What the root is taken of, without epsilon."""
        if self.kind == "RMSNorm" or self.change == "the mean square under a centred value":
            return self.mean_square(x)
        forms = ("centred", "difference")
        powers = ("third power", "fourth power")
        form = "centred" if self.change in powers else self.draw.pick("variance", forms, (0.7, 0.3))
        if self.change == "the mean taken nine tenths":
            form = "difference"
        if form == "centred":
            variance = self.mean_square(self.centre(x, mean))
        else:
            square = self.graph.op("Mul", mean, mean)
            variance = self.graph.op("Sub", self.mean_square(x), square)
        guards = ("no", "Max", "Relu", "Clip", "Where", "Clip both", "Min")
        if self.graph.opset < SELECTING:
            guards = guards[:4]
        shares = (0.6, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05)[: len(guards)]
        clip = self.draw.pick("guard", guards, shares)
        if clip == "Max":
            variance = self.either("Max", variance, self.constant(0.0))
        elif clip == "Relu":
            variance = self.graph.op("Relu", variance)
        elif clip == "Clip":
            variance = self.graph.op("Clip", variance, self.constant(0.0))
        elif clip == "Clip both":
            low, high = self.constant(0.0), self.constant(3e38)
            variance = self.graph.op("Clip", variance, low, high)
        elif clip == "Min":
            variance = self.either("Min", variance, self.constant(3e38))
        elif clip == "Where":
            test = self.graph.op("Less", variance, self.constant(0.0))
            variance = self.graph.op("Where", test, self.constant(0.0), variance)
        double = self.dtype is np.float64  # where the rescaled epsilon is no float32 number
        if self.length > 1 and not double and self.draw.chance("unbiased", 0.1):
            variance = self.either("Mul", variance, self.scalar(self.length / (self.length - 1)))
        return self.maybe(variance)

    # -- root and quotient -----------------------------------------------------------------

    def under_root(self, spread: str) -> str:
        if self.change == "a clamp that bites":
            spread = self.graph.op("Max", spread, self.scalar(0.9))
        if self.change == "the variance negated":
            return self.graph.op("Sub", self.scalar(50.0), spread)
        if self.change == "epsilon per row from outside":
            shape = [1 if axis in self.axes else d for axis, d in enumerate(self.dims)]
            given = self.graph.op("Abs", self.graph.input("e", shape, self.dtype))
            return self.graph.op("Add", spread, given)
        if self.change == "epsilon outside the root":
            return spread
        exact = (2.0**-10, 2.0**-20)  # of which an attribute can hold the double
        single = (1e-5, 1e-6, 1e-3, 1e-2, 1e-12)
        epsilon = self.draw.pick("epsilon", exact if self.dtype is np.float64 else single)
        return self.either("Add", spread, self.scalar(epsilon))

    def inverse_root(self, spread: str) -> str:
        """1/√(spread + ε), or √(spread + ε) where ``self.divides``."""
        inner = self.under_root(spread)
        way = self.draw.pick(
            "root", ("Sqrt, Div", "Sqrt, Reciprocal", "1 / Sqrt", "Pow -0.5", "Pow 0.5, Div",
                     "Sqrt of Reciprocal", "exp of log"),
        )  # fmt: skip
        if self.change == "epsilon outside the root":
            root = self.graph.op("Sqrt", inner)
            inner = self.graph.op("Add", root, self.scalar(0.05))
            self.divides = way.endswith("Div")
            return inner if self.divides else self.graph.op("Reciprocal", inner)
        if self.change == "no root":
            self.divides = True
            return inner
        if self.change == "a root of the root":
            inner = self.graph.op("Sqrt", inner)
        self.divides = way.endswith("Div")
        one = self.constant(1.0)
        writers: dict[str, Callable[[], str]] = {
            "Sqrt, Div": lambda: self.graph.op("Sqrt", inner),
            "Sqrt, Reciprocal": lambda: self.graph.op("Reciprocal", self.graph.op("Sqrt", inner)),
            "1 / Sqrt": lambda: self.graph.op("Div", one, self.graph.op("Sqrt", inner)),
            "Pow -0.5": lambda: self.graph.op("Pow", inner, self.scalar(-0.5)),
            "Pow 0.5, Div": lambda: self.graph.op("Pow", inner, self.scalar(0.5)),
            "exp of log": lambda: self.graph.op(
                "Exp", self.either("Mul", self.graph.op("Log", inner), self.scalar(-0.5))
            ),
            "Sqrt of Reciprocal": lambda: self.graph.op("Sqrt", self.graph.op("Reciprocal", inner)),
        }
        return self.maybe(writers[way]())

    def times(self, value: str, root: str) -> str:
        if self.divides:
            return self.maybe(self.graph.op("Div", value, root))
        return self.either("Mul", value, root)

    # -- scale, bias, the whole ------------------------------------------------------------

    def affine(self, what: str, dtype: Any) -> str | None:
        """A constant that varies along the normalised axes, in one of the shapes for that."""
        present = self.draw.chance(f"has {what}", 0.8)
        if not present:
            return None
        first = min(self.axes)
        own = [d if axis in self.axes else 1 for axis, d in enumerate(self.dims)][first:]
        shapes = [own, own, [1] * first + own, [1] * len(own[:-1]) + own[-1:], []]
        shape = self.draw.pick(f"shape of {what}", [tuple(s) for s in shapes])
        numbers = self.draw.numbers(shape)
        if what == "scale" and self.draw.chance("scale of 1 + w", 0.15):
            offset = self.constant(numbers - 1, dtype)
            return self.graph.op("Add", self.constant(np.ones(()), dtype), offset)
        return self.constant(numbers, dtype)

    def normalised(self, x: str) -> str:
        """The norm of x, scale and bias included, in the inner type."""
        layer = self.kind == "LayerNorm"
        mean = self.mean(x) if layer else ""
        if self.change == "the mean taken nine tenths":
            mean = self.graph.op("Mul", mean, self.scalar(0.9))
        measured = (x, mean)
        if self.change == "the variance of another tensor":
            w = self.graph.input("w", self.dims, self.dtype)
            measured = (w, self.mean(w) if layer else "")
        root = self.inverse_root(self.spread(*measured))
        if self.change == "the variance under a value with its mean":
            layer = False
        late = self.sandwich and self.draw.chance("scale in half precision", 0.5)
        scale = self.affine("scale", self.outer if late else self.dtype)
        bias = self.affine("bias", self.outer if late else self.dtype)
        forms = ("after", "before", "inside", "TensorFlow")
        form = "after" if late else self.draw.pick("scale goes", forms, (0.5, 0.15, 0.15, 0.2))
        if form == "TensorFlow" and layer and not self.divides:
            return self.tensorflow(x, mean, root, scale, bias)
        centred = self.centre(x, mean) if layer else x
        if scale is not None and form == "before":
            value = self.times(self.either("Mul", centred, scale), root)
        elif scale is not None and form == "inside" and not self.divides:
            value = self.either("Mul", centred, self.either("Mul", root, scale))
        else:
            value = self.times(centred, root)
            if late:
                value = self.graph.op("Cast", value, to=self.narrow)
            if scale is not None:
                value = self.either("Mul", value, scale)
        if bias is not None:
            value = self.either("Add", value, bias)
        self.cast_back = self.sandwich and not late
        return value

    def tensorflow(self, x: str, mean: str, root: str, scale: str | None, bias: str | None) -> str:
        """x·k + (β − m·k) with k = γ·r."""
        self.draw.choices["TensorFlow"] = True
        self.cast_back = self.sandwich
        k = root if scale is None else self.either("Mul", root, scale)
        product = self.either("Mul", x, k)
        if bias is None or self.draw.chance("Neg", 0.4):
            shift = self.either("Mul", self.graph.op("Neg", mean), k)
            if bias is not None:
                shift = self.either("Add", shift, bias)
        else:
            shift = self.graph.op("Sub", bias, self.either("Mul", mean, k))
        return self.either("Add", product, shift)

    def spelling(self) -> Spelling:
        dims: list[int | str] = list(self.dims)
        if 0 not in self.axes and self.draw.chance("symbolic batch", 0.4):
            dims[0] = "n"
        if self.change in ("epsilon per row from outside", "the variance of another tensor"):
            dims = list(self.dims)  # as those of the other input
        self.cast_back = False
        x = self.graph.input("x", dims, self.outer)
        if self.draw.chance("x is computed", 0.3):
            x = self.graph.op("Tanh", x)
        if self.sandwich:
            x = self.graph.op("Cast", x, to=1)
        y = self.normalised(x)
        if self.cast_back:
            y = self.graph.op("Cast", y, to=self.narrow)
        self.graph.output(y, dims, self.outer)
        # If has outputs of type bfloat16 since opset 16.
        fits = self.outer is not ml_dtypes.bfloat16 or self.graph.opset >= 16
        inside_if = self.draw.chance("inside an If", 0.1) and fits
        return Spelling(
            self.kind,
            self.graph.model(inside_if=inside_if),
            self.draw.choices,
            # x·k of TensorFlow's form is an RMSNorm if k holds the root of the mean square.
            holds_a_norm="TensorFlow" in self.draw.choices,
        )


def spelling(seed: int) -> Spelling:
    """A norm, spelled at random."""
    return Writer(Drawing(seed), "").spelling()


def look_alike(seed: int) -> Spelling:
    """A spelling with one change that makes it no norm."""
    draw = Drawing(seed)
    change = draw.pick("change", LOOK_ALIKES)
    return Writer(draw, change).spelling()
