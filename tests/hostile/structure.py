"""Files that are damaged, and models that contradict themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnx import AttributeProto, ModelProto, TensorProto, helper

from tests.hostile import blocks
from tests.hostile.blocks import dense, model, weight
from tests.hostile.case import Case, Cases

_node = helper.make_node


def _edited(edit: Callable[[ModelProto], object]) -> Callable[[Path], ModelProto]:
    def build(_: Path) -> ModelProto:
        proto = dense()
        edit(proto)
        return proto

    return build


def _flipped(_: Path) -> bytes:
    """The type of the first field's wire format is one that there is not."""
    content = bytearray(dense().SerializeToString())
    content[0] |= 0b111
    return bytes(content)


def _attribute(op_type: str, **wrong: object) -> Callable[[Path], ModelProto]:
    return lambda _: model([_node(op_type, ["x"], ["y"], **wrong)])


def _untyped_attribute(_: Path) -> ModelProto:
    node = _node("Softmax", ["x"], ["y"])
    node.attribute.append(AttributeProto(name="axis", i=1))
    return model([node])


def _truncated_weight(proto: ModelProto) -> None:
    proto.graph.initializer[0].raw_data = bytes(100)


def _no_text(_: Path) -> bytes:
    """A name that is no UTF-8."""
    content = dense(weight("evilname")).SerializeToString()
    return content.replace(b"evilname", b"evil\xff\xfe\xfd\xfc")


def model_without_end() -> bytes:
    """Cut between the graph and the operator sets, where one field ends and no other begins."""
    proto = dense()
    proto.ClearField("opset_import")
    return proto.SerializeToString()


STRUCTURE: Cases = {
    "empty file": Case(lambda _: b"", "the file is empty"),
    "noise": Case(lambda _: bytes(range(256)) * 16, "not an ONNX model"),
    "truncated": Case(lambda _: dense().SerializeToString()[:1500], "not an ONNX model"),
    "truncated before the opset": Case(
        lambda _: model_without_end(), "imports no operator set"
    ),
    "flipped bit": Case(_flipped, "not an ONNX model"),
    "name that is no text": Case(_no_text, "is no text"),
    "type there is not": Case(
        _edited(lambda m: setattr(m.graph.initializer[0], "data_type", 99)), "DataType"
    ),
    "less data than the shape": Case(_edited(_truncated_weight), "bytes"),
    "more data than the shape": Case(
        _edited(lambda m: setattr(m.graph.initializer[0], "raw_data", bytes(1 << 20))), "bytes"
    ),
    "data in the wrong field": Case(
        _edited(lambda m: m.graph.initializer.append(
            TensorProto(name="v", data_type=TensorProto.INT64, dims=[2], float_data=[1, 2]))),
        "values",
    ),
    "data in two fields": Case(
        _edited(lambda m: m.graph.initializer[0].float_data.extend([1.0] * 512)), "twice"
    ),
    "attribute without a type": Case(_untyped_attribute, "has no type"),
    "cycle": Case(
        lambda _: model([_node("Add", ["x", "b"], ["a"]), _node("Relu", ["a"], ["b"]),
                         _node("Relu", ["b"], ["y"])]),
        "cycle",
    ),
    "node that reads itself": Case(lambda _: model([_node("Add", ["x", "y"], ["y"])]), "cycle"),
    "output made twice": Case(
        lambda _: model([_node("Relu", ["x"], ["y"]), _node("Abs", ["x"], ["y"])]), "redeclared"
    ),
    "input that is made": Case(lambda _: model([_node("Relu", ["x"], ["x"])], outputs=["x"]), ""),
    "initializer twice": Case(lambda _: dense(weight(), weight()), "is there twice"),
    "initializer without a name": Case(lambda _: dense(weight(), weight("")), "has no name"),
    "input twice": Case(
        lambda _: model([_node("Relu", ["x"], ["y"])],
                        inputs=[("x", TensorProto.FLOAT, [2])] * 2),
        "is there twice",
    ),
    "attribute twice": Case(
        _edited(lambda m: [m.graph.node[0].attribute.add(name="a", type=2, i=1) for _ in "ab"]),
        "is there twice",
    ),
    "function twice": Case(
        lambda _: model([blocks.call("F", "x", "y")], functions=[
            blocks.function("F", [_node("Relu", ["a"], ["b"])])] * 2),
        "is there twice",
    ),
    "opset twice": Case(
        _edited(lambda m: m.opset_import.append(helper.make_opsetid("", 11))), "is there twice"
    ),
    "missing input": Case(
        _edited(lambda m: m.graph.node[0].input.__setitem__(1, "nowhere")), "and no node gives it"
    ),
    "missing output": Case(
        _edited(lambda m: m.graph.node[0].output.__setitem__(0, "z")), "nothing in its graph makes"
    ),
    "no graph": Case(_edited(lambda m: m.ClearField("graph")), "not an ONNX model"),
    "no IR version": Case(_edited(lambda m: m.ClearField("ir_version")), "no IR version"),
    "IR version of the future": Case(
        _edited(lambda m: setattr(m, "ir_version", 1 << 40)), "is newer than"
    ),
    "no opset": Case(_edited(lambda m: m.ClearField("opset_import")), "no operator set"),
    "opset of the past": Case(
        _edited(lambda m: setattr(m.opset_import[0], "version", -3)), "opset"
    ),
    "function that calls itself": Case(
        lambda _: model([blocks.call("F", "x", "y")],
                        functions=[blocks.function("F", [blocks.call("F", "a", "b")])]),
        "calls itself",
    ),
    "functions that call each other": Case(
        lambda _: model([blocks.call("F", "x", "y")],
                        functions=[blocks.function("F", [blocks.call("G", "a", "b")]),
                                   blocks.function("G", [blocks.call("F", "a", "b")])]),
        "calls itself",
    ),
}  # fmt: skip
