"""Two sides that are the same operators but for their numbers, compared by these numbers."""

from normonnx.proof.linear.lemma import same_numbers

__all__ = ["same_numbers"]
