"""What is counted before anybody works on it: nodes, at every call; calls in a row."""

from __future__ import annotations

import pytest
from onnx import FunctionProto, ModelProto, NodeProto, helper

from normonnx import model_io
from normonnx.errors import InvalidModelError
from normonnx.model_io import limits
from tests.hostile.blocks import call, function, model


def chain(length: int, *, twice: bool = False) -> ModelProto:
    """Functions each of which calls the one before it, once or twice."""
    functions: list[FunctionProto] = [function("F0", [helper.make_node("Relu", ["a"], ["b"])])]
    for number in range(1, length):
        nodes: list[NodeProto] = [call(f"F{number - 1}", "a", "b")]
        if twice:
            nodes = [call(f"F{number - 1}", "a", "h"), call(f"F{number - 1}", "h", "b")]
        functions.append(function(f"F{number}", nodes))
    return model([call(f"F{length - 1}", "x", "y")], functions=functions)


def test_calls_in_a_row() -> None:
    assert model_io.load(chain(limits.MOST_DEEP)).model.functions
    with pytest.raises(InvalidModelError, match="call one another in a row"):
        model_io.load(chain(limits.MOST_DEEP + 1))


def test_nodes_are_counted_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of F₂, which calls F₁ twice, which calls F₀ twice: 1 + (2 + 2·(2 + 2·1)) nodes."""
    for most, fits in ((11, True), (10, False)):
        monkeypatch.setattr(limits, "MOST_NODES", most)
        if fits:
            assert model_io.load(chain(3, twice=True)).model.functions
        else:
            with pytest.raises(InvalidModelError, match="more than 10 nodes"):
                model_io.load(chain(3, twice=True))


def test_a_function_nobody_calls_may_not_call_itself_either() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])])
    proto.functions.append(function("F", [call("G", "a", "b")]))
    proto.functions.append(function("G", [call("F", "a", "b")]))
    with pytest.raises(InvalidModelError, match="calls itself"):
        model_io.load(proto)
