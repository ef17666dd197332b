"""Weights that stay in the bytes of their file are what protobuf would have made of them."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from small_models import branch_model, model, weight

from normonnx import model_io
from normonnx.errors import InvalidModelError, NormonnxError, UnreadableModelError
from normonnx.model_io import borrowing
from normonnx.model_io.encoding import opening
from normonnx.model_io.parse import parse_model

LARGE = 1 << 19
"""Elements of a weight that makes a file large enough to be borrowed from."""


def large(name: str = "l", dtype: type = np.float32, count: int = LARGE) -> TensorProto:
    values = np.random.default_rng(count).integers(-9, 9, count).astype(dtype)
    return numpy_helper.from_array(values, name)


def whole(content: bytes) -> tuple[ModelProto, int]:
    """What is parsed, with the borrowed data put back; and how many were borrowed."""
    proto, borrowed = borrowing.parse(content, "m")
    for index, raw in borrowed.items():
        assert not proto.graph.initializer[index].HasField("raw_data")
        proto.graph.initializer[index].raw_data = bytes(raw)
    return proto, len(borrowed)


def outcome(parse: Callable[[], ModelProto]) -> bytes | str:
    try:
        return parse().SerializeToString(deterministic=True)
    except NormonnxError as error:
        return f"{type(error).__name__} {error}"


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.uint64]
)
def test_a_borrowed_weight_is_the_weight(dtype: type) -> None:
    content = model(weight("a"), large("l", dtype, 1 << 20), weight("b")).SerializeToString()
    proto, count = whole(content)
    assert count == 1
    assert proto == parse_model(content, "m")
    stored = numpy_helper.to_array(ModelProto.FromString(content).graph.initializer[1])
    held = model_io.load(content).model.graph.initializers["l"].const_value
    assert held is not None
    assert type(held) is ir.Tensor
    assert held.name == "l"
    assert np.array_equal(held.numpy(), stored)
    assert held.numpy().dtype == stored.dtype
    written = ModelProto.FromString(model_io.dump(model_io.load(content).model))
    assert written.graph.initializer[1] == parse_model(content, "m").graph.initializer[1]


AS_IN_MEMORY = """FLOAT DOUBLE FLOAT16 BFLOAT16 INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64"""
TYPES = [name for name in TensorProto.DataType.keys() if name not in ("UNDEFINED", "STRING")]  # noqa: SIM118


@pytest.mark.parametrize("name", TYPES)
def test_of_which_types_weights_are_borrowed(name: str) -> None:
    """What protobuf holds in other widths, or packed, is its own to read."""
    kind = TensorProto.DataType.Value(name)
    dtype = ir.DataType(kind)
    tensor = TensorProto(name="l", data_type=kind, dims=[1 << 22], raw_data=bytes(4 << 20))
    tensor.raw_data = b"\1\0\0\1" * (int(dtype.itemsize * tensor.dims[0]) // 4)
    content = model(weight("a"), tensor).SerializeToString()
    proto, count = whole(content)
    assert count == (name in AS_IN_MEMORY.split())
    assert proto == ModelProto.FromString(content)
    held = model_io.load(content).model.graph.initializers["l"].const_value
    assert held is not None
    assert held.dtype == dtype
    assert np.array_equal(held.numpy(), numpy_helper.to_array(tensor))


def test_words_and_metadata_of_a_borrowed_weight_are_kept() -> None:
    tensor = large()
    tensor.doc_string = "what it is"
    tensor.metadata_props.add(key="a", value="b")
    content = model(weight("a"), tensor).SerializeToString()
    assert whole(content)[1] == 1
    assert (
        ModelProto.FromString(model_io.dump(model_io.load(content).model)).graph.initializer[1]
        == tensor
    )


def test_fields_after_the_raw_data_and_in_any_order_are_read() -> None:
    tensor = large()
    parts = [tensor.SerializeToString()]
    tensor.ClearField("raw_data")
    parts.append(TensorProto(doc_string="behind it").SerializeToString())
    message = model(weight("a"))
    graph = message.graph.SerializeToString()
    graph += opening(type(message.graph), "initializer", sum(map(len, parts))) + b"".join(parts)
    message.ClearField("graph")
    content = opening(ModelProto, "graph", len(graph)) + graph + message.SerializeToString()
    proto, count = whole(content)
    assert count == 1
    assert proto == parse_model(content, "m")
    assert proto.graph.initializer[-1].doc_string == "behind it"


def _twice() -> bytes:
    """The raw data are there twice, of which protobuf takes the last."""
    again = TensorProto(raw_data=b"1" * 4 * LARGE)
    tensor = large().SerializeToString() + again.SerializeToString()
    message = model(weight("a"))
    graph = message.graph.SerializeToString()
    graph += opening(type(message.graph), "initializer", len(tensor)) + tensor
    message.ClearField("graph")
    return message.SerializeToString() + opening(ModelProto, "graph", len(graph)) + graph


def _two_graphs() -> bytes:
    """Of two graphs protobuf makes one."""
    first, second = model(weight("a"), large("b")), model(weight("c"), large("d"))
    return first.SerializeToString() + second.SerializeToString()


def _elsewhere() -> bytes:
    tensor = large()
    tensor.data_location = TensorProto.EXTERNAL
    return model(weight("a"), tensor).SerializeToString()


def _packed() -> bytes:
    tensor = large("l", np.uint8)
    tensor.data_type, tensor.dims[0] = TensorProto.UINT4, 2 * LARGE
    return model(weight("a"), tensor).SerializeToString()


def _endless(inside: str) -> bytes:
    """A walk over it would take longer than anything else: a million fields of two bytes."""
    junk = b"\x78\x00" * (1 << 21)
    message = model(weight("a"), large())
    if inside == "graph":
        graph = message.graph.SerializeToString() + junk
    else:
        tensor = large("b").SerializeToString() + junk
        graph = message.graph.SerializeToString()
        graph += opening(type(message.graph), "initializer", len(tensor)) + tensor
    message.ClearField("graph")
    return message.SerializeToString() + opening(ModelProto, "graph", len(graph)) + graph


NOT_BORROWED: dict[str, Callable[[], bytes]] = {
    "small": lambda: model(weight("a"), large("b", count=1 << 14)).SerializeToString(),
    "typed fields": lambda: model(
        weight("a"), TensorProto(name="t", dims=[LARGE], data_type=1, float_data=range(LARGE))
    ).SerializeToString(),
    "the smaller part of the file": lambda: model(
        large("b"), *(large(f"s{i}", count=1 << 13) for i in range(80))
    ).SerializeToString(),
    "in a branch": lambda: branch_model(large()).SerializeToString(),
    "raw data twice": _twice,
    "two graphs": _two_graphs,
    "data elsewhere": _elsewhere,
    "four bits": _packed,
    "a million fields in the graph": lambda: _endless("graph"),
    "a million fields in a weight": lambda: _endless("weight"),
}


@pytest.mark.parametrize("case", NOT_BORROWED)
def test_what_is_not_plain_is_parsed_whole(case: str) -> None:
    content = NOT_BORROWED[case]()
    proto, count = whole(content)
    assert count == 0
    assert proto == ModelProto.FromString(content)


def test_too_much_or_too_little_data_is_refused_as_ever() -> None:
    for dims in (LARGE - 1, LARGE + 1):
        tensor = large()
        tensor.dims[0] = dims
        content = model(weight("a"), tensor).SerializeToString()
        assert whole(content)[1] == 1
        with pytest.raises(InvalidModelError, match=rf"holds {4 * LARGE} bytes"):
            model_io.load(content)
    tensor = large()
    tensor.float_data.append(1.0)
    with pytest.raises(InvalidModelError, match="its data twice"):
        model_io.load(model(weight("a"), tensor).SerializeToString())


def test_no_cut_makes_a_difference() -> None:
    content = model(weight("a"), large(), weight("b")).SerializeToString()
    for end in (*range(90), *range(len(content) - 90, len(content))):
        cut = content[:end]
        assert outcome(lambda: whole(cut)[0]) == outcome(lambda: parse_model(cut, "m"))  # noqa: B023


def test_no_change_of_a_byte_makes_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borrowing, "_BORROWED_FROM", 16)
    monkeypatch.setattr(borrowing, "_WORTHWHILE_FROM", 0)
    content = model(weight("a"), large("l", count=64), large("k", count=32)).SerializeToString()
    random = np.random.default_rng(9)
    borrowed = refused = 0
    for trial in range(4000):
        mutant = bytearray(content)
        for _ in range(1 + trial % 3):
            mutant[random.integers(len(mutant))] = random.integers(256)
        changed = bytes(mutant)
        expected = outcome(lambda: parse_model(changed, "m"))  # noqa: B023
        assert outcome(lambda: whole(changed)[0]) == expected  # noqa: B023
        refused += isinstance(expected, str)
        if isinstance(expected, bytes):
            borrowed += whole(changed)[1]
    assert borrowed > 1000
    assert refused > 300


def test_a_damaged_file_is_described_as_ever() -> None:
    content = model(weight("a"), large()).SerializeToString()
    with pytest.raises(UnreadableModelError, match="not an ONNX model"):
        model_io.load(content[:-100])
