"""A map goes backward, into what made the value it is applied to."""

from __future__ import annotations

import onnx_ir as ir

from normonnx.affine.absorb import ABSORB, materialise
from normonnx.affine.attempts import (
    IDENTITY,
    MERGE_RULE,
    RULE_OF,
    Attempt,
    is_part_of_gelu,
)
from normonnx.affine.map import AffineMap
from normonnx.affine.precision import data_of, must_keep_digits, must_not_cancel, scaled
from normonnx.affine.recognise import Affine, recognise
from normonnx.affine.travel import BACKWARD
from normonnx.affine.weights import describe
from normonnx.journal import RefusedError
from normonnx.operators.names import onnx_name


class Backward(Attempt):
    """y = m(f(x)) → f′(x)."""

    def rewrite(self) -> None:
        node, m = self.found.node, self.found.map
        out = node.outputs[0]
        # A BatchNormalization subtracts a mean; what takes its place when written out does not.
        inner = self.found if self.found.mean is not None else None
        new = self._push_or_write(self.found.source, m, node, out, inner=inner)
        self.proposal.replace(out, new)

    def _push_or_write(
        self,
        value: ir.Value,
        m: AffineMap,
        reader: ir.Node,
        like: ir.Value,
        *,
        must_vanish: bool = False,
        inner: Affine | None = None,
        outer: AffineMap = IDENTITY,
    ) -> ir.Value:
        """The value that is m of the given one.

        Args:
            value: what the map is applied to.
            m: the map.
            reader: the node that reads the value.
            like: what the result takes the place of.
            must_vanish: as in `Push`.
            inner: the affine node that computes `reader`'s input, if m has it in it.
            outer: the rest of m.
        """
        if m.is_identity:
            return value
        if must_vanish:
            new = self._push(value, m, reader, must_vanish=True)
            self.proposal.redirect(value, new)
            return new
        mark, takers = self.proposal.mark(), len(self.takers)
        try:
            new = self._push(value, m, reader, must_vanish=False)
        except RefusedError as error:
            self.obstacles.append(error.refusal)
            self.proposal.rewind(mark)
            del self.takers[takers:]
            if inner is not None:
                self._must_keep_digits(inner, outer)
            return materialise(self.proposal, value, m, like)
        self.proposal.redirect(value, new)
        return new

    def _push(
        self, value: ir.Value, m: AffineMap, reader: ir.Node, *, must_vanish: bool
    ) -> ir.Value:
        producer = value.producer()
        if producer is None:
            what = "an input of the graph" if value.is_graph_input() else "a constant"
            raise RefusedError(f"it follows '{value.name}', {what}")
        if producer.graph is not self.proposal.graph:
            raise RefusedError(f"{describe(producer)} belongs to the enclosing graph")
        swallows = onnx_name(producer) in ABSORB
        if not (swallows and self.context.allow_duplicate):
            self._check_value(value, reader=reader)
        inner = recognise(self.context, producer)
        if isinstance(inner, Affine):
            composed = None if is_part_of_gelu(inner) else m.after(inner.map)
            if composed is not None:
                names = f"{describe(producer)} and {describe(reader)}"
                must_not_cancel(inner.map, m, self.context.shapes.dtype(value), of=names)
                self.affine.insert(0, producer.op_type)
                return self._push_or_write(
                    inner.source,
                    composed,
                    producer,
                    value,
                    must_vanish=must_vanish,
                    inner=inner,
                    outer=m,
                )
        if swallows:
            new = ABSORB[producer.op_type](self.proposal, producer, m)
            self.takers.append(producer.op_type)
            self.proposal.rule = RULE_OF.get(producer.op_type, MERGE_RULE)
            return new
        if onnx_name(producer) in BACKWARD:

            def push(
                upstream: ir.Value, part: AffineMap, *, must_vanish: bool = must_vanish
            ) -> ir.Value:
                return self._push_or_write(
                    upstream, part, producer, upstream, must_vanish=must_vanish
                )

            index = value.index()
            assert index is not None
            return BACKWARD[producer.op_type](self.proposal, producer, index, m, push)
        if isinstance(inner, Affine) and is_part_of_gelu(inner):
            raise RefusedError(
                f"it follows a GELU, which ends in {describe(producer)} and is no linear map"
            )
        raise RefusedError(f"it follows {describe(producer)}, which takes no scale or shift")

    def _must_keep_digits(self, inner: Affine, outer: AffineMap) -> None:
        """Two maps that are written as one multiply before they shift."""
        data = data_of(inner, IDENTITY, None)
        whole = outer.after(inner.map)
        if data is not None and data.spread is None and whole is not None:
            data = scaled(data, whole)
        dtype = self.context.shapes.dtype(inner.source)
        merging = f"writing {describe(inner.node)} as a product and a sum"
        must_keep_digits(self.context, data, inner.source, dtype, merging)
