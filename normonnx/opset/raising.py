"""Raising the opset of a whole model: every node is kept, moved or replaced, or none is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import onnx
import onnx_ir as ir
from msgspec import Struct

from normonnx.graph.nesting import walk
from normonnx.operators.schemas import schema_of
from normonnx.opset.conversion import NoConversionError, forms
from normonnx.opset.evidence import Agreement, agreement
from normonnx.opset.kernels import first_without
from normonnx.opset.known import Known
from normonnx.opset.numbers import make_axes_inputs, means_the_same
from normonnx.opset.sample import NoSampleError, Sample, sample
from normonnx.opset.splicing import replace
from normonnx.runtime import installed

_IR_VERSION_OF_OPSET = {17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13}
"""The lowest IR version whose readers know the opset (onnx's versioning table)."""


class Raise(Struct, frozen=True):
    """What came of a raise.

    Attributes:
        is_made: whether the model has the opset now; else it is as it was.
        note: what was done, or why not, in one sentence.
        replaced: how many nodes were replaced by others.
    """

    is_made: bool
    note: str
    replaced: int = 0


class _Refused(Exception):  # noqa: N818
    """The raise is refused; the text is the reason."""


class _Replacement(Struct, frozen=True):
    """A node, alone, and what stands for it in the later opset."""

    node: ir.Node
    one: Sample
    new: onnx.ModelProto
    worst: float


def raise_opset(
    model: ir.Model, wanted: int, *, known: Known | None = None, isolated: bool = False
) -> Raise:
    """Bring a model to a higher default-domain opset, exactly or not at all.

    Args:
        model: the caller's own; it is changed if all of it can be raised.
        wanted: the opset to reach.
        known: of the model's values; None for what the model declares.
        isolated: run ONNX Runtime in processes of its own.
    """
    current = model.opset_imports.get("", 0)
    ir_version = max(model.ir_version, _IR_VERSION_OF_OPSET.get(wanted, 0))
    known = known or Known()
    try:
        if model.functions:
            raise _Refused("the model has functions of its own")
        if not installed.takes_opset(wanted, ir_version):
            raise _Refused(f"{installed.title()} does not take opset {wanted}")
        nodes = [node for node in walk(model.graph) if node.domain == ""]
        changed = [node for node in nodes if not _keeps(node, current, wanted, known)]
        moved = frozenset(changed)
        kept = [node for node in nodes if node not in moved]
        lacking = first_without(kept, current, wanted, known, isolated=isolated)
        if lacking is not None:
            raise _Refused(
                f"{installed.title()} has no kernel for {_title(lacking)} in opset {wanted}"
            )
        replacements = _replacements(changed, current, wanted, known, isolated=isolated)
    except _Refused as refused:
        return Raise(is_made=False, note=f"opset stays {current}: {refused}")
    make_axes_inputs(model.graph, current, wanted)
    names = _Names(model)
    renewed: dict[ir.Value, ir.Value] = {}
    for made in replacements:
        replace(made.node, made.one, made.new, names.fresh, renewed)
    model.opset_imports[""], model.ir_version = wanted, ir_version
    return Raise(
        is_made=True,
        note=f"opset {current} → {wanted}{_certificate(replacements)}",
        replaced=len(replacements),
    )


def _keeps(node: ir.Node, current: int, wanted: int, known: Known) -> bool:
    forms_of = [schema_of("", node.op_type, opset) for opset in (current, wanted)]
    if None in forms_of:
        raise _Refused(f"onnx knows no operator {node.op_type} in opset {current}")
    old, new = forms_of
    assert old is not None
    assert new is not None
    return old.since_version == new.since_version or means_the_same(node, current, wanted, known)


def _replacements(
    nodes: Iterable[ir.Node], current: int, wanted: int, known: Known, *, isolated: bool
) -> list[_Replacement]:
    """What stands for each node that may mean something else; each was seen to compute the same."""
    found: dict[bytes, tuple[onnx.ModelProto, Agreement]] = {}
    made = []
    for node in nodes:
        try:
            one = sample(node, current, known)
            key = one.proto.SerializeToString(deterministic=True)
            if key not in found:
                found[key] = _form(one, current, wanted, isolated=isolated)
        except NoSampleError as error:
            raise _Refused(
                f"{_title(node)} may mean something else from opset {wanted} on, "
                f"and cannot be evaluated alone: {error}"
            ) from error
        except NoConversionError as error:
            raise _Refused(
                f"onnx.version_converter has no form of {_title(node)} for opset {wanted}"
            ) from error
        new, agreed = found[key]
        if agreed.reason:
            raise _Refused(f"{_title(node)} {agreed.reason}")
        made.append(_Replacement(node, one, new, agreed.worst))
    return made


def _form(
    one: Sample, current: int, wanted: int, *, isolated: bool
) -> tuple[onnx.ModelProto, Agreement]:
    """The first form that computes the same, or the last one and why it does not."""
    new, agreed = one.proto, Agreement()
    for new in forms(one, current, wanted):
        agreed = agreement(one, new, wanted, isolated=isolated)
        if not agreed.reason:
            break
    return new, agreed


def _title(node: ir.Node) -> str:
    return f"{node.op_type} '{node.name or node.outputs[0].name}'"


def _certificate(replacements: list[_Replacement]) -> str:
    """What was compared, and how well it agreed."""
    if not replacements:
        return ""
    counts = Counter(made.node.op_type for made in replacements)
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    worst = max(made.worst for made in replacements)
    return f": {told} evaluated in both, they agree {f'to {worst:.1e}' if worst else 'exactly'}"


class _Names:
    """Names that are not in use."""

    def __init__(self, model: ir.Model) -> None:
        self._used: set[str] = set()
        for graph in (model.graph, *model.graph.subgraphs()):
            self._used.update(graph.initializers, (str(value.name) for value in graph.inputs))
        for node in walk(model.graph):
            self._used.update(str(value.name) for value in node.outputs)
            self._used.add(str(node.name))

    def fresh(self, hint: str) -> str:
        """The hint if nothing has that name, or the hint with a number."""
        name, count = hint, 0
        while name in self._used:
            count += 1
            name = f"{hint}_{count}"
        self._used.add(name)
        return name
