"""Small files that want to become large: in memory, in time, or in depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.hostile.blocks import call, dense, function, info, model, norm_after
from tests.hostile.case import Case, Cases

_node = helper.make_node

MANY_NODES = 5_000_001
"""One more than a model may have."""


def _laughs(_: Path) -> ModelProto:
    """Forty functions, each of which calls the one before it twice: 2⁴⁰ nodes."""
    functions = [function("F0", [_node("Relu", ["a"], ["b"])])]
    functions += [
        function(f"F{n}", [call(f"F{n - 1}", "a", "h"), call(f"F{n - 1}", "h", "b")])
        for n in range(1, 41)
    ]
    return model([call("F40", "x", "y")], functions=functions)


def _shaped(*dims: int) -> Callable[[Path], ModelProto]:
    def build(_: Path) -> ModelProto:
        proto = dense()
        proto.graph.initializer[0].dims[:] = dims
        return proto

    return build


def _many_nodes(_: Path) -> bytes:
    """Ten megabytes of nodes in which there is nothing."""
    nodes = b"\x0a\x00" * MANY_NODES
    length, tag = len(nodes), bytearray(b"\x3a")
    while length >= 0x80:
        tag.append(length & 0x7F | 0x80)
        length >>= 7
    tag.append(length)
    return dense().SerializeToString() + bytes(tag) + nodes


BOMBS: Cases = {
    "giant shape": Case(_shaped(1 << 40, 1 << 40), "bytes"),
    "shape beyond 64 bits": Case(_shaped(1 << 62, 1 << 62), "bytes"),
    "negative shape": Case(_shaped(-8, -64), "negative"),
    "nested forty deep": Case(lambda _: nested_bytes(40), "not an ONNX model"),
    "nested five thousand deep": Case(lambda _: nested_bytes(5000), "not an ONNX model"),
    "five million nodes": Case(_many_nodes, "nodes"),
    "billion laughs": Case(_laughs, "nodes"),
}


def nested_bytes(depth: int) -> bytes:
    """A model of graphs in attributes of nodes, which no writer would nest so deep."""
    content = b""
    for _ in range(depth):
        attribute = _field(1, b"g") + _field(6, content)
        content = _field(1, _field(4, b"If") + _field(5, attribute))
    return b"\x08\x08" + _field(7, content) + b"\x42\x02\x10\x11"


def _field(number: int, content: bytes) -> bytes:
    """A field of the wire format whose value has a length."""
    length, head = len(content), bytearray([number << 3 | 2])
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _added(*nodes: NodeProto, **constants: object) -> Callable[[Path], ModelProto]:
    """``x`` plus what `nodes` make of constants, as ``v``, before a norm that is worth fusing."""
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    return lambda _: norm_after(*nodes, initializers=tensors)


def endless() -> ModelProto:
    """A Loop of 2⁶² rounds."""
    inner = helper.make_graph(
        [_node("Identity", ["c"], ["c2"]), _node("Identity", ["s"], ["s2"])],
        "body",
        [info("i", TensorProto.INT64, []), info("c", TensorProto.BOOL, []),
         info("s", TensorProto.FLOAT, [2, 8])],
        [info("c2", TensorProto.BOOL, []), info("s2", TensorProto.FLOAT, [2, 8])],
    )  # fmt: skip
    rounds = numpy_helper.from_array(np.array(1 << 62), "rounds")
    return model([_node("Loop", ["rounds", "", "x"], ["y"], body=inner)], rounds)


_HUGE = np.array([1 << 20, 1 << 20], np.int64)

EXPANDING: Cases = {
    "ConstantOfShape of a terabyte": Case(
        _added(_node("ConstantOfShape", ["k"], ["z"]),
               _node("ReduceSum", ["z"], ["total"], keepdims=0),
               _node("Add", ["x", "total"], ["v"]), k=_HUGE),
        "accepts no generated inputs",
    ),
    "Expand to a terabyte": Case(
        _added(_node("Expand", ["one", "k"], ["z"]),
               _node("ReduceSum", ["z"], ["total"], keepdims=0),
               _node("Add", ["x", "total"], ["v"]), k=_HUGE, one=np.float32([1])),
        "accepts no generated inputs",
    ),
    "Tile of a Tile of a Tile": Case(
        _added(*(_node("Tile", [f"t{n}", "k"], [f"t{n + 1}"]) for n in range(4)),
               _node("ReduceSum", ["t4"], ["total"], keepdims=0),
               _node("Add", ["x", "total"], ["v"]), k=np.array([4096, 1]), t0=np.ones((8, 8), "f")),
        "accepts no generated inputs",
    ),
    "Range to a billion": Case(
        _added(_node("Range", ["k0", "k1", "k2"], ["z"]),
               _node("ReduceSum", ["z"], ["total"], keepdims=0),
               _node("Add", ["x", "total"], ["v"]), k0=np.float32(0), k1=np.float32(2**36),
               k2=np.float32(1)),
        "accepts no generated inputs",
    ),
    "Pad to a terabyte": Case(
        _added(_node("Pad", ["x", "k"], ["p"]), _node("ReduceMax", ["p"], ["total"], keepdims=0),
               _node("Add", ["x", "total"], ["v"]), k=np.array([0, 0, 1 << 20, 1 << 20])),
        "accepts no generated inputs",
    ),
}  # fmt: skip
"""Valid models, that nobody can run: they are inconclusive, in little memory and time."""
