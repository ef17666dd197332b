"""`normonnx run`: a model once, its outputs shown and saved so that `verify --data` reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from normonnx.running import run as run_model
from tests.graphs import proto
from tests.judge.building import respelled

Run = Callable[..., tuple[int, str, str]]
_KINDS = {
    "float": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "double": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}
"""ONNX Runtime's Python interface takes no text of rank 0."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    made = proto(
        "(float[N, 3] x, int64[N] i) => (float[N, 4] y, int64[N] j) "
        "{ y = MatMul (x, w) j = Add (i, i) }",
        w=(3, 4),
    )
    onnx.save(made, path)
    return path


def test_it_shows_what_came_out(model: Path, run: Run) -> None:
    code, out, err = run("run", model)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[-1].startswith("normonnx: RAN model.onnx, 1 run · CPUExecutionProvider · ")
    (row,) = (line for line in lines if line.split()[:2] == ["out", "y"])
    assert row.split()[2:5] == ["float32", "[2,", "4]"]
    code, out, err = run("run", model, "-q")
    assert (code, len(out.splitlines()), err) == (0, 1, "")


@pytest.mark.parametrize("name", ["data.npz", "folder"])
def test_verify_reads_what_was_saved(model: Path, run: Run, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    code, _, err = run("run", model, "--save-outputs", place, "--seed", 3)
    assert code == 0
    assert "written to" in err
    other = tmp_path / "other.onnx"
    onnx.save(respelled(onnx.load(model)), other)
    code, out, _ = run("verify", model, other, "--data", place)
    assert code == 0
    assert "1 feed" in out
    # Run again on them, the model gives the same outputs.
    again = tmp_path / "again.npz"
    run("run", model, "--data", place, "--save-outputs", again, "-q")
    generated = run_model(model, seed=3).runs[0]
    with np.load(again) as stored:
        assert set(stored) == {"x", "i", "y", "j"}
        np.testing.assert_array_equal(stored["x"], generated.inputs["x"])
        np.testing.assert_array_equal(stored["y"], generated.outputs["y"])


def test_the_layout_of_onnx(model: Path, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "folder" / "test_data_set_0"
    folder.mkdir(parents=True)
    (folder / "output_7.pb").write_bytes(b"of an older run")
    run("run", model, "--save-outputs", tmp_path / "folder")
    tensors = {}
    for file in sorted(folder.iterdir()):
        tensor = TensorProto.FromString(file.read_bytes())
        tensors[file.name] = (tensor.name, numpy_helper.to_array(tensor))
    assert [(file, name) for file, (name, _) in tensors.items()] == [
        ("input_0.pb", "x"),
        ("input_1.pb", "i"),
        ("output_0.pb", "y"),
        ("output_1.pb", "j"),
    ]
    np.testing.assert_array_equal(tensors["output_1.pb"][1], 2 * tensors["input_1.pb"][1])


def test_several_sets(model: Path, run: Run, tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    sets.mkdir()
    for number in range(2):
        arrays = {"x": np.full((number + 1, 3), number, np.float32)}
        np.savez(sets / f"set{number}.npz", **arrays, i=np.arange(number + 1))
    code, _, err = run("run", model, "--data", sets, "--save-outputs", tmp_path / "all.npz")
    assert code == 2
    assert "2 sets of inputs do not fit into all.npz" in err
    assert not (tmp_path / "all.npz").exists()
    code, out, _ = run("run", model, "--data", sets, "--save-outputs", tmp_path / "all")
    assert code == 0
    assert "2 runs" in out
    assert {p.name for p in (tmp_path / "all").iterdir()} == {"test_data_set_0", "test_data_set_1"}


def test_sequences_are_written(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "sequence.onnx"
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x", "x"], ["s"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    code, out, err = run("run", path, "--save-outputs", tmp_path / "o.npz")
    assert code == 0, err
    assert "sequence of 2" in out
    with np.load(tmp_path / "o.npz") as stored:
        assert set(stored) == {"x", "s[0]", "s[1]"}
    code, _, _ = run("run", path, "--save-outputs", tmp_path / "o")
    assert code == 0
    sequence = onnx.SequenceProto.FromString(
        (tmp_path / "o" / "test_data_set_0" / "output_0.pb").read_bytes()
    )
    assert len(numpy_helper.to_list(sequence)) == 2


@pytest.mark.parametrize(
    "text",
    [
        """(seq(float[2]) s, float[2] x) => (float[2] y) {
            z = Constant <value_int = 1> () a = SequenceAt(s, z) y = Add(a, x) }""",
        """(optional(seq(float[2])) s, float[2] x) => (seq(float[2]) y) {
            a = OptionalGetElement(s) y = SequenceInsert(a, x) }""",
        """(optional(float[2]) s, float[2] x) => (float[2] y) {
            a = OptionalGetElement(s) y = Add(a, x) }""",
    ],
)
@pytest.mark.parametrize("place", ["o.npz", "o"])
def test_what_is_written_of_sequences_and_optionals_is_read(
    run: Run, tmp_path: Path, text: str, place: str
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(proto(text, opset=18), path)
    code, _, err = run("run", path, "--save-outputs", tmp_path / place)
    assert code == 0, err
    code, out, err = run("verify", path, path, "--data", tmp_path / place)
    assert code == 0, out + err


def test_types_that_an_archive_cannot_hold(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    onnx.save(proto("(bfloat16[N] x) => (bfloat16[N] y) { y = Identity (x) }"), path)
    code, _, err = run("run", path, "--save-outputs", tmp_path / "o.npz")
    assert code == 2
    assert "an .npz cannot hold 'x', which is bfloat16" in err
    assert "test_data_set_0" in err
    code, _, err = run("run", path, "--save-outputs", tmp_path / "o")
    assert code == 0, err
    code, out, err = run("verify", path, path, "--data", tmp_path / "o")
    assert code == 0, out + err


def test_texts(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "texts.onnx"
    made = proto("(string[N] x) => (string[N] y) { y = Identity (x) }")
    onnx.save(made, path)
    data = tmp_path / "in.npz"
    np.savez(data, x=np.array(["ü", "abc"]))
    for place in (tmp_path / "out.npz", tmp_path / "out"):
        code, out, err = run("run", path, "--data", data, "--save-outputs", place)
        assert (code, "string" in out) == (0, True), err
        code, out, err = run("verify", path, path, "--data", place)
        assert code == 0, err


def test_what_goes_wrong_is_one_error(model: Path, run: Run, tmp_path: Path) -> None:
    assert run("run", tmp_path / "missing.onnx")[0] == 3
    unknown = tmp_path / "unknown.onnx"
    onnx.save(proto("(float[N] x) => (float[N] y) { y = NoSuchThing(x) }"), unknown)
    code, _, err = run("run", unknown)
    assert code == 3
    assert err.count("error[") == 1
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.zeros((1, 5), np.float32), i=np.zeros(1, np.int64))
    code, _, err = run("run", model, "--data", wrong)
    assert code == 3
    assert "does not run the model" in err
    np.savez(wrong, other=np.zeros(3))
    code, _, err = run("run", model, "--data", wrong)
    assert code == 2
    assert "has no array 'x'" in err


@pytest.mark.parametrize("kind", _KINDS)
def test_scalars(run: Run, tmp_path: Path, kind: str) -> None:
    """ONNX Runtime takes arrays of rank 0, and no NumPy scalars."""
    path = tmp_path / "scalar.onnx"
    code = _KINDS[kind]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", code, [])],
        [helper.make_tensor_value_info("y", code, [])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    code, _, err = run("run", path)
    assert code == 0, err
    assert run("verify", path, path)[0] == 0


def test_names_that_numpy_has_parameters_of(run: Run, tmp_path: Path) -> None:
    path, place = tmp_path / "model.onnx", tmp_path / "OUT.NPZ"
    onnx.save(proto("(float[2] file) => (float[2] args) { args = Neg (file) }"), path)
    code, _, err = run("run", path, "--save-outputs", place)
    assert code == 0, err
    with np.load(place) as stored:
        assert set(stored) == {"file", "args"}


def test_a_model_without_inputs(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(proto("() => (float[2] y) { y = Neg (w) }", w=(2,)), path)
    for place in (tmp_path / "o", tmp_path / "o.npz"):
        assert run("run", path, "--save-outputs", place)[0] == 0
        assert run("run", path, "--data", place)[0] == 0
        assert run("verify", path, path, "--data", place)[0] == 0


@pytest.mark.parametrize("place", ["-", "", "."])
def test_places_that_are_none(model: Path, run: Run, place: str) -> None:
    code, _, err = run("run", model, "--save-outputs", place)
    assert code == 2
    assert "outputs cannot be saved to" in err
