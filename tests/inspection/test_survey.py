"""Inspection finds every norm, with its place and parameters, and reads no large weight."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

import normonnx
from normonnx.inspection.scopes import owners_of, scope_of
from normonnx.report import Site

Key = tuple[str, str, tuple[int, ...] | None, int | None, float | None, str]


def key(site: Site) -> Key:
    return (site.kind, site.form, site.axes, site.channels, site.epsilon, site.verdict)


def model_of(text: str, **weights: np.ndarray) -> ModelProto:
    proto = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    for name, array in weights.items():
        proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return proto


def ones(*shape: int) -> np.ndarray:
    return np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)


def test_kinds_places_and_parameters(models_dir: Path) -> None:
    found = normonnx.inspect(models_dir / "conformer_batchnorm_layernorm.onnx")
    keys = {(site.path, key(site)) for site in found.sites}
    batch = ("BatchNorm", "operator", (1,), 32, 1e-5, "folds into Conv '/subsample/conv/Conv'")
    layer = ("LayerNorm", "spelled out", (2,), 32, 1e-5, "fuses into LayerNormalization")
    assert ("subsample/norm", batch) in keys
    assert ("layers.0/norm_att", layer) in keys
    assert {site.dtype for site in found.sites} == {"float32"}
    assert found.line() == "normonnx: 12 sites to rewrite, 0 left alone"


def test_norms_that_are_operators_already_are_listed() -> None:
    text = """agraph (float[2,8,6,6] x) => (float[2,8,6,6] y) {
        n = InstanceNormalization<epsilon=0.001>(x, s, b)
        r = Reshape(n, groups)
        g = InstanceNormalization(r, gs, gb)
        back = Reshape(g, whole)
        l = LayerNormalization<axis=-2, epsilon=0.01>(back, ls)
        y = Relu(l)
    }"""
    proto = model_of(text, s=ones(8), b=ones(8), gs=ones(2), gb=ones(2), ls=ones(6, 6))
    for name, shape in (("groups", [2, 2, -1]), ("whole", [2, 8, 6, 6])):
        proto.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    found = normonnx.inspect(proto)
    kinds = [(site.kind, site.axes, site.channels, site.epsilon) for site in found.sites]
    assert kinds == [
        ("InstanceNorm", (2, 3), 8, 1e-3),
        ("GroupNorm", (2,), 2, 1e-5),
        ("LayerNorm", (2, 3), 36, 1e-2),
    ]
    assert {site.form for site in found.sites} == {"operator"}


@pytest.mark.parametrize("options", [{"target": "normonnx"}, {"opset": 13}])
def test_what_was_written_as_an_operator_of_our_own(
    models_dir: Path, options: dict[str, Any]
) -> None:
    name = "tutorial_dense_layernorm.onnx"
    written = normonnx.optimize(models_dir / name, verify=False, **options).model
    found = normonnx.inspect(written)
    assert [key(site)[:3] for site in found.sites] == [("LayerNorm", "operator", (1,))] * 2
    assert {site.verdict for site in found.sites} == {"fused"}


def test_what_stays_has_a_reason_and_a_remedy() -> None:
    text = """agraph (float[2,3,8,8] x) => (float[2,4,8,8] y, float[2,4,8,8] z) {
        c = Conv<pads=[1,1,1,1]>(x, w)
        y = BatchNormalization(c, s, b, m, v)
        z = Sigmoid(c)
    }"""
    parts = {name: ones(4) for name in "sbmv"}
    (site,) = normonnx.inspect(model_of(text, w=ones(4, 3, 3, 3), **parts)).sites
    assert (site.rule, site.kind, site.verdict, site.rewritten) == (
        "NX001", "BatchNorm", "stays", False,
    )  # fmt: skip
    assert "is also read by Sigmoid" in site.outcome
    assert "--allow-duplicate" in site.remedy


def test_several_norms_of_one_rewrite_are_sites_of_their_own() -> None:
    text = """agraph (float[2,3,8,8] x) => (float[2,4,8,8] z) {
        c = Conv<pads=[1,1,1,1]>(x, w)
        [first] y = BatchNormalization(c, s, b, m, v)
        [second] z = BatchNormalization(y, s, b, m, v)
    }"""
    parts = {name: ones(4) for name in "sbmv"}
    proto = model_of(text.replace("[first] ", "").replace("[second] ", ""),
                     w=ones(4, 3, 3, 3), **parts)  # fmt: skip
    for node, name in zip(proto.graph.node, ("conv", "first", "second"), strict=True):
        node.name = name
    found = normonnx.inspect(proto)
    assert [(s.name, s.verdict) for s in found.sites] == [
        ("first", "folds into Conv 'conv'"),
        ("second", "folds into Conv 'conv'"),
    ]


def test_arithmetic_has_an_axis_and_no_epsilon() -> None:
    text = """agraph (float[2,5] x) => (float[2,4] z) {
        y = MatMul(x, w)
        z = Mul(y, k)
    }"""
    (site,) = normonnx.inspect(model_of(text, w=ones(5, 4), k=ones(4))).sites
    assert key(site)[:5] == ("affine arithmetic", "arithmetic", (1,), 4, None)
    assert site.verdict.startswith("folds into MatMul")


SCOPES = {
    "/layers.0/norm/Sqrt": "layers.0/norm",
    "/stage4/stage4.3/branch2/branch2.6/BatchNormalization": "stage4.3/branch2.6",
    "StatefulPartitionedCall/model/bn/FusedBatchNormV3": "model/bn",
    "Conv_12": "",
    "": "",
}


@pytest.mark.parametrize("name", SCOPES)
def test_scopes_from_names(name: str) -> None:
    node = ir.node("Relu", [ir.Value(name="x")], name=name)
    assert scope_of(node, {}) == SCOPES[name]


def test_scopes_from_metadata_and_subgraphs() -> None:
    node = ir.node("Relu", [ir.Value(name="x")], name="node_relu")
    node.metadata_props["pkg.torch.onnx.name_scopes"] = "['', 'm', 'm.encoder.conv2', 'relu']"
    assert scope_of(node, {}) == "m/encoder/conv2"
    node.metadata_props["pkg.torch.onnx.name_scopes"] = "no list"
    assert scope_of(node, {}) == ""
    then = helper.make_graph([helper.make_node("Relu", ["x"], ["t"], name="a/b")], "t", [], [
        helper.make_tensor_value_info("t", TensorProto.FLOAT, None)])  # fmt: skip
    outer = helper.make_node("If", ["c"], ["y"], name="gate", then_branch=then, else_branch=then)
    graph = helper.make_graph([outer], "g", [
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])  # fmt: skip
    model = ir.from_proto(helper.make_model(graph))
    owners = owners_of(model)
    inner = next(iter(next(iter(owners))))
    assert scope_of(inner, owners) == "If 'gate'/a"


LAYERS, WIDTH = 40, 8192
"""Forty square weights of 256 MiB: 10 GiB, none of which is on the disk."""


def giant(directory: Path) -> Path:
    """A deep network whose weights are holes in a file; each layer has what folds and fuses."""
    size = 4 * WIDTH * WIDTH
    info = helper.make_tensor_value_info
    nodes, initializers = [], []
    small = {"eps": np.float32(1e-5), "two": np.float32(2), "scale": np.float32(0.125)}
    initializers += [numpy_helper.from_array(np.array(v), k) for k, v in small.items()]
    initializers.append(numpy_helper.from_array(np.ones(WIDTH, np.float32), "gamma"))
    value = "x"
    for layer in range(LAYERS):
        weight = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
        weight.data_location = TensorProto.EXTERNAL
        for entry, content in (
            ("location", "giant.data"), ("offset", layer * size), ("length", size),
        ):  # fmt: skip
            weight.external_data.add(key=entry, value=str(content))
        initializers.append(weight)
        p = f"layers.{layer}/"
        for op, inputs, output, attributes in (
            ("MatMul", [value, weight.name], "mm", {}),
            ("Mul", [p + "mm", "scale"], "scaled", {}),
            ("ReduceMean", [p + "scaled"], "mean", {"axes": [-1]}),
            ("Sub", [p + "scaled", p + "mean"], "centred", {}),
            ("Pow", [p + "centred", "two"], "square", {}),
            ("ReduceMean", [p + "square"], "variance", {"axes": [-1]}),
            ("Add", [p + "variance", "eps"], "shifted", {}),
            ("Sqrt", [p + "shifted"], "std", {}),
            ("Div", [p + "centred", p + "std"], "unit", {}),
            ("Mul", [p + "unit", "gamma"], "y", {}),
        ):
            nodes.append(helper.make_node(op, inputs, [p + output], p + op.lower(), **attributes))
        value = p + "y"
    graph = helper.make_graph(
        nodes, "giant", [info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [info(value, TensorProto.FLOAT, ["n", WIDTH])], initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (directory / "giant.onnx").write_bytes(model.SerializeToString())
    with (directory / "giant.data").open("wb") as data:
        data.truncate(LAYERS * size)
    return directory / "giant.onnx"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module to ask")
def test_ten_gigabytes_are_inspected_in_bounded_memory(tmp_path: Path) -> None:
    """A process of its own: what it holds at most is its own figure."""
    path = giant(tmp_path)
    assert (tmp_path / "giant.data").stat().st_size == 10 << 30
    program = f"""
import json, normonnx
from normonnx.benching.runner import peak_bytes
found = normonnx.inspect({str(path)!r})
sites = [[s.kind, s.verdict, s.rewritten, s.channels] for s in found.sites]
print(json.dumps([peak_bytes(), sites]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    peak, sites = json.loads(done.stdout)
    assert peak < 700 << 20
    folds = [site for site in sites if site[0] == "affine arithmetic"]
    assert [site[1:3] for site in folds] == [
        [f"folds into MatMul 'layers.{layer}/matmul'", True] for layer in range(LAYERS)
    ]
    norms = [site for site in sites if site[0] == "LayerNorm"]
    assert norms == [["LayerNorm", "fuses into LayerNormalization", True, WIDTH]] * LAYERS
