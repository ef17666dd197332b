"""A model in pieces is what protobuf writes of it, and its weights come one at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from small_models import branch_model, constant_function, model, weight

from normonnx import model_io
from normonnx.errors import WriteError
from normonnx.model_io import streaming
from normonnx.model_io.streaming import pieces

LARGE = 1 << 15  # elements, more than 64 KiB in every type of 2 bytes and more


def _large(name: str, dtype: type = np.float32) -> TensorProto:
    values = np.random.default_rng(0).integers(-9, 9, LARGE).astype(dtype)
    return numpy_helper.from_array(values, name)


def _typed() -> TensorProto:
    """A large weight that is not in raw_data."""
    return onnx.helper.make_tensor("t", TensorProto.FLOAT, [LARGE], np.arange(LARGE) / 3)


def _documented() -> TensorProto:
    tensor = _large("d", np.int64)
    tensor.doc_string = "what it is"
    tensor.metadata_props.add(key="a", value="b")
    tensor.metadata_props.add(key="c", value="d")
    return tensor


def _listed() -> ModelProto:
    """Its initializers are inputs, too."""
    proto = model(weight(), _large("l"))
    proto.graph.input.add().CopyFrom(
        onnx.helper.make_tensor_value_info("l", TensorProto.FLOAT, [LARGE])
    )
    return proto


def _quantised() -> ModelProto:
    proto = model(weight(), _large("q", np.int16))
    note = proto.graph.quantization_annotation.add(tensor_name="q")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
    return proto


MODELS: dict[str, Callable[[], ModelProto]] = {
    "small": model,
    "large among small": lambda: model(weight(), _large("a"), weight("b"), _large("c")),
    "half precision": lambda: model(weight(), _large("h", np.float16)),
    "bfloat16": lambda: model(weight(), _large("h", ml_dtypes.bfloat16)),
    "not raw": lambda: model(weight(), _typed(), _large("a")),
    "with words": lambda: model(weight(), _documented()),
    "listed as inputs": _listed,
    "quantisation annotated": _quantised,
    "branches": lambda: branch_model(_large("a")),
    "functions": lambda: model(weight(), _large("a"), functions=(constant_function(weight("c")),)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_pieces_are_what_protobuf_writes(name: str) -> None:
    loaded = model_io.load(MODELS[name]()).model
    whole = b"".join(pieces(loaded))
    parsed = ModelProto.FromString(whole)
    assert parsed.SerializeToString(deterministic=True) == whole
    expected = ir.to_proto(loaded)
    for tensor in expected.graph.initializer:
        # onnx_ir writes the metadata of a tensor twice.
        del tensor.metadata_props[len({entry.key for entry in tensor.metadata_props}) :]
    assert parsed == expected


def test_new_weights_are_written_as_tensors_that_were_read() -> None:
    loaded = model_io.load(model(weight(), _large("a"))).model
    value = loaded.graph.initializers["a"]
    assert value.const_value is not None
    before = b"".join(pieces(loaded))
    value.const_value = ir.Tensor(value.const_value.numpy().copy(), name="a")
    assert b"".join(pieces(loaded)) == before


def test_one_weight_is_in_memory_at_a_time() -> None:
    count, rows = 8, 1 << 20
    loaded = model_io.load(model()).model
    for i in range(count):
        tensor = ir.Tensor(np.full(rows, i, dtype=np.float32), name=f"v{i}")
        value = ir.Value(name=f"v{i}", shape=ir.Shape([rows]), const_value=tensor)
        value.dtype = ir.DataType.FLOAT
        loaded.graph.register_initializer(value)
    tracemalloc.start()
    try:
        total = sum(len(piece) for piece in pieces(loaded))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > count * rows * 4
    assert peak < 3 * rows * 4


def test_what_protobuf_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = model_io.load(model(weight(), _large("a"))).model
    size = len(b"".join(pieces(loaded)))
    monkeypatch.setattr(streaming, "PROTOBUF_LIMIT", size)
    assert sum(len(piece) for piece in pieces(loaded)) == size
    monkeypatch.setattr(streaming, "PROTOBUF_LIMIT", size - 1)
    with pytest.raises(WriteError, match="too large for one file"):
        next(pieces(loaded))


class _Short(ir.Tensor):
    """Says that it has more bytes than it hands out."""

    def tobytes(self) -> bytes:
        return super().tobytes()[:-1]


def test_a_tensor_that_is_shorter_than_it_says_spoils_no_file() -> None:
    loaded = model_io.load(model(weight(), _large("a"))).model
    value = loaded.graph.initializers["a"]
    assert value.const_value is not None
    value.const_value = _Short(value.const_value.numpy().copy(), name="a")
    with pytest.raises(WriteError, match="not as long as it says"):
        list(pieces(loaded))
