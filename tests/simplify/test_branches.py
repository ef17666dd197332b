"""NX207: an If whose condition is known gives way to the branch that is taken."""

from __future__ import annotations

import numpy as np
import pytest

from tests.simplify.comparing import initializers, operators, simplified, written

_SQUEEZE = """h = Shape (x) d = Gather (h, one) q = Equal (d, one)
    y0 = If (q) <then_branch = t () => (float[a] u) { u = Squeeze (x, one) },
                 else_branch = e () => (float[a,b] v) { v = Identity (x) }>
    y = Neg (y0)"""
"""squeeze(1), as PyTorch writes it: branches of different ranks."""


@pytest.mark.parametrize(("sizes", "left"), [("n,1", "Squeeze Neg"), ("2,1", "Squeeze Neg")])
def test_a_size_that_is_known(sizes: str, left: str) -> None:
    rank = "p" if sizes.endswith("1") else "p,q"
    text = f"g (float[{sizes}] x) => (float[{rank}] y) {{ {_SQUEEZE} }}"
    made = simplified(written(text, one=np.int64([1])), [(2, int(sizes[-1]))])
    assert operators(made) == left


def test_a_size_that_is_open() -> None:
    text = f"g (float[n,m] x) => (float[p,q] y) {{ {_SQUEEZE} }}"
    made = simplified(written(text, one=np.int64([1])), [(2, 3)])
    assert "If" in operators(made)


_PLAIN = """g (float[n] x{given}) => (float[n] y) {{
    y0 = If (c) <then_branch = t () => (float[n] u) {{ p = Exp (x) u = Add (p, k) }},
                 else_branch = e () => (float[n] v) {{ v = Sin (x) }}>
    y = Neg (y0) }}"""


@pytest.mark.parametrize(("c", "left"), [(True, "Exp Add Neg"), (False, "Sin Neg")])
def test_a_constant_condition(c: bool, left: str) -> None:
    model = written(_PLAIN.format(given=""), c=np.bool_(c), k=np.float32(2))
    assert operators(simplified(model, [(3,)])) == left


def test_a_condition_of_the_caller() -> None:
    model = written(_PLAIN.format(given=", bool c"), k=np.float32(2))
    assert "If" in operators(simplified(model, [(3,), ()]))


def test_a_condition_that_may_be_overridden() -> None:
    model = written(_PLAIN.format(given=", bool c"), k=np.float32(2), c=np.bool_(True))
    assert "If" in operators(simplified(model, [(3,)]))


def test_constants_of_the_branch_move_along() -> None:
    text = """g (float[2] x) => (float[2] y) {
        y0 = If (c) <then_branch = t () => (float[2] u) {
                k = Constant <value = float[2] {1.5, 2.5}> () u = Pow (x, k) },
                     else_branch = e () => (float[2] v) { v = Sin (x) }>
        y = Neg (y0) }"""
    made = simplified(written(text, c=np.bool_(True)), [(2,)])
    assert operators(made) == "Pow Neg"
    assert [a.tolist() for a in initializers(made).values()] == [[1.5, 2.5]]


def test_names_that_both_branches_use() -> None:
    """They are names of their graphs: what is inlined gets others where they are taken."""
    text = """g (float[2] x) => (float[2] y) {
        a = If (c) <then_branch = t () => (float[2] u) { p = Exp (x) u = Neg (p) },
                    else_branch = e () => (float[2] v) { p = Sin (x) v = Abs (p) }>
        b = If (d) <then_branch = t2 () => (float[2] u) { p = Exp (a) u = Sin (p) },
                    else_branch = e2 () => (float[2] v) { p = Sin (a) v = Cos (p) }>
        y = Neg (b) }"""
    made = simplified(written(text, c=np.bool_(True), d=np.bool_(False)), [(2,)])
    assert operators(made) == "Exp Neg Sin Cos Neg"
    names = [name for node in made.graph.node for name in node.output]
    assert len(set(names)) == len(names)


def test_both_outputs_of_one_value() -> None:
    text = """g (float[2] x) => (float[2] y, float[2] z) {
        y, z = If (c) <
            then_branch = t () => (float[2] u, float[2] w) { u = Exp (x) w = Identity (u) },
            else_branch = e () => (float[2] v, float[2] r) { v = Sin (x) r = Cos (x) }> }"""
    made = simplified(written(text, c=np.bool_(True)), [(2,)])
    assert [v.name for v in made.graph.output] == ["y", "z"]


def test_a_branch_that_gives_what_it_captures() -> None:
    text = """g (float[2] x) => (float[2] y) {
        a = Exp (x)
        y = If (c) <then_branch = t () => (float[2] u) { u = Identity (a) },
                    else_branch = e () => (float[2] v) { v = Sin (x) }> }"""
    made = simplified(written(text, c=np.bool_(True)), [(2,)])
    assert operators(made) in ("Exp", "Exp Identity")


def test_what_only_the_other_branch_read_goes() -> None:
    """And in the first run, not in the second."""
    text = """g (float[2,3] x) => (float[2,3] y) {
        a = Exp (x) u = Unsqueeze (a, one)
        y0 = If (c) <then_branch = t () => (float[2,3] p) { p = Squeeze (u, one) },
                     else_branch = e () => (float[2,1,3] q) { q = Identity (u) }>
        y = Neg (y0) }"""
    made = simplified(written(text, c=np.bool_(True), one=np.int64([1])), [(2, 3)])
    assert operators(made) == "Exp Neg"


def test_a_branch_whose_constant_was_changed_before() -> None:
    """Another engine may have made the constant that a branch holds."""
    text = """g (float[3,4] x) => (float[3,4] y) {
        a = Cast <to=7> (x) b = Cast <to=1> (a)
        c0 = If (c) <then_branch = t () => (float[3,4] p) { p = Identity (b) },
                     else_branch = e () => (float[3,4] q) { i = Identity (b) q = Add (i, h) }>
        y = Relu (c0) }"""
    made = simplified(written(text, c=np.bool_(False), h=np.float32(0.5)), [(3, 4)])
    assert operators(made) == "Cast Cast Add Relu"


def test_a_branch_that_draws_numbers_stays() -> None:
    text = """g (float[2] x) => (float[2] y) {
        a = If (c) <then_branch = t () => (float[2] u) { u = RandomUniformLike <seed=1.0> (x) },
                    else_branch = e () => (float[2] v) { v = Sin (x) }>
        y = Neg (a) }"""
    made = simplified(written(text, c=np.bool_(True)), [(2,)])
    assert operators(made) in ("If Neg Sin RandomUniformLike", "If Neg RandomUniformLike Sin")


def test_an_if_in_the_body_of_a_loop() -> None:
    text = """g (float[2] x) => (float[2] y) {
        y = Loop (n, go, x) <body = b (int64 i, bool g0, float[2] s) => (bool g1, float[2] t) {
            g1 = Identity (g0)
            t = If (c) <then_branch = t0 () => (float[2] u) { u = Sin (s) },
                        else_branch = e0 () => (float[2] v) { v = Exp (s) }> }> }"""
    model = written(text, n=np.int64(3), go=np.bool_(True), c=np.bool_(True))
    made = simplified(model, [(2,)])
    assert "Exp" not in operators(made) or "If" in operators(made)


@pytest.mark.parametrize(
    ("then", "other", "left"),
    [
        ("p = Exp (x) u = Pow (p, k)", "q = Exp (x) v = Pow (q, k)", "Exp Pow Neg"),
        ("p = Exp (x) u = Pow (p, k)", "q = Exp (x) v = Pow (q, l)", "Exp Pow Neg"),
        ("p = Exp (x) u = Pow (p, k)", "q = Exp (x) v = Pow (q, m)", None),
        ("p = Exp (x) u = Pow (p, k)", "q = Exp (x) v = Pow (k, q)", None),
        ("p = Exp (x) u = Pow (p, k)", "q = Sin (x) v = Pow (q, k)", None),
        ("p = Exp (x) u = Pow (p, k)", "q = Exp (x) d = Sin (q) v = Pow (q, k)", "Exp Pow Neg"),
        ("u = Elu <alpha=0.5> (x)", "v = Elu <alpha=0.5> (x)", "Elu Neg"),
        ("u = Elu <alpha=0.5> (x)", "v = Elu <alpha=0.25> (x)", None),
        ("u = RandomNormalLike <seed=1.0> (x)", "v = RandomNormalLike <seed=1.0> (x)", None),
    ],
)
def test_equal_branches(then: str, other: str, left: str | None) -> None:
    """Whatever the condition says."""
    text = f"""g (float[2] x, bool c) => (float[2] y) {{
        a = If (c) <then_branch = t () => (float[2] u) {{ {then} }},
                    else_branch = e () => (float[2] v) {{ {other} }}>
        y = Neg (a) }}"""
    used = {
        n: w
        for n, w in {"k": 2.0, "l": 2.0, "m": 2.5}.items()
        if f"{n})" in text or f"{n}," in text
    }
    model = written(text, **{n: np.float32(w) for n, w in used.items()})
    made = simplified(model, *([] if "Random" in text else [[(2,), ()]]))
    assert operators(made) == left if left else "If" in operators(made)
    assert [value.name for value in made.graph.input] == ["x", "c"]


def test_equal_branches_that_give_what_is_around_them() -> None:
    text = """g (float[2] x, bool c) => (float[2] y, float[2] z) {
        d = Exp (x)
        a, b = If (c) <then_branch = t () => (float[2] u, float[2] w) { u = Sin (d) w = Abs (d) },
                       else_branch = e () => (float[2] v, float[2] o) { v = Sin (d) o = Abs (d) }>
        y = Neg (a) z = Neg (b) }"""
    assert "If" not in operators(simplified(written(text), [(2,), ()]))
