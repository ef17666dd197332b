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


def _outputs(text: str, shape: tuple[int, ...], opset: int = 17, **weights: object) -> list[str]:
    """The outputs of the first node of a model that is left."""
    made = simplified(written(text, opset=opset, **weights), [shape])
    return list(made.graph.node[0].output)


def test_optional_outputs_at_the_end() -> None:
    text = """g (float[1,2,4,4] x) => (float[1,2,2,2] y) {
        a, i = MaxPool <kernel_shape=[3,3]> (x) y = Exp (a) }"""
    assert _outputs(text, (1, 2, 4, 4)) == ["a"]


def test_an_output_that_is_read_stays() -> None:
    text = """g (float[1,2,4,4] x) => (float[1,2,2,2] y) {
        a, i = MaxPool <kernel_shape=[3,3]> (x) c = Cast <to=1> (i) y = Add (a, c) }"""
    assert _outputs(text, (1, 2, 4, 4)) == ["a", "i"]


_GRU = """g (float[5,1,3] x) => (float[a,b,c] y) {{
    {0} = GRU <hidden_size=4> (x, w, r) y = Exp ({1}) }}"""
_GRU_WEIGHTS = {
    "w": np.linspace(-1, 1, 36, dtype=np.float32).reshape(1, 12, 3),
    "r": np.linspace(1, -1, 48, dtype=np.float32).reshape(1, 12, 4),
}


def test_optional_outputs_in_front() -> None:
    made = simplified(written(_GRU.format("s, h", "h"), **_GRU_WEIGHTS), [(5, 1, 3)])
    assert list(made.graph.node[0].output) == ["", "h"]


def test_optional_outputs_of_a_recurrent_layer_at_the_end() -> None:
    model = written(_GRU.format("s, h", "s").replace("[a,b,c]", "[a,b,c,d]"), **_GRU_WEIGHTS)
    assert list(simplified(model, [(5, 1, 3)]).graph.node[0].output) == ["s"]


def test_outputs_that_are_not_optional_stay() -> None:
    text = "g (float[4] x) => (int64[2] y) { v, i = TopK (x, k) y = Neg (i) }"
    assert _outputs(text, (4,), k=np.int64([2])) == ["v", "i"]


def test_an_output_that_the_model_gives_stays() -> None:
    text = """g (float[1,2,4,4] x) => (float[1,2,2,2] y, int64[1,2,2,2] i) {
        a, i = MaxPool <kernel_shape=[3,3]> (x) y = Exp (a) }"""
    assert _outputs(text, (1, 2, 4, 4)) == ["a", "i"]


def test_an_output_that_a_branch_reads_stays() -> None:
    text = """g (float[1,2,4,4] x) => (float[1,2,2,2] y) {
        a, i = MaxPool <kernel_shape=[3,3]> (x) s = ReduceMax <keepdims=0> (a) c = Cast <to=9> (s)
        y = If (c) <then_branch = t () => (float[1,2,2,2] u) { u = Cast <to=1> (i) },
                    else_branch = e () => (float[1,2,2,2] v) { v = Exp (a) }> }"""
    assert _outputs(text, (1, 2, 4, 4)) == ["a", "i"]


def test_outputs_within_a_branch() -> None:
    text = """g (float[1,2,4,4] x, bool c) => (float[1,2,2,2] y) {
        y = If (c) <then_branch = t () => (float[1,2,2,2] u) {
                        a, i = MaxPool <kernel_shape=[3,3]> (x) u = Exp (a) },
                    else_branch = e () => (float[1,2,2,2] v) {
                        b = AveragePool <kernel_shape=[3,3]> (x) v = Sin (b) }> }"""
    made = simplified(written(text), [(1, 2, 4, 4), ()])
    branch = next(a.g for a in made.graph.node[0].attribute if a.name == "then_branch")
    assert list(branch.node[0].output) == ["a"]


def test_imports_of_operator_sets() -> None:
    """ONNX's own stays, and so does one that a node within a body alone is of."""
    text = """g (float[2] x, bool c) => (float[2] y) {
        y = If (c) <then_branch = t () => (float[2] u) { u = com.microsoft.QuickGelu (x) },
                    else_branch = e () => (float[2] v) { v = Neg (x) }> }"""
    made = simplified(written(text, domains=["com.microsoft", "ai.onnx.ml", "my"]), [(2,), ()])
    assert {entry.domain for entry in made.opset_import} == {"", "com.microsoft"}


def test_imports_stay_where_the_rule_is_off() -> None:
    text = "g (float[2] x) => (float[2] y) { a = Identity (x) y = Neg (a) }"
    made = simplified(written(text, domains=["ai.onnx.ml"]), [(2,)], rules_off={"NX206"})
    assert {entry.domain for entry in made.opset_import} == {"", "ai.onnx.ml"}
