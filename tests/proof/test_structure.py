"""Values that are made the same are the same, and what differs in one thing is not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from normonnx.proof.certificate import certify
from normonnx.proof.structure import made_the_same
from tests.proof.windows import window

TEXT = "(float[2,3] x, float[2,3] w) => (float[] y, float[] z) {{ {old}\n {new} }}"


def made(old: str, new: str, **weights: np.ndarray) -> bool:
    return made_the_same(window(TEXT.format(old=old, new=new), **weights))


K, L = np.float32([1, 2, 3]), np.float32([1, 2, np.nextafter(np.float32(3), np.float32(4))])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("y = Relu (x)", "z = Relu (x)"),
        ("a = Add (x, k) y = Mul (a, w)", "b = Add (x, k) z = Mul (b, w)"),
        ("a = Add (x, k) y = Mul (a, w)", "b = Add (x, same) z = Mul (b, w)"),
        ("a, b = Split <axis=0, num_outputs=2> (x) y = Relu (b)",
         "c, d = Split <axis=0, num_outputs=2> (x) z = Relu (d)"),
        ("y = If (yes) <then_branch = t () => (float[2,3] a) { a = Neg (x) }, "
         "else_branch = e () => (float[2,3] b) { b = Exp (x) }>", "z = Neg (x)"),
    ],
    ids=["a node", "two nodes", "equal constants", "the same output", "the branch that is taken"],
)  # fmt: skip
def test_alike(old: str, new: str) -> None:
    text = TEXT.format(old=old, new=new)
    found = window(text, k=K, same=K.copy(), yes=np.bool_(True))
    assert made_the_same(found)
    assert certify(found) == "the same operators on the same values"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("y = Relu (x)", "z = Neg (x)"),
        ("y = Relu (x)", "z = Relu (w)"),
        ("y = Sub (x, w)", "z = Sub (w, x)"),
        ("y = Add (x, k)", "z = Add (x, nearly)"),
        ("y = Add (x, zero)", "z = Add (x, minus)"),
        ("y = LeakyRelu <alpha=0.1> (x)", "z = LeakyRelu <alpha=0.2> (x)"),
        ("y = LeakyRelu <alpha=0.0> (x)", "z = LeakyRelu <alpha=-0.0> (x)"),
        ("y = RandomNormalLike (x)", "z = RandomNormalLike (x)"),
        ("y = Clip (x, low)", "z = Clip (x, , low)"),
        ("y = Slice (x, from_, to, rows, step)", "z = Slice (x, from_, to, , step)"),
        ("a, b = Split <axis=0, num_outputs=2> (x) y = Relu (a)",
         "c, d = Split <axis=0, num_outputs=2> (x) z = Relu (d)"),
        ("y = If (yes) <then_branch = t () => (float[2,3] a) { a = Neg (x) }, "
         "else_branch = e () => (float[2,3] b) { b = Exp (x) }>", "z = Exp (x)"),
    ],
    ids=["operator", "input", "order", "a bit", "sign of zero", "attribute", "sign of an attribute",
         "random", "place", "place of one of five", "another output", "the other branch"],
)  # fmt: skip
def test_unlike(old: str, new: str) -> None:
    weights = {"k": K, "nearly": L, "zero": np.float32(0), "minus": np.float32(-0.0)}
    numbers = {"from_": 0, "to": 2, "rows": 1, "step": 1}
    cut = {name: np.array([number]) for name, number in numbers.items()}
    assert not made(old, new, yes=np.bool_(True), low=np.float32(0), **weights, **cut)


def test_the_parts_of_another_number_of_parts_are_others() -> None:
    text = TEXT.format(
        old="a, b = Split <axis=0> (x) y = Relu (a)", new="c = Split <axis=0> (x) z = Relu (c)"
    )
    assert not made_the_same(window(text, opset=17))


def test_a_constant_that_stands_for_another_number_is_another() -> None:
    """Both hold float32's nearest to 0.1; one of them was rounded to it."""
    found = window(
        TEXT.format(old="y = Add (x, k)", new="z = Add (x, l)"),
        k=np.float32(0.1),
        l=np.float32(0.1),
    )
    assert made_the_same(found)
    [name] = [str(v.name) for node in found.made for v in node.inputs if v and v.const_value]
    found.constants.exact[name] = np.float64(0.1)
    assert not made_the_same(found)


def test_a_branch_that_is_not_known_stands_for_nothing() -> None:
    text = TEXT.replace("float[2,3] w", "bool c").format(
        old="y = If (c) <then_branch = t () => (float[2,3] a) { a = Neg (x) }, "
        "else_branch = e () => (float[2,3] b) { b = Exp (x) }>",
        new="z = Neg (x)",
    )
    found = window(text)
    assert isinstance(found.old[0], ir.Value)
    assert not made_the_same(found)


_BODY = """Loop (n, go, {3}) <body = b{0} (int64 i{0}, bool g{0}, float[2,3] s{0})
    => (bool h{0}, float[2,3] t{0}) {{
        h{0} = Identity (g{0}) o{0} = {1} (s{0}) t{0} = Sub ({2}) }}>"""


@pytest.mark.parametrize(
    ("body", "is_same"),
    [
        (("Exp", "o2, w", "x"), True),
        (("Sin", "o2, w", "x"), False),
        (("Exp", "w, o2", "x"), False),
        (("Exp", "o2, x", "x"), False),
        (("Exp", "s2, w", "x"), False),
        (("Exp", "o2, w", "w"), False),
    ],
    ids=["the same", "operator", "order", "what is around it", "a value within", "input"],
)
def test_graphs_within_nodes(body: tuple[str, str, str], is_same: bool) -> None:
    old, new = _BODY.format(1, "Exp", "o1, w", "x"), _BODY.format(2, *body)
    found = made(f"y = {old}", f"z = {new}", n=np.int64(2), go=np.bool_(True))
    assert found is is_same


_CHOICE = """y = If (c) <then_branch = t () => (float[2,3] a) {{ {0} }},
    else_branch = e () => (float[2,3] b) {{ {1} }}>"""


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("p = Exp (x) a = Add (p, k)", "q = Exp (x) b = Add (q, k)", True),
        ("p = Exp (x) a = Add (p, k)", "q = Exp (x) b = Add (q, l)", False),
        ("p = Exp (x) a = Add (p, k)", "q = Exp (x) b = Add (x, k)", False),
        ("p = Exp (x) a = Add (p, k)", "q = Sin (x) b = Add (q, k)", False),
    ],
)
def test_either_of_two_branches(one: str, other: str, is_same: bool) -> None:
    text = TEXT.replace("float[2,3] w", "bool c")
    whole = text.format(old=_CHOICE.format(one, other), new="n = Exp (x) z = Add (n, k)")
    weights = {"k": K, "l": L} if "l)" in whole else {"k": K}
    assert made_the_same(window(whole, **weights)) is is_same
