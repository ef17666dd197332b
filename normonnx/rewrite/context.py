"""What the engines work with in one run, and why a rewrite is not made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir
from msgspec import Struct, field

from normonnx.graph.nesting import graphs_of
from normonnx.journal import Journal, NearMiss, Refusal
from normonnx.rewrite.copies import Copies, stored_bytes
from normonnx.sizes.recorded import Recorded
from normonnx.targets import Target
from normonnx.targets.onnx import ONNX
from normonnx.values.constants import Constants
from normonnx.values.shapes import Shapes

_WIDELY_READ = 1000


class Context(Struct):
    """What the engines work with in one run.

    Attributes:
        model: the model being rewritten, a private copy.
        constants: what is constant in it.
        shapes: what is known of its dimensions and types.
        journal: the record of the run.
        recorded: the shapes of its values at sizes that it accepts.
        target: what the model is written for.
        opset: version of the default domain the model has now.
        allow_duplicate: whether a layer with other readers may be copied to fold into the copy.
        rules_on: rules that are off by default and were asked for.
        rules_off: rules that were switched off.
        exact_attributes: float attributes of new nodes before their rounding to float32.
        names: every name in use.
        ambiguous: names of more than one value, each in a scope of its own.
        plain_types: of each operator with a body in the model, the type that it has it for under
            the operator's plain name.
        widely_read: initializers that so many nodes read that nobody asks which: to look at all of
            them for each rewrite would take quadratic time.
        copies: what was copied of constants that others read.
    """

    model: ir.Model
    constants: Constants
    shapes: Shapes
    journal: Journal
    recorded: Recorded
    target: Target = ONNX
    opset: int = 0
    allow_duplicate: bool = False
    rules_on: frozenset[str] = frozenset()
    rules_off: frozenset[str] = frozenset()
    exact_attributes: dict[ir.Node, Mapping[str, float]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    ambiguous: set[str] = field(default_factory=set)
    plain_types: dict[str, ir.DataType] = field(default_factory=dict)
    widely_read: frozenset[ir.Value] = frozenset()
    copies: Copies = field(default_factory=lambda: Copies(0))

    def __post_init__(self) -> None:
        """Take stock of every name in use, so that a new one never clashes in any scope."""
        self.opset = self.opset or self.model.opset_imports.get("", 0)
        values: set[str] = set()
        for graph in self.graphs():
            own = {str(value.name) for value in graph.inputs}
            own.update(graph.initializers)
            for node in graph:
                self.names.add(str(node.name))
                own.update(str(value.name) for value in node.outputs)
            self.ambiguous.update(values & own)
            values |= own
        self.names |= values
        self.copies.stored = sum(stored_bytes(graph) for graph in self.graphs())
        self.widely_read = frozenset(
            value
            for graph in self.graphs()
            for value in graph.initializers.values()
            if len(value.uses()) > _WIDELY_READ
        )

    def graphs(self) -> Iterable[ir.Graph]:
        """Every graph of the model: the main one, function bodies, and all their subgraphs."""
        return graphs_of(self.model)

    def fresh(self, hint: str) -> str:
        """A name that is not in use, the hint itself if it is free."""
        name, count = hint, 0
        while name in self.names or not name:
            count += 1
            name = f"{hint}_{count}"
        self.names.add(name)
        return name

    def opset_of(self, graph: ir.Graph) -> int:
        """The default-domain opset in force in a graph."""
        return self.opsets_of(graph).get("", self.opset)

    def opsets_of(self, graph: ir.Graph) -> Mapping[str, int]:
        """The opsets in force in a graph: a function has its own, subgraphs those around them."""
        for function in self.model.functions.values():
            if function.graph is graph or any(graph is inner for inner in function.subgraphs()):
                return function.opset_imports
        return self.model.opset_imports


def miss(
    context: Context, *, key: str, rule: str, site: ir.Node, kind: str, refusal: Refusal
) -> None:
    """Note a near miss in the journal."""
    context.journal.miss(
        NearMiss(
            key=key,
            rule=rule,
            site=str(site.name or site.outputs[0].name),
            kind=kind,
            reason=refusal.reason,
            remedy=refusal.remedy,
        )
    )
