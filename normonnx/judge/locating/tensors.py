"""The tensors within two models on one feed, matched by name and, failing that, by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from msgspec import Struct

from normonnx.judge.comparison import is_float
from normonnx.judge.metrics import measure
from normonnx.judge.options import VerifyOptions
from normonnx.judge.running import hosted
from normonnx.judge.tiers import rounding
from normonnx.operators.kernels import Array
from normonnx.oracle.oracle import Oracle
from normonnx.runtime.sessions import Setting

# Tensors are fetched this many at a time, and no more in all than fit into memory with ease.
_AT_A_TIME = 200
_MOST_ELEMENTS = 40_000_000
# Fewer elements than this agree by chance.
_TELLING = 4


class Match(Struct, frozen=True):
    """A tensor of both models.

    Attributes:
        new: the value of the optimised model.
        old: the value of the original.
        original: the original's tensor.
        optimized: the optimised model's.
        truth: the float64 value.
    """

    new: ir.Value
    old: ir.Value
    original: Array
    optimized: Array
    truth: Array


class Tensors(Struct, frozen=True):
    """What both models compute on one feed.

    Attributes:
        original: the original model.
        optimized: the optimised one.
        feeds: the inputs.
        named: tensors of the same name, in the optimised model's order.
        matches: those, and tensors of other names that agree in value.
    """

    original: ir.Model
    optimized: ir.Model
    feeds: Mapping[str, Any]
    named: tuple[Match, ...]
    matches: tuple[Match, ...]


def collect(
    original: ir.Model,
    optimized: ir.Model,
    feeds: Mapping[str, Any],
    setting: Setting,
    options: VerifyOptions,
) -> Tensors:
    """Compute the tensors of both main graphs and match them.

    Raises:
        SessionFailedError, LacksOperatorError, OracleFailedError: if a model cannot be run.
    """
    old, new = named_tensors(original), named_tensors(optimized)
    before = _run(original, list(old), feeds, setting, options)
    after = _run(optimized, list(new), feeds, setting, options)
    wanted = [old[name] for name in before]
    truth = Oracle(original).run(feeds, also=wanted).extras
    ends = {str(v.name) for v in original.graph.outputs}
    named, lost = [], []
    for name, y in after.items():
        if name in before and _is_alike(name, before[name], y, ends):
            arrays = (before[name], y, np.asarray(truth[name]))
            named.append(Match(new[name], old[name], *arrays))
        else:
            lost.append((new[name], y))
    free = [n for n in before if n not in after and _is_telling(before[n])]
    by_value = _by_value(lost, [(old[n], before[n], np.asarray(truth[n])) for n in free])
    return Tensors(original, optimized, feeds, tuple(named), (*named, *by_value))


def named_tensors(model: ir.Model) -> dict[str, ir.Value]:
    """The tensors that the nodes of the main graph make, by name, in order."""
    return {
        v.name: v
        for node in model.graph
        for v in node.outputs
        if v.name
        and v.dtype != ir.DataType.STRING
        and (v.type is None or isinstance(v.type, ir.TensorType))
    }


def _run(
    model: ir.Model,
    names: Sequence[str],
    feeds: Mapping[str, Any],
    setting: Setting,
    options: VerifyOptions,
) -> dict[str, Array]:
    """The tensors by name, as far as the runtime gives them, in the order of the names."""
    ends = {str(v.name) for v in model.graph.outputs}
    found: dict[str, Array] = {}
    room = _MOST_ELEMENTS
    with hosted(model, options) as host:
        found |= _arrays(host.session(setting).run(feeds))
        inner = [name for name in names if name not in ends]
        for start in range(0, len(inner), _AT_A_TIME):
            marked = {name: name for name in inner[start : start + _AT_A_TIME]}
            made = _arrays(host.session(setting, marked=marked).run(feeds))
            room -= sum(a.size for a in made.values())
            if room < 0:
                break
            found |= {name: a for name, a in made.items() if name not in ends}
    return {name: found[name] for name in names if name in found}


def _arrays(outputs: Mapping[str, Any]) -> dict[str, Array]:
    return {n: a for n, a in outputs.items() if isinstance(a, np.ndarray) and a.dtype.kind != "O"}


def _is_alike(name: str, before: Array, after: Array, ends: set[str]) -> bool:
    """Whether a common name means a common tensor: an optimiser may give it to another one."""
    return name in ends or (before.shape == after.shape and before.dtype == after.dtype)


def _is_telling(array: Array) -> bool:
    return is_float(array) and array.size >= _TELLING and bool(np.ptp(array.astype(np.float64)) > 0)


def _by_value(
    lost: Sequence[tuple[ir.Value, Array]],
    free: Sequence[tuple[ir.Value, Array, Array]],
) -> Iterator[Match]:
    """Tensors without a partner by name that are equal within rounding to one of the original."""
    for new, y in lost:
        for old, o, t in free:
            if o.shape == y.shape and o.dtype == y.dtype and t.shape == o.shape:
                metrics = measure(o, y, t)
                if rounding.alone(metrics.levels, o.dtype) <= 1:
                    yield Match(new, old, o, y, t)
                    break
