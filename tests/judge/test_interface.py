"""What makes two models interchangeable."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from normonnx.judge import VerifyOptions, verify
from normonnx.judge.tiers import interface
from tests.judge.building import graph_model

BASE = "(float[N, 3] x, float[3] z) => (float[N, 3] y, float[N, 3] v) { y = Add(x, z) v = Neg(x) }"


def report(before: str, after: str) -> interface.InterfaceReport:
    models = [ir.from_proto(graph_model(text)) for text in (before, after)]
    return interface.compare(*models)


def test_equal_interfaces_have_no_remarks() -> None:
    assert report(BASE, BASE) == interface.InterfaceReport()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("v", "w", "output 'v' is gone"),
        ("v", "w", "output 'w' is new"),
        ("float[3] z", "double[3] z", "input 'z' was FLOAT and is DOUBLE"),
        ("float[N, 3] y", "float[N, 4] y", "output 'y', axis 1, was 3 and is 4"),
        ("float[N, 3] y", "float[N, 3, 1] y", "output 'y' had 2 dimensions, has 3"),
        ("float[N, 3] x", "float[2, 3] x", "input 'x', axis 0, was 'N' and is fixed to 2"),
        ("float[N, 3] y", "float[2, 3] y", "output 'y', axis 0, was 'N' and is fixed to 2"),
        ("float[N, 3] y", "float[N, C] y", "output 'y', axis 1, was 3 and is declared 'C'"),
        ("float[3] z", "float[C] z", "input 'z', axis 0, was 3 and is declared 'C'"),
        ("float[N, 3] x", "float[N, ?] x", "input 'x', axis 1, was 3 and is declared unknown"),
        ("float[N, 3] y", "float[] y", "output 'y' does not declare its shape any more"),
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


def test_an_output_without_a_name_for_its_size_may_become_known() -> None:
    found = report(
        BASE.replace("float[N, 3] y", "float[?, 3] y"), BASE.replace("[N, 3] y", "[2, 3] y")
    )
    assert found.violations == found.warnings == []
    assert found.notes == ["output 'y', axis 0, was unknown and is fixed to 2"]


@pytest.mark.parametrize("name", ["Softmaxy_dim_0", "unk__381"])
def test_a_name_that_a_tool_made_up_is_none(name: str) -> None:
    before = BASE.replace("float[N, 3] y", f"float[{name}, 3] y")
    fixed = BASE.replace("[N, 3] y", "[1, 3] y")
    assert report(before, fixed).violations == []
    given = before.replace("float[N, 3] x", f"float[{name}, 3] x")
    fixed = fixed.replace("float[N, 3] x", f"float[{name}, 3] x")
    assert report(given, fixed).violations == [
        f"output 'y', axis 0, was '{name}' and is fixed to 1"
    ]


def test_what_runs_shows_whether_it_really_is_known() -> None:
    before, after = (
        ir.from_proto(graph_model(f"(float[N, 3] x) => (float[{dim}, 3] y) {{ y = Neg(x) }}"))
        for dim in ("?", "2")
    )
    sentence = "output 'y', axis 0, is declared 2 and was 5 when it ran"
    assert interface.contradictions(before, after, [{"y": (2, 3)}, {"y": (5, 3)}]) == [sentence]
    assert interface.contradictions(before, after, [{"y": (2, 3)}, {"z": (5, 3)}]) == []
    verdict = verify(before, after)
    assert verdict.status == "fail"
    assert "output 'y', axis 0, is declared 2 and was" in verdict.first_failure


def test_names_of_sizes() -> None:
    before = "(float[N] x, float[M] z) => (float[N] y) { y = Neg(x) }"
    renamed = report(before, before.replace("[N]", "[K]"))
    assert renamed.violations == []
    assert renamed.warnings == ["input 'x', axis 0, was called 'N' and is called 'K'"]
    assert renamed.notes == ["output 'y', axis 0, was called 'N' and is called 'K'"]
    one = report(before, before.replace("[M]", "[N]"))
    assert one.violations == ["the dimensions 'N' and 'M' of the inputs are one: 'N'"]


def test_a_shape_that_was_not_declared() -> None:
    found = report(
        "(float[] x) => (float[] y) { y = Neg(x) }", "(float[3] x) => (float[3] y) { y = Neg(x) }"
    )
    assert found.violations == ["input 'x' had no declared shape and has 1 dimensions"]
    assert found.notes == ["output 'y' had no declared shape and has 1 dimensions"]


def test_metadata_that_is_lost_is_warned_of() -> None:
    before, after = (graph_model(BASE) for _ in range(2))
    before.doc_string = "what it is for"
    helper.set_model_props(before, {"classes": "cat, dog", "author": "them", "stride": "32"})
    helper.set_model_props(after, {"author": "us", "stride": "32"})
    found = interface.compare(ir.from_proto(before), ir.from_proto(after))
    assert found.violations == []
    assert found.warnings == [
        "metadata of the model lost: 'classes'",
        "metadata of the model changed: 'author'",
        "doc string of the model lost",
    ]
    verdict = verify(ir.from_proto(before), ir.from_proto(after))
    assert verdict.passed
    assert set(found.warnings) <= set(verdict.warnings)


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
    return ir.from_proto(
        helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", 17)])
    )


def test_initializers_are_no_required_inputs() -> None:
    model = with_listed_weight(4, listed=True)
    assert [v.name for v in interface.required_inputs(model)] == ["x"]


def test_a_default_that_can_no_longer_be_overridden() -> None:
    gone = "initializer 'w' can no longer be overridden by the caller"
    for version in (3, 4):
        before, after = (with_listed_weight(version, listed=flag) for flag in (True, False))
        found = interface.compare(before, after)
        told = [f"{gone} (--freeze-initializers accepts that)"] if version == 4 else []
        assert found.violations == told
        assert found.notes == []
    accepted = interface.compare(before, after, frozen_initializers=True)
    assert accepted == interface.InterfaceReport(notes=[gone])


def test_a_default_under_another_name() -> None:
    before, after = (with_listed_weight(8, listed=True) for _ in range(2))
    weight = after.graph.inputs[1]
    after.graph.initializers.pop("w")
    weight.name = "other"
    after.graph.initializers["other"] = weight
    assert "initializer 'w' can no longer be" in interface.compare(before, after).violations[0]


def test_the_option_decides_on_frozen_initializers() -> None:
    before, after = (with_listed_weight(8, listed=flag) for flag in (True, False))
    verdict = verify(before, after)
    assert verdict.status == "fail"
    assert "can no longer be overridden" in verdict.first_failure
    frozen = verify(before, after, options=VerifyOptions(freeze_initializers=True))
    assert frozen.passed


def test_the_checker_is_asked() -> None:
    good = graph_model(BASE)
    assert interface.checker_complaint(ir.from_proto(good)) is None
    bad = graph_model("(float[3] x) => (float[3] y) { y = LayerNormalization(x, x) }", opset=13)
    complaint = interface.checker_complaint(ir.from_proto(bad))
    assert complaint is not None
    assert "LayerNormalization" in complaint
