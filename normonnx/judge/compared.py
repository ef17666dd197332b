"""One output on one feed in one setting, compared."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from normonnx.judge.metrics import Metrics

Flaw = Literal["", "missing", "interface", "undefined", "rounding", "tolerance", "discrete"]


class OutputResult(Struct, frozen=True):
    """One output on one feed in one setting.

    Attributes:
        output: its name.
        draw: the number of the feed.
        setting: how both models were run, such as ``CPU, optimisations on``.
        passed: whether it is within what is allowed.
        flaw: what kind of thing is wrong, or "".
        excess: distance over what is allowed, above 1 for a breach; inf where it is no distance.
        message: what is wrong, or "".
        metrics: None for discrete outputs.
        decisive: whether it counts.
        inner: whether it is no output of the model itself, but what a node reads at which both
            models were cut.
    """

    output: str
    draw: int
    setting: str
    passed: bool
    flaw: Flaw
    excess: float
    message: str
    metrics: Metrics | None
    decisive: bool
    inner: bool = False
