"""Sequences of tensors, and tensors that may be absent."""

from __future__ import annotations

from normonnx.operators.facts import EVERY, Facts

FACTS = (
    Facts(name="ConcatFromSequence", moves=(0,)),
    Facts(name="SequenceAt", moves=(0,)),
    Facts(name="SequenceConstruct", moves=EVERY),
    Facts(name="SequenceErase", moves=(0,)),
    Facts(name="SequenceInsert", moves=(0, 1)),
    Facts(name="SplitToSequence", moves=(0,)),
    Facts(name="Optional", moves=(0,)),
    Facts(name="OptionalGetElement", moves=(0,)),
    Facts(name="OptionalHasElement"),
    Facts(name="SequenceEmpty"),
    Facts(name="SequenceLength"),
)
