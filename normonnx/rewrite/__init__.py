"""A rewrite is a pair of expressions over the same inputs: proposed, certified, committed.

An engine builds new nodes that are attached to no graph and says which old value each new value
stands for. `commit` counts what would die against what would come, asks the certificate, and only
then touches the graph. Nothing else in normonnx changes a graph.
"""

from __future__ import annotations

from normonnx.rewrite.commit import commit
from normonnx.rewrite.context import Context, miss
from normonnx.rewrite.copies import MAX_COPIED_BYTES
from normonnx.rewrite.gain import gain
from normonnx.rewrite.proposal import Proposal

__all__ = [
    "MAX_COPIED_BYTES",
    "Context",
    "Proposal",
    "commit",
    "gain",
    "miss",
]
