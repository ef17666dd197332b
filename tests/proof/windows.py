"""Windows from one text: `y` is the old value, `z` the one that is to stand for it."""

from __future__ import annotations

from typing import Any

from normonnx.proof.certificate import Flaw, certify
from normonnx.proof.window import Window
from normonnx.sizes.recorded import Recorded
from normonnx.values.constants import Constants
from tests.graphs import model, value


def window(text: str, *, opset: int = 18, **weights: Any) -> Window:
    """The window of `y` and `z`; what makes a value whose name starts with n, and `z`, is new."""
    m = model(text, opset=opset, **weights)
    made = [node for node in m.graph if str(node.outputs[0].name)[0] in "nz"]
    recorded = Recorded(m)
    assert recorded.walks
    return Window(
        old=(value(m, "y"),),
        new=(value(m, "z"),),
        made=frozenset(made),
        constants=Constants(m),
        recorded=recorded,
        exact={},
        exact_attributes={},
        readings={},
        functions=m.functions,
        opsets=m.opset_imports,
    )


def certificate(text: str, *, opset: int = 18, **weights: Any) -> str:
    """How `z` is proved to be `y`, "" where it is not."""
    found = certify(window(text, opset=opset, **weights))
    return "" if isinstance(found, Flaw) else found


def in_numbers(text: str, **weights: Any) -> bool:
    """Whether `z` is proved to be `y` with nothing evaluated."""
    return "same operators" in certificate(text, **weights)


def pair(inputs: str, old: str, new: str) -> str:
    """A text with an old side that ends in `y`, and a new one that ends in `z`."""
    return f"({inputs}) => (float[] y, float[] z) {{ {old} {new} }}"
