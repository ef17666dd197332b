"""What is stored is what was certified: floats rounded once, integers exactly, 1/N for its N."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from normonnx.journal import Refusal, Rewrite
from normonnx.rewrite import Proposal, commit
from tests.graphs import context, model, node, operators, value

PICKED = """(float[2,6] x) => (float[2,2] y) {
  a = Gather <axis = 1> (x, first)
  b = Gather <axis = 1> (a, second)
  y = Neg (b)
}"""
FIRST, SECOND = np.array([4, 0, 5, 2]), np.array([2, 1])


def picked() -> ir.Model:
    return model(PICKED, first=FIRST, second=SECOND)


def at_once(m: ir.Model, indices: Sequence[int]) -> tuple[Proposal, ir.Value]:
    """Two Gathers become one with these indices; and their constant."""
    site = node(m, "b")
    proposal = Proposal(context(m), m.graph, key="k", rule="NX004", site=site, kind="test")
    constant = proposal.integers(list(indices), "both")
    new = proposal.node("Gather", [value(m, "x"), constant], {"axis": 1})
    proposal.replace(value(m, "b"), new)
    return proposal, constant


def test_the_right_integers_are_stored() -> None:
    m = picked()
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    [expected] = ReferenceEvaluator(ir.to_proto(m)).run(None, {"x": x})
    proposal, _ = at_once(m, FIRST[SECOND])
    assert isinstance(commit(proposal, summary=""), Rewrite)
    assert operators(m) == "Gather Neg"
    [found] = ReferenceEvaluator(ir.to_proto(m)).run(None, {"x": x})
    assert np.array_equal(found, expected)


def test_the_wrong_integers_are_refused() -> None:
    m = picked()
    proposal, _ = at_once(m, [4, 0])
    refusal = commit(proposal, summary="")
    assert isinstance(refusal, Refusal)
    assert "differ" in refusal.reason


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ([5, 1], "'both' is stored wrong"),
        ([0, 5], "'both' is stored wrong"),
        ([5], "'both' is stored with another shape"),
        ([[5, 0]], "'both' is stored with another shape"),
    ],
)
def test_integers_that_are_stored_otherwise_are_refused(stored: object, reason: str) -> None:
    """The sides are compared with what the engine says is stored: nothing else sees this."""
    m = picked()
    before = ir.to_proto(m).SerializeToString(deterministic=True)
    proposal, constant = at_once(m, FIRST[SECOND])
    constant.const_value = ir.tensor(np.array(stored, np.int64), name="both")
    refusal = commit(proposal, summary="")
    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"no certificate: {reason}"
    assert ir.to_proto(m).SerializeToString(deterministic=True) == before


MEANS = """(float[2,6] x) => (float[2,1] y) {
  s = ReduceSum <keepdims = 1> (x, last)
  p = Mul (s, k)
  y = Relu (p)
}"""


def as_mean(k: np.ndarray, exact: object, nodes: str = MEANS, kept: int = 1) -> object:
    """A sum times a number becomes a mean, the number read as this."""
    m = model(nodes, k=k, last=np.array([-1]))
    site = node(m, "p")
    proposal = Proposal(context(m), m.graph, key="k", rule="NX004", site=site, kind="test")
    mean = proposal.node("ReduceMean", [value(m, "x")], {"axes": [-1], "keepdims": kept})
    proposal.replace(value(m, "p"), mean)
    if exact is not None:
        proposal.read_as(value(m, "k"), np.asarray(exact, np.float64))
    return commit(proposal, summary="")


def test_a_sixth_is_read_as_a_sixth() -> None:
    made = as_mean(np.float32(1 / 6), 1 / 6)
    assert isinstance(made, Rewrite), made
    assert made.readings == (("k", 1 / 6),)
    assert isinstance(as_mean(np.float32(1 / 6), None), Refusal), "it is off by its rounding"


@pytest.mark.parametrize(
    ("k", "exact", "reason"),
    [
        (np.float32(1 / 6), 1 / 7, "no 1/N rounded once"),
        (np.float32(1 / 6), np.nextafter(1 / 6, 1), "no 1/N rounded once"),
        (np.nextafter(np.float32(1 / 6), np.float32(1)), 1 / 6, "no 1/N rounded once"),
        (np.float32([[1 / 6]]), 1 / 6, "cannot be read exactly"),
        (np.float32([1 / 6, 1 / 6]), [1 / 6, 1 / 7], "no 1/N rounded once"),
    ],
)
def test_no_other_number_is_read_as_one(k: np.ndarray, exact: object, reason: str) -> None:
    nodes = MEANS.replace("[2,1] y", f"[2,{np.size(k)}] y")
    refusal = as_mean(k, exact, nodes)
    assert isinstance(refusal, Refusal)
    assert reason in refusal.reason


def test_a_number_of_another_type_is_not_read_as_one() -> None:
    nodes = MEANS.replace("float[", "double[")
    refusal = as_mean(np.float64(np.float32(1 / 6)), 1 / 6, nodes)
    assert isinstance(refusal, Refusal)
    assert "cannot be read exactly" in refusal.reason


def test_a_number_that_is_added_is_not_read_as_one() -> None:
    nodes = MEANS.replace("y = Relu (p)", "q = Add (p, k)\n  y = Relu (q)")
    refusal = as_mean(np.float32(1 / 6), 1 / 6, nodes)
    assert isinstance(refusal, Refusal)
    assert "no mere factor" in refusal.reason
