"""A rewrite is a pair of expressions over the same inputs: proposed, certified, committed.

An engine builds new nodes that are attached to no graph and says which old value each new value
stands for. `commit` counts what would die against what would come, asks the certificate, and only
then touches the graph. Nothing else in normonnx changes a graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from normonnx.certificate import Window, certify
from normonnx.constants import Constants, subgraphs, walk
from normonnx.journal import Journal, NearMiss, Rewrite
from normonnx.shapes import Shapes

MAX_COPIED_BYTES = 16 << 20
"""How much a single rewrite may add to the model in weights that others keep reading."""

_UNNAMED = "normonnx:"
"""Prefix of the names that the outputs of new nodes have until they are committed."""

_SAFE_ITEMSIZE = 4
"""Types of this many bytes and more do not lose channels to denormals."""

_COST = {"Constant": 0, "BatchNormalization": 2}
"""What a node counts when gain is judged; BatchNormalization multiplies and adds."""


SHAPE_READERS = frozenset({"Shape", "Size"})
"""Operators that read nothing but the shape of their input."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rewrite is not made: one sentence without a full stop, and the way out or ""."""

    reason: str
    remedy: str = ""


class RefusedError(Exception):
    """Raised inside the building of a proposal; `commit`'s callers turn it into a near miss."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.refusal = Refusal(reason, remedy)


@dataclass(slots=True)
class Context:
    """What the engines work with in one run.

    Attributes:
        model: the model being rewritten, a private copy.
        constants: what is constant in it.
        shapes: what is known of its dimensions and types.
        journal: the record of the run.
        target: "onnx", "ort" or "normonnx".
        opset: version of the default domain the model has now.
        allow_duplicate: whether a layer with other readers may be copied to fold into the copy.
        rules_on: rules that are off by default and were asked for.
        rules_off: rules that were switched off.
    """

    model: ir.Model
    constants: Constants
    shapes: Shapes
    journal: Journal
    target: str = "onnx"
    opset: int = 0
    allow_duplicate: bool = False
    rules_on: frozenset[str] = frozenset()
    rules_off: frozenset[str] = frozenset()
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take stock of every name in use, so that a new one never clashes in any scope."""
        self.opset = self.opset or self.model.opset_imports.get("", 0)
        for graph in self.graphs():
            self.names.update(str(value.name) for value in graph.inputs)
            self.names.update(graph.initializers)
            for node in graph:
                self.names.add(str(node.name))
                self.names.update(str(value.name) for value in node.outputs)

    def graphs(self) -> Iterable[ir.Graph]:
        """Every graph of the model: the main one, function bodies, and all their subgraphs."""
        for top in (self.model.graph, *(f.graph for f in self.model.functions.values())):
            yield top
            for node in walk(top):
                yield from subgraphs(node)

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


class Proposal:
    """New nodes, attached to nothing, and the old values they stand for."""

    def __init__(
        self, context: Context, graph: ir.Graph, *, key: str, rule: str, site: ir.Node, kind: str
    ) -> None:
        """Begin a proposal.

        Args:
            context: of the run.
            graph: where the new nodes will live.
            key: stable name of the rewrite, see `journal.Rewrite`.
            rule: code of the rule.
            site: the node the rewrite is about.
            kind: what that is to a person, such as ``BatchNormalization``.
        """
        self.context = context
        self.graph = graph
        self.key = key
        self.rule = rule
        self.site = str(site.name or site.outputs[0].name)
        self.kind = kind
        self.nodes: list[ir.Node] = []
        self.constants: dict[ir.Value, np.ndarray] = {}
        self.exact_attributes: dict[ir.Node, dict[str, float]] = {}
        self.replacements: list[tuple[ir.Value, ir.Value]] = []
        self.redirects: dict[ir.Value, ir.Value] = {}
        self.least_gain = 1

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
        like: ir.Value | None = None,
    ) -> ir.Value:
        """Add a node with one output.

        Args:
            op_type: its operator.
            inputs: values of the graph or of this proposal; None for an omitted one.
            attributes: Python values or `onnx_ir.Attr`; floats are certified as given here and
                stored as float32.
            domain: its operator set.
            like: a value of the same dimensions and type as the output.
        """
        attributes = {k: v for k, v in (attributes or {}).items() if v is not None}
        exact = {k: v for k, v in attributes.items() if isinstance(v, float)}
        new = self._attach(ir.node(op_type, list(inputs), attributes, domain=domain))
        if exact:
            self.exact_attributes[new] = exact
        if like is not None:
            self.context.shapes.adopt(new.outputs[0], like)
        return new.outputs[0]

    def _attach(self, new: ir.Node) -> ir.Node:
        for index, out in enumerate(new.outputs):
            out.name = f"{_UNNAMED}{len(self.nodes)}:{index}"
        self.nodes.append(new)
        return new

    def like(self, old: ir.Node, inputs: Sequence[ir.Value | None]) -> ir.Value:
        """Add a node that is `old` but for its inputs."""
        return self.outputs(old, inputs)[0]

    def outputs(self, old: ir.Node, inputs: Sequence[ir.Value | None]) -> Sequence[ir.Value]:
        """Add a node that is `old` but for its inputs, and hand back all its outputs."""
        new = self._attach(
            ir.node(
                old.op_type,
                list(inputs),
                dict(old.attributes),
                domain=old.domain,
                num_outputs=len(old.outputs),
            )
        )
        new.metadata_props.update(old.metadata_props)
        for mine, theirs in zip(new.outputs, old.outputs, strict=True):
            self.context.shapes.adopt(mine, theirs)
        return new.outputs

    def constant(
        self,
        exact: np.ndarray,
        dtype: ir.DataType,
        hint: str,
        *,
        channel_axis: int | None = None,
    ) -> ir.Value:
        """Add a floating-point constant, given in float64 and rounded here, once.

        Args:
            exact: float64, any shape.
            dtype: the floating type to store it in.
            hint: the name it gets if that is free.
            channel_axis: the axis of the channels, each of which must survive the rounding.

        Raises:
            RefusedError: if rounding overflows, or takes a channel into the denormals.
        """
        exact = np.asarray(exact, dtype=np.float64)
        with np.errstate(over="ignore"):
            rounded = exact.astype(dtype.numpy())
        _check_range(exact, rounded, dtype, hint, channel_axis)
        value = self._constant(rounded, dtype, hint)
        self.constants[value] = exact
        return value

    def integers(self, values: Sequence[int] | np.ndarray, hint: str) -> ir.Value:
        """Add an integer constant: int64 from a sequence, an array as it is."""
        array = values if isinstance(values, np.ndarray) else np.array(values, dtype=np.int64)
        value = self._constant(array, ir.DataType.from_numpy(array.dtype), hint)
        self.constants[value] = array
        return value

    def _constant(self, array: np.ndarray, dtype: ir.DataType, hint: str) -> ir.Value:
        tensor = ir.Tensor(array, dtype=dtype, name=hint)
        value = ir.Value(
            name=hint, shape=ir.Shape(array.shape), type=ir.TensorType(dtype), const_value=tensor
        )
        self.context.shapes.set(value, array.shape, dtype)
        return value

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """State that `new` stands for `old` everywhere, outputs of the graph included."""
        self.context.shapes.adopt(new, old)
        self.replacements.append((old, new))

    def redirect(self, old: ir.Value, new: ir.Value) -> None:
        """State that `new` has the shape of `old`, so that readers of its shape may move there."""
        if any(use.node.op_type in SHAPE_READERS for use in old.uses()):
            self.redirects[old] = new

    def mark(self) -> tuple[int, int]:
        """A point to which `rewind` goes back."""
        return len(self.nodes), len(self.replacements)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Take back what was added since the mark."""
        nodes, replacements = mark
        gone: set[ir.Value] = set()
        for node in self.nodes[nodes:]:
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
            gone.update(node.outputs)
        del self.nodes[nodes:]
        del self.replacements[replacements:]
        self.redirects = {old: new for old, new in self.redirects.items() if new not in gone}

    def withdraw(self) -> None:
        """Detach the new nodes from the values they read."""
        self.rewind((0, 0))


def _check_range(
    exact: np.ndarray, rounded: np.ndarray, dtype: ir.DataType, hint: str, axis: int | None
) -> None:
    overflow = np.isfinite(exact) & ~np.isfinite(rounded.astype(np.float64))
    masks = [(overflow, "overflow")]
    # What float32 cannot hold, below 1e-38, no sum of float32 products can show either.
    if dtype.itemsize < _SAFE_ITEMSIZE:
        others = None if axis is None else tuple(i for i in range(exact.ndim) if i != axis)
        scale = np.max(np.abs(exact), axis=others, keepdims=True, initial=0.0)
        # Rounding a normal number moves it by at most eps/2; a denormal loses more than that.
        moved = np.abs(rounded.astype(np.float64) - exact)
        lost = moved > float(ml_dtypes.finfo(rounded.dtype).eps) * scale
        masks.append((lost & ~overflow, "vanish among denormals"))
    for mask, what in masks:
        if mask.any():
            place = tuple(int(i) for i in np.argwhere(mask)[0])
            channel = "" if axis is None else f", channel {place[axis]},"
            raise RefusedError(
                f"the folded value {exact[place]:.3g} of '{hint}'{channel} would {what} in "
                f"{dtype.name.lower()}",
                "keep this layer in float32",
            )


def gain(proposal: Proposal) -> int:
    """Nodes that a proposal saves, weighted; negative if it adds more than it removes."""
    dead, _ = _dead(proposal)
    return _saved(proposal, dead)


def commit(proposal: Proposal, *, summary: str) -> Rewrite | Refusal:
    """Certify a proposal and make it, or say why not and leave the graph as it was."""
    context = proposal.context
    if not context.journal.allows(proposal.key):
        return _decline(proposal, Refusal("taken back: the judge found it guilty"))
    if proposal.rule in context.rules_off:
        return _decline(proposal, Refusal(f"rule {proposal.rule} is switched off"))
    dead, dead_constants = _dead(proposal)
    if _saved(proposal, dead) < proposal.least_gain:
        return _decline(proposal, Refusal("it would not make the graph smaller"))
    growth = sum(value.const_value.nbytes for value in proposal.constants if value.const_value)
    growth -= sum(v.const_value.nbytes for v in dead_constants if v.const_value is not None)
    if growth > MAX_COPIED_BYTES:
        return _decline(
            proposal,
            Refusal(
                f"its weights are read elsewhere, and a copy of {growth >> 20} MiB is over the "
                f"budget of {MAX_COPIED_BYTES >> 20} MiB"
            ),
        )
    certificate = certify(
        Window(
            old=tuple(old for old, _ in proposal.replacements),
            new=tuple(new for _, new in proposal.replacements),
            made=frozenset(proposal.nodes),
            constants=context.constants,
            shapes=context.shapes,
            exact=proposal.constants,
            exact_attributes=proposal.exact_attributes,
            functions=context.model.functions,
            opsets=context.opsets_of(proposal.graph),
        )
    )
    if isinstance(certificate, str):
        return _make(proposal, dead, dead_constants, summary=summary, certificate=certificate)
    return _decline(proposal, Refusal(f"no certificate: {certificate.reason}"))


def _decline(proposal: Proposal, refusal: Refusal) -> Refusal:
    proposal.withdraw()
    return refusal


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


def _saved(proposal: Proposal, dead: Iterable[ir.Node]) -> int:
    """Arithmetic on constants costs nothing: every runtime does it once, when it loads a model."""
    constants = proposal.context.constants
    paid = [node for node in dead if not all(map(constants.is_constant, node.outputs))]
    return _cost(paid) - _cost(proposal.nodes)


def _cost(nodes: Iterable[ir.Node]) -> int:
    return sum(_COST.get(node.op_type, 1) for node in nodes)


def _dead(proposal: Proposal) -> tuple[list[ir.Node], list[ir.Value]]:
    """The nodes and constants that nothing reads any more once the new values are in place."""
    replaced = dict.fromkeys(old for old, _ in proposal.replacements)
    made = frozenset(proposal.nodes)
    kept = {new for _, new in proposal.replacements if new.producer() not in made}
    dead: dict[ir.Node, None] = {}
    dead_constants: dict[ir.Value, None] = {}
    pending = [old.producer() for old in replaced]
    while pending:
        node = pending.pop()
        if node is None or node in dead or node.graph is None:
            continue
        if not all(
            out not in kept and _unread(out, dead, replaced, proposal.redirects, made)
            for out in node.outputs
        ):
            continue
        dead[node] = None
        inner = [value for n in _with_inner(node) for value in n.inputs if value is not None]
        for value in inner:
            producer = value.producer()
            if producer is not None:
                pending.append(producer)
            elif (
                value.is_initializer()
                and not value.is_graph_input()
                and not value.is_graph_output()
                and all(use.node in dead for use in value.uses())
            ):
                dead_constants[value] = None
    return list(dead), list(dead_constants)


def _with_inner(node: ir.Node) -> Iterable[ir.Node]:
    yield node
    for graph in subgraphs(node):
        yield from walk(graph)


def _unread(
    value: ir.Value,
    dead: Mapping[ir.Node, None],
    replaced: Mapping[ir.Value, None],
    redirects: Mapping[ir.Value, ir.Value],
    made: frozenset[ir.Node],
) -> bool:
    if value in replaced:
        return True
    if value.is_graph_output():
        return False
    return all(
        use.node in dead
        or (value in redirects and use.node.op_type in SHAPE_READERS)
        or (use.node.graph is None and use.node not in made)
        for use in value.uses()
    )


def _make(
    proposal: Proposal,
    dead: list[ir.Node],
    dead_constants: list[ir.Value],
    *,
    summary: str,
    certificate: str,
) -> Rewrite:
    context, graph = proposal.context, proposal.graph
    removed = tuple((node.op_type, str(node.name or "")) for node in reversed(dead))
    in_function = any(graph is f.graph for f in context.model.functions.values())
    prelude: list[ir.Node] = []
    for value, exact in proposal.constants.items():
        if not value.uses():
            continue
        name = context.fresh(str(value.name))
        if in_function:
            prelude.append(_constant_node(value, name))
            context.constants.visit(prelude[-1])
        else:
            value.name = name
            graph.register_initializer(value)
        if exact.dtype == np.float64:
            context.constants.exact[name] = exact
    _place(proposal, prelude)
    for old, new in proposal.redirects.items():
        for use in list(old.uses()):
            if use.node.op_type in SHAPE_READERS:
                use.node.replace_input_with(use.idx, new)
    for old, new in proposal.replacements:
        _take_place(context, old, new)
    for node in proposal.nodes:
        for out in node.outputs:
            if out.name is None or out.name.startswith(_UNNAMED):
                out.name = context.fresh(f"{proposal.site}_{node.op_type}")
        if node.name is None:
            node.name = context.fresh(f"{proposal.site}_{node.op_type}")
    _remove(dead, dead_constants)
    rewrite = Rewrite(
        key=proposal.key,
        rule=proposal.rule,
        site=proposal.site,
        summary=summary,
        removed=removed,
        added=tuple((node.op_type, str(node.name)) for node in proposal.nodes),
        certificate=certificate,
    )
    context.journal.record(rewrite)
    return rewrite


def _constant_node(value: ir.Value, name: str) -> ir.Node:
    """A function has no initializers: its constants are nodes."""
    node = ir.node("Constant", [], {"value": value.const_value})
    node.name = name
    node.outputs[0].name = name
    value.replace_all_uses_with(node.outputs[0])
    return node


def _place(proposal: Proposal, prelude: list[ir.Node]) -> None:
    """Put each new node before the first old node whose value needs it."""
    made = set(proposal.nodes)
    placed: set[ir.Node] = set()
    terminals = [(old.producer(), new) for old, new in proposal.replacements]
    if len(terminals) > 1:
        order = {node: i for i, node in enumerate(proposal.graph)}
        terminals.sort(key=lambda pair: order.get(pair[0], 0) if pair[0] is not None else 0)
    for anchor, new in terminals:
        assert anchor is not None
        needed: list[ir.Node] = []
        stack: list[tuple[ir.Node | None, bool]] = [(new.producer(), False)]
        while stack:
            node, ready = stack.pop()
            if node is None or node not in made or node in placed:
                continue
            if ready:
                placed.add(node)
                needed.append(node)
                continue
            stack.append((node, True))
            stack.extend((v.producer(), False) for v in node.inputs if v is not None)
        proposal.graph.insert_before(anchor, [*prelude, *needed])
        prelude = []


def _take_place(context: Context, old: ir.Value, new: ir.Value) -> None:
    """Let `new` carry the name, type, documentation and readers of `old`."""
    node, successor = old.producer(), new.producer()
    assert node is not None
    name = old.name
    if successor is not None and new.name is not None and new.name.startswith(_UNNAMED):
        successor.name = node.name if len(node.outputs) == 1 else context.fresh(f"{node.name}")
        successor.metadata_props.update(node.metadata_props)
        successor.doc_string = successor.doc_string or node.doc_string
        new.type, new.shape = old.type, old.shape
        new.doc_string = old.doc_string
        new.metadata_props.update(old.metadata_props)
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name = None
        new.name = name
        return
    # The new value exists already under its own name, and an output of the graph keeps its own.
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return
    identity = ir.node("Identity", [new])
    identity.name = context.fresh(f"{node.name}_Identity")
    assert node.graph is not None
    node.graph.insert_before(node, identity)
    out = identity.outputs[0]
    out.type, out.shape = old.type, old.shape
    context.shapes.adopt(out, old)
    old.replace_all_uses_with(out, replace_graph_outputs=True)
    old.name = None
    out.name = name


def _remove(dead: list[ir.Node], dead_constants: list[ir.Value]) -> None:
    by_graph: dict[ir.Graph, list[ir.Node]] = {}
    for node in dead:
        if node.graph is not None:
            by_graph.setdefault(node.graph, []).append(node)
    for graph, nodes in by_graph.items():
        graph.remove(nodes, safe=True)
    for value in dead_constants:
        if not value.uses() and value.graph is not None and not value.is_graph_output():
            value.graph.initializers.pop(str(value.name))
