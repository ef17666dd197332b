"""Recurrent cells with LayerNorm on their gates, unrolled over four steps."""

from __future__ import annotations

import numpy as np
import onnx

from models.layers import layer_norm, linear
from models.network import Network, torch_network

STEPS, FEATURES, HIDDEN = 4, 12, 16


def lstm_layernorm() -> onnx.ModelProto:
    """LSTM whose gates and whose cell are normalised: three LayerNorms a step.

    i, f, g, o = LN(x·W) + LN(h·U) + b;  c′ = σ(f)·c + σ(i)·tanh(g);  h′ = σ(o)·tanh(LN(c′))
    """
    net = torch_network("lstm_layernorm", opset=14)
    x = net.input("sequence", ["batch", STEPS, FEATURES])
    h = net.input("h0", ["batch", HIDDEN])
    c = net.input("c0", ["batch", HIDDEN])
    bias = net.weight("cell.bias", net.uniform((4 * HIDDEN,), -0.2, 0.2))
    for step in range(STEPS):
        path = "/cell" + (f"_{step}" if step else "")
        from_input, from_state = _projections(net, x, h, path, step, gates=4)
        both = net.node("Add", [from_input, from_state], f"{path}/Add")
        gates = net.node("Add", [both, bias], f"{path}/Add_1")
        i, f, g, o = net.split(gates, [HIDDEN] * 4, f"{path}/Split", axis=1)
        kept = net.node("Mul", [net.node("Sigmoid", [f], f"{path}/Sigmoid"), c], f"{path}/Mul")
        opened = net.node("Sigmoid", [i], f"{path}/Sigmoid_1")
        news = net.node("Mul", [opened, net.node("Tanh", [g], f"{path}/Tanh")], f"{path}/Mul_1")
        c = net.node("Add", [kept, news], f"{path}/Add_2", out=_last(step, "c_n"))
        normal = layer_norm(net, c, f"{path}/ln_cell", "cell.ln_cell", HIDDEN)
        shown = net.node("Sigmoid", [o], f"{path}/Sigmoid_2")
        h = net.node(
            "Mul", [shown, net.node("Tanh", [normal], f"{path}/Tanh_1")], f"{path}/Mul_2",
            out=_last(step, "h_n"),
        )  # fmt: skip
    net.output("h_n", ["batch", HIDDEN])
    net.output("c_n", ["batch", HIDDEN])
    return net.model()


def gru_layernorm() -> onnx.ModelProto:
    """GRU whose gates are normalised: two LayerNorms a step.

    r, z, n of LN(x·W) and of LN(h·U);  r = σ(rₓ + rₕ), z = σ(zₓ + zₕ), n = tanh(nₓ + r·nₕ);
    h′ = (1 − z)·n + z·h
    """
    net = torch_network("gru_layernorm", opset=14)
    x = net.input("sequence", ["batch", STEPS, FEATURES])
    h = net.input("h0", ["batch", HIDDEN])
    for step in range(STEPS):
        path = "/cell" + (f"_{step}" if step else "")
        from_input, from_state = _projections(net, x, h, path, step, gates=3)
        r_x, z_x, n_x = net.split(from_input, [HIDDEN] * 3, f"{path}/Split", axis=1)
        r_h, z_h, n_h = net.split(from_state, [HIDDEN] * 3, f"{path}/Split_1", axis=1)
        reset = net.node("Sigmoid", [net.node("Add", [r_x, r_h], f"{path}/Add")], f"{path}/Sigmoid")
        update = net.node(
            "Sigmoid", [net.node("Add", [z_x, z_h], f"{path}/Add_1")], f"{path}/Sigmoid_1"
        )
        recalled = net.node("Mul", [reset, n_h], f"{path}/Mul")
        news = net.node("Tanh", [net.node("Add", [n_x, recalled], f"{path}/Add_2")], f"{path}/Tanh")
        one = net.constant(f"{path}/Constant", np.float32(1))
        rest = net.node("Sub", [one, update], f"{path}/Sub")
        fresh = net.node("Mul", [rest, news], f"{path}/Mul_1")
        kept = net.node("Mul", [update, h], f"{path}/Mul_2")
        h = net.node("Add", [fresh, kept], f"{path}/Add_3", out=_last(step, "h_n"))
    net.output("h_n", ["batch", HIDDEN])
    return net.model()


def _projections(
    net: Network, x: str, h: str, path: str, step: int, *, gates: int
) -> tuple[str, str]:
    """LN(xₜ·W) and LN(h·U); both of width gates · HIDDEN, the weights the same at every step."""
    width = gates * HIDDEN
    index = net.constant(f"{path}/index", np.int64(step))
    now = net.node("Gather", [x, index], f"{path}/Gather", axis=1)
    from_input = linear(net, now, f"{path}/ih", "cell.ih", (FEATURES, width), bias=False)
    from_state = linear(net, h, f"{path}/hh", "cell.hh", (HIDDEN, width), bias=False)
    return (
        layer_norm(net, from_input, f"{path}/ln_ih", "cell.ln_ih", width),
        layer_norm(net, from_state, f"{path}/ln_hh", "cell.ln_hh", width),
    )


def _last(step: int, name: str) -> str:
    """The graph output's name at the last step, and no name of its own before."""
    return name if step == STEPS - 1 else ""
