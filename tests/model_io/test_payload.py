"""A tensor in the file holds what its type and shape say, in one place, for every type."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper
from small_models import model, weight

from normonnx import model_io
from normonnx.errors import InvalidModelError

TYPED = {
    "FLOAT": [0.5] * 5,
    "DOUBLE": [0.5] * 5,
    "FLOAT16": [1] * 5,
    "BFLOAT16": [1] * 5,
    "INT8": [1] * 5,
    "BOOL": [1] * 5,
    "INT64": [1] * 5,
    "UINT32": [1] * 5,
    "COMPLEX64": [1 + 2j] * 5,
    "COMPLEX128": [1 + 2j] * 5,
    "STRING": [b"a"] * 5,
    "INT4": [1] * 5,
    "UINT4": [1] * 5,
    "FLOAT8E4M3FN": [1.0] * 5,
    "FLOAT4E2M1": [1.0] * 5,
}


def load(tensor: TensorProto) -> Any:
    proto = model(weight())
    proto.graph.initializer.append(tensor)
    return model_io.load(proto).model.graph.initializers[tensor.name].const_value


@pytest.mark.parametrize("name", TYPED)
def test_typed_fields(name: str) -> None:
    dtype = getattr(TensorProto, name)
    tensor = helper.make_tensor("v", dtype, [5], TYPED[name])
    assert load(tensor).shape == (5,)
    tensor.dims[0] = 9
    with pytest.raises(InvalidModelError, match="type and shape need"):
        load(tensor)


RAW = [np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.bool_, ml_dtypes.float8_e5m2]


@pytest.mark.parametrize("dtype", RAW)
def test_raw_data(dtype: Any) -> None:
    import onnx_ir as ir

    tensor = ir.to_proto(ir.tensor(np.ones((2, 3), dtype), name="v"))
    assert load(tensor).shape == (2, 3)
    tensor.raw_data = tensor.raw_data + b"\0"
    with pytest.raises(InvalidModelError, match="bytes, its type and shape need"):
        load(tensor)


@pytest.mark.parametrize(("bits", "count", "nbytes"), [("INT4", 5, 3), ("UINT4", 4, 2)])
def test_packed_raw_data(bits: str, count: int, nbytes: int) -> None:
    tensor = TensorProto(name="v", data_type=getattr(TensorProto, bits), dims=[count])
    tensor.raw_data = bytes(nbytes)
    assert load(tensor).shape == (count,)


def test_nothing_is_enough_for_no_elements_only() -> None:
    assert load(TensorProto(name="v", data_type=TensorProto.FLOAT, dims=[0, 3])).shape == (0, 3)
    for dtype in (TensorProto.FLOAT, TensorProto.STRING):
        with pytest.raises(InvalidModelError, match="holds 0"):
            load(TensorProto(name="v", data_type=dtype, dims=[3]))


def test_texts_as_raw_data() -> None:
    tensor = TensorProto(name="v", data_type=TensorProto.STRING, dims=[2], raw_data=b"ab")
    with pytest.raises(InvalidModelError, match="texts as raw data, where they have no ends"):
        load(tensor)
