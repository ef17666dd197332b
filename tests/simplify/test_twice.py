"""NX204: what is said twice is said once, and what only looks like it is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import normonnx
from tests.graphs import proto
from tests.simplify.comparing import initializers, operators, simplified, written


def _sum(parts: str, opset: int = 17, dims: str = "2,3", **weights: object) -> str:
    text = f"g (float[{dims}] x) => (float[a,b] y) {{ {parts} y = Sub (a, b) }}"
    return operators(simplified(written(text, opset=opset, **weights), [(2, 3)]))


def test_the_same_operator_on_the_same_input() -> None:
    assert _sum("a = Exp (x) b = Exp (x)") == "Exp Sub"


def test_a_whole_chain() -> None:
    assert _sum("c = Exp (x) a = Sin (c) d = Exp (x) b = Sin (d)") == "Exp Sin Sub"


def test_equal_attributes() -> None:
    assert _sum("a = Elu <alpha=0.5> (x) b = Elu <alpha=0.5> (x)") == "Elu Sub"


@pytest.mark.parametrize(
    "parts",
    [
        "a = Exp (x) b = Sin (x)",
        "a = Elu <alpha=0.5> (x) b = Elu <alpha=0.25> (x)",
        "a = LeakyRelu <alpha=0.0> (x) b = LeakyRelu <alpha=-0.0> (x)",
        "a = Pow (x, k) b = Pow (k, x)",
        "a = Softmax <axis=0> (x) b = Softmax <axis=1> (x)",
        "a = Softmax <axis=1> (x) b = Softmax (x)",
    ],
)
def test_one_fact_apart(parts: str) -> None:
    weights = {"k": np.float32(2)} if "k)" in parts or "k," in parts else {}
    assert len(_sum(parts, **weights).split()) == 3


def test_zeros_of_either_sign_are_two_constants() -> None:
    parts = "a = Div (x, k) b = Div (x, m)"
    assert _sum(parts, k=np.float32(0), m=np.float32(-0.0)) == "Div Div Sub"


def test_equal_initializers() -> None:
    w = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    text = """g (float[2,3] x) => (float[2,3] y) {
        c = MatMul (x, u) d = Sin (c) e = MatMul (d, v) y = Cos (e) }"""
    made = simplified(written(text, u=w, v=w.copy()), [(2, 3)])
    assert list(initializers(made)) == ["u"]


@pytest.mark.parametrize(
    "other",
    [np.float32([[1, 2, 3]]), np.float32([1, 2, 3.0000002]), np.float64([1, 2, 3]),
     np.int32([1, 2, 3])],
)  # fmt: skip
def test_initializers_that_differ_in_type_shape_or_a_bit(other: np.ndarray) -> None:
    text = """g (float[2,3] x) => (float[2,3] y) {
        c = Pow (x, u) w = Cast <to=1> (x) y = Pow (c, v) }"""
    model = written(text, u=np.float32([1, 2, 3]), v=other)
    made = simplified(model, [(2, 3)])
    assert len(initializers(made)) == 2


def test_an_initializer_that_may_be_overridden_is_another() -> None:
    text = """g (float[3] x, float[3] v) => (float[3] y) { c = Pow (x, u) y = Pow (c, v) }"""
    one = np.float32([1, 2, 3])
    made = simplified(written(text, u=one, v=one), [(3,)])
    assert len(initializers(made)) == 2


def test_what_a_training_normalisation_writes_into_is_apart() -> None:
    """ONNX Runtime writes the running statistics into the buffers of what it reads."""
    one = np.float32([1, 1, 1])
    text = """g (float[2,3] x) => (float[2,3] y, float[3] m, float[3] v) {
        y, m, v = BatchNormalization <training_mode=1> (x, s, b, mean, var) }"""
    zero = np.zeros(3, np.float32)
    made = simplified(written(text, s=one, b=zero, mean=zero, var=one), [(2, 3)])
    assert len(initializers(made)) == 4


@pytest.mark.parametrize(
    "kind", ["RandomUniformLike <seed=1.0>", "RandomNormalLike", "Bernoulli <seed=2.0>"]
)
def test_random_numbers_are_drawn_twice(kind: str) -> None:
    text = f"g (float[4] x) => (float[4] y) {{ a = {kind} (x) b = {kind} (x) y = Sub (a, b) }}"
    assert operators(simplified(written(text))).count(kind.split()[0]) == 2


def test_an_output_that_is_left_out() -> None:
    """The one that gives fewer outputs does not stand for the one that gives more."""
    text = """g (float[1,2,4] x) => (float[1,2,2] y, int64[1,2,2] i) {
        a, = MaxPool <kernel_shape=[2], strides=[2]> (x)
        b, i = MaxPool <kernel_shape=[2], strides=[2]> (x)
        y = Add (a, b) }"""
    model = written(text.replace("a, =", "a ="))
    model.graph.node[0].output.append("")
    made = simplified(model, [(1, 2, 4)])
    assert all(name for node in made.graph.node for name in node.input)


def test_two_outputs_of_the_model_keep_their_nodes() -> None:
    text = "g (float[n] x) => (float[n] y, float[n] z) { y = Exp (x) z = Exp (x) }"
    made = simplified(written(text), [(3,)])
    assert [v.name for v in made.graph.output] == ["y", "z"]


def test_equal_branches_are_equal_and_others_are_not() -> None:
    branch = """If (c) <then_branch = t () => (float[n] u) {{ u = Exp (x) }},
                        else_branch = e () => (float[n] v) {{ v = {} (x) }}>"""
    for other, left in (("Sin", "If"), ("Cos", "If If")):
        text = f"""g (float[n] x, bool c) => (float[n] y) {{
            a = {branch.format("Sin")} b = {branch.format(other)} y = Sub (a, b) }}"""
        made = simplified(written(text), [(3,), ()])
        found = [n.op_type for n in made.graph.node if n.op_type == "If"]
        assert " ".join(found) in (left, "If If")
        assert len(found) == 2 or other == "Sin"


def test_the_same_in_two_branches_stays_in_both() -> None:
    text = """g (float[n] x, bool c) => (float[n] y) {
        y = If (c) <then_branch = t () => (float[n] u) { p = Exp (x) u = Neg (p) },
                    else_branch = e () => (float[n] v) { q = Exp (x) v = Sin (q) }> }"""
    assert operators(simplified(written(text), [(3,), ()])).count("Exp") == 2


def test_operators_of_an_unknown_domain_may_draw_numbers() -> None:
    text = "g (float[n] x) => (float[n] y) { a = my.Draw (x) b = my.Draw (x) y = Sub (a, b) }"
    assert operators(simplified(written(text, domains=["my"]))) == "Draw Draw Sub"


_IF = """If (c) <then_branch = t () => (float[2] u{0}) {{ p{0} = Exp (x) u{0} = Pow (p{0}, {1}) }},
                else_branch = e () => (float[2] v{0}) {{ v{0} = {2} (x) }}>"""


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [
        (("k", "Neg"), ("k", "Neg"), 1),
        (("k", "Neg"), ("l", "Neg"), 1),
        (("k", "Neg"), ("m", "Neg"), 2),
        (("k", "Neg"), ("k", "Abs"), 2),
        (("k", "Neg"), ("x", "Neg"), 2),
    ],
)
def test_conditions_with_the_same_branches(
    one: tuple[str, str], other: tuple[str, str], left: int
) -> None:
    """By what the branches compute, and not by the names in them; constants by their content."""
    text = f"""g (float[2] x, bool c) => (float[2] y) {{
        a = {_IF.format(1, *one)} b = {_IF.format(2, *other)} y = Sub (a, b) }}"""
    used = {n: w for n, w in {"k": 2.0, "l": 2.0, "m": 2.5}.items() if f", {n})" in text}
    model = written(text, **{n: np.float32(w) for n, w in used.items()})
    assert operators(simplified(model, [(2,), ()])).split().count("If") == left


_LOOP = """Loop (n, go, x) <body = b (int64 i{0}, bool g{0}, float[2] s{0})
    => (bool h{0}, float[2] t{0}, float[2] o{0}) {{
        h{0} = Identity (g{0}) o{0} = {1} (s{0}) t{0} = {2} (o{0}, {3}) }}>"""


@pytest.mark.parametrize(
    ("second", "left"),
    [(("Exp", "Add", "w"), 1), (("Sin", "Add", "w"), 2), (("Exp", "Sub", "w"), 2),
     (("Exp", "Add", "x"), 2), (("Exp", "Add", "s2"), 2)],
)  # fmt: skip
def test_loops_with_the_same_body(second: tuple[str, str, str], left: int) -> None:
    text = f"""g (float[2] x) => (float[2] y) {{
        w = Cos (x)
        a, aa = {_LOOP.format(1, "Exp", "Add", "w")} b, bb = {_LOOP.format(2, *second)}
        c = ReduceSum <keepdims=0> (aa, z) d = ReduceMax <axes=[0], keepdims=0> (bb)
        e = Sub (a, b) f = Sub (c, d) y = Add (e, f) }}"""
    weights = {"n": np.int64(3), "go": np.bool_(True), "z": np.int64([0])}
    made = simplified(written(text, **weights), [(2,)])
    assert operators(made).split().count("Loop") == left


def test_bodies_that_draw_random_numbers_are_two() -> None:
    branch = (
        "{0}_branch = {1} () => (float[2] u{1}) {{ r{1} = RandomNormalLike (x) u{1} = Abs (r{1}) }}"
    )
    one, other = (
        f"If (c) <{branch.format('then', a)}, {branch.format('else', b)}>" for a, b in ("pq", "rs")
    )
    text = f"g (float[2] x, bool c) => (float[2] y) {{ a = {one} b = {other} y = Sub (a, b) }}"
    assert operators(simplified(written(text))).split().count("If") == 2


def test_an_order_of_nodes_and_operands() -> None:
    """Sub of the same two values the other way round, and a value in another place."""
    branch = """t{0} () => (float[2] u{0}) {{
        p{0} = Exp (x) q{0} = Sin (x) u{0} = Sub ({1}{0}, {2}{0}) }}"""
    choice = "If (c) <then_branch = {0}, else_branch = {1}>"
    one = choice.format(branch.format(1, "p", "q"), branch.format(2, "q", "p"))
    other = choice.format(branch.format(3, "q", "p"), branch.format(4, "p", "q"))
    text = f"""g (float[2] x, bool c) => (float[2] y) {{
        a = {one}
        b = {other}
        y = Add (a, b) }}"""
    assert operators(simplified(written(text), [(2,), ()])).split().count("If") == 2


def test_a_new_scale_that_is_there_already_is_not_stored_again() -> None:
    """A scale of −½, which nothing rounded, beside an exponent of −½."""
    given = proto(
        """(float[n, 4] x) => (float[n, 1] y) {
            a = Neg (x) b = ReduceSum (a, one) c = Div (b, two) d = Abs (c) e = Pow (d, half)
            y = Add (c, e)
        }""",
        one=np.array([1]), two=np.float32(2), half=np.float32(-0.5),
    )  # fmt: skip
    once = normonnx.optimize(given, verify=False).to_bytes(unverified=True)
    made = onnx.ModelProto.FromString(once)
    assert [t.name for t in made.graph.initializer if t.data_type == 1] == ["half"]
    assert normonnx.optimize(made, verify=False).to_bytes(unverified=True) == once
