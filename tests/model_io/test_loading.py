"""What a model may be loaded from, and what the errors say when it is none."""

from __future__ import annotations

import hashlib
import io
import types
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from onnx import ModelProto, TensorProto, helper
from small_models import constant_function, model, weight

from normonnx import model_io
from normonnx.errors import (
    InvalidModelError,
    UnreadableModelError,
    UnsupportedModelError,
    UsageError,
)
from normonnx.model_io import parse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    destination = tmp_path / "m.onnx"
    destination.write_bytes(model().SerializeToString())
    return destination


def test_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = path.read_bytes()
    monkeypatch.chdir(path.parent)
    for source in (path, str(path), "m.onnx", Path("./m.onnx")):
        loaded = model_io.load(source)
        assert loaded.name == "m.onnx"
        assert loaded.path == path
        assert loaded.nbytes == len(content)
        assert loaded.sha256 == hashlib.sha256(content).hexdigest()
        assert not loaded.external


def test_bytes_and_standard_input(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = path.read_bytes()
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    for source, name in ((content, "<bytes>"), ("-", "<stdin>")):
        loaded = model_io.load(source)
        assert (loaded.name, loaded.path, loaded.content) == (name, None, content)
        assert loaded.sha256 == hashlib.sha256(content).hexdigest()
        assert len(loaded.model.graph) == 1


def test_proto_is_copied_not_shared() -> None:
    proto = model()
    before = proto.SerializeToString()
    loaded = model_io.load(proto)
    loaded.model.graph.initializers["w"].const_value.name = "renamed"
    loaded.model.graph.node(0).name = "renamed"
    assert proto.SerializeToString() == before
    proto.graph.initializer[0].raw_data = bytes(2048)
    assert loaded.model.graph.initializers["w"].const_value.numpy().any()


def test_ir_model_is_taken_as_it_is() -> None:
    given = ir.from_proto(model())
    loaded = model_io.load(given)
    assert loaded.model is given
    assert (loaded.name, loaded.nbytes, loaded.sha256) == ("net", 2048, "")


def test_onnx_program_is_known_by_its_attributes() -> None:
    given = ir.from_proto(model())
    program = types.SimpleNamespace(model=given, model_proto=model())
    assert model_io.load(program).model is given
    old_program = types.SimpleNamespace(model_proto=model())
    assert len(model_io.load(old_program).model.graph) == 1


@pytest.mark.parametrize("source", [None, 3, [b"x"], types.SimpleNamespace(model="m.onnx")])
def test_anything_else_is_a_usage_error(source: object) -> None:
    with pytest.raises(UsageError, match="cannot load a model from"):
        model_io.load(source)


def test_ai_onnx_is_the_default_domain() -> None:
    proto = model()
    proto.opset_import[0].domain = "ai.onnx"
    assert model_io.load(proto).model.opset_imports == {"": 17, "own": 3}


@pytest.mark.parametrize("name", ["", "ai.onnx"])
def test_an_operator_set_that_is_imported_twice_is_one(name: str) -> None:
    proto = model(functions=(constant_function(weight("c")),))
    for body in (proto, proto.functions[0]):
        body.opset_import.add(domain=name, version=17)
        body.opset_import.add(domain="own", version=3)
    loaded = model_io.load(proto).model
    assert loaded.opset_imports == {"": 17, "own": 3}
    [function] = loaded.functions.values()
    assert function.opset_imports == {"": 17, "own": 3}


@pytest.mark.parametrize("name", ["", "ai.onnx"])
def test_two_versions_of_an_operator_set_are_refused(name: str) -> None:
    proto = model(functions=(constant_function(weight("c")),))
    proto.functions[0].opset_import.add(domain=name, version=13)
    with pytest.raises(InvalidModelError, match="'' is there twice, as 17 and as 13"):
        model_io.load(proto)


CONTENTS = {
    "empty": (b"", "empty"),
    "text": (b"hello, I am not a model", "truncated, damaged, nested deeper"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git lfs pull"),
    "torch": (b"PK\x03\x04" + bytes(64), "zip archive"),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(64), "ONNX Runtime's own format"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(64), "gzip"),
    "html": (b"<!DOCTYPE html><html></html>", "web page"),
    "tensor": (weight().SerializeToString(), "damaged"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_what_is_no_model_is_refused_with_what_it_seems_to_be(tmp_path: Path, case: str) -> None:
    content, sentence = CONTENTS[case]
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(UnreadableModelError) as caught:
            model_io.load(source)
        assert sentence in str(caught.value)


def test_truncation_is_an_error(path: Path) -> None:
    """Wherever the file ends before its operator sets; what follows them is optional in ONNX."""
    content = path.read_bytes()
    opset = model().opset_import[0].SerializeToString()
    for length in range(content.index(opset) + len(opset)):
        with pytest.raises((UnreadableModelError, InvalidModelError)):
            model_io.load(content[:length])


@pytest.mark.parametrize("what", ["missing", "directory", "name with a null byte", "too long"])
def test_unreadable_path(tmp_path: Path, what: str) -> None:
    name = {"missing": "no.onnx", "directory": ".", "too long": "n" * 300}.get(what, "a\0b")
    with pytest.raises(UnreadableModelError):
        model_io.load(f"{tmp_path}/{name}")


def test_endless_input_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "PROTOBUF_LIMIT", 1 << 25)
    with pytest.raises(UnreadableModelError, match="external data"):
        model_io.load("/dev/zero")


def _with(**changes: object) -> ModelProto:
    proto = model()
    for name, value in changes.items():
        setattr(proto, name, value)
    return proto


def _cyclic() -> ModelProto:
    proto = model()
    del proto.graph.node[:]
    proto.graph.node.extend(
        [
            helper.make_node("Add", ["x", "b"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Relu", ["b"], ["y"]),
        ]
    )
    return proto


def _edited(field: str) -> ModelProto:
    proto = model()
    if field == "ir_version":
        proto.ClearField("ir_version")
    elif field == "opset_import":
        del proto.opset_import[:]
    elif field == "node input":
        proto.graph.node[0].input[1] = "nowhere"
    elif field == "node output":
        proto.graph.node[0].output[0] = "elsewhere"
    elif field == "node twice":
        proto.graph.node.append(proto.graph.node[0])
    elif field == "data type":
        proto.graph.initializer[0].data_type = 99
    return proto


INVALID = {
    "no IR version": (_edited("ir_version"), "no IR version"),
    "IR version of the future": (_with(ir_version=onnx.IR_VERSION + 1), "is newer than onnx"),
    "no opset": (_edited("opset_import"), "imports no operator set"),
    "dangling input": (
        _edited("node input"),
        "reads 'nowhere', and no node gives it",
    ),
    "dangling output": (_edited("node output"), "nothing in its graph makes the output 'y'"),
    "output made twice": (_edited("node twice"), "redeclared"),
    "unknown data type": (_edited("data type"), "99 is not a valid DataType"),
    "cycle": (_cyclic(), "the graph has a cycle"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_model_is_refused(case: str) -> None:
    proto, sentence = INVALID[case]
    with pytest.raises(InvalidModelError) as caught:
        model_io.load(proto.SerializeToString())
    assert sentence in str(caught.value)


def _unsorted() -> ModelProto:
    proto = model()
    proto.graph.node.insert(0, helper.make_node("Relu", ["y"], ["z"]))
    proto.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    return proto


def test_unsorted_nodes_are_sorted_in_a_file_and_refused_in_an_object() -> None:
    loaded = model_io.load(_unsorted())
    assert [node.op_type for node in loaded.model.graph] == ["MatMul", "Relu"]
    with pytest.raises(InvalidModelError, match="comes before one it reads from"):
        model_io.load(ir.from_proto(_unsorted()))


def test_graphs_too_deep_inside_one_another_are_refused() -> None:
    model = _nested(64)
    assert model_io.load(model).model is model
    with pytest.raises(InvalidModelError, match="graphs inside one another"):
        model_io.load(_nested(65))


def _nested(depth: int) -> ir.Model:
    """Ifs in Ifs."""
    flag = ir.val("flag", ir.DataType.BOOL, [])
    result = ir.node("Identity", [flag])
    for _ in range(depth):
        branches = {
            name: ir.Graph([], node.outputs, nodes=[node])
            for name, node in (
                ("then_branch", result),
                ("else_branch", ir.node("Identity", [flag])),
            )
        }
        result = ir.node("If", [flag], branches)
    return ir.Model(
        ir.Graph([flag], result.outputs, nodes=[result], opset_imports={"": 17}), ir_version=8
    )


def _passed_on(*shape: int | str) -> ModelProto:
    """An input that is an output, too, and as that states a shape of its own, or nothing."""
    proto = model()
    output = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape or None)
    proto.graph.output.append(output if shape else onnx.ValueInfoProto(name="x"))
    return proto


def test_an_output_that_is_an_input_keeps_the_input_s_type() -> None:
    for proto in (_passed_on(), _passed_on("batch", 8)):
        loaded = model_io.load(proto).model
        for value in (loaded.graph.inputs[0], loaded.graph.outputs[1]):
            assert value.dtype == ir.DataType.FLOAT
            assert [str(dim) for dim in value.shape] == ["batch", "8"]
    with pytest.raises(UnsupportedModelError, match="different types or shapes"):
        model_io.load(_passed_on("other", 8))


def test_opsets_that_are_not_there() -> None:
    for version, sentence in ((0, "there is no opset 0"), (1 << 40, "is newer than onnx")):
        proto = model()
        proto.opset_import[0].version = version
        with pytest.raises(InvalidModelError, match=sentence):
            model_io.load(proto)
