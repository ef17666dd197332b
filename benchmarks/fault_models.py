"""Small models, each with something that feeds easily pass by or that hides a fault.

A table of which few rows are read, branches, bodies, masks, selections, integers, several outputs,
one large weight. Each comes with inputs that reach all of it, so that the truth about a fault does
not rest on the feeds of the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from msgspec import Struct

from tests.judge.building import graph_model

Array = np.ndarray[Any, Any]
Random = np.random.Generator
Inputs = Mapping[str, Array]

ROWS, PLACES, WIDE, N = 5000, 128, 1000, 16


class Base(Struct, frozen=True):
    """A model and inputs that reach everything in it."""

    name: str
    model: onnx.ModelProto
    feeds: tuple[Inputs, ...]


def _normal(random: Random, *shape: int) -> Array:
    return random.standard_normal(shape).astype(np.float32)


def _weight(random: Random, rows: int, columns: int) -> Array:
    return _normal(random, rows, columns) / np.float32(np.sqrt(rows))


def _built(name: str, text: str, feeds: tuple[Inputs, ...], **weights: Any) -> Base:
    return Base(name, graph_model(text, **weights), feeds)


def _table(random: Random) -> Base:
    text = f"""(int64[n] ids) => (float[n, {N}] y) {{
        e = Gather(table, ids)
        g = Mul(e, scale)
        h = Add(g, shift)
        y = MatMul(h, weight)
    }}"""
    weights = {"table": _normal(random, ROWS, N), "weight": _weight(random, N, N)}
    weights |= {"scale": _normal(random, N), "shift": _normal(random, N)}
    return _built("table", text, ({"ids": np.arange(ROWS)},), **weights)


def _positions(random: Random) -> Base:
    text = f"""(int64[b, s] ids) => (float[b, s, {N}] y) {{
        e = Gather(table, ids)
        shape = Shape(ids)
        length = Slice(shape, one, two)
        p = Slice(places, zero, length, zero)
        x = Add(e, p)
        h = MatMul(x, weight)
        y = Tanh(h)
    }}"""
    every = np.arange(3 * PLACES).reshape(3, PLACES) % 300
    weights = {"table": _normal(random, 300, N), "places": _normal(random, PLACES, N)}
    weights |= {name: np.array([n]) for n, name in enumerate(("zero", "one", "two"))}
    return _built("positions", text, ({"ids": every},), weight=_weight(random, N, N), **weights)


def _large(random: Random) -> Base:
    text = f"""(float[n, {WIDE}] x) => (float[n, {WIDE}] y) {{
        h = MatMul(x, weight)
        y = Add(h, bias)
    }}"""
    weights = {"weight": _weight(random, WIDE, WIDE), "bias": _normal(random, WIDE)}
    return _built("large weight", text, ({"x": _normal(random, 8, WIDE)},), **weights)


def _branches(random: Random) -> Base:
    text = f"""(float[n, {N}] x, bool flag) => (float[n, {N}] y) {{
        h = MatMul(x, weight)
        b = If(flag) <
            then_branch = then () => (t) {{ m = MatMul(h, first) t = Relu(m) }},
            else_branch = other () => (o) {{ k = MatMul(h, second) o = Tanh(k) }}
        >
        y = Add(b, x)
    }}"""
    x = _normal(random, 8, N)
    feeds = ({"x": x, "flag": np.array(True)}, {"x": x, "flag": np.array(False)})
    weights = {name: _weight(random, N, N) for name in ("weight", "first", "second")}
    return _built("branches", text, feeds, **weights)


def _loop(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float[n, {N}] y) {{
        h = Loop(trips, going, x) <
            body = step (int64 i, bool c, float[n, {N}] h_in) => (bool c_out, float[n, {N}] h_out)
            {{
                c_out = Identity(c)
                m = MatMul(h_in, weight)
                a = Add(m, bias)
                h_out = Tanh(a)
            }}
        >
        y = Add(h, x)
    }}"""
    weights = {"weight": _weight(random, N, N), "bias": _normal(random, N)}
    weights |= {"trips": np.array(3), "going": np.array(True)}
    return _built("loop", text, ({"x": _normal(random, 8, N)},), **weights)


def _outputs(random: Random) -> Base:
    ends = ", ".join(f"float[n, {N}] y{i}" for i in range(6))
    heads = "\n".join(f"a{i} = MatMul(h, w{i})\ny{i} = Add(a{i}, b{i})" for i in range(6))
    text = f"""(float[n, {N}] x) => ({ends}, int64[n] best) {{
        m = MatMul(x, weight)
        h = Relu(m)
        {heads}
        best = ArgMax <axis = 1, keepdims = 0> (y0)
    }}"""
    weights = {f"w{i}": _weight(random, N, N) for i in range(6)}
    weights |= {f"b{i}": _normal(random, N) for i in range(6)}
    return _built(
        "outputs", text, ({"x": _normal(random, 64, N)},), weight=_weight(random, N, N), **weights
    )


def _picture(random: Random) -> Base:
    text = """(float[n, 3, 32, 32] x) => (uint8[n, 8, 32, 32] y) {
        c = Conv <pads = [1, 1, 1, 1]> (x, kernel, bias)
        s = Sigmoid(c)
        m = Mul(s, full)
        r = Round(m)
        y = Cast <to = 2> (r)
    }"""
    weights = {"kernel": _normal(random, 8, 3, 3, 3) / 4, "bias": _normal(random, 8)}
    feed = {"x": _normal(random, 2, 3, 32, 32)}
    return _built("picture", text, (feed,), full=np.float32(255), **weights)


def _detector(random: Random) -> Base:
    text = f"""(float[1, 64, {N}] x) => (float[1, 8, 4] boxes, float[1, 8] scores) {{
        h = MatMul(x, weight)
        b = MatMul(h, box)
        p = Mul(b, pixels)
        r = MatMul(h, score)
        f = Reshape(r, flat)
        s = Sigmoid(f)
        scores, best = TopK(s, k)
        at = Unsqueeze(best, last)
        wide = Tile(at, four)
        boxes = GatherElements <axis = 1> (p, wide)
    }}"""
    weights: dict[str, Any] = {"box": _weight(random, N, 4), "score": _weight(random, N, 1)}
    weights |= {"k": np.array([8]), "flat": np.array([1, 64]), "four": np.array([1, 1, 4])}
    weights |= {"pixels": np.float32(800), "last": np.array([2]), "weight": _weight(random, N, N)}
    return _built("detector", text, ({"x": _normal(random, 1, 64, N)},), **weights)


def _codebook(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float[n, {N}] y) {{
        p = MatMul(x, weight)
        u = Unsqueeze(p, middle)
        d = Sub(u, codes)
        q = Mul(d, d)
        s = ReduceSum <keepdims = 0> (q, last)
        i = ArgMin <axis = 1, keepdims = 0> (s)
        c = Gather(codes, i)
        y = MatMul(c, out)
    }}"""
    weights = {"weight": _weight(random, N, N), "out": _weight(random, N, N)}
    weights |= {"middle": np.array([1]), "last": np.array([2]), "codes": _normal(random, 32, N)}
    return _built("codebook", text, ({"x": _normal(random, 600, N)},), **weights)


def _attention(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float[n, {N}] y) {{
        q = MatMul(x, query)
        k = MatMul(x, key)
        t = Transpose <perm = [1, 0]> (k)
        s = MatMul(q, t)
        shape = Shape(x)
        n = Slice(shape, zero, one)
        nn = Concat <axis = 0> (n, n)
        m = Slice(mask, zeros, nn)
        a = Add(s, m)
        p = Softmax(a)
        v = MatMul(x, value)
        y = MatMul(p, v)
    }}"""
    weights = {name: _weight(random, N, N) for name in ("query", "key", "value")}
    weights |= {"zero": np.array([0]), "one": np.array([1]), "zeros": np.array([0, 0])}
    mask = np.triu(np.full((256, 256), -1e9, np.float32), 1)
    return _built("attention", text, ({"x": _normal(random, 256, N)},), mask=mask, **weights)


def _halves(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float[n, {N}] y) {{
        h = Cast <to = 10> (x)
        m = MatMul(h, weight)
        a = Add(m, bias)
        f = Cast <to = 1> (a)
        y = Tanh(f)
    }}"""
    weights = {"weight": _weight(random, N, N), "bias": _normal(random, N)}
    halves = {name: array.astype(np.float16) for name, array in weights.items()}
    return _built("half precision", text, ({"x": _normal(random, 64, N)},), **halves)


def _integers(random: Random) -> Base:
    text = """(int64[n] ids) => (int64[n] bucket, float[n, 16] y, bool[n] late) {
        m = Mul(ids, seven)
        a = Add(m, three)
        bucket = Mod(a, size)
        y = Gather(table, bucket)
        late = Greater(bucket, edge)
    }"""
    numbers = {"seven": 7, "three": 3, "size": 40, "edge": 20}
    weights = {name: np.array([n]) for name, n in numbers.items()}
    return _built(
        "integers", text, ({"ids": np.arange(40)},), table=_normal(random, 40, N), **weights
    )


def _masked(random: Random) -> Base:
    text = f"""(float[n, {N}] x, bool[n, 32] keep) => (float[n, 32] y) {{
        h = MatMul(x, weight)
        l = Add(h, bias)
        y = Where(keep, l, fill)
    }}"""
    keep = random.random((64, 32)) < 0.7
    weights = {"weight": _weight(random, N, 32), "bias": _normal(random, 32)}
    feed = {"x": _normal(random, 64, N), "keep": keep}
    return _built("masked", text, (feed,), fill=np.float32(-1e9), **weights)


def _both(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float16[n, 32] y) {{
        b = MatMul(x, box)
        p = Mul(b, pixels)
        r = MatMul(x, score)
        s = Sigmoid(r)
        c = Concat <axis = 1> (p, s)
        y = Cast <to = 10> (c)
    }}"""
    weights = {"box": _weight(random, N, 16), "score": _weight(random, N, 16) / 8}
    feed = {"x": _normal(random, 64, N)}
    return _built("coordinates beside scores", text, (feed,), pixels=np.float32(400), **weights)


def _thresholds(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float[n, {N}] y, bool[n, {N}] high) {{
        h = MatMul(x, weight)
        high = Greater(h, edge)
        a = Mul(h, scale)
        b = Mul(h, other)
        y = Where(high, a, b)
    }}"""
    weights = {name: _normal(random, N) for name in ("scale", "other")}
    weights |= {"weight": _weight(random, N, N), "edge": _normal(random, N) / 2}
    return _built("thresholds", text, ({"x": _normal(random, 256, N)},), **weights)


def _quantised(random: Random) -> Base:
    text = f"""(float[n, {N}] x) => (float[n, {N}] y) {{
        h = MatMul(x, weight)
        q = QuantizeLinear(h, step, zero)
        d = DequantizeLinear(q, step, zero)
        y = MatMul(d, out)
    }}"""
    weights: dict[str, Any] = {"weight": _weight(random, N, N), "out": _weight(random, N, N)}
    weights |= {"step": np.float32(0.03), "zero": np.int8(0)}
    return _built("quantised", text, ({"x": _normal(random, 256, N)},), **weights)


BUILDERS: tuple[Callable[[Random], Base], ...] = (
    _table,
    _positions,
    _large,
    _branches,
    _loop,
    _outputs,
    _picture,
    _detector,
    _codebook,
    _attention,
    _halves,
    _integers,
    _masked,
    _both,
    _thresholds,
    _quantised,
)


def base(number: int) -> Base:
    """The model of a number; each comes again with other weights."""
    return BUILDERS[number % len(BUILDERS)](np.random.default_rng(number))
