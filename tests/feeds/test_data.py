"""Feeds of the user, from every kind of file."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from normonnx.errors import UnreadableModelError, UsageError
from normonnx.feeds.data import feeds_from
from tests.judge.building import graph_model

INPUTS = list(
    ir.from_proto(
        graph_model("(float[2] x, int64[1] i) => (float[1] y) { y = Gather(x, i) }")
    ).graph.inputs
)
X, INDEX = np.array([1, 2], np.float32), np.array([1])


def write_set(folder: Path, *arrays: np.ndarray, names: tuple[str, ...] = ("", "")) -> None:
    folder.mkdir(parents=True)
    for number, (array, name) in enumerate(zip(arrays, names, strict=True)):
        tensor = onnx.numpy_helper.from_array(array, name)
        (folder / f"input_{number}.pb").write_bytes(tensor.SerializeToString())


def test_an_archive_gives_one_feed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, i=INDEX)
    (feed,) = feeds_from(tmp_path / "a.npz", INPUTS)
    assert feed.title == "a.npz"
    assert feed.decisive
    assert feed.inputs["x"].tolist() == [1, 2]


def test_one_array_is_the_one_input(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    (feed,) = feeds_from(tmp_path / "a.npy", INPUTS[:1])
    assert feed.inputs["x"].tolist() == [1, 2]
    with pytest.raises(UsageError, match="the model has 2 inputs"):
        feeds_from(tmp_path / "a.npy", INPUTS)


def test_a_test_data_set_goes_by_order_or_by_name(tmp_path: Path) -> None:
    write_set(tmp_path / "test_data_set_0", X, INDEX)
    write_set(tmp_path / "test_data_set_1", INDEX, X, names=("i", "x"))
    (alone,) = feeds_from(tmp_path / "test_data_set_0", INPUTS)
    assert alone.inputs["i"].tolist() == [1]
    feeds = feeds_from(tmp_path, INPUTS)
    assert [f.title for f in feeds] == ["test_data_set_0", "test_data_set_1"]
    assert [f.draw for f in feeds] == [0, 1]
    assert all(f.inputs["x"].tolist() == [1, 2] for f in feeds)


def test_tensors_are_sorted_by_number(tmp_path: Path) -> None:
    inputs = [
        ir.Value(name=f"v{n}", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([1]))
        for n in range(11)
    ]
    names = ("",) * 11
    write_set(tmp_path / "set", *(np.array([n]) for n in range(11)), names=names)
    (feed,) = feeds_from(tmp_path / "set", inputs)
    assert [int(feed.inputs[f"v{n}"][0]) for n in range(11)] == list(range(11))


def test_types_are_fitted_where_nothing_is_lost_but_digits(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X.astype(np.float64), i=INDEX.astype(np.int32))
    (feed,) = feeds_from(tmp_path / "a.npz", INPUTS)
    assert feed.inputs["x"].dtype == np.float32
    assert feed.inputs["i"].dtype == np.int64
    np.savez(tmp_path / "b.npz", x=X, i=INDEX.astype(np.float32))
    with pytest.raises(UsageError, match="float32, the model takes int64"):
        feeds_from(tmp_path / "b.npz", INPUTS)


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    with pytest.raises(UsageError, match="has no array 'i'"):
        feeds_from(tmp_path / "a.npz", INPUTS)
    (tmp_path / "b.npz").write_bytes(b"no archive")
    with pytest.raises(UnreadableModelError, match="cannot read"):
        feeds_from(tmp_path / "b.npz", INPUTS)
    with pytest.raises(UnreadableModelError):
        feeds_from(tmp_path / "none.npz", INPUTS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no data in"):
        feeds_from(tmp_path / "empty", INPUTS)
    (tmp_path / "c.txt").write_text("1")
    with pytest.raises(UsageError, match="is not a kind of data"):
        feeds_from(tmp_path / "c.txt", INPUTS)


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object), i=INDEX)
    with pytest.raises(UnreadableModelError):
        feeds_from(tmp_path / "a.npz", INPUTS)


def wrapped(text: str) -> list[ir.Value]:
    return list(ir.from_proto(graph_model(text, opset=18)).graph.inputs)


SEQUENCE = wrapped("(seq(float[n]) s) => (int64 y) { y = SequenceLength(s) }")
MAYBE = wrapped("(optional(float[n]) s) => (bool y) { y = OptionalHasElement(s) }")
TENSORS = [np.array([1, 2], np.float32), np.array([3], np.float32)]


def test_sequences_from_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"s[0]": TENSORS[0], "s[1]": TENSORS[1]})
    (feed,) = feeds_from(tmp_path / "a.npz", SEQUENCE)
    assert [a.tolist() for a in feed.inputs["s"]] == [[1, 2], [3]]
    np.savez(tmp_path / "b.npz", s=np.eye(2))
    (feed,) = feeds_from(tmp_path / "b.npz", SEQUENCE)
    assert [a.tolist() for a in feed.inputs["s"]] == [[1, 0], [0, 1]]
    assert feed.inputs["s"][0].dtype == np.float32
    np.savez(tmp_path / "c.npz", t=np.eye(2))
    with pytest.raises(UsageError, match="has no array 's'"):
        feeds_from(tmp_path / "c.npz", SEQUENCE)


@pytest.mark.parametrize("kept", ["a.npz", "set", "function"])
def test_an_optional_input_may_be_absent(tmp_path: Path, kept: str) -> None:
    if kept == "set":
        (tmp_path / "set").mkdir()
        absent = onnx.numpy_helper.from_optional(None, "s")
        (tmp_path / "set" / "input_0.pb").write_bytes(absent.SerializeToString())
    elif kept == "a.npz":
        np.savez(tmp_path / "a.npz", other=np.eye(2))
    data = (lambda: [{"s": None}]) if kept == "function" else tmp_path / kept
    (feed,) = feeds_from(data, MAYBE)
    assert feed.inputs == {"s": None}


def test_sequences_in_the_layout_of_onnx_and_from_a_function(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    stored = onnx.numpy_helper.from_list(TENSORS, "s")
    (tmp_path / "set" / "input_0.pb").write_bytes(stored.SerializeToString())
    inputs = [*INPUTS[:1], *SEQUENCE]
    tensor = onnx.numpy_helper.from_array(X, "x")
    (tmp_path / "set" / "input_1.pb").write_bytes(tensor.SerializeToString())
    (feed,) = feeds_from(tmp_path / "set", inputs)  # by name, in another order
    assert [a.tolist() for a in feed.inputs["s"]] == [[1, 2], [3]]
    assert feed.inputs["x"].tolist() == [1, 2]
    (feed,) = feeds_from(lambda: [{"s": tuple(TENSORS)}], SEQUENCE)
    assert [a.tolist() for a in feed.inputs["s"]] == [[1, 2], [3]]
    with pytest.raises(UsageError, match="is not an array of one shape"):
        feeds_from(lambda: [{"s": [1, [2, 3]]}], MAYBE)


def test_bfloat16_is_read_from_what_numpy_keeps_of_it(tmp_path: Path) -> None:
    inputs = wrapped("(bfloat16[n] x) => (bfloat16[n] y) { y = Identity(x) }")
    for given in (X.astype(ml_dtypes.bfloat16), X):
        np.savez(tmp_path / "a.npz", x=given)
        (feed,) = feeds_from(tmp_path / "a.npz", inputs)
        assert feed.inputs["x"].dtype == ml_dtypes.bfloat16
        assert feed.inputs["x"].tolist() == [1, 2]
