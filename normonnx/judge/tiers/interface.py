"""Tier 0: the optimised model must be usable in the original's place.

Names, their order, types, ranks and dimensions of inputs and outputs are compared, and the defaults
that a caller may override. A dimension that was fixed stays so, one that had a name stays open; of
an output one without a name, or with one that a tool made up, may become known. Metadata and doc
strings that are lost are warned of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import onnx
import onnx_ir as ir
from msgspec import Struct, field

from normonnx import model_io
from normonnx.errors import WriteError, is_starved
from normonnx.graph.interface import required_inputs

_UNNAMED = re.compile(r"_dim_\d+$|^unk__\d+$")
"""Names that ONNX Runtime and tf2onnx give to dimensions of which they know nothing."""
_OVERRIDABLE_FROM = 4
"""The IR version from which an initializer that is an input may be overridden."""


class InterfaceReport(Struct, frozen=True):
    """What was found.

    Attributes:
        violations: sentences; any of them means that the models are not interchangeable.
        warnings: what some callers may miss.
        notes: what differs and does no harm.
    """

    violations: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(
    original: ir.Model, optimized: ir.Model, *, frozen_initializers: bool = False
) -> InterfaceReport:
    """Compare what the two models expose.

    Args:
        original: the model that is right by definition.
        optimized: the model that should be usable in its place.
        frozen_initializers: whether defaults that a caller could override may be gone.
    """
    report = InterfaceReport()
    pairs = (
        ("input", required_inputs(original), required_inputs(optimized)),
        ("output", list(original.graph.outputs), list(optimized.graph.outputs)),
    )
    given = frozenset(_named_dims(required_inputs(original)))
    for kind, before, after in pairs:
        _compare_values(kind, before, after, report, given)
    if original.ir_version >= _OVERRIDABLE_FROM:
        _compare_defaults(original, optimized, report, may_be_gone=frozen_initializers)
    _compare_texts(original, optimized, report)
    return report


def _compare_values(
    kind: str,
    before: Sequence[ir.Value],
    after: Sequence[ir.Value],
    report: InterfaceReport,
    given: frozenset[str],
) -> None:
    old, new = [str(v.name) for v in before], [str(v.name) for v in after]
    if old != new:
        report.violations.extend(_other_names(kind, old, new))
        return
    for was, now in zip(before, after, strict=True):
        _compare_value(kind, was, now, report, given)
    if kind == "input":
        _compare_symbols(before, after, report)


def _compare_defaults(
    original: ir.Model, optimized: ir.Model, report: InterfaceReport, *, may_be_gone: bool
) -> None:
    """The inputs that have a default."""
    now = {str(v.name): v for v in optimized.graph.inputs}
    defaults = [v for v in original.graph.inputs if v.const_value is not None]
    gone = [str(v.name) for v in defaults if str(v.name) not in now]
    if gone:
        what = "initializer" if len(gone) == 1 else "initializers"
        sentence = f"{what} {_listed(gone)} can no longer be overridden by the caller"
        if may_be_gone:
            report.notes.append(sentence)
        else:
            report.violations.append(f"{sentence} (--freeze-initializers accepts that)")
    for was in defaults:
        if str(was.name) in now:
            _compare_value("input", was, now[str(was.name)], report)


def _other_names(kind: str, old: Sequence[str], new: Sequence[str]) -> list[str]:
    """What is gone, what is new, or that the order is another."""
    missing, extra = [n for n in old if n not in new], [n for n in new if n not in old]
    if not missing and not extra:
        return [f"the {kind}s come in another order: {', '.join(new)}"]
    gone = [f"{kind} {_listed(missing)} is gone"] if missing else []
    return [*gone, f"{kind} {_listed(extra)} is new"] if extra else gone


def _compare_value(
    kind: str,
    was: ir.Value,
    now: ir.Value,
    report: InterfaceReport,
    given: frozenset[str] = frozenset(),
) -> None:
    """Compare an input or output; ``given`` are the names of dimensions of inputs."""
    title = f"{kind} '{was.name}'"
    if was.type is not None and now.type is not None and was.type != now.type:
        report.violations.append(f"{title} was {was.type} and is {now.type}")
    if was.shape is None:
        if now.shape is not None:
            bucket = report.violations if kind == "input" else report.notes
            bucket.append(f"{title} had no declared shape and has {len(now.shape)} dimensions")
    elif now.shape is None:
        report.violations.append(f"{title} does not declare its shape any more")
    elif len(was.shape) != len(now.shape):
        report.violations.append(f"{title} had {len(was.shape)} dimensions, has {len(now.shape)}")
    else:
        for axis, (a, b) in enumerate(zip(was.shape, now.shape, strict=True)):
            is_made = kind == "output" and a != b and _is_unnamed(a, given)
            before = ir.SymbolicDim(None) if is_made else _open(a)
            _compare_dims(f"{title}, axis {axis},", kind, before, _open(b), report)


def _open(dim: int | ir.SymbolicDim) -> int | ir.SymbolicDim:
    """A dimension, where −1 and 0, as some exporters write what is not known, are no sizes."""
    return ir.SymbolicDim(None) if isinstance(dim, int) and dim <= 0 else dim


def _is_unnamed(dim: int | ir.SymbolicDim, given: frozenset[str]) -> bool:
    """Whether the name of a dimension was made up by a tool, and no input has it."""
    name = "" if isinstance(dim, int) else str(dim.value or "")
    return name not in given and bool(_UNNAMED.search(name))


def _compare_dims(
    title: str,
    kind: str,
    a: int | ir.SymbolicDim,
    b: int | ir.SymbolicDim,
    report: InterfaceReport,
) -> None:
    if a == b:
        return
    if isinstance(a, int):
        told = f"and is {b}" if isinstance(b, int) else f"and is declared {_dim(b)}"
        report.violations.append(f"{title} was {a} {told}")
    elif isinstance(b, int):
        known = kind == "output" and a.value is None
        bucket = report.notes if known else report.violations
        bucket.append(f"{title} was {_dim(a)} and is fixed to {b}")
    else:
        # Callers fix the sizes of inputs by the names of their dimensions.
        bucket = report.warnings if kind == "input" and a.value is not None else report.notes
        bucket.append(f"{title} was called {_dim(a)} and is called {_dim(b)}")


def _compare_symbols(
    before: Sequence[ir.Value], after: Sequence[ir.Value], report: InterfaceReport
) -> None:
    """Dimensions of inputs that had names of their own and have one together."""
    meant: dict[str, str] = {}
    for old, new in zip(_named_dims(before), _named_dims(after), strict=False):
        if old and new and meant.setdefault(new, old) != old:
            told = f"the dimensions '{meant[new]}' and '{old}' of the inputs are one: '{new}'"
            report.violations.append(told)


def _named_dims(values: Sequence[ir.Value]) -> list[str]:
    """The names of all dimensions in order, "" for those without."""
    dims = [dim for value in values for dim in value.shape or ()]
    return ["" if isinstance(dim, int) else str(dim.value or "") for dim in dims]


def contradictions(
    original: ir.Model, optimized: ir.Model, shapes: Sequence[Mapping[str, Sequence[int]]]
) -> list[str]:
    """Outputs that the optimised model declares of another size than they have.

    Args:
        original: a size that it declares as wrongly is its own.
        optimized: the model whose declarations are held against the runs.
        shapes: of the outputs, one mapping per run.
    """
    found = []
    for was, now in zip(original.graph.outputs, optimized.graph.outputs, strict=True):
        ran = [shape[str(now.name)] for shape in shapes if str(now.name) in shape]
        for axis, dim in _newly_fixed(was, now):
            if others := sorted({shape[axis] for shape in ran} - {dim}):
                title = f"output '{now.name}', axis {axis},"
                found.append(f"{title} is declared {dim} and was {others[0]} when it ran")
    return found


def _newly_fixed(was: ir.Value, now: ir.Value) -> list[tuple[int, int]]:
    """The axes, with their sizes, of which only the later value states one."""
    old = list(was.shape) if was.shape is not None else [None] * len(now.shape or ())
    pairs = enumerate(zip(old, now.shape or (), strict=True))
    return [(axis, dim) for axis, (a, dim) in pairs if isinstance(dim, int) and a != dim]


def _compare_texts(original: ir.Model, optimized: ir.Model, report: InterfaceReport) -> None:
    """Metadata and doc strings of the models and their graphs."""
    report.warnings.extend(_lost_texts("the model", original, optimized))
    report.warnings.extend(_lost_texts("the graph", original.graph, optimized.graph))


def _lost_texts(title: str, was: ir.Model | ir.Graph, now: ir.Model | ir.Graph) -> Iterator[str]:
    before, after = was.metadata_props, now.metadata_props
    if lost := [key for key in before if key not in after]:
        yield f"metadata of {title} lost: {_listed(lost)}"
    if other := [key for key, text in before.items() if after.get(key, text) != text]:
        yield f"metadata of {title} changed: {_listed(other)}"
    if was.doc_string and was.doc_string != now.doc_string:
        yield f"doc string of {title} {'changed' if now.doc_string else 'lost'}"


def _dim(dim: int | ir.SymbolicDim) -> str:
    value = dim if isinstance(dim, int) else dim.value
    return "unknown" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def checker_complaint(model: ir.Model) -> str | None:
    """The first line of what onnx.checker says against a model; nothing of one too large for it.

    It looks at no number of a large weight, and is not given any.
    """
    try:
        light = model_io.without_weights(model)
        checked = model_io.dump(model) if light is None else light.SerializeToString()
        onnx.checker.check_model(checked, full_check=True)
    except WriteError:
        return None
    except Exception as error:
        if is_starved(error):
            return None
        lines = str(error).strip().splitlines()
        return lines[0] if lines else type(error).__name__
    return None
