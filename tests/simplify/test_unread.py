"""NX206: what no output depends on goes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.simplify.comparing import initializers, operators, simplified, written

_ONE = np.float32([1, 2])


def test_nodes_and_initializers() -> None:
    text = "g (float[2] x) => (float[2] y) { a = Pow (x, k) b = Sin (a) y = Neg (x) }"
    made = simplified(written(text, k=_ONE, unread=_ONE), [(2,)])
    assert operators(made) == "Neg"
    assert not initializers(made)


def test_inputs_stay_whether_they_are_read_or_not() -> None:
    text = "g (float[2] x, float[2] other) => (float[2] y) { a = Neg (other) y = Neg (x) }"
    made = simplified(written(text), [(2,), (2,)])
    assert [v.name for v in made.graph.input] == ["x", "other"]


def test_an_initializer_that_is_an_input_stays() -> None:
    text = "g (float[2] x, float[2] k) => (float[2] y) { a = Pow (x, k) y = Neg (x) }"
    made = simplified(written(text, k=_ONE), [(2,)])
    assert list(initializers(made)) == ["k"]


def test_an_initializer_that_is_an_output_stays() -> None:
    text = "g (float[2] x) => (float[2] y, float[2] k) { y = Neg (x) }"
    assert list(initializers(simplified(written(text, k=_ONE), [(2,)]))) == ["k"]


def test_what_a_branch_alone_reads_stays() -> None:
    text = """g (float[2] x, bool c) => (float[2] y) {
        a = Exp (x)
        y = If (c) <then_branch = t () => (float[2] u) { u = Pow (a, k) },
                    else_branch = e () => (float[2] v) { d = Sin (x) v = Neg (x) }> }"""
    made = simplified(written(text, k=_ONE), [(2,), ()])
    assert operators(made) in ("Exp If Neg Pow", "Exp If Pow Neg")
    assert list(initializers(made)) == ["k"]


def test_an_if_that_nobody_reads_goes_with_what_it_alone_read() -> None:
    text = """g (float[2] x, bool c) => (float[2] y) {
        a = Exp (x)
        z = If (c) <then_branch = t () => (float[2] u) { u = Pow (a, k) },
                    else_branch = e () => (float[2] v) { v = Neg (a) }>
        y = Sin (x) }"""
    made = simplified(written(text, k=_ONE), [(2,), ()])
    assert operators(made) == "Sin"
    assert not initializers(made)


def test_a_node_of_which_one_output_is_read_stays() -> None:
    text = """g (float[4] x) => (float[2] y) {
        a, b = Split <axis=0> (x, s) c = Exp (b) y = Neg (a) }"""
    made = simplified(written(text, s=np.int64([2, 2])), [(4,)])
    assert operators(made) == "Split Neg"


def test_functions_and_what_a_body_does_not_read() -> None:
    text = """g (float[2] x) => (float[2] y) {
        y = Loop (n, go, x) <body = b (int64 i, bool g0, float[2] s) => (bool g1, float[2] t) {
            g1 = Identity (g0) d = Exp (s) t = Sin (s) }> }"""
    model = written(text, n=np.int64(2), go=np.bool_(True))
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    made = simplified(model, [(2,)])
    assert "Exp" not in operators(made)
    assert not made.functions


def test_an_operator_without_outputs_is_no_dead_one() -> None:
    """One of another domain, which prints for instance: it is there for what it does."""
    text = "g (float[2] x) => (float[2] y) { a = Exp (x) y = Sin (x) b = Sin (x) }"
    model = written(text, domains=["my"])
    model.graph.node.append(helper.make_node("Print", ["a"], [], domain="my"))
    assert operators(simplified(model)) == "Exp Sin Print"


def test_shapes_and_notes_stay_true() -> None:
    """Of what is left the declarations, doc strings and metadata; none of what is gone."""
    text = "g (float[2,3] x) => (float[3,2] y) { a = Identity (x) b = Exp (a) y = Transpose (b) }"
    model = written(text)
    model.doc_string = model.graph.doc_string = "a note"
    model.graph.node[1].doc_string = "of the Exp"
    helper.set_model_props(model, {"author": "somebody"})
    for name in "ab":
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3])
        model.graph.value_info.append(info)
    made = simplified(model, [(2, 3)])
    assert [v.name for v in made.graph.value_info] == ["b"]
    assert (made.doc_string, made.graph.doc_string) == ("a note", "a note")
    assert made.graph.node[0].doc_string == "of the Exp"
    assert [(p.key, p.value) for p in made.metadata_props] == [("author", "somebody")]


def test_quantisation_annotations_stay_with_their_tensors() -> None:
    text = "g (float[2] x) => (float[2] y) { a = Identity (x) b = Exp (a) y = Sin (b) }"
    model = written(text, scale=np.float32(0.5))
    note = onnx.TensorAnnotation(tensor_name="b")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scale")
    model.graph.quantization_annotation.append(note)
    made = simplified(model, [(2,)])
    assert [n.tensor_name for n in made.graph.quantization_annotation] == ["b"]
    assert "scale" in initializers(made)
