"""Whether two forms of an operator compute the same, by evaluating both.

ONNX Runtime, with its optimisations off, shows what will run; the oracle, in float64, what the
standard says. What one of them cannot evaluate the other decides; what neither can is not known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.opset.sample import Feeds, Sample

Run: TypeAlias = "Callable[[Feeds], Mapping[str, Any]]"

_ULPS = 64
"""How far apart the forms may be, in units in the last place of the largest value."""

_IN_FLOAT64 = 1e-9
_ORACLE_ELEMENTS = 1 << 14
_ORACLE_SECONDS = 2.0


class Agreement(Struct, frozen=True):
    """What came of the comparison.

    Attributes:
        worst: the largest difference relative to the largest value, NaN where the forms could not
            be compared.
        reason: why the one cannot stand for the other, as what follows the operator; "" if it can.
    """

    worst: float = math.nan
    reason: str = ""


def agreement(
    one: Sample, new: onnx.ModelProto, wanted: int, *, isolated: bool = False
) -> Agreement:
    """Evaluate a node and what may stand for it in a later opset.

    Args:
        one: the node as a model.
        new: the model with the other form.
        wanted: its opset.
        isolated: run ONNX Runtime in processes of its own.
    """
    differs = Agreement(reason=f"means something else from opset {wanted} on")
    runs: list[tuple[Run, Run, Callable[[Any], float]]] = []
    old_run, new_run = (
        runner(proto.SerializeToString(), isolated=isolated) for proto in (one.proto, new)
    )
    if callable(old_run) and not callable(new_run):
        return Agreement(reason=f"has no kernel for opset {wanted} in ONNX Runtime")
    if callable(old_run) and callable(new_run):
        runs.append((old_run, new_run, _of_type))
    old_truth, new_truth = _in_float64(one.proto), _in_float64(new)
    if old_truth is not None and new_truth is not None:
        runs.append((old_truth, new_truth, lambda _: _IN_FLOAT64))
    worst = [_worst(one, *run) for run in runs]
    if any(found == math.inf for found in worst):
        return differs
    compared = [found for found in worst if not math.isnan(found)]
    if not compared:
        return Agreement(reason=f"could not be compared with its form in opset {wanted}")
    return Agreement(worst=max(compared))


def runner(content: bytes, *, isolated: bool) -> Run | str | None:
    """What runs a model in ONNX Runtime as it is written.

    Args:
        content: the serialised model.
        isolated: whether that is to be in a process of its own.

    Returns:
        Why it does not load, if it does not; None if ONNX Runtime is not installed.
    """
    try:
        from normonnx.runtime.isolation import IsolatedSession
        from normonnx.runtime.sessions import Session, SessionFailedError, Setting
    except ImportError:
        return None
    kind = IsolatedSession if isolated else Session
    try:
        return kind(content, Setting("cpu", as_shipped=False)).run
    except SessionFailedError as error:
        return str(error)


def _in_float64(proto: onnx.ModelProto) -> Run | None:
    from normonnx.oracle.oracle import Oracle

    try:
        oracle = Oracle(ir.from_proto(proto))
    except Exception:  # of an operator that the oracle cannot prepare
        return None
    if oracle.missing:
        return None

    def run(feeds: Feeds) -> Mapping[str, Any]:
        if sum(array.size for array in feeds.values()) > _ORACLE_ELEMENTS:
            raise ValueError("too large")
        return oracle.run(feeds, deadline=time.monotonic() + _ORACLE_SECONDS).outputs

    return run


def _of_type(array: Any) -> float:
    kind = np.asarray(array).dtype
    try:
        return _ULPS * float(np.finfo(kind).eps)
    except ValueError:  # no float of NumPy's
        return _ULPS * 2.0**-8


def _worst(one: Sample, old: Run, new: Run, tolerance: Callable[[Any], float]) -> float:
    """The largest difference; infinity where the forms differ, NaN where the old one never ran."""
    for drawn in one.feeds():
        found = [_apart(one, old, new, feeds, tolerance) for feeds in drawn]
        ran = [apart for apart in found if not math.isnan(apart)]
        if ran:
            return max(ran)
    return math.nan


def _apart(
    one: Sample, old: Run, new: Run, feeds: Feeds, tolerance: Callable[[Any], float]
) -> float:
    """How far apart the forms are on these numbers; NaN where the old one does not take them."""
    try:
        before = old(feeds)
    except Exception:  # whatever it says of them
        return math.nan
    try:
        after = new(feeds)
    except Exception:  # and now it does not take them
        return math.inf
    return max(
        _difference(before[name], after[name], tolerance(before[name])) for name in one.outputs
    )


def _difference(old: Any, new: Any, tolerance: float) -> float:
    """How far apart two arrays are, relative to the largest value; infinity where they differ."""
    if isinstance(old, Sequence) or isinstance(new, Sequence) or old is None or new is None:
        return math.inf
    a, b = np.asarray(old), np.asarray(new)
    if a.shape != b.shape or a.dtype != b.dtype:
        return math.inf
    if a.dtype.kind in "OSUbiu":
        return 0.0 if np.array_equal(a, b) else math.inf
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return math.inf
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return math.inf
    if not finite.any():
        return 0.0
    apart = float(np.abs(a[finite] - b[finite]).max())
    worst = apart / (float(np.abs(a[finite]).max()) or 1.0)
    return worst if worst <= tolerance else math.inf
