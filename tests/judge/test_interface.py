"""What makes two models interchangeable."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from normonnx.judge.tiers import interface
from tests.judge.building import graph_model

BASE = "(float[N, 3] x, float[3] z) => (float[N, 3] y, float[N, 3] v) { y = Add(x, z) v = Neg(x) }"


def report(before: str, after: str) -> interface.InterfaceReport:
    models = [ir.from_proto(graph_model(text)) for text in (before, after)]
    return interface.compare(*models)


def test_equal_interfaces_have_no_remarks() -> None:
    assert report(BASE, BASE) == interface.InterfaceReport((), ())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("v", "w", "output 'v' is gone"),
        ("v", "w", "output 'w' is new"),
        ("float[3] z", "double[3] z", "input 'z' was FLOAT and is DOUBLE"),
        ("float[N, 3] y", "float[N, 4] y", "output 'y', axis 1, was 3 and is 4"),
        ("float[N, 3] y", "float[N, 3, 1] y", "output 'y' had 2 dimensions, has 3"),
        ("float[N, 3] x", "float[2, 3] x", "input 'x', axis 0, was 'N' and is fixed to 2"),
        (
            "float[N, 3] x, float[3] z",
            "float[3] z, float[N, 3] x",
            "the inputs come in another order: z, x",
        ),
    ],
)
def test_violations(old: str, new: str, sentence: str) -> None:
    found = report(BASE, BASE.replace(old, new))
    assert sentence in found.violations


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("float[N, 3] y", "float[2, 3] y", "output 'y', axis 0, was 'N' and is fixed to 2"),
        ("float[N, 3] y", "float[M, 3] y", "output 'y', axis 0, was called 'N' and is called 'M'"),
        ("float[N, 3] y", "float[N, C] y", "output 'y', axis 1, was 3 and is declared 'C'"),
    ],
)
def test_harmless_differences_are_notes(old: str, new: str, sentence: str) -> None:
    found = report(BASE, BASE.replace(old, new))
    assert found.violations == ()
    assert found.notes == (sentence,)


def with_listed_weight(ir_version: int, *, listed: bool) -> ir.Model:
    weight = numpy_helper.from_array(
        onnx.numpy_helper.to_array(helper.make_tensor("w", 1, [1], [2.0])), "w"
    )
    inputs = [helper.make_tensor_value_info(n, 1, [1]) for n in (("x", "w") if listed else ("x",))]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "g",
        inputs,
        [helper.make_tensor_value_info("y", 1, [1])],
        [weight],
    )
    return ir.from_proto(helper.make_model(graph, ir_version=ir_version))


def test_initializers_are_no_required_inputs() -> None:
    model = with_listed_weight(4, listed=True)
    assert [v.name for v in interface.required_inputs(model)] == ["x"]


def test_a_default_that_can_no_longer_be_overridden_is_noted() -> None:
    for version, notes in ((3, ()), (4, ("1 initializers can no longer be overridden by inputs",))):
        before, after = (with_listed_weight(version, listed=flag) for flag in (True, False))
        found = interface.compare(before, after)
        assert found.violations == ()
        assert found.notes == notes


def test_the_checker_is_asked() -> None:
    good = graph_model(BASE)
    assert interface.checker_complaint(ir.from_proto(good)) is None
    bad = graph_model("(float[3] x) => (float[3] y) { y = LayerNormalization(x, x) }", opset=13)
    complaint = interface.checker_complaint(ir.from_proto(bad))
    assert complaint is not None
    assert "LayerNormalization" in complaint
