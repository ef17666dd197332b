"""QuantizeLinear right behind a norm, noted where operators of our own are written.

A kernel could write the integers itself; ours do not, so the norm is written and read once more.
"""

from __future__ import annotations

from normonnx.journal import Refusal
from normonnx.norm.write.bodies import nodes_of
from normonnx.operators.names import onnx_name
from normonnx.ops.operators import DOMAIN, OPERATORS
from normonnx.rewrite import Context, miss

_QUANTIZERS = frozenset({"DynamicQuantizeLinear", "QuantizeLinear"})
_LAYER_NORM, _RMS_NORM = "NX101", "NX102"


def note_quantized(context: Context) -> None:
    """Note every quantisation that reads a norm of the domain normonnx directly."""
    for _, norm in nodes_of(context, DOMAIN):
        operator = OPERATORS.get(norm.op_type)
        rule = _RMS_NORM if operator is not None and operator.rms else _LAYER_NORM
        for node in norm.outputs[0].consumers():
            if onnx_name(node) not in _QUANTIZERS or node.inputs[0] is not norm.outputs[0]:
                continue
            own, other = (str(n.name or n.outputs[0].name) for n in (node, norm))
            miss(
                context,
                key=f"{rule}:{node.outputs[0].name}",
                rule=rule,
                site=node,
                kind="quantised norm",
                refusal=Refusal(
                    f"{node.op_type} '{own}' reads {norm.op_type} '{other}', which has no quantised"
                    " output: the norm is written and read once more"
                ),
            )
