"""A prepared graph, what is known while it runs, and the walk over it in float64."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct, field

from normonnx.model_io import let_go
from normonnx.operators.kernels import Array, Inputs, Outputs
from normonnx.operators.names import onnx_name
from normonnx.oracle import promotion, shape_arithmetic
from normonnx.oracle.known import Known, worked_out
from normonnx.oracle.roundoff import Roundoff
from normonnx.oracle.work import multiplications, terms_of

# Promoted weights are kept for the next evaluation up to this many bytes.
_CACHE_BYTES = 1 << 28
# Constants that are worked out are kept up to this many bytes each.
_SMALL = 1 << 16
# Weights of at least so many bytes are taken as they are stored where a kernel can do that.
_LARGE = 1 << 20

Attributes = Mapping[str, ir.Attr]
# (inputs, frame, in float64 or else in the model's own types) → outputs
Runner = Callable[[Inputs, "Frame", bool], Outputs]
# Is told of each step that was run, those inside subgraphs before the node that has the subgraph:
# (step, inputs, outputs, frame)
Observer = Callable[["Step", Inputs, Sequence[Any], "Frame"], None]


class OverBudgetError(Exception):
    """The evaluation was given up because its time was over."""


class OracleFailedError(Exception):
    """An operator could not be evaluated on these inputs."""


class LacksOperatorError(Exception):
    """Nothing here can compute this operator in float64."""


class Step(Struct):
    """One node, ready to run.

    Attributes:
        node: the node.
        run: computes it.
        depends: the inputs on whose numbers the outputs depend, and on nothing else; None where
            the node may do more than compute: a call, control flow, random numbers.
        drops: the values that nobody reads after it.
        lacking: whether nothing here computes it.
        widens: the inputs that it takes as they are stored.
    """

    node: ir.Node
    run: Runner
    depends: tuple[ir.Value | None, ...] | None = None
    drops: tuple[ir.Value, ...] = ()
    lacking: bool = False
    widens: tuple[int, ...] = ()


class Plan(Struct, frozen=True):
    """A graph, ready to run."""

    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    steps: tuple[Step, ...]


class Weights:
    """The initializers of a model in float64, read when they are needed.

    Args:
        exact: float64 values by name, taken instead of the stored ones.

    Attributes:
        worked: what nodes made of constants, beside these constants, to be made once.
    """

    def __init__(self, exact: Mapping[str, Array]) -> None:
        self.exact = exact
        self.worked: dict[ir.Node, tuple[list[Known | None], list[Known]]] = {}
        self._roundoff: Roundoff | None = None
        self._known: dict[ir.Value, Known] = {}
        self._kept: dict[ir.Value, Array] = {}
        self._bytes = 0

    def disturbed(self, roundoff: Roundoff) -> Weights:
        """The same, disturbed whenever they are read for the first time."""
        result = Weights(self.exact)
        result.worked, result._known, result._roundoff = self.worked, self._known, roundoff
        return result

    def known(self, value: ir.Value) -> Known | None:
        """An initializer as a constant, None for any other value; its exact value counts."""
        found = self._known.get(value)
        if found is not None or value.const_value is None:
            return found
        exact = self.exact.get(str(value.name))
        native = np.asarray(value.const_value.numpy())
        if exact is not None and not promotion.is_float(native):
            native = np.asarray(exact)  # nothing is rounded
        known = Known(native, None if exact is None else promotion.promote(np.asarray(exact)))
        if native.nbytes <= _SMALL:
            self._known[value] = known
        return known

    def stored(self, value: ir.Value) -> Array | None:
        """A large weight as it is stored; None where something else stands for it."""
        tensor = value.const_value
        if tensor is None or self._roundoff is not None or str(value.name) in self.exact:
            return None
        if tensor.dtype == ir.DataType.STRING or tensor.nbytes < _LARGE:
            return None
        native = np.asarray(tensor.numpy())
        return native if promotion.is_narrow(native) else None

    def let_go(self, value: ir.Value | None) -> None:
        """Have a large weight out of memory, if it is in a data file."""
        tensor = None if value is None else value.const_value
        if isinstance(tensor, ir.ExternalTensor) and tensor.nbytes >= _LARGE:
            let_go(tensor)

    def __getitem__(self, value: ir.Value) -> Array:
        """The promoted value.

        Raises:
            OracleFailedError: if the value is no initializer.
        """
        found = self._kept.get(value)
        if found is not None:
            return found
        stored = self.known(value)
        if stored is None:
            raise OracleFailedError(f"'{value.name}' has no value")
        array = stored.wide
        self.let_go(value)
        if self._roundoff is not None:
            array = self._roundoff.weight(value, array)
        if self._bytes + array.nbytes <= _CACHE_BYTES:
            self._kept[value] = array
            self._bytes += array.nbytes
        return array


class Frame(Struct):
    """What is known while one graph, or one call of a function, is evaluated.

    Attributes:
        values: the values, narrow floats promoted.
        constants: those of them that depend on constants alone.
        weights: where initializers come from.
        attributes: the attributes of the function call.
        keep: values that are wanted at the end.
        deadline: when to give up, on the clock of `time.monotonic`.
        shapes: the values that follow from dimensions, in the model's own types.
        narrow: operators that gave a float narrower than float64.
        spent: how many multiplications were made, the callers' included.
        roundoff: what rounds the computed values, if anything does.
        observer: what is told of each step.
    """

    values: dict[ir.Value, Any]
    weights: Weights
    attributes: Attributes = field(default_factory=dict)
    constants: dict[ir.Value, Known] = field(default_factory=dict)
    keep: frozenset[ir.Value] = frozenset()
    deadline: float = float("inf")
    shapes: shape_arithmetic.Followed = field(default_factory=shape_arithmetic.Followed)
    narrow: set[str] = field(default_factory=set)
    spent: list[int] = field(default_factory=lambda: [0])
    roundoff: Roundoff | None = None
    observer: Observer | None = None

    def __getitem__(self, value: ir.Value) -> Any:
        """The value: computed before, or a weight."""
        return self.values[value] if value in self.values else self.weights[value]

    def stored(self, value: ir.Value) -> Any:
        """As the value itself, but for a large weight, which is not promoted."""
        found = None if value in self.values else self.weights.stored(value)
        return self[value] if found is None else found

    def is_known(self, value: ir.Value) -> bool:
        """Whether `known` has it; nothing is read."""
        return value in self.constants or (
            value not in self.values and value.const_value is not None
        )

    def known(self, value: ir.Value | None) -> Known | None:
        """The value, if it depends on constants alone; an input that was given does not."""
        if value is None or value in self.constants:
            return None if value is None else self.constants[value]
        return None if value in self.values else self.weights.known(value)

    def drop(self, values: Sequence[ir.Value]) -> None:
        """Forget values, unless they are wanted at the end."""
        for value in values:
            if value not in self.keep:
                self.values.pop(value, None)
                self.constants.pop(value, None)

    def inner(
        self,
        values: dict[ir.Value, Any],
        attributes: Attributes,
        constants: dict[ir.Value, Known] | None = None,
    ) -> Frame:
        """The frame of a function called from this one."""
        return Frame(
            values,
            self.weights,
            attributes,
            constants or {},
            deadline=self.deadline,
            narrow=self.narrow,
            spent=self.spent,
            roundoff=self.roundoff,
            observer=self.observer,
        )


def walk(plan: Plan, frame: Frame) -> list[Any]:
    """Run every step of a plan and hand back its outputs.

    Raises:
        LacksOperatorError: if an operator is met that nothing here computes.
        OracleFailedError: if an operator fails.
        OverBudgetError: if the deadline of the frame passes.
    """
    for step in plan.steps:
        if time.monotonic() > frame.deadline:
            raise OverBudgetError
        node = step.node
        inputs = _inputs(step, frame)
        constants = _constants(step, frame)
        outputs = _outputs(step, inputs, frame) if constants is None else constants
        frame.spent[0] += multiplications(node, inputs, outputs)
        if frame.roundoff is not None and frame.roundoff.sums and constants is None:
            outputs = _summed(step, inputs, outputs, frame, frame.roundoff)
        _keep(node, inputs, outputs, frame)
        if frame.observer is not None:
            frame.observer(step, inputs, outputs, frame)
        for index in step.widens:
            frame.weights.let_go(node.inputs[index])
        frame.drop(step.drops)
    return [frame[v] for v in plan.outputs]


def _inputs(step: Step, frame: Frame) -> list[Any]:
    found = []
    for index, value in enumerate(step.node.inputs):
        read = frame.stored if index in step.widens else frame.__getitem__
        found.append(None if value is None else read(value))
    return found


def _constants(step: Step, frame: Frame) -> list[Array] | None:
    """The outputs of a node that reads nothing but constants; None for any other."""
    node = step.node
    if step.depends is None or not all(v is None or frame.is_known(v) for v in step.depends):
        return None
    found = _worked(step, [frame.known(value) for value in step.depends], frame)
    if len(found) < len(node.outputs):
        return None
    if onnx_name(node) == "Constant":
        found = [_meant(node, found[0], frame)]
    frame.constants.update(zip(node.outputs, found, strict=False))
    frame.shapes.hold(node, [known.native for known in found])
    return [known.wide for known in found]


def _worked(step: Step, inputs: list[Known | None], frame: Frame) -> list[Known]:
    """What a node makes of these constants; of the very same ones it is made once."""
    node, worked = step.node, frame.weights.worked
    before, found = worked.get(node, ((), ()))
    if found and all(a is b for a, b in zip(before, inputs, strict=True)):
        return list(found)
    with _named(node):
        made = worked_out(node, inputs, lambda arrays, exact: step.run(arrays, frame, exact))
    if not frame.attributes and all(known.native.nbytes <= _SMALL for known in made):
        worked[node] = inputs, made
    return made


def _meant(node: ir.Node, stored: Known, frame: Frame) -> Known:
    """What a Constant stands for: its exact value, where there is one."""
    native = stored.native
    exact = frame.weights.exact.get(str(node.outputs[0].name))
    if exact is None and native.dtype == np.float64 and "value" not in node.attributes:
        exact, native = native, native.astype(np.float32)
    return stored if exact is None else Known(native, promotion.promote(np.asarray(exact)))


def _keep(node: ir.Node, inputs: Inputs, outputs: Sequence[Any], frame: Frame) -> None:
    """Let the walk go on with the outputs of a node, and note where one lost digits."""
    for value, array in zip(node.outputs, outputs, strict=False):
        if promotion.is_narrow(array) and any(_is_wide(a) for a in inputs):
            frame.narrow.add(node.op_type)
        frame.values[value] = _kept(node, value, array, frame)


def _kept(node: ir.Node, value: ir.Value, array: Any, frame: Frame) -> Any:
    """An output as the walk goes on with it: in float64, rounded by chance where that is wanted."""
    promoted = promotion.promote(array)
    if frame.roundoff is None or value in frame.shapes.derived:
        return promoted
    if onnx_name(node) == "Constant":
        return frame.roundoff.weight(value, promoted)
    rounded = frame.roundoff.value(value, promoted)
    # A constant that is worked out is as good as stored.
    return frame.roundoff.weight(value, rounded) if value in frame.constants else rounded


def _summed(
    step: Step, inputs: Inputs, outputs: Sequence[Any], frame: Frame, roundoff: Roundoff
) -> Sequence[Any]:
    """The outputs of a node whose elements are sums, moved as rounding within them may move them.

    The same node of squares gives the sums of the squares of what is summed.
    """
    terms = terms_of(step.node, inputs)
    if terms < 2 or not all(a is None or _is_wide(a) for a in inputs):
        return outputs
    with _named(step.node):
        squares = step.run([None if a is None else np.square(a) for a in inputs], frame, True)
    value = step.node.outputs[0]
    return [roundoff.summed(value, outputs[0], squares[0], terms), *outputs[1:]]


def _is_wide(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float64


def _outputs(step: Step, inputs: Inputs, frame: Frame) -> Outputs | Sequence[Any]:
    node = step.node
    with _named(node):
        integers = frame.shapes.follow(node, inputs, lambda native: step.run(native, frame, False))
        return step.run(inputs, frame, True) if integers is None else integers


@contextmanager
def _named(node: ir.Node) -> Iterator[None]:
    """Say which operator it is that fails."""
    try:
        yield
    except (OverBudgetError, OracleFailedError, LacksOperatorError):
        raise
    except Exception as error:
        where = f"{node.op_type} '{node.name}'"
        raise OracleFailedError(f"{where}: {type(error).__name__}: {error}") from error
