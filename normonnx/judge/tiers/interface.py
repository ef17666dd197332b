"""Tier 0: the optimised model must be usable in the original's place.

Names, their order, types, ranks and dimensions of inputs and outputs are compared. A dimension may
become known where it was not; it may not change, and an input may not accept less than before.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx import model_io
from normonnx.errors import WriteError
from normonnx.graph.interface import required_inputs


class InterfaceReport(Struct, frozen=True):
    """What was found.

    Attributes:
        violations: sentences; any of them means that the models are not interchangeable.
        notes: what differs and does no harm.
    """

    violations: tuple[str, ...]
    notes: tuple[str, ...]


def compare(original: ir.Model, optimized: ir.Model) -> InterfaceReport:
    """Compare what the two models expose."""
    violations: list[str] = []
    notes: list[str] = []
    pairs = (
        ("input", required_inputs(original), required_inputs(optimized)),
        ("output", list(original.graph.outputs), list(optimized.graph.outputs)),
    )
    for kind, before, after in pairs:
        _compare_values(kind, before, after, violations, notes)
    defaults = {str(v.name) for v in original.graph.inputs if v.const_value is not None}
    gone = defaults - {str(v.name) for v in optimized.graph.inputs}
    if gone and original.ir_version >= 4:
        notes.append(f"{len(gone)} initializers can no longer be overridden by inputs")
    return InterfaceReport(tuple(violations), tuple(notes))


def _compare_values(
    kind: str,
    before: Sequence[ir.Value],
    after: Sequence[ir.Value],
    violations: list[str],
    notes: list[str],
) -> None:
    old, new = [str(v.name) for v in before], [str(v.name) for v in after]
    if old != new:
        violations += _other_names(kind, old, new)
        return
    for was, now in zip(before, after, strict=True):
        _compare_value(kind, was, now, violations, notes)


def _other_names(kind: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    """What is gone, what is new, or that the order is another."""
    missing, extra = [n for n in old if n not in new], [n for n in new if n not in old]
    if not missing and not extra:
        return [f"the {kind}s come in another order: {', '.join(new)}"]
    gone = [f"{kind} {_listed(missing)} is gone"] if missing else []
    return [*gone, f"{kind} {_listed(extra)} is new"] if extra else gone


def _compare_value(
    kind: str, was: ir.Value, now: ir.Value, violations: list[str], notes: list[str]
) -> None:
    title = f"{kind} '{was.name}'"
    if was.type is not None and now.type is not None and was.type != now.type:
        violations.append(f"{title} was {was.type} and is {now.type}")
    if was.shape is None:
        return
    if now.shape is None:
        notes.append(f"{title} does not declare its shape any more")
    elif len(was.shape) != len(now.shape):
        violations.append(f"{title} had {len(was.shape)} dimensions, has {len(now.shape)}")
    else:
        for axis, (a, b) in enumerate(zip(was.shape, now.shape, strict=True)):
            _compare_dims(f"{title}, axis {axis},", kind, a, b, violations, notes)


def _compare_dims(
    title: str,
    kind: str,
    a: int | ir.SymbolicDim,
    b: int | ir.SymbolicDim,
    violations: list[str],
    notes: list[str],
) -> None:
    if a == b:
        return
    if isinstance(a, int) and isinstance(b, int):
        violations.append(f"{title} was {a} and is {b}")
    elif isinstance(b, int):
        bucket = violations if kind == "input" else notes
        bucket.append(f"{title} was {_dim(a)} and is fixed to {b}")
    elif isinstance(a, int):
        notes.append(f"{title} was {a} and is declared {_dim(b)}")
    else:
        notes.append(f"{title} was called {_dim(a)} and is called {_dim(b)}")


def _dim(dim: int | ir.SymbolicDim) -> str:
    value = dim if isinstance(dim, int) else dim.value
    return "unknown" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def checker_complaint(model: ir.Model) -> str | None:
    """The first line of what onnx.checker says against a model; nothing of one above 2 GB."""
    try:
        onnx.checker.check_model(model_io.dump(model), full_check=True)
    except WriteError:
        return None
    except Exception as error:
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__
    return None
