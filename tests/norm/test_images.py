"""GroupNorm and InstanceNorm: norms over an image, with one scale per channel."""

from __future__ import annotations

import numpy as np
import pytest

from .fusing import Fused, difference, fuse, random_feeds
from .text import LAYER, Weight, layer, model

GN, IN, LN = "GroupNormalization", "InstanceNormalization", "LayerNormalization"
ON = frozenset({"NX103"})
X, Y = "float[n,8,4,6] x", "float[n,8,4,6] y"
PER_CHANNEL: dict[str, Weight] = {"g": (8, 1, 1), "b": (8, 1, 1), "g1": (8,), "b1": (8,)}
AFFINE = "k = Mul (o, g) y = Add (k, b)"
SPLIT: dict[str, Weight] = {"split": np.array([0, 4, -1]), "five": np.array([0, 4, 2, 4, 6])}
ONES: dict[str, Weight] = {"one": np.ones(4, np.float32), "nil": np.zeros(4, np.float32)}
IMAGE = LAYER.replace("-1", "2,3").replace("n = ", "o = ")


def around(core: str, shape: str = "split") -> str:
    """A norm of s, which is x by groups, written to i."""
    return f"s = Reshape (x, {shape}) {core} h = Shape (x) o = Reshape (i, h) {AFFINE}"


def rows(axes: str) -> str:
    return LAYER.replace("-1", axes).replace("(x", "(s").replace("n = ", "i = ")


EXPORTED = around("i = InstanceNormalization (s, one, nil)")
SPELLINGS = {
    "as torch exports it": EXPORTED,
    "means over a reshaped image": around(rows("-1")),
    "means over five axes": around(rows("2,3,4"), "five"),
}


def check(proto: object, fused: Fused, tolerance: float = 1e-6) -> None:
    for seed, spread in enumerate((1.0, 1e-2)):
        feeds = random_feeds(proto, seed, spread=spread)  # type: ignore[arg-type]
        assert difference(proto, fused.proto, feeds) < tolerance  # type: ignore[arg-type]


@pytest.mark.parametrize("body", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("opset", [13, 17])
def test_a_group_norm_is_one_node_if_asked_for(body: str, opset: int) -> None:
    proto = model(layer(body, x=X, y=Y), {**PER_CHANNEL, **SPLIT, **ONES}, opset=opset)
    fused = fuse(proto, rules_on=ON)
    assert fused.operators == [GN]
    assert fused.proto.opset_import[0].version == 21
    attributes = {a.name: a for a in fused.node(GN).attribute}
    assert attributes["num_groups"].i == 4
    assert attributes["epsilon"].f == np.float32(1e-5)
    check(proto, fused)


def test_by_default_the_group_norm_of_an_export_stays() -> None:
    proto = model(layer(EXPORTED, x=X, y=Y), {**PER_CHANNEL, **SPLIT, **ONES})
    fused = fuse(proto)
    assert not fused.journal.rewrites
    [near] = fused.journal.near_misses.values()
    assert (near.rule, near.kind) == ("NX103", "GroupNorm")
    assert "off by default" in near.reason
    assert "--rule NX103" in near.remedy


def test_by_default_a_spelled_group_norm_gets_its_statistics_from_one_operator() -> None:
    proto = model(layer(SPELLINGS["means over five axes"], x=X, y=Y), {**PER_CHANNEL, **SPLIT})
    fused = fuse(proto)
    assert fused.operators == ["Reshape", IN, "Shape", "Reshape", "Mul", "Add"]
    check(proto, fused)


def test_the_cap_leaves_a_group_norm_in_an_old_opset() -> None:
    proto = model(layer(EXPORTED, x=X, y=Y), {**PER_CHANNEL, **SPLIT, **ONES})
    assert IN in fuse(proto, rules_on=ON, cap=20).operators


@pytest.mark.parametrize("layout", ["channels last", "flat"])
def test_group_norms_elsewhere(layout: str) -> None:
    weights: dict[str, Weight] = {"five": np.array([2, 4, 6, 4, 2]), "g": (8,), "b": (8,)}
    body = f"s = Reshape (x, five) {rows('1,2,4')} h = Shape (x) o = Reshape (i, h) {AFFINE}"
    graph = layer(body, x="float[2,4,6,8] x", y="float[2,4,6,8] y")
    expected = ["Transpose", GN, "Transpose"]
    if layout == "flat":
        weights = {**PER_CHANNEL, "split": np.array([3, 4, -1]), "g": (8, 1), "b": (8, 1)}
        graph = layer(around(rows("2")), x="float[3,8,24] x", y="float[3,8,24] y")
        expected = [GN]
    proto = model(graph, weights)
    fused = fuse(proto, rules_on=ON)
    assert fused.operators == expected
    check(proto, fused)


def test_one_group_is_a_layer_norm_with_a_scale_per_channel() -> None:
    body = LAYER.replace("-1", "1,2,3").replace("n = ", "o = ") + AFFINE
    proto = model(layer(body, x=X, y=Y), PER_CHANNEL)
    fused = fuse(proto, rules_on=ON)
    assert fused.operators == [GN]
    check(proto, fused)
    assert fuse(proto).operators == [LN]


@pytest.mark.parametrize(("side", "spread"), [("4,6", True), ("64,64", False)])
def test_an_operator_is_not_exchanged_for_large_weights(side: str, spread: bool) -> None:
    body = EXPORTED.replace("one", "single").replace("nil", "zero")
    shape = {"x": f"float[n,8,{side}] x", "y": f"float[n,8,{side}] y"}
    weights = {**PER_CHANNEL, "split": np.array([0, 1, -1]), "single": np.ones(1, np.float32),
               "zero": np.zeros(1, np.float32)}  # fmt: skip
    fused = fuse(model(layer(body, **shape), weights))
    assert (fused.operators == [LN]) == spread
    assert bool(fused.journal.rewrites) == spread


def test_every_other_channel_is_no_group() -> None:
    body = around(rows("1,3,4"), "five")
    proto = model(layer(body, x=X, y=Y), {**PER_CHANNEL, **SPLIT})
    fused = fuse(proto, rules_on=ON)
    assert GN not in fused.operators
    check(proto, fused)


INSTANCES = {
    "means over the image": IMAGE + AFFINE,
    "in groups of one channel": EXPORTED,
    "one axis behind the channels": LAYER.replace("n = ", "o = ") + AFFINE,
    "scale in the operator": "i = InstanceNormalization (x, g1, b1) o = Identity (i) " + AFFINE,
}


@pytest.mark.parametrize("body", INSTANCES.values(), ids=INSTANCES)
@pytest.mark.parametrize("opset", [11, 17])
def test_an_instance_norm_is_one_node_in_every_opset(body: str, opset: int) -> None:
    weights = {**PER_CHANNEL, "split": np.array([0, 8, -1]),
               "one": np.ones(8, np.float32), "nil": np.zeros(8, np.float32)}  # fmt: skip
    flat = "one axis" in next(name for name, text in INSTANCES.items() if text == body)
    x, y = ("float[n,8,24] x", "float[n,8,24] y") if flat else (X, Y)
    weights |= {"g": (8, 1), "b": (8, 1)} if flat else {}
    proto = model(layer(body, x=x, y=y), weights, opset=opset)
    fused = fuse(proto)
    assert fused.operators == [IN]
    assert fused.proto.opset_import[0].version == opset
    check(proto, fused)


def test_an_image_of_any_size() -> None:
    body = IMAGE + AFFINE
    proto = model(layer(body, x="float[n,8,h,w] x", y="float[n,8,h,w] y"), PER_CHANNEL)
    fused = fuse(proto)
    assert fused.operators == [IN]
    check(proto, fused)


def test_channels_last() -> None:
    body = LAYER.replace("-1", "1,2").replace("n = ", "o = ") + AFFINE
    proto = model(layer(body, x="float[2,4,6,8] x", y="float[2,4,6,8] y"), {"g": (8,), "b": (8,)})
    fused = fuse(proto)
    assert fused.operators == ["Transpose", IN, "Transpose"]
    check(proto, fused)


def test_a_scale_for_each_pixel_stays_behind() -> None:
    proto = model(layer(IMAGE + AFFINE, x=X, y=Y), {"g": (8, 4, 6), "b": (8, 4, 6)})
    fused = fuse(proto)
    assert fused.operators in ([IN, "Mul", "Add"], [LN, "Mul", "Add"])
    check(proto, fused)


def test_half_precision_is_left_to_layer_normalization() -> None:
    body = LAYER.replace("-1", "2,3").replace("n = ", "y = ")
    half = {"x": "float16[2,8,4,6] x", "y": "float16[2,8,4,6] y"}
    proto = model(layer(body, **half), {"two": np.float16(2), "eps": np.float16(1e-3)},
                  dtype=np.float16)  # fmt: skip
    assert fuse(proto).operators == [LN]
