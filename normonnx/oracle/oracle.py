"""A model evaluated in float64: the truth that the original and the optimised model approximate.

The graph is walked node by node. Operators come from `kernels` and otherwise from onnx.reference;
control flow and functions are walked as well, so that precision and memory are handled in one
place. A value is dropped after its last use.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.operators.kernels import Array
from normonnx.oracle.execution import (
    Frame,
    LacksOperatorError,
    Observer,
    OracleFailedError,
    OverBudgetError,
    Plan,
    Weights,
    walk,
)
from normonnx.oracle.planner import Planner, computable
from normonnx.oracle.promotion import promote, widened
from normonnx.oracle.roundoff import Roundoff
from normonnx.oracle.threads import one_thread

# Multiplications of an evaluation from which the next one may use several threads.
_MANY = 1_000_000_000


class Evaluation(Struct, frozen=True):
    """The result of one evaluation.

    Attributes:
        outputs: the outputs of the model in order, by name, floats in float64.
        extras: the further values that were asked for, by name.
        narrow: operators that were computed in less than float64, sorted.
        multiplications: about how many it took.
        seconds: how long it took.
    """

    outputs: dict[str, Any]
    extras: dict[str, Any]
    narrow: tuple[str, ...]
    multiplications: int
    seconds: float


class Oracle:
    """A model, ready to be evaluated in float64.

    Args:
        model: the model; it is read and never changed, its weights when they are needed.
        exact: float64 values of initializers by name, taken instead of the stored ones.
        exact_attributes: float attributes of nodes as they were meant, before float32.
        partly: where an operator is missing, run what does not depend on it, and give the outputs
            that are left.

    Attributes:
        missing: operators that nothing here computes, sorted; a model with any can be run in part.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        exact: Mapping[str, Array] | None = None,
        exact_attributes: Mapping[ir.Node, Mapping[str, float]] | None = None,
        partly: bool = False,
    ) -> None:
        planner = Planner(model.functions, exact_attributes=exact_attributes)
        self._weights = Weights(exact or {})
        self._plan = planner.plan(model.graph, dict(model.opset_imports))
        self.missing: tuple[str, ...] = tuple(sorted(planner.missing))
        self._is_costly = False
        self._refuses = bool(self.missing) and not partly
        if self.missing and partly:
            self._plan = computable(self._plan)

    def run(
        self,
        feeds: Mapping[str, Any],
        *,
        also: Collection[ir.Value] = (),
        deadline: float = float("inf"),
        roundoff: Roundoff | None = None,
        observer: Observer | None = None,
    ) -> Evaluation:
        """Evaluate the model.

        Args:
            feeds: the inputs by name; those with an initializer may be left out.
            also: further values of the main graph to hand back.
            deadline: when to give up, on the clock of `time.monotonic`.
            roundoff: rounds the values, instead of carrying them in float64.
            observer: is told of each step that was run.

        Raises:
            LacksOperatorError: if there is an operator that nothing here computes.
            OracleFailedError: if an operator fails on these inputs.
            OverBudgetError: if the deadline passes.
        """
        if self._refuses:
            raise LacksOperatorError(", ".join(self.missing))
        start = time.monotonic()
        given = {v: promote(feeds[str(v.name)]) for v in self._plan.inputs if v.name in feeds}
        weights = self._weights
        if roundoff is not None:
            given = {value: roundoff.given(value, array) for value, array in given.items()}
            weights = weights.disturbed(roundoff) if roundoff.weights else weights
        frame = Frame(
            given,
            weights,
            keep=frozenset(also),
            deadline=deadline,
            roundoff=roundoff,
            observer=observer,
        )
        threads = nullcontext() if self._is_costly else one_thread()
        with threads, np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = _walked(self._plan, frame)
        self._is_costly = frame.spent[0] > _MANY
        return Evaluation(
            {str(v.name): widened(a) for v, a in zip(self._plan.outputs, outputs, strict=True)},
            {str(v.name): frame[v] for v in also},
            tuple(sorted(frame.narrow)),
            frame.spent[0],
            time.monotonic() - start,
        )


def _walked(plan: Plan, frame: Frame) -> list[Any]:
    """As `walk`; what fails beside an operator is a failure as well."""
    try:
        return walk(plan, frame)
    except (LacksOperatorError, OracleFailedError, OverBudgetError):
        raise
    except Exception as error:
        raise OracleFailedError(f"{type(error).__name__}: {error}") from error
