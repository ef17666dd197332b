"""NX203: nodes that give back what they read go, and those one fact away stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.simplify.comparing import operators, simplified, written

_I = {
    "zero": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "three": np.int64([3]),
    "minus": np.int64([-1]), "end": np.int64([2**63 - 1]), "end31": np.int64([2**31 - 1]),
    "s0": np.int64(0), "off": np.bool_(False), "on": np.bool_(True), "half": np.float32(0.5),
    "o4": np.int64([0, 1, 2, 3]), "r4": np.int64([3, 2, 1, 0]), "o3": np.int64([0, 1, 2]),
    "z4": np.int64([0, 0, 0, 0]), "p4": np.int64([0, 0, 0, 1]), "s11": np.int64([1, 1]),
    "s12": np.int64([1, 2]), "f11": np.float32([1, 1]), "f12": np.float32([1, 2]),
    "near": np.float32([1, 1.2]), "s34": np.int64([3, 4]), "s43": np.int64([4, 3]),
    "m4": np.int64([-1, 4]), "e34": np.int64([1, 4]), "e234": np.int64([2, 3, 4]),
}  # fmt: skip

_GOES: dict[str, tuple[str, int]] = {
    "Identity": ("a = Identity (x)", 17),
    "Dropout": ("a = Dropout (x)", 13),
    "Dropout with a ratio": ("a = Dropout (x, half)", 13),
    "Dropout that is told not to train": ("a = Dropout (x, half, off)", 13),
    "Dropout of opset 7": ("a = Dropout <ratio=0.7> (x)", 7),
    "Cast to its own type": ("a = Cast <to=1> (x)", 17),
    "Transpose that keeps the order": ("a = Transpose <perm=[0,1]> (x)", 17),
    "Slice of everything": ("a = Slice (x, zero, end, one)", 17),
    "Slice of everything, 31 bits": ("a = Slice (x, zero, end31)", 17),
    "Slice to the size": ("h = Shape (x) e = Gather (h, one) a = Slice (x, zero, e, one)", 17),
    "Slice of opset 9": ("a = Slice <starts=[0], ends=[9223372036854775807], axes=[1]> (x)", 9),
    "Pad of nothing": ("a = Pad (x, z4)", 17),
    "Pad of nothing, opset 2": ("a = Pad <pads=[0,0,0,0]> (x)", 9),
    "Tile once": ("a = Tile (x, s11)", 17),
    "Concat of one": ("a = Concat <axis=0> (x)", 17),
    "Sum of one": ("a = Sum (x)", 17),
    "Max of one": ("a = Max (x)", 17),
    "Min of one": ("a = Min (x)", 17),
    "Mean of one": ("a = Mean (x)", 17),
    "Split in one": ("a = Split <axis=0> (x, three)", 17),
    "Reshape to its own shape": ("h = Shape (x) a = Reshape (x, h)", 17),
    "Reshape to its own numbers": ("a = Reshape (x, m4)", 17),
    "Expand to its own shape": ("h = Shape (x) a = Expand (x, h)", 17),
    "Expand of what is as large": ("a = Expand (x, e34)", 17),
    "Flatten of rank 2": ("a = Flatten (x)", 17),
    "Squeeze of no axis": ("e = Constant <value = int64[0] {}> () a = Squeeze (x, e)", 17),
    "Resize by 1": ("a = Resize <mode='linear'> (x, , f11)", 17),
    "Resize to its own sizes": ("h = Shape (x) a = Resize (x, , , h)", 17),
    "Resize of opset 10": ("a = Resize (x, f11)", 10),
    "Upsample by 1": ("a = Upsample (x, f11)", 9),
    "Gather of all in order": ("a = Gather <axis=1> (x, o4)", 17),
    "Relu of a Relu": ("b = Relu (x) c = Relu (b) a = Neg (c)", 17),
}


@pytest.mark.parametrize(("body", "opset"), _GOES.values(), ids=_GOES.keys())
def test_what_does_nothing_goes(body: str, opset: int) -> None:
    model = _model(body, opset)
    left = {"Relu of a Relu": "Relu Neg Sqrt"}
    name = next(name for name, row in _GOES.items() if row == (body, opset))
    assert operators(simplified(model, [(3, 4)])) == left.get(name, "Sqrt")


_STAYS: dict[str, tuple[str, int, str]] = {
    "Dropout that trains": ("a = Dropout (x, half, on)", 13, "Dropout"),
    "Dropout of opset 6 that trains": ("a = Dropout <ratio=0.5> (x)", 6, "Dropout"),
    "Cast that rounds": ("a0 = Cast <to=10> (x) a = Cast <to=1> (a0)", 17, "Cast Cast"),
    "Transpose that turns": ("a = Transpose <perm=[1,0]> (x)", 17, "Transpose"),
    "Slice from 1": ("a = Slice (x, one, end, one)", 17, "Slice"),
    "Slice to −1": ("a = Slice (x, zero, minus, one)", 17, "Slice"),
    "Slice to 3 of 4": ("a = Slice (x, zero, three, one)", 17, "Slice"),
    "Slice backwards": ("a = Slice (x, minus, least, one, minus)", 17, "Slice"),
    "Slice of every second": ("a = Slice (x, zero, end, one, two)", 17, "Slice"),
    "Pad of one": ("a = Pad (x, p4)", 17, "Pad"),
    "Tile twice": ("a = Tile (x, s12)", 17, "Tile"),
    "Concat with itself": ("a = Concat <axis=0> (x, x)", 17, "Concat"),
    "Reshape that turns": ("a = Reshape (x, s43)", 17, "Reshape"),
    "Expand with an axis in front": ("a = Expand (x, e234)", 17, "Expand"),
    "Flatten of all": ("a = Flatten <axis=0> (x)", 17, "Flatten"),
    "Resize by 2": ("a = Resize (x, , f12)", 17, "Resize"),
    "Resize to 4.8, which is 4": ("a = Resize <mode='linear'> (x, , near)", 17, "Resize"),
    "Resize of a crop": (
        "a = Resize <coordinate_transformation_mode='tf_crop_and_resize'> (x, roi, f11)",
        17,
        "Resize",
    ),
    "Resize that looks half an element away": (
        "a = Resize <coordinate_transformation_mode='tf_half_pixel_for_nn'> (x, roi, f11)",
        11,
        "Resize",
    ),
    "Gather in reverse": ("a = Gather <axis=1> (x, r4)", 17, "Gather"),
    "Gather of three of four": ("a = Gather <axis=1> (x, o3)", 17, "Gather"),
    "Neg of a Neg is another": ("b = Sin (x) a = Sin (b)", 17, "Sin Sin"),
}


@pytest.mark.parametrize(("body", "opset", "left"), _STAYS.values(), ids=_STAYS.keys())
def test_what_does_something_stays(body: str, opset: int, left: str) -> None:
    model = _model(body, opset)
    shapes = [] if "trains" in str(left) or "Dropout" in left else [[(3, 4)]]
    assert operators(simplified(model, *shapes)) == f"{left} Sqrt"


def _model(body: str, opset: int, sizes: str = "3,4") -> onnx.ModelProto:
    """The body between an input and a Sqrt; only the weights that it reads."""
    given = {**_I, "least": np.int64([-(2**63)]), "roi": np.float32([0.1, 0.1, 0.9, 0.9])}
    used = {
        name: array for name, array in given.items() if f"{name})" in body or f"{name}," in body
    }
    body = body.replace("'", '"')
    text = f"g (float[{sizes}] x) => (float[a,b] y) {{ {body} y = Sqrt (a) }}"
    if any(f"{op} (x, " in body for op in ("e234",)):
        text = text.replace("[a,b]", "[a,b,c]")
    return written(text, opset=opset, ir=8, **used)


@pytest.mark.parametrize(
    "body",
    [
        "h = Shape (x) a = Reshape (x, h)",
        "h = Shape (x) a = Expand (x, h)",
        "h = Shape (x) e = Gather (h, one) a = Slice (x, zero, e, one)",
        "a = Flatten (x)",
        "h = Shape (x) a = Resize (x, , , h)",
    ],
)
def test_at_every_size(body: str) -> None:
    made = simplified(_model(body, 17, "n,m"), [(3, 4)], [(1, 1)], [(0, 4)], [(5, 0)])
    assert operators(made) == "Sqrt"


def test_an_open_size_is_not_one() -> None:
    """What keeps a shape of one size only."""
    for body in (
        "a = Reshape (x, m4)",
        "a = Slice (x, zero, three)",
        "a = Gather <axis=0> (x, o3)",
    ):
        assert operators(simplified(_model(body, 17, "n,m"), [(3, 4)])) != "Sqrt"
    assert (
        operators(simplified(_model("a = Slice (x, zero, three)", 17, "n,m"), [(5, 4)])) != "Sqrt"
    )


def test_an_input_that_is_an_output_keeps_its_identity() -> None:
    model = written("g (float[n] x) => (float[n] y, float[n] z) { y = Identity (x) z = Neg (x) }")
    assert operators(simplified(model, [(3,)])) == "Identity Neg"


def test_two_outputs_of_one_value() -> None:
    model = written(
        "g (float[n] x) => (float[n] y, float[n] z) "
        "{ a = Neg (x) y = Identity (a) z = Identity (y) }"
    )
    assert operators(simplified(model, [(3,)])) == "Neg Identity"


def test_an_output_of_a_branch_keeps_its_identity() -> None:
    model = written("""g (float[n] x, bool c) => (float[n] y) {
        a = Neg (x)
        y = If (c) <then_branch = t () => (float[n] u) { u = Identity (a) },
                    else_branch = e () => (float[n] v) { v = Abs (a) }> }""")
    assert operators(simplified(model, [(3,), ()])) == "Neg If Abs Identity"


def test_a_mask_that_is_read_keeps_its_dropout() -> None:
    model = written("g (float[n] x) => (float[n] y, bool[n] m) { a, m = Dropout (x) y = Neg (a) }")
    assert operators(simplified(model, [(3,)])) == "Dropout Neg"


def test_a_ratio_from_outside_keeps_what_may_train() -> None:
    """Whether it trains is asked by a caller."""
    model = written(
        "g (float[n] x, bool t) => (float[n] y) { a = Dropout (x, half, t) y = Neg (a) }",
        half=np.float32(0.5),
    )
    assert operators(simplified(model)) == "Dropout Neg"


def test_operators_of_other_domains_are_others() -> None:
    model = written(
        "g (float[n] x) => (float[n] y) { a = my.Identity (x) y = Neg (a) }", domains=["my"]
    )
    assert operators(simplified(model)) == "Identity Neg"
